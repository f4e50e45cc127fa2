import type { JSX } from "preact";
import { useId, useRef, useState } from "preact/hooks";
import { clock } from "../../shared/format";
import { Refusal } from "../../shared/http";
import { t } from "../texts";
import type { Around } from "./around";
import type { ChainTime } from "./chain-time";
import { type Otp, ask } from "./otps";
import { sentenceOf } from "./sentences";
import { cooldownLeft, timelineOf } from "./timeline";
import { useSeconds } from "./use-request";

interface Props {
  readonly otp: Otp;
  readonly around: Around;
  readonly time: ChainTime;
}

/** Another code for the same, over the same channel once its pause is over, or over another one. */
export function Another({ otp, around, time }: Props): JSX.Element {
  const { destinations, service } = around;
  const same = destinations.find((it) => it.masked === otp.delivery.masked && it.channel === otp.delivery.channel);
  const [chosen, setContact] = useState("");
  const contactId = (destinations.find((it) => it.contactId === chosen) ?? same ?? destinations[0])?.contactId ?? "";
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  const [notBefore, setNotBefore] = useState(0);
  // One key until it is answered: a repetition of a request whose answer was lost is no second code.
  const key = useRef(crypto.randomUUID());
  const field = useId();
  const texts = t().code;
  const cooldown = service.purposes.find((purpose) => purpose.name === otp.purpose)?.cooldown ?? 0;
  const pause = contactId === same?.contactId ? cooldownLeft(otp, cooldown, time.now()) : 0;
  const wait = Math.max(pause, Math.ceil((notBefore - performance.now()) / 1_000));
  useSeconds(wait > 0);
  const hasEnded = timelineOf(otp).ending !== undefined;
  const isBlind = otp.purpose !== "login" && otp.authorization?.typed === undefined;

  async function send(): Promise<void> {
    if (isBusy || wait > 0) return;
    setBusy(true);
    setError(undefined);
    try {
      const typed = otp.authorization?.typed;
      const asked = await ask({ purpose: otp.purpose, contactId, ...(typed === undefined ? {} : { action: typed }) }, key.current);
      key.current = crypto.randomUUID();
      around.openCode(asked.id);
    } catch (failure) {
      around.noteError(failure);
      if (failure instanceof Refusal) {
        // What the service could not answer it may have accepted, and is asked for by the same key.
        if (failure.status < 500) key.current = crypto.randomUUID();
        setNotBefore(performance.now() + Math.min(3_600, failure.retryAfterSeconds ?? 0) * 1_000);
      }
      setError(sentenceOf(failure));
    } finally {
      setBusy(false);
    }
  }

  const failed = ["failed", "bounced", "expired"].includes(otp.delivery.state);
  return (
    <section class="card stack" aria-labelledby={`${field}-title`}>
      <h2 id={`${field}-title`}>{hasEnded ? texts.newOne : texts.another}</h2>
      {failed && <p class="notice warn" role="alert">{texts.undelivered(otp.delivery.masked)}</p>}
      {!hasEnded && <p class="muted">{texts.anotherHint}</p>}
      {isBlind ? (
        <button type="button" onClick={around.openForm}>{texts.newOne}</button>
      ) : (
        <>
          <div>
            <label for={field}>{texts.otherChannel}</label>
            <select id={field} value={contactId} onChange={(event) => {
              setContact(event.currentTarget.value);
            }}>
              {destinations.map((it) => <option key={it.contactId} value={it.contactId}>{it.masked}</option>)}
            </select>
          </div>
          <p class={error === undefined ? "unseen" : "notice bad"} role="alert">{error}</p>
          <div class="row">
            <button type="button" aria-disabled={isBusy || wait > 0} onClick={() => void send()}>{texts.resend}</button>
            {wait > 0 && <span class="muted small digits">{texts.resendIn(clock(wait))}</span>}
          </div>
        </>
      )}
    </section>
  );
}
