import type { JSX, TargetedSubmitEvent } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { announce } from "../frame/announce";
import { Refusal } from "../../shared/http";
import { createKey, forgetKey, isSupported } from "../inapp";
import { t, translator } from "../texts";
import { CHANNELS, type Channel, addContact, readBook } from "./contacts";
import { useTask } from "./use-task";

const INPUTS = {
  email: { type: "email", autocomplete: "email", inputMode: "email" },
  sms: { type: "tel", autocomplete: "tel", inputMode: "tel" },
  webhook: { type: "url", autocomplete: "off", inputMode: "url" },
} as const;

/** Makes a key and adds it. One that was refused goes again; where there was no answer it may have been taken, and stays. */
async function addKey(language: string): Promise<string> {
  const { publicKey } = await createKey();
  try {
    return await addContact("inapp", publicKey, language);
  } catch (failure) {
    if (failure instanceof Refusal && failure.status < 500) await forgetKey(publicKey).catch(() => undefined);
    throw failure;
  }
}

/** A new contact. `served` is what the relayer sends over. */
export function AddForm({ served }: { readonly served: readonly string[] }): JSX.Element {
  const channels = CHANNELS.filter((channel) => served.includes(channel));
  const [channel, setChannel] = useState<Channel>(channels[0] ?? "email");
  const [fault, setFault] = useState<string>();
  const [holdsKeys, setHoldsKeys] = useState(true);
  const address = useRef<HTMLInputElement>(null);
  const { isBusy, error, run } = useTask();
  const ids = useId();
  const texts = t().contacts;
  useEffect(() => {
    void isSupported().then(setHoldsKeys);
  }, []);

  const submit = (event: TargetedSubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const given = address.current?.value.trim() ?? "";
    if (channel !== "inapp" && given === "") {
      setFault(texts.empty);
      address.current?.focus();
      return;
    }
    setFault(undefined);
    run(async () => {
      const language = translator.language.value;
      const masked = await (channel === "inapp" ? addKey(language) : addContact(channel, given, language));
      await readBook();
      if (address.current !== null) address.current.value = "";
      announce(texts.sent(masked));
    });
  };
  return (
    <form class="stack" noValidate onSubmit={submit}>
      <div>
        <label for={`${ids}channel`}>{texts.channel}</label>
        <select id={`${ids}channel`} value={channel} onChange={(event) => {
          setChannel(channels.find((known) => known === event.currentTarget.value) ?? channel);
          setFault(undefined);
        }}>
          {channels.map((known) => <option key={known} value={known}>{texts.channels[known]}</option>)}
        </select>
      </div>
      {channel === "inapp" ? <p>{holdsKeys ? texts.inappHint : texts.inappUnsupported}</p> : (
        <div key={channel}>
          <label for={`${ids}address`}>{texts.addresses[channel].label}</label>
          <input ref={address} id={`${ids}address`} {...INPUTS[channel]} maxLength={2_000} spellcheck={false} autocapitalize="none"
            aria-describedby={`${ids}hint ${ids}fault`} aria-invalid={fault !== undefined} required />
          <p id={`${ids}hint`} class="hint">{texts.addresses[channel].hint}</p>
          <p id={`${ids}fault`} class="field-error">{fault ?? ""}</p>
        </div>
      )}
      {error !== undefined && <p class="notice bad" role="alert">{error}</p>}
      <div>
        <button type="submit" class="primary" aria-disabled={isBusy || (channel === "inapp" && !holdsKeys)}>
          {channel === "inapp" ? texts.submitKey : texts.submit}
        </button>
      </div>
      <p role="status" class="muted">{isBusy ? texts.busy : ""}</p>
    </form>
  );
}
