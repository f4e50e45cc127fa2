// What contracts do against codes, as the daemon's configuration tells (`actions` of `GET /v1/config`): the form that a
// person fills in, the payload that it makes, and the call that the wallet sends afterwards.
import { type Abi, type AbiFunction, formatUnits, getAddress, isAddress, parseUnits } from "viem";
import * as v from "valibot";
import { Address } from "../../shared/shapes";
import { visible } from "../../shared/visible";
import type { Authorization, Value } from "./authorization";
import type { Ticket, TypedAction } from "./otps";

const Identifier = v.pipe(v.string(), v.regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/));
const Label = v.pipe(v.string(), v.nonEmpty(), v.maxLength(120), v.transform(visible));
const FieldShape = v.object({
  name: Identifier,
  label: Label,
  format: v.optional(v.picklist(["raw", "amount"]), "raw"),
  decimals: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(77))),
  symbol: v.optional(v.pipe(v.string(), v.maxLength(16), v.transform(visible))),
});
const AbiEntry = v.looseObject({ type: v.string(), name: v.optional(v.string()), inputs: v.optional(v.array(v.unknown())) });

/** One thing that a contract does against a code. */
export const ActionShape = v.object({
  name: Label,
  title: Label,
  consumer: Address,
  purpose: v.pipe(v.string(), v.regex(/^[a-z0-9-]{1,31}$/)),
  primaryType: Identifier,
  types: v.record(v.string(), v.array(v.strictObject({ name: Identifier, type: v.string() }))),
  fields: v.pipe(v.array(FieldShape), v.minLength(1), v.maxLength(32)),
  nonce: v.optional(Identifier),
  limit: v.optional(v.object({ field: Identifier, function: Identifier })),
  function: Identifier,
  abi: v.pipe(v.array(AbiEntry), v.maxLength(64)),
  sentences: v.optional(v.record(v.string(), Label), {}),
});
export type Action = v.InferOutput<typeof ActionShape>;
export type Field = Action["fields"][number];

/** The name of the field that counts, which nobody types. */
export const NONCE = "nonce";

/** The contract's ABI, as viem takes it. */
export function abiOf(action: Action): Abi {
  return action.abi as unknown as Abi;
}

/** The function that does it; undefined where the configuration has none. */
export function functionOf(action: Action): AbiFunction | undefined {
  const found = abiOf(action).filter((entry): entry is AbiFunction => entry.type === "function" && entry.name === action.function);
  return found.length === 1 ? found[0] : undefined;
}

/** Whether the function takes the code itself, and so verifies in the same transaction. */
export function isOneStep(action: Action): boolean {
  return functionOf(action)?.inputs.some((input) => input.name === "code") ?? false;
}

export function typeOf(action: Action, field: string): string {
  return action.types[action.primaryType]?.find((property) => property.name === field)?.type ?? "";
}

/** The configured action that a payload is an instance of: same contract, same struct, to the letter. */
export function actionFor(actions: readonly Action[], typed: TypedAction): Action | undefined {
  const key = (it: Pick<TypedAction, "consumer" | "primaryType" | "types">): string =>
    JSON.stringify([it.consumer.toLowerCase(), it.primaryType, it.types[it.primaryType], Object.keys(it.types).length]);
  return actions.find((action) => key(action) === key(typed));
}

/** Why a field's text makes no value. */
export type FieldFault = "missing" | "no-address" | "no-number" | "too-many-decimals" | "too-much" | "not-bytes" | "zero";

/** Reads what a person typed into a field. */
export function readField(action: Action, field: Field, text: string): { value: string } | { fault: FieldFault } {
  const trimmed = text.trim();
  const type = typeOf(action, field.name);
  if (trimmed === "" && type !== "string") return { fault: "missing" };
  if (field.format === "amount") return readAmount(trimmed, field, type);
  if (type === "address") {
    if (!isAddress(trimmed)) return { fault: "no-address" };
    return /^0x0{40}$/i.test(trimmed) ? { fault: "zero" } : { value: getAddress(trimmed) };
  }
  if (/^u?int/.test(type)) {
    if (!/^-?\d{1,78}$/.test(trimmed)) return { fault: "no-number" };
    return fits(BigInt(trimmed), type) ? { value: BigInt(trimmed).toString() } : { fault: "too-much" };
  }
  if (type.startsWith("bytes")) return /^0x(?:[0-9a-fA-F]{2})*$/.test(trimmed) ? { value: trimmed } : { fault: "not-bytes" };
  return { value: text };
}

function readAmount(text: string, field: Field, type: string): { value: string } | { fault: FieldFault } {
  // One sign for the decimals, no other: what `1,000` means differs between readers.
  const plain = text.replace(",", ".");
  if (!/^\d{1,60}(?:\.\d{1,77})?$/.test(plain)) return { fault: "no-number" };
  const decimals = field.decimals ?? 0;
  if ((plain.split(".")[1]?.length ?? 0) > decimals) return { fault: "too-many-decimals" };
  const value = parseUnits(plain, decimals);
  if (value === 0n) return { fault: "zero" };
  return fits(value, type) ? { value: value.toString() } : { fault: "too-much" };
}

function fits(value: bigint, type: string): boolean {
  const bits = Number(/\d+$/.exec(type)?.[0] ?? "256");
  return type.startsWith("u") ? BigInt.asUintN(bits, value) === value : BigInt.asIntN(bits, value) === value;
}

/** The payload of an action from its fields' values. */
export function typedAction(action: Action, values: Readonly<Record<string, string>>): TypedAction {
  const properties = action.types[action.primaryType] ?? [];
  const valueOf = (name: string, type: string): unknown => (type === "bool" ? values[name] === "true" : (values[name] ?? ""));
  return {
    consumer: action.consumer,
    primaryType: action.primaryType,
    types: action.types,
    message: Object.fromEntries(properties.map(({ name, type }) => [name, valueOf(name, type)])),
  };
}

/**
 * A field's value for people: `1.5 ETH`, in German `1,5 ETH`. With the language's own sign for decimals, since in German
 * `1.234 ETH` is more than a thousand, and without one for thousands.
 */
export function shownField(field: Field, value: Value, language: string): string {
  if (typeof value === "string") return visible(value);
  if (typeof value === "object") return "";
  if (field.format !== "amount" || typeof value === "boolean") return value.toString();
  const sign = new Intl.NumberFormat(language).formatToParts(1.5).find(({ type }) => type === "decimal")?.value ?? ".";
  return `${formatUnits(value, field.decimals ?? 0).replace(".", sign)} ${field.symbol ?? ""}`.trim();
}

/** What is at hand of a code when the contract is called. */
export interface Spendable {
  readonly ticket: Ticket;
  readonly code: string;
  readonly codeHash: `0x${string}`;
}

/** The call's arguments, in the function's order. Throws where it wants what neither payload nor code has. */
export function argumentsOf(action: Action, authorization: Authorization, spendable: Spendable): unknown[] {
  const inputs = functionOf(action)?.inputs ?? [];
  return inputs.map(({ name = "", type }) => {
    if (name === "ticket" && type === "tuple") return spendable.ticket;
    if (name === "codeHash" && type === "bytes32") return spendable.codeHash;
    if (name === "code" && type === "string") return spendable.code;
    const value = authorization.message[name];
    if (value === undefined || typeOf(action, name) !== type) throw new Error(`the function wants ${name}, which nobody was shown`);
    return value;
  });
}
