import type { JSX, TargetedSubmitEvent } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Refusal } from "../../shared/http";
import { t, translator } from "../texts";
import { View } from "../view";
import { type Action, type Field, type FieldFault, NONCE, readField, shownField, typeOf, typedAction } from "./actions";
import { Authorizes } from "./authorizes";
import type { Around } from "./around";
import { accountNumber } from "./contract";
import { type TypedAction, ask } from "./otps";
import { sentenceOf } from "./sentences";
import { type Shown, shownTyped } from "./shown";

/** What a code can be asked for: a sign-in, or what a contract does. */
interface Choice {
  readonly id: string;
  readonly purpose: string;
  readonly title: string;
  readonly action: Action | undefined;
}

function choicesOf(around: Around): Choice[] {
  const { purposes, actions } = around.service;
  const signIns = purposes.filter((purpose) => !purpose.actionRequired);
  const served = actions.filter((action) => purposes.some((purpose) => purpose.name === action.purpose));
  return [
    ...served.map((action, index) => ({ id: `action-${index}`, purpose: action.purpose, title: `${action.title} (${action.name})`, action })),
    ...signIns.map((purpose) => ({ id: purpose.name, purpose: purpose.name, title: t().newCode.signIn, action: undefined })),
  ];
}

/** What the contract says of the account: how many it did, and how much there can be. */
interface Facts {
  readonly nonce: string;
  readonly most: bigint | undefined;
}

type Faults = Readonly<Record<string, FieldFault>>;

/** The form for a code: what for, exactly what, and where the digits go. */
export function NewCode({ around }: { readonly around: Around }): JSX.Element {
  const choices = choicesOf(around);
  const [choiceId, setChoice] = useState(choices[0]?.id ?? "");
  const [chosen, setContact] = useState("");
  const contactId = (around.destinations.find((it) => it.contactId === chosen) ?? around.destinations[0])?.contactId ?? "";
  const [values, setValues] = useState<Readonly<Record<string, string>>>({});
  const [faults, setFaults] = useState<Faults>({});
  const [error, setError] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const asked = useRef({ body: "", key: "" });
  const ids = useId();
  const choice = choices.find((it) => it.id === choiceId) ?? choices[0];
  const { facts, factsError, look } = useFacts(around, choice?.action);
  const texts = t().newCode;

  if (around.destinations.length === 0 || choice === undefined || !around.service.isIssuing) {
    return (
      <View name="new-code" title={texts.title}>
        <p class="notice warn">{choice === undefined ? texts.noPurpose : around.service.isIssuing ? texts.noContact : texts.switchedOff}</p>
        {around.destinations.length === 0 && <button type="button" class="primary" onClick={around.openContacts}>{texts.openContacts}</button>}
      </View>
    );
  }
  const { action } = choice;
  const typed = action === undefined || facts === undefined ? undefined : completed(action, values, facts);

  async function send(event: TargetedSubmitEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    if (isBusy || choice === undefined) return;
    const found = action === undefined ? {} : faultsOf(action, values, facts?.most);
    setFaults(found);
    if (Object.keys(found).length > 0) {
      const first = action?.fields.find((field) => found[field.name] !== undefined)?.name ?? "";
      form.current?.querySelector<HTMLElement>(`[name="${first}"]`)?.focus();
      return;
    }
    if (action !== undefined && typed === undefined) {
      look();
      return;
    }
    const wanted = { purpose: choice.purpose, contactId, ...(typed === undefined ? {} : { action: typed }) };
    setBusy(true);
    setError(undefined);
    try {
      // Another tab may have done something since the form was opened: the contract would refuse a code for that number.
      if (action?.nonce !== undefined && (await accountNumber(around.wallet, action, action.nonce)).toString() !== facts?.nonce) {
        look();
        setError(texts.moved);
        return;
      }
      const { id } = await ask(wanted, keyFor(asked.current, JSON.stringify(wanted)));
      around.openCode(id);
    } catch (failure) {
      // What was refused is over; what was not answered may have been accepted, and is asked for by the same key.
      if (failure instanceof Refusal && failure.status < 500) asked.current = { body: "", key: "" };
      around.noteError(failure);
      setError(sentenceOf(failure));
    } finally {
      setBusy(false);
    }
  }

  const shown: Shown | undefined = action === undefined ? undefined : typed && shownTyped(typed, around.service.actions);
  return (
    <View name="new-code" title={texts.title}>
      <form ref={form} class="stack" noValidate onSubmit={(event) => void send(event)}>
        <div class="card stack">
          <div>
            <label for={`${ids}-what`}>{texts.what}</label>
            <select id={`${ids}-what`} value={choice.id} onChange={(event) => {
              setChoice(event.currentTarget.value);
              setValues({});
              setFaults({});
            }}>
              {choices.map((it) => <option key={it.id} value={it.id}>{it.title}</option>)}
            </select>
          </div>
          {action === undefined && <p class="hint">{texts.signInHint}</p>}
          {action?.fields.filter((field) => field.name !== NONCE).map((field) => (
            <FormField
              key={`${choice.id}-${field.name}`}
              id={`${ids}-${field.name}`}
              field={field}
              type={typeOf(action, field.name)}
              value={values[field.name] ?? ""}
              fault={faults[field.name]}
              most={action.limit?.field === field.name ? facts?.most : undefined}
              onInput={(text) => {
                setValues({ ...values, [field.name]: text });
              }}
            />
          ))}
          {factsError !== undefined && (
            <div class="notice bad" role="alert">
              <p>{factsError}</p>
              <button type="button" onClick={look}>{texts.askAgain}</button>
            </div>
          )}
          <div>
            <label for={`${ids}-contact`}>{texts.to}</label>
            <select id={`${ids}-contact`} value={contactId} onChange={(event) => {
              setContact(event.currentTarget.value);
            }}>
              {around.destinations.map((it) => <option key={it.contactId} value={it.contactId}>{it.masked}</option>)}
            </select>
          </div>
        </div>
        {shown !== undefined && <Authorizes shown={shown} account={around.wallet.account} />}
        <p class={error === undefined ? "unseen" : "notice bad"} role="alert">{error}</p>
        <button type="submit" class="primary" aria-disabled={isBusy}>{isBusy ? texts.submitting : texts.submit}</button>
      </form>
    </View>
  );
}

interface FieldProps {
  readonly id: string;
  readonly field: Field;
  readonly type: string;
  readonly value: string;
  readonly fault: FieldFault | undefined;
  readonly most: bigint | undefined;
  readonly onInput: (text: string) => void;
}

function FormField({ id, field, type, value, fault, most, onInput }: FieldProps): JSX.Element {
  const texts = t().newCode;
  if (type === "bool") {
    return (
      <label class="row" for={id}>
        <input id={id} name={field.name} type="checkbox" checked={value === "true"} onChange={(event) => {
          onInput(String(event.currentTarget.checked));
        }} />
        {field.label}
      </label>
    );
  }
  const isNumber = /^u?int/.test(type);
  const hint = most === undefined ? undefined : texts.available(shownField(field, most, translator.language.value));
  return (
    <div>
      <label for={id}>{field.label}{field.symbol !== undefined && ` (${field.symbol})`}</label>
      <input
        id={id}
        name={field.name}
        type="text"
        class={isNumber ? "digits" : type === "string" ? "" : "mono"}
        inputMode={isNumber ? "decimal" : "text"}
        autocomplete="off"
        spellcheck={false}
        autocapitalize="off"
        value={value}
        required
        aria-invalid={fault !== undefined}
        aria-describedby={`${id}-hint ${id}-fault`}
        onInput={(event) => {
          onInput(event.currentTarget.value);
        }}
      />
      <p class="hint" id={`${id}-hint`}>{hint}</p>
      <p class="field-error" id={`${id}-fault`}>{fault !== undefined && texts.faults[fault]}</p>
    </div>
  );
}

/** What the contract says of the account, asked when an action is chosen; `look` asks again. */
function useFacts(around: Around, action: Action | undefined): { facts: Facts | undefined; factsError: string | undefined; look: () => void } {
  const [facts, setFacts] = useState<Facts>();
  const [factsError, setError] = useState<string>();
  const [round, setRound] = useState(0);
  const { wallet } = around;
  useEffect(() => {
    let isCurrent = true;
    setFacts(undefined);
    setError(undefined);
    if (action === undefined) return undefined;
    const number = (name: string | undefined): Promise<bigint | undefined> =>
      name === undefined ? Promise.resolve(undefined) : accountNumber(wallet, action, name);
    Promise.all([number(action.nonce), number(action.limit?.function)]).then(
      ([nonce, most]) => {
        if (isCurrent) setFacts({ nonce: nonce?.toString() ?? "", most });
      },
      (failure: unknown) => {
        if (isCurrent) setError(sentenceOf(failure, action));
      },
    );
    return () => {
      isCurrent = false;
    };
  }, [action?.consumer, action?.function, action?.nonce, action?.limit?.function, wallet.account, wallet.provider, round]);
  const look = (): void => {
    setRound((before) => before + 1);
  };
  return { facts, factsError, look };
}

function faultsOf(action: Action, values: Readonly<Record<string, string>>, most: bigint | undefined): Faults {
  const faults: Record<string, FieldFault> = {};
  for (const field of action.fields) {
    if (field.name === NONCE || typeOf(action, field.name) === "bool") continue;
    const read = readField(action, field, values[field.name] ?? "");
    if ("fault" in read) faults[field.name] = read.fault;
    else if (action.limit?.field === field.name && most !== undefined && BigInt(read.value) > most) faults[field.name] = "too-much";
  }
  return faults;
}

/** The payload once every field has a value. */
function completed(action: Action, values: Readonly<Record<string, string>>, facts: Facts): TypedAction | undefined {
  const read: Record<string, string> = { [NONCE]: facts.nonce };
  for (const field of action.fields) {
    if (field.name === NONCE) continue;
    if (typeOf(action, field.name) === "bool") {
      read[field.name] = values[field.name] ?? "false";
      continue;
    }
    const one = readField(action, field, values[field.name] ?? "");
    if ("fault" in one) return undefined;
    read[field.name] = one.value;
  }
  return typedAction(action, read);
}

/** The same key for the same request, until it was answered. */
function keyFor(asked: { body: string; key: string }, body: string): string {
  if (asked.body !== body || asked.key === "") Object.assign(asked, { body, key: crypto.randomUUID() });
  return asked.key;
}
