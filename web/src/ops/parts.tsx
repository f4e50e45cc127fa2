// What several views are made of.
import { type ComponentChildren, Fragment, type JSX } from "preact";
import { useState } from "preact/hooks";
import { moment, shortened } from "../shared/format";
import { explain } from "./daemon";
import type { Since } from "./shapes";
import { t, translator } from "./texts";

/** A hash or an address: its ends for eyes, the whole for the clipboard. */
export function Hex({ value, what }: { readonly value: string; readonly what: string }): JSX.Element {
  const [copied, setCopied] = useState(false);
  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(value);
      setCopied(true);
    } catch {
      // Without the right to the clipboard the whole is in the title.
    }
  }
  return (
    <span class="hex">
      <code title={value}>{shortened(value)}</code>
      <button type="button" class="quiet copy" aria-label={t().shell.copy(what)} onClick={copy} onBlur={() => { setCopied(false); }}>
        <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
          {copied ? <path d="M3 8.5l3.2 3.2L13 5" /> : <path d="M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z" />}
        </svg>
      </button>
      <span role="status" class="unseen">{copied ? t().shell.copied : ""}</span>
    </span>
  );
}

/** A time, in the reader's own form. */
export function Moment({ ms }: { readonly ms: number }): JSX.Element {
  return <time dateTime={new Date(ms).toISOString()}>{moment(ms, translator.language.value)}</time>;
}

/** When and by which transaction. */
export function SinceWhen({ since }: { readonly since: Since | null }): JSX.Element {
  if (since === null) return <span class="muted">{t().governance.never}</span>;
  return (
    <span class="since">
      <Moment ms={since.time} /> <span class="muted">{t().story.block(String(since.blockNumber))}</span>{" "}
      <Hex value={since.txHash} what={t().story.transaction} />
    </span>
  );
}

/** A word with the weight of its meaning; never by colour alone. */
export function Badge({ kind, children }: { readonly kind: "good" | "warn" | "bad" | "plain"; readonly children: ComponentChildren }): JSX.Element {
  return <span class={`badge ${kind}`}>{children}</span>;
}

/** What went wrong, and what to do. */
export function Fault({ error }: { readonly error: unknown }): JSX.Element | null {
  if (error === undefined) return null;
  return <p role="alert" class="notice bad">{explain(error, t())}</p>;
}

/** A view's heading, which takes the focus when the view comes. */
export function Heading({ children }: { readonly children: ComponentChildren }): JSX.Element {
  return <h2 id="view" tabIndex={-1}>{children}</h2>;
}

/** Names and values. */
export function Facts({ rows }: { readonly rows: readonly (readonly [string, ComponentChildren])[] }): JSX.Element {
  return (
    <dl class="facts">
      {rows.map(([name, value]) => (
        <Fragment key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </Fragment>
      ))}
    </dl>
  );
}

/** As of which block something is told. */
export function AsOf({ asOf }: { readonly asOf: { readonly blockNumber: number; readonly time: number } }): JSX.Element {
  return <p class="muted small as-of">{t().shell.asOf(String(asOf.blockNumber), moment(asOf.time, translator.language.value))}</p>;
}
