// The page's frame: which view is seen, in which language and colours, and whether it goes on by itself.
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { choose as chooseLook, look, LOOKS } from "../shared/look";
import { type Door, door, forgetToken } from "./daemon";
import { Figures } from "./figures";
import { GovernanceView } from "./governance";
import { isLive, wanted } from "./live";
import { OperationsView } from "./operations";
import { Search } from "./search";
import { LANGUAGES, t, translator } from "./texts";
import { TokenForm } from "./token";

const VIEWS = ["figures", "search", "governance", "operations"] as const;
type View = (typeof VIEWS)[number];

const view = signal<View>(viewOf(location.hash));

function viewOf(hash: string): View {
  return VIEWS.find((name) => `#${name}` === hash) ?? "figures";
}

export function App(): JSX.Element {
  useEffect(() => {
    function turn(): void {
      view.value = viewOf(location.hash);
    }
    addEventListener("hashchange", turn);
    return () => {
      removeEventListener("hashchange", turn);
    };
  }, []);
  const texts = t().shell;
  useEffect(() => {
    document.title = `${texts.views[view.value]} – ${texts.title}`;
  });
  const shown = door.value === "locked" ? "token" : view.value;
  useEffect(() => {
    if (location.hash !== "" || shown === "token") document.getElementById("view")?.focus();
  }, [shown]);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById("view")?.focus(); }}>{texts.skip}</a>
      <header class="bar">
        <div class="stack tight">
          <h1>{texts.title}</h1>
          <p class="muted small">{door.value === "public" ? texts.audit : door.value === "admin" ? texts.admin : ""}</p>
        </div>
        <Controls />
      </header>
      {door.value === "locked" ? null : <Navigation door={door.value} />}
      <main id="main" data-view={shown} class="stack">
        {door.value === "locked" ? <TokenForm /> : <Shown view={view.value} />}
      </main>
    </>
  );
}

function Shown({ view }: { readonly view: View }): JSX.Element {
  switch (view) {
    case "figures":
      return <Figures />;
    case "search":
      return <Search />;
    case "governance":
      return <GovernanceView />;
    case "operations":
      return <OperationsView />;
  }
}

function Navigation({ door }: { readonly door: Door }): JSX.Element {
  const seen = VIEWS.filter((name) => name !== "operations" || door === "admin");
  return (
    <nav aria-label={t().shell.title}>
      <ul class="plain-list row">
        {seen.map((name) => (
          <li key={name}>
            <a class="button" href={`#${name}`} aria-current={view.value === name ? "page" : undefined}>{t().shell.views[name]}</a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function Controls(): JSX.Element {
  const texts = t().shell;
  return (
    <div class="row controls">
      <label class="row">
        <input type="checkbox" checked={isLive.value} onChange={(event) => { isLive.value = event.currentTarget.checked; }} />
        {texts.live}
      </label>
      <button type="button" onClick={() => { wanted.value += 1; }}>{texts.refresh}</button>
      <span role="status" class="unseen">{wanted.value > 0 ? texts.refreshed : ""}</span>
      <select aria-label={texts.language} value={translator.language.value} onChange={(event) => { void choose(event.currentTarget.value); }}>
        {Object.entries(LANGUAGES).map(([name, language]) => <option key={name} value={name} lang={name}>{language.name}</option>)}
      </select>
      <select aria-label={texts.theme} value={look.value} onChange={(event) => { chooseLook(LOOKS.find((name) => name === event.currentTarget.value) ?? "system"); }}>
        {LOOKS.map((name) => <option key={name} value={name}>{texts.themes[name]}</option>)}
      </select>
      {door.value === "admin" ? <button type="button" class="quiet" onClick={forgetToken}>{texts.forget}</button> : null}
    </div>
  );
}

async function choose(name: string): Promise<void> {
  if (name === "en" || name === "de") await translator.choose(name);
}
