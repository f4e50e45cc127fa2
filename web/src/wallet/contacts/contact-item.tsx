import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { announce } from "../frame/announce";
import { confirmationFor, inbox } from "../inbox";
import { t } from "../texts";
import { type Contact, type Proved, confirmContact, readBook, removeContact } from "./contacts";
import { DigitsForm } from "./digits-form";
import { useTask } from "./use-task";

interface Props {
  readonly contact: Contact;
  /** A webhook's secret came with the answer. */
  readonly onProved: (proved: Proved) => void;
}

/** A contact: what it is, whether it receives codes, and what is to be done about it. */
export function ContactItem({ contact, onProved }: Props): JSX.Element {
  const { isBusy, error, run } = useTask();
  const texts = t().contacts;
  const { masked, contactId, channel } = contact;
  const [state, kind] = contact.confirmed ? [texts.confirmed, "good"] : contact.proved ? [texts.waits, "warn"] : [texts.unproved, "warn"];
  const remove = (): void => {
    run(async () => {
      announce(await removeContact(contactId) ? texts.removing : texts.removed);
    });
  };
  return (
    <li class="stack contact" data-testid="contact">
      <div class="row apart">
        <span class="stack tight">
          <strong>{masked}</strong>
          <span class="muted small">{texts.channels[channel]}</span>
        </span>
        <span class="row">
          <span class={`badge ${kind}`}>{state}</span>
          <button type="button" class="quiet" aria-label={texts.remove(masked)} aria-disabled={isBusy} onClick={remove}>{texts.removeShort}</button>
        </span>
      </div>
      {error !== undefined && <p class="notice bad" role="alert">{error}</p>}
      {!contact.proved && <Confirm contact={contact} onProved={onProved} />}
    </li>
  );
}

function Confirm({ contact, onProved }: Props): JSX.Element {
  const texts = t().contacts;
  const { masked, contactId } = contact;
  const { error, run } = useTask();
  const confirm = async (digits: string): Promise<void> => {
    const proved = await confirmContact(contactId, digits);
    announce(proved.confirmed ? texts.confirmedNow(masked) : texts.provedNow(masked));
    onProved(proved);
    await readBook();
  };
  const arrived = confirmationFor(inbox.value, contactId);
  useEffect(() => {
    // The digits came to the key that was just made here: that they were opened is the proof that they stand for.
    if (arrived !== undefined) run(() => confirm(arrived));
  }, [arrived]);
  return (
    <div class="notice stack">
      <h3>{texts.confirmTitle(masked)}</h3>
      {contact.channel === "inapp" && <p role="status">{arrived === undefined ? texts.notArrived : texts.arrived}</p>}
      {error !== undefined && <p role="alert">{error}</p>}
      <DigitsForm label={texts.confirmLabel} hint={texts.confirmHint} button={texts.confirmTitle(masked)} send={confirm} />
    </div>
  );
}
