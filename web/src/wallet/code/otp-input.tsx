// One real input for six digits, with six slots drawn behind its own text: what browsers, keyboards, password managers and
// screen readers do with an input (caret, selection, undo, autofill) stays theirs. Each digit has a slot's width.
import type { JSX, TargetedEvent, TargetedInputEvent } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { DIGITS, digitsOf, insertion, isCompletion } from "./digits";
import "./otp-input.css";

interface Props {
  readonly label: string;
  readonly hint: string;
  /** What is wrong with what stands there. It stays there. */
  readonly error?: string | undefined;
  /** While what stands there is on its way: it can be read and not changed. */
  readonly isBusy: boolean;
  /** The digits that stand there. */
  readonly onChange: (digits: string) => void;
  /** Six digits are there by now: once for the same six, and not while one of six is corrected or something is undone. */
  readonly onComplete: (digits: string) => void;
}

export function OtpInput({ label, hint, error, isBusy, onChange, onComplete }: Props): JSX.Element {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const before = useRef("");
  const put = useRef<number | undefined>(undefined);
  const completed = useRef("");
  const [active, setActive] = useState<number>();

  useEffect(() => {
    // What was wrong is selected, so that the next digit begins anew and one key corrects one digit.
    if (error !== undefined && !isBusy) input.current?.select();
  }, [error, isBusy]);

  const changed = (event: TargetedInputEvent<HTMLInputElement>): void => {
    const it = input.current;
    if (it === null) return;
    const digits = digitsOf(it.value).slice(0, DIGITS);
    // What is filled in past `beforeinput` may have separators.
    if (digits !== it.value) it.value = digits;
    onChange(digits);
    // What fills in by script sends an event without a kind.
    const { inputType = "" } = event as { inputType?: string };
    const isNew = isCompletion(before.current, digits, put.current) && !inputType.startsWith("history");
    before.current = digits;
    put.current = undefined;
    if (isNew && digits !== completed.current) {
      completed.current = digits;
      onComplete(digits);
    }
  };
  const mark = (): void => {
    const it = input.current;
    setActive(it !== null && document.activeElement === it ? Math.min(it.selectionStart ?? 0, DIGITS - 1) : undefined);
  };

  return (
    <div class="otp">
      <label for={id}>{label}</label>
      <div class="otp-row" dir="ltr">
        <div class="otp-slots" aria-hidden="true">
          {Array.from({ length: DIGITS }, (_, slot) => <span key={slot} class={slot === active ? "otp-slot active" : "otp-slot"} />)}
        </div>
        <input
          ref={input}
          id={id}
          class="otp-digits"
          type="text"
          dir="ltr"
          name="one-time-code"
          autocomplete="one-time-code"
          inputMode="numeric"
          pattern="[0-9]*"
          enterKeyHint="done"
          autocapitalize="off"
          autocorrect="off"
          spellcheck={false}
          required
          readOnly={isBusy}
          aria-describedby={error === undefined ? `${id}-hint` : `${id}-error ${id}-hint`}
          aria-invalid={error !== undefined}
          onBeforeInput={(event) => {
            const digits = putIn(event);
            if (!event.defaultPrevented) put.current = digits;
          }}
          onInput={changed}
          onFocus={mark}
          onBlur={mark}
          onSelect={mark}
          onKeyUp={mark}
          onPointerUp={mark}
        />
      </div>
      <p class="hint" id={`${id}-hint`}>{hint}</p>
      <p class="field-error" id={`${id}-error`} role="alert">{error}</p>
    </div>
  );
}

/** Lets through what makes digits in their places, and puts in the digits of what does not. How many digits went in. */
function putIn(event: TargetedInputEvent<HTMLInputElement> | TargetedEvent<HTMLInputElement, InputEvent>): number {
  const it = event.currentTarget;
  if (!event.cancelable || event.isComposing || !event.inputType.startsWith("insert")) return 0;
  const text = event.data ?? event.dataTransfer?.getData("text/plain") ?? "";
  const [start, end] = [it.selectionStart ?? 0, it.selectionEnd ?? 0];
  const put = insertion(it.value, start, end, text);
  if (put.start !== start || put.end !== end) it.setSelectionRange(put.start, put.end);
  if (put.digits === text) return put.digits.length;
  event.preventDefault();
  if (put.digits === "") {
    it.setSelectionRange(start, end);
    return 0;
  }
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- the one way to put text in that can be undone
  if (!document.execCommand("insertText", false, put.digits)) {
    it.setRangeText(put.digits, put.start, put.end, "end");
    it.dispatchEvent(new InputEvent("input", { bubbles: true }));
  }
  return put.digits.length;
}
