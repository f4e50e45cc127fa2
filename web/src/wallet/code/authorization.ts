// What a code authorises, from the EIP-712 payload to lines that a person can read, and to the hash that the contract
// checks. Both are made from the same parsed values, so nobody is shown one thing and authorises another. The rules are
// those of core/src/authorization.rs; what does not keep to them is not shown at all.
import { concat, encodeAbiParameters, getAddress, hashStruct, isAddress, keccak256, zeroAddress } from "viem";
import { visible } from "../../shared/visible";
import type { TypedAction } from "./otps";

const MOST_FIELDS = 64;
const MOST_DEPTH = 8;
const MOST_VALUES = 256;
const MOST_TEXT = 16_384;
const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
const ARRAY = /^(.*)\[(\d{0,3})\]$/;

/** A payload cannot be shown, and so must not be authorised; the text says why, for those who made it. */
export class NotShown extends Error {
  override readonly name = "NotShown";
}

/** A value in its one form: what is shown of it is what is hashed. */
export type Value = string | boolean | bigint | readonly Value[] | { readonly [name: string]: Value };

/** What a line shows. */
export type Kind = "address" | "number" | "text" | "bytes" | "bool" | "group";

/** A field, or a heading above the fields of a struct or a list. */
export interface Line {
  /** Of the payload's own names, as `orders` or `2`. */
  readonly name: string;
  readonly depth: number;
  readonly kind: Kind;
  /** Ready to be shown: nothing in it hides or reorders other text. Empty for a group. */
  readonly text: string;
  readonly value: Value;
}

/** A payload, understood. */
export interface Authorization {
  readonly consumer: `0x${string}`;
  readonly primaryType: string;
  readonly message: Readonly<Record<string, Value>>;
  readonly lines: readonly Line[];
  readonly payloadHash: `0x${string}`;
  readonly action: `0x${string}`;
}

type Types = TypedAction["types"];

/** `keccak256(abi.encode(consumer, payloadHash))`. */
export function actionOf(consumer: `0x${string}`, payloadHash: `0x${string}`): `0x${string}` {
  return keccak256(encodeAbiParameters([{ type: "address" }, { type: "bytes32" }], [consumer, payloadHash]));
}

const SIGN_IN = { SignIn: [{ name: "origin", type: "string" }, { name: "session", type: "bytes32" }] } as const;

/** The payload of a sign-in of one session to one origin, hashed. */
export function signInPayload(origin: string, session: `0x${string}`): `0x${string}` {
  return hashStruct({ data: { origin, session }, primaryType: "SignIn", types: SIGN_IN });
}

/** The action of a sign-in, whose consumer is nobody. */
export function signInAction(payloadHash: `0x${string}`): `0x${string}` {
  return actionOf(zeroAddress, payloadHash);
}

/** Reads a payload. Throws `NotShown`. */
export function describe(typed: TypedAction): Authorization {
  if (!isAddress(typed.consumer, { strict: false }) || /^0x0{40}$/.test(typed.consumer)) throw new NotShown("consumer is no contract");
  checkTypes(typed.types, typed.primaryType);
  const consumer = getAddress(typed.consumer.toLowerCase());
  const lines: Line[] = [];
  const message = readStruct(typed.types, typed.primaryType, typed.message, { lines, depth: 0 });
  let payloadHash: `0x${string}`;
  try {
    payloadHash = hashStruct({ data: message, primaryType: typed.primaryType, types: typed.types });
  } catch (cause) {
    throw new NotShown("the payload cannot be hashed", { cause });
  }
  return { consumer, primaryType: typed.primaryType, message, lines, payloadHash, action: actionOf(consumer, payloadHash) };
}

/** Reads a payload and holds it against what was issued, where that is known. Throws `NotShown`. */
export function describeChecked(typed: TypedAction, action?: string, payloadHash?: string): Authorization {
  const authorization = describe(typed);
  const isSame = action === undefined || authorization.action === action.toLowerCase();
  if (!isSame || (payloadHash !== undefined && authorization.payloadHash !== payloadHash.toLowerCase())) {
    throw new NotShown("the payload is not what the code was issued for");
  }
  return authorization;
}

function checkTypes(types: Types, primaryType: string): void {
  const structs = Object.entries(types);
  const fields = structs.flatMap(([, fields]) => fields);
  if (fields.length > MOST_FIELDS) throw new NotShown("too many fields");
  if (!Object.hasOwn(types, primaryType)) throw new NotShown("the payload's type is missing");
  if (Object.hasOwn(types, "EIP712Domain")) throw new NotShown("the payload has a domain");
  if (![...structs.map(([name]) => name), ...fields.map((field) => field.name)].every((name) => NAME.test(name))) {
    throw new NotShown("a name is no identifier");
  }
  if (structs.some(([name]) => isPlain(name))) throw new NotShown("a struct has the name of a plain type");
  for (const [, fields] of structs) {
    if (new Set(fields.map((field) => field.name)).size !== fields.length) throw new NotShown("a field is there twice");
  }
  valuesOf(types, primaryType, MOST_DEPTH, new Map());
}

/** How many values a struct has, written out: bounded before anything is hashed, since types can double with each step. */
function valuesOf(types: Types, type: string, depth: number, known: Map<string, number>): number {
  const base = type.replace(/\[.*$/, "");
  const fields = Object.hasOwn(types, base) ? types[base] : undefined;
  if (fields === undefined) return 1;
  const before = known.get(base);
  if (before !== undefined) return before;
  if (depth === 0) throw new NotShown("structs are nested too deep");
  const count = fields.reduce((sum, field) => sum + valuesOf(types, field.type, depth - 1, known), 1);
  if (count > MOST_VALUES) throw new NotShown("too many values");
  known.set(base, count);
  return count;
}

interface Place {
  readonly lines: Line[];
  readonly depth: number;
}

function readStruct(types: Types, type: string, given: unknown, { lines, depth }: Place): Record<string, Value> {
  const fields = types[type] ?? [];
  if (typeof given !== "object" || given === null || Array.isArray(given)) throw new NotShown(`${type}: an object is expected`);
  const names = Object.keys(given);
  // What no type has would be shown nowhere and hashed nowhere.
  if (names.length !== fields.length || !fields.every((field) => Object.hasOwn(given, field.name))) {
    throw new NotShown(`${type}: other fields than its type has`);
  }
  const values = given as Record<string, unknown>;
  return Object.fromEntries(
    fields.map((field) => [field.name, readValue(types, field.type, values[field.name], field.name, { lines, depth })]),
  );
}

function readValue(types: Types, type: string, given: unknown, name: string, place: Place): Value {
  const { lines, depth } = place;
  if (lines.length >= MOST_VALUES || depth > MOST_DEPTH) throw new NotShown("too many values");
  const inside = { lines, depth: depth + 1 };
  const [, item, length] = ARRAY.exec(type) ?? [];
  if (item !== undefined) {
    if (!Array.isArray(given) || (length !== "" && given.length !== Number(length))) throw new NotShown(`${name}: another list`);
    lines.push({ name, depth, kind: "group", text: "", value: "" });
    return given.map((one, index) => readValue(types, item, one, String(index + 1), inside));
  }
  if (Object.hasOwn(types, type)) {
    lines.push({ name, depth, kind: "group", text: "", value: "" });
    return readStruct(types, type, given, inside);
  }
  const [kind, value] = readPlain(type, given, name);
  lines.push({ name, depth, kind, text: kind === "text" ? visible(String(value)) : String(value), value });
  return value;
}

function isPlain(type: string): boolean {
  return /^(?:address|bool|string|bytes|function|u?int\d*|bytes\d+)$/.test(type);
}

function readPlain(type: string, given: unknown, name: string): [Kind, string | boolean | bigint] {
  const wrong = (): NotShown => new NotShown(`${name}: no ${type}`);
  const [, sign, bits] = /^(u?)int(\d{1,3})$/.exec(type) ?? [];
  if (bits !== undefined) return ["number", readInteger(given, sign === "", Number(bits), wrong)];
  const [, size] = /^bytes(\d{0,2})$/.exec(type) ?? [];
  if (size !== undefined) return ["bytes", readBytes(given, size, wrong)];
  switch (type) {
    case "address":
      if (typeof given !== "string" || !isAddress(given)) throw wrong();
      return ["address", getAddress(given)];
    case "bool":
      if (typeof given !== "boolean") throw wrong();
      return ["bool", given];
    case "string":
      // A lone surrogate has no UTF-8: two texts would have one hash.
      if (typeof given !== "string" || given.length > MOST_TEXT || /\p{Cs}/u.test(given)) throw wrong();
      return ["text", given];
    default:
      throw new NotShown(`${name}: a type that nobody knows`);
  }
}

function readInteger(given: unknown, isSigned: boolean, bits: number, wrong: () => NotShown): bigint {
  const isNumber = typeof given === "number" && Number.isSafeInteger(given);
  const isText = typeof given === "string" && /^(?:-?(?:0|[1-9]\d{0,77})|0x[0-9a-fA-F]{1,64})$/.test(given);
  if (!(isNumber || isText) || bits < 8 || bits > 256 || bits % 8 !== 0) throw wrong();
  const value = BigInt(given);
  const inRange = isSigned ? BigInt.asIntN(bits, value) === value : BigInt.asUintN(bits, value) === value;
  if (!inRange) throw wrong();
  return value;
}

function readBytes(given: unknown, size: string, wrong: () => NotShown): `0x${string}` {
  if (typeof given !== "string" || given.length > MOST_TEXT || !/^0x(?:[0-9a-fA-F]{2})*$/.test(given)) throw wrong();
  const length = Number(size);
  if (size !== "" && (length < 1 || length > 32 || given.length !== 2 + 2 * length)) throw wrong();
  return concat([given.toLowerCase() as `0x${string}`]);
}
