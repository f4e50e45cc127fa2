// Six digits of a message, and what is done with them.
import type { ComponentChildren, JSX, TargetedSubmitEvent } from "preact";
import { useRef, useState } from "preact/hooks";
import { DIGITS } from "../code/digits";
import { OtpInput } from "../code/otp-input";
import { sentence } from "../errors";
import { noteError } from "../session/session";
import { t } from "../texts";

interface Props {
  readonly label: string;
  readonly hint: string;
  readonly button: string;
  /** What the digits are for; its errors are shown here. */
  readonly send: (digits: string) => Promise<void>;
  /** What stands beside the button. */
  readonly children?: ComponentChildren;
}

export function DigitsForm({ label, hint, button, send, children }: Props): JSX.Element {
  // Not state: a password manager fills in and submits before anything is drawn anew, and each attempt counts.
  const digits = useRef("");
  const isUnderWay = useRef(false);
  const [error, setError] = useState<string>();
  const [isBusy, setBusy] = useState(false);

  const submit = async (given: string): Promise<void> => {
    if (isUnderWay.current) return;
    if (given.length !== DIGITS) {
      setError(t().enter.short);
      return;
    }
    isUnderWay.current = true;
    setBusy(true);
    setError(undefined);
    try {
      await send(given);
    } catch (thrown) {
      noteError(thrown);
      setError(sentence(thrown));
    }
    isUnderWay.current = false;
    setBusy(false);
  };
  const onSubmit = (event: TargetedSubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    void submit(digits.current);
  };
  return (
    <form class="stack" noValidate onSubmit={onSubmit}>
      <OtpInput label={label} hint={hint} error={error} isBusy={isBusy} onChange={(typed) => {
        digits.current = typed;
      }} onComplete={(all) => void submit(all)} />
      <div class="row">
        <button type="submit" aria-disabled={isBusy}>{button}</button>
        {children}
      </div>
    </form>
  );
}
