// The whole story of a code on one screen.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { saveFrom, saveJson } from "./daemon";
import { Badge, Facts, Fault, Hex, Moment } from "./parts";
import type { Check, Code, Event, Request, Story } from "./shapes";
import { t } from "./texts";

/** `save`: how the story as CSV is asked for. */
export function StoryView({ story, save }: { readonly story: Story; readonly save: { path: string; body?: unknown } }): JSX.Element {
  const { code } = story;
  const texts = t().story;
  return (
    <article class="stack" aria-labelledby="story">
      <div class="row apart">
        <h3 id="story" tabIndex={-1}>{texts.title(code.serial === null ? "?" : String(code.serial))}</h3>
        <StatusBadge status={code.status} />
      </div>
      <div class="story">
        <section class="card stack" aria-label={texts.id}>
          <CodeFacts code={code} />
        </section>
        <section class="card stack" aria-labelledby="checks">
          <h4 id="checks">{texts.checks}</h4>
          <Checks story={story} />
        </section>
        <section class="card stack" aria-labelledby="events">
          <h4 id="events">{texts.events}</h4>
          <ol class="timeline">{story.events.map((event) => <EventItem key={`${event.txHash}-${event.type}-${event.canonical}`} event={event} />)}</ol>
        </section>
        {story.deliveries === undefined ? null : (
          <section class="card stack" aria-labelledby="deliveries">
            <h4 id="deliveries">{texts.deliveries}</h4>
            <Messages messages={story.deliveries} />
          </section>
        )}
        {story.request ? (
          <section class="card stack" aria-labelledby="request">
            <h4 id="request">{texts.request}</h4>
            <RequestFacts request={story.request} />
          </section>
        ) : null}
      </div>
      <Export story={story} save={save} />
    </article>
  );
}

function StatusBadge({ status }: { readonly status: string }): JSX.Element {
  const words: Readonly<Record<string, string>> = t().story.status;
  const kind = status === "verified" || status === "consumed" ? "good" : status === "issued" ? "plain" : "warn";
  return <Badge kind={kind}>{words[status] ?? status}</Badge>;
}

function CodeFacts({ code }: { readonly code: Code }): JSX.Element {
  const texts = t().story;
  const batch = code.size === null || code.first === null ? t().shell.unknown : texts.batchOf(String(code.size), String(code.first));
  return (
    <Facts
      rows={[
        [texts.id, <Hex value={code.id} what={texts.id} />],
        [texts.issuer, <Hex value={code.issuer} what={texts.issuer} />],
        [texts.purpose, code.purposeName ?? t().shell.unknown],
        [texts.serial, code.serial === null ? t().shell.unknown : String(code.serial)],
        [texts.batch, batch],
        [texts.root, code.root === null ? t().shell.unknown : <Hex value={code.root} what={texts.root} />],
        [texts.expiry, code.expiry === null ? t().shell.unknown : <Moment ms={code.expiry} />],
      ]}
    />
  );
}

function EventItem({ event }: { readonly event: Event }): JSX.Element {
  const texts = t().story;
  const kinds: Readonly<Record<string, string>> = texts.kinds;
  return (
    <li class={event.canonical ? "" : "orphaned"}>
      <div class="row">
        <strong>{kinds[event.type] ?? event.type}</strong>
        {event.canonical ? (
          event.final ? <Badge kind="good">{texts.final}</Badge> : <Badge kind="plain">{texts.confirmations(String(event.confirmations))}</Badge>
        ) : (
          <Badge kind="bad">{texts.orphaned}</Badge>
        )}
      </div>
      <div class="row small">
        <Moment ms={event.time} />
        <span>{texts.block(String(event.blockNumber))}</span>
        <Hex value={event.txHash} what={texts.transaction} />
        {event.subject === undefined ? null : <code>{event.subject}</code>}
        {event.evidence ? <span class="muted">{texts.entry(String(event.evidence.index))}</span> : null}
      </div>
    </li>
  );
}

function Checks({ story }: { readonly story: Story }): JSX.Element {
  const own = useOwnCheck(story.code);
  const texts = t().story;
  const checks: readonly Check[] = own === undefined ? story.checks : [...story.checks, own];
  const names: Readonly<Record<string, string>> = texts.checkNames;
  const by: Readonly<Record<string, string>> = texts.by;
  return (
    <>
      <ul class="plain-list stack">
        {checks.map((check) => (
          <li key={`${check.what}-${check.by}`} class="check">
            <div class="row">
              <strong>{names[check.what] ?? check.what}</strong>
              {check.ok === null ? <Badge kind="warn">{texts.checkNone}</Badge> : check.ok ? <Badge kind="good">{texts.checkOk}</Badge> : <Badge kind="bad">{texts.checkBad}</Badge>}
            </div>
            <p class="small">{by[check.by] ?? check.by}</p>
            <p class="small muted">{check.detail}</p>
          </li>
        ))}
      </ul>
      <p class="small muted">{texts.trust}</p>
    </>
  );
}

/** What this browser found; undefined until it has. */
function useOwnCheck(code: Code): Check | undefined {
  const [ok, setOk] = useState<boolean | null>();
  useEffect(() => {
    let isCurrent = true;
    setOk(undefined);
    import("./proof").then(
      ({ leadsToRoot }) => { if (isCurrent) setOk(leadsToRoot(code)); },
      () => { if (isCurrent) setOk(null); },
    );
    return () => { isCurrent = false; };
  }, [code]);
  if (ok === undefined) return undefined;
  const texts = t().story;
  return { what: "proof", by: "browser", ok, detail: ok === null ? texts.checkNone : ok ? texts.proofOk : texts.proofBad };
}

function Messages({ messages }: { readonly messages: NonNullable<Story["deliveries"]> }): JSX.Element {
  const channels: Readonly<Record<string, string>> = t().figures.channels;
  if (messages.length === 0) return <p class="muted">{t().story.noDeliveries}</p>;
  return (
    <ul class="plain-list stack">
      {messages.map((message, place) => (
        <li key={place} class="stack tight">
          <div class="row">
            <strong>{channels[message.channel] ?? message.channel}</strong>
            <Badge kind={message.state === "failed" || message.state === "bounced" ? "bad" : "plain"}>{message.state}</Badge>
          </div>
          <div class="row small">
            {message.to ? <code>{message.to}</code> : null}
            {message.sentAt ? <Moment ms={message.sentAt} /> : null}
            {message.attempts === undefined ? null : <span class="muted">{t().story.attempts(String(message.attempts))}</span>}
            {message.reason ? <span>{message.reason}</span> : null}
          </div>
        </li>
      ))}
    </ul>
  );
}

/** A request, as the operator sees it. */
export function RequestFacts({ request }: { readonly request: Request }): JSX.Element {
  const texts = t().story;
  return (
    <>
      <Facts
        rows={[
          [texts.reference, <code>{request.reference}</code>],
          [texts.id, <Hex value={request.requestId} what={texts.id} />],
          [texts.wallet, <code>{request.wallet}</code>],
          [texts.purpose, request.purposeName],
          [texts.to, <code>{request.to ?? "–"}</code>],
          [texts.attemptsLeft, String(request.attemptsLeft)],
          [texts.created, <Moment ms={request.createdAt} />],
          ...(request.failure === null ? [] : [[texts.failure, request.failure] as const]),
        ]}
      />
      <ol class="timeline">
        {request.reached.map((step) => (
          <li key={step.status}>
            <strong>{step.status}</strong> <span class="small"><Moment ms={step.at} /></span>
          </li>
        ))}
      </ol>
    </>
  );
}

function Export({ story, save }: { readonly story: Story; readonly save: { path: string; body?: unknown } }): JSX.Element {
  const [error, setError] = useState<unknown>();
  const name = `otp-code-${story.code.serial ?? "unknown"}`;
  async function csv(): Promise<void> {
    setError(undefined);
    await saveFrom(save.path, `${name}.csv`, "text/csv", save.body).catch(setError);
  }
  return (
    <div class="row">
      <button type="button" onClick={csv}>{t().shell.download("CSV")}</button>
      <button type="button" onClick={() => { saveJson(story, `${name}.json`); }}>{t().shell.download("JSON")}</button>
      <Fault error={error} />
    </div>
  );
}
