// What stands around each view: where one is, whose session it is, what ends it soon, language and look.
import type { ComponentChildren, JSX } from "preact";
import { shortened } from "../../shared/format";
import { endSession, session } from "../session/session";
import { stay, warning } from "../session/watch";
import { LANGUAGES, t, translator } from "../texts";
import { Announcer } from "./announce";
import { LOOKS, choose, look } from "../../shared/look";
import { type Route, go, route, writeRoute } from "./route";
import "./frame.css";

export function Frame({ children, isApp }: { readonly children: ComponentChildren; readonly isApp: boolean }): JSX.Element {
  const texts = t().frame;
  const isIn = isApp && session.value !== undefined;
  return (
    <>
      <a class="skip" href="#main" onClick={toMain}>{texts.skip}</a>
      <header class="frame-head">
        <p class="brand">{t().shell.title}</p>
        {isIn && <SignedIn />}
      </header>
      {isIn && <EndsSoon />}
      <Announcer />
      {children}
      <Settings />
    </>
  );
}

/** The fragment of the address is the links' alone: the focus goes there without it. */
function toMain(event: Event): void {
  event.preventDefault();
  document.querySelector<HTMLElement>("main h1")?.focus();
}

function SignedIn(): JSX.Element {
  const texts = t().frame;
  const wallet = session.value?.wallet ?? "";
  return (
    <>
      <nav aria-label={texts.nav}>
        <ul class="plain-list row">
          <li><Place to={{ view: "home" }}>{t().home.link}</Place></li>
          <li><Place to={{ view: "contacts" }}>{t().contacts.link}</Place></li>
        </ul>
      </nav>
      <div class="row who">
        <span class="mono" title={wallet} data-testid="account">{shortened(wallet)}</span>
        <button type="button" onClick={() => void endSession("logged-out")}>{texts.logOut}</button>
      </div>
    </>
  );
}

function Place({ to, children }: { readonly to: Route; readonly children: ComponentChildren }): JSX.Element {
  const isHere = route.value.view === to.view;
  const open = (event: MouseEvent): void => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(to);
  };
  const here: { "aria-current"?: "page" } = isHere ? { "aria-current": "page" } : {};
  return <a href={`./${writeRoute(to)}`} class="place" {...here} onClick={open}>{children}</a>;
}

function EndsSoon(): JSX.Element | null {
  const soon = warning.value;
  if (soon === undefined) return null;
  const texts = t().frame;
  return (
    <div class="notice warn row apart ends-soon" data-testid="ends-soon">
      {/* Said once; the seconds beside it would be said each second. */}
      <p role="alert">{soon.why === "idle" ? texts.idleSoon : texts.timeSoon}</p>
      <span class="digits" aria-hidden="true">{texts.seconds(soon.seconds)}</span>
      {soon.why === "idle" && <button type="button" class="primary" onClick={stay}>{texts.stay}</button>}
    </div>
  );
}

function Settings(): JSX.Element {
  const texts = t();
  const names = Object.entries(LANGUAGES) as [keyof typeof LANGUAGES, { name: string }][];
  return (
    <footer class="row frame-foot">
      <div>
        <label for="language">{texts.shell.language}</label>
        <select id="language" value={translator.language.value} onChange={(event) => {
          const chosen = names.find(([code]) => code === event.currentTarget.value)?.[0];
          if (chosen !== undefined) void translator.choose(chosen);
        }}>
          {names.map(([code, { name }]) => <option key={code} value={code} lang={code}>{name}</option>)}
        </select>
      </div>
      <div>
        <label for="look">{texts.frame.look}</label>
        <select id="look" value={look.value} onChange={(event) => {
          const chosen = LOOKS.find((known) => known === event.currentTarget.value);
          if (chosen !== undefined) choose(chosen);
        }}>
          {LOOKS.map((known) => <option key={known} value={known}>{texts.frame.looks[known]}</option>)}
        </select>
      </div>
    </footer>
  );
}
