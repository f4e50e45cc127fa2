import type { JSX, TargetedSubmitEvent } from "preact";
import { useRef, useState } from "preact/hooks";
import { BadAnswer, Refusal } from "../../shared/http";
import { t } from "../texts";
import { codeHash } from "./contract";
import { DIGITS } from "./digits";
import { type Otp, type Unlocked, unlock } from "./otps";
import { OtpInput } from "./otp-input";
import { sentenceOf } from "./sentences";

interface Props {
  readonly otp: Otp;
  /** Digits that arrived in this browser. */
  readonly arrived: string | undefined;
  readonly onUnlocked: (unlocked: Unlocked) => void;
  readonly noteError: (error: unknown) => void;
}

/** Takes the digits and asks the relayer for the code behind them. What was typed stays, whatever goes wrong. */
export function Enter({ otp, arrived, onUnlocked, noteError }: Props): JSX.Element {
  // Not state: a password manager fills in and submits before anything is drawn anew, and each attempt counts.
  const digits = useRef("");
  const isUnderWay = useRef(false);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  const texts = t().enter;

  async function check(given: string): Promise<void> {
    if (isUnderWay.current) return;
    if (given.length < DIGITS) {
      setError(texts.short);
      return;
    }
    isUnderWay.current = true;
    setBusy(true);
    setError(undefined);
    try {
      onUnlocked(checked(await unlock(otp.id, given), otp, given));
    } catch (failure) {
      noteError(failure);
      setError(refusalText(failure));
    } finally {
      isUnderWay.current = false;
      setBusy(false);
    }
  }
  const submit = (event: TargetedSubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    void check(digits.current);
  };

  return (
    <form class="stack" noValidate onSubmit={submit}>
      {otp.status === "unlocked" && <p class="notice">{texts.again}</p>}
      {arrived !== undefined && (
        <div class="notice good stack tight">
          <p><strong>{t().code.arrived}:</strong> <span class="digits mono" data-testid="arrived">{arrived}</span></p>
          <p class="small">{t().code.arrivedHint}</p>
          <button type="button" onClick={() => void check(arrived)} aria-disabled={isBusy}>{t().code.use}</button>
        </div>
      )}
      <OtpInput
        label={texts.label}
        hint={texts.hint}
        error={error}
        isBusy={isBusy}
        onChange={(typed) => {
          digits.current = typed;
          setError(undefined);
        }}
        onComplete={(whole) => void check(whole)}
      />
      <button type="submit" class="primary" aria-disabled={isBusy}>{isBusy ? texts.checking : texts.submit}</button>
    </form>
  );
}

/** The answer has to be this code's: else nothing of it goes to a contract. */
function checked(unlocked: Unlocked, otp: Otp, digits: string): Unlocked {
  const isOurs =
    unlocked.code.startsWith(digits) &&
    codeHash(unlocked.code) === unlocked.codeHash.toLowerCase() &&
    unlocked.action.toLowerCase() === otp.action.toLowerCase() &&
    (otp.onChainId === undefined || unlocked.ticket.id.toLowerCase() === otp.onChainId.toLowerCase()) &&
    unlocked.verifier.toLowerCase() === otp.verifier.toLowerCase() &&
    unlocked.chainId === otp.chainId;
  if (!isOurs) throw new BadAnswer("the unlocked code is another one");
  return unlocked;
}

function refusalText(failure: unknown): string {
  const texts = t().enter;
  if (failure instanceof Refusal) {
    const left = failure.count("attemptsLeft");
    if (failure.slug === "wrong-digits" && left !== undefined) return left > 0 ? texts.wrong(left) : t().code.endings.locked;
    if (failure.slug === "locked") return t().code.endings.locked;
    if (failure.slug === "expired") return t().code.endings.expired;
    if (failure.slug === "revoked") return t().code.endings.revoked;
    if (failure.slug === "not-issued") return texts.tooEarly;
    if (failure.status === 404) return texts.otherSession;
  }
  return sentenceOf(failure);
}
