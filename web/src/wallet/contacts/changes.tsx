import type { JSX } from "preact";
import { fromNow, moment } from "../../shared/format";
import { serverNow } from "../../shared/http";
import { announce } from "../frame/announce";
import { t, translator } from "../texts";
import { type Change, approveChange, readBook, renewDigits } from "./contacts";
import { DigitsForm } from "./digits-form";
import { useTask } from "./use-task";

/** What waits, until when, and how it happens at once or not at all. */
export function Changes({ changes }: { readonly changes: readonly Change[] }): JSX.Element | null {
  const texts = t().changes;
  if (changes.length === 0) return null;
  return (
    <section class="card stack" aria-labelledby="changes" data-testid="changes">
      <h2 id="changes">{texts.title}</h2>
      <p>{texts.text}</p>
      <ul class="plain-list stack">
        {changes.map((change) => <Waiting key={change.id} change={change} />)}
      </ul>
      <p class="muted">{texts.cancel}</p>
    </section>
  );
}

function Waiting({ change }: { readonly change: Change }): JSX.Element {
  const { isBusy, error, run } = useTask();
  const texts = t().changes;
  const language = translator.language.value;
  const hasExpired = change.digitsExpireAt <= serverNow();
  const approve = async (digits: string): Promise<void> => {
    await approveChange(change.id, digits);
    announce(texts.approved);
    await readBook();
  };
  const renew = (): void => {
    run(async () => {
      await renewDigits(change.id);
      announce(texts.renewed);
    });
  };
  const anew = <button type="button" class="quiet" aria-disabled={isBusy} onClick={renew}>{texts.renew}</button>;
  return (
    <li class="notice stack" data-testid="change">
      <h3>{nameOf(change)}</h3>
      <p>{texts.due(moment(change.dueAt, language), fromNow(change.dueAt, serverNow(), language))}</p>
      {hasExpired ? (
        <>
          <p>{texts.expired}</p>
          <div>{anew}</div>
        </>
      ) : (
        <DigitsForm label={texts.label} hint={texts.hint} button={texts.approve} send={approve}>{anew}</DigitsForm>
      )}
      {error !== undefined && <p role="alert">{error}</p>}
    </li>
  );
}

function nameOf({ kind, masked }: Change): string {
  const { kinds } = t().changes;
  if (kind === "add" || kind === "remove") return kinds[kind](masked ?? "***");
  return kind === "delete-account" ? kinds[kind] : kinds.other;
}
