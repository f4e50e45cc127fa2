// From whatever somebody has in hand to the story of a code.
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ask, door, knock } from "./daemon";
import { Fault, Heading, Hex, Moment } from "./parts";
import { asking, isPersonal, kindOf } from "./query";
import { Found } from "./shapes";
import { RequestFacts, StoryView } from "./story";
import { t } from "./texts";

/** What was found last; it stays while somebody looks at another view. */
const found = signal<{ readonly q: string; readonly issuer: string | undefined; readonly value: Found } | undefined>(undefined);

export function Search(): JSX.Element {
  const [error, setError] = useState<unknown>();
  const [isBad, setBad] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const looks = useRef(0);
  const isAdmin = door.value === "admin";
  const texts = t().search;

  // Nothing else on this view asks: without it the admin port would be taken for the public one.
  useEffect(() => {
    knock().catch(setError);
  }, []);

  /** Asks and shows the answer, unless something else was asked for meanwhile: under a question stands its own answer or none. */
  async function look(q: string, issuer?: string): Promise<void> {
    const mine = (looks.current += 1);
    const isNewest = (): boolean => looks.current === mine;
    const kind = kindOf(q);
    found.value = undefined;
    setBad(kind === undefined);
    setError(undefined);
    setBusy(kind !== undefined);
    if (kind === undefined) return;
    try {
      await knock();
      const isAdmin = door.value === "admin";
      if (!isAdmin && isPersonal(kind)) {
        if (isNewest()) setBad(true);
        return;
      }
      const { path, body } = asking(q, issuer, isAdmin, "json");
      const value = await ask(path, Found, { body });
      if (isNewest()) found.value = { q, issuer, value };
    } catch (cause) {
      if (isNewest()) setError(cause);
    } finally {
      if (isNewest()) setBusy(false);
    }
  }

  const shown = found.value;
  useEffect(() => {
    if (shown?.value.story) document.getElementById("story")?.focus();
  }, [shown]);

  return (
    <>
      <Heading>{texts.title}</Heading>
      <form
        role="search"
        class="card stack tight"
        onSubmit={(event) => {
          event.preventDefault();
          void look(field.current?.value ?? "");
        }}
      >
        <label for="q">{isAdmin ? texts.adminLabel : texts.label}</label>
        <div class="row search">
          <input ref={field} id="q" name="q" defaultValue={found.value?.q} autocomplete="off" autocapitalize="off" spellcheck={false} maxLength={320} aria-describedby={isBad ? "q-hint q-bad" : "q-hint"} aria-invalid={isBad} />
          <button type="submit" class="primary" aria-disabled={isBusy}>{texts.go}</button>
        </div>
        <p id="q-hint" class="hint">{isAdmin ? texts.adminHint : texts.hint}</p>
        {isBad ? <p id="q-bad" class="field-error" role="alert">{texts.bad}</p> : null}
      </form>
      <p role="status" class="unseen">{isBusy ? t().shell.loading : ""}</p>
      <Fault error={error} />
      {shown === undefined ? null : (
        <Results q={shown.q} issuer={shown.issuer} value={shown.value} look={look} isAdmin={isAdmin} />
      )}
    </>
  );
}

interface ResultsProps {
  readonly q: string;
  readonly issuer: string | undefined;
  readonly value: Found;
  readonly look: (q: string, issuer?: string) => Promise<void>;
  readonly isAdmin: boolean;
}

function Results({ q, issuer, value, look, isAdmin }: ResultsProps): JSX.Element {
  if (value.story !== null) return <StoryView story={value.story} save={asking(q, issuer, isAdmin, "csv")} />;
  const texts = t().search;
  if (value.codes.length === 0 && value.requests.length === 0) return <p role="status" class="notice">{texts.empty}</p>;
  return (
    <section class="stack" aria-live="polite">
      {value.codes.length > 0 ? <p>{texts.many(String(value.codes.length))}</p> : null}
      <ul class="plain-list stack">
        {value.codes.map((code) => (
          <li key={`${code.id}-${code.issuer}`} class="card row apart">
            <div class="stack tight">
              <span>{code.purposeName ?? t().shell.unknown} · {code.serial ?? t().shell.unknown}</span>
              <span class="row small"><Hex value={code.id} what={t().story.id} />{code.time === null ? null : <Moment ms={code.time} />}</span>
              <span class="small muted">{t().story.issuer} <Hex value={code.issuer} what={t().story.issuer} /></span>
            </div>
            <button type="button" onClick={() => look(code.id, code.issuer)}>{texts.open(String(code.serial ?? "?"))}</button>
          </li>
        ))}
      </ul>
      {value.requests.length > 0 ? <p>{texts.manyRequests(String(value.requests.length))}</p> : null}
      <ul class="plain-list stack">
        {value.requests.map((request) => (
          <li key={request.requestId} class="card stack">
            <RequestFacts request={request} />
            {request.id === null ? null : <button type="button" onClick={() => look(request.requestId)}>{texts.open(request.reference)}</button>}
          </li>
        ))}
      </ul>
      {value.more ? <p class="muted">{texts.more}</p> : null}
    </section>
  );
}
