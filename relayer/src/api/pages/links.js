// What a link in a message opens. It does nothing before a person presses the button, so a program that follows links
// changes nothing; and it takes the token out of the address bar before anything else.
"use strict";

const PAGES = {
  report: {
    title: "This was not me",
    text: "Somebody asked for a one-time code for your wallet. If it was not you, press the button: the code is locked " +
      "and revoked, and every session of your wallet here ends. Whoever asked holds your wallet key, or took over a " +
      "session: move what the wallet holds to a new one.",
    button: "Lock the code and end all sessions",
    path: (id) => `v1/otps/${id}/report`,
    done: (answer) => ({
      withdrawn: "The code is locked. It never reached the chain and will not.",
      owed: "The code is locked and is being revoked on the chain.",
      moot: "The code is locked. It could do nothing any more.",
    }[answer.revocation] || "The code is locked.") + " All sessions have ended.",
  },
  cancel: {
    title: "Cancel the change",
    text: "Somebody with your wallet asked for a change of your contacts, or to delete your account. If it was not you, " +
      "press the button: nothing is changed, and every session of your wallet here ends. Whoever asked holds your " +
      "wallet key and can ask again: move what the wallet holds to a new one.",
    button: "Cancel the change and end all sessions",
    path: (id) => `v1/contact-changes/${id}/cancel`,
    done: () => "The change is cancelled: nothing was changed. All sessions have ended.",
  },
};

const REFUSALS = {
  404: "This link is not valid, or what it was for is gone. Open it from the message again; a part may be missing.",
  410: "It is too late: the change was made before.",
  429: "Too many tries. Wait a minute and press the button again.",
};

// v1 is JSON; v2, of text messages, the 16 bytes of each, with dots that mean nothing.
function read(fragment) {
  const text = fragment.slice(4).replaceAll(".", "").replaceAll("-", "+").replaceAll("_", "/");
  try {
    const bytes = atob(text);
    const { id, token } = fragment.startsWith("#v2.") ? short(bytes) : fragment.startsWith("#v1.") ? JSON.parse(bytes) : {};
    return /^[0-9a-f-]{36}$/.test(id) && /^[0-9a-f]{32}$/.test(token) ? { id, token } : null;
  } catch {
    return null;
  }
}

function short(bytes) {
  const hex = [...bytes].map((byte) => byte.charCodeAt(0).toString(16).padStart(2, "0")).join("");
  const id = hex.slice(0, 32).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  return { id, token: hex.slice(32) };
}

async function send(page, link) {
  const answer = await fetch(page.path(link.id), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token: link.token }),
    credentials: "omit",
    cache: "no-store",
    referrerPolicy: "no-referrer",
  });
  if (answer.ok) {
    return { settled: true, text: page.done(await answer.json()) };
  }
  const settled = answer.status === 404 || answer.status === 410;
  return { settled, text: REFUSALS[answer.status] || "It did not work. Press the button again in a minute." };
}

const link = read(location.hash);
history.replaceState(null, "", location.pathname);
const page = PAGES[location.pathname.split("/").pop()];
const [title, text, go, outcome] = ["title", "text", "go", "outcome"].map((id) => document.getElementById(id));

title.textContent = page.title;
document.title = page.title;
text.textContent = link ? page.text : "The link is not complete. Open it from the message again.";
go.textContent = page.button;
go.hidden = !link;
go.addEventListener("click", async () => {
  go.disabled = true;
  outcome.textContent = "One moment …";
  try {
    const { settled, text: told } = await send(page, link);
    outcome.textContent = told;
    go.hidden = settled;
  } catch {
    outcome.textContent = "There was no answer. Check the connection and press the button again.";
  }
  go.disabled = false;
});
