// Shapes that many answers have (api.md): bytes are 0x-hex, addresses EIP-55, times RFC 3339 UTC.
import * as v from "valibot";
import { visible } from "./visible";

function hex(bytes: number): v.GenericSchema<unknown, `0x${string}`> {
  const pattern = new RegExp(`^0x[0-9a-fA-F]{${2 * bytes}}$`);
  return v.custom<`0x${string}`>((value) => typeof value === "string" && pattern.test(value));
}

/** 32 bytes: a hash, an id, a purpose. */
export const Bytes32 = hex(32);
/** A wallet or a contract. */
export const Address = hex(20);
/** Bytes of any length that an answer may have. */
export const Bytes = v.custom<`0x${string}`>(
  (value) => typeof value === "string" && value.length <= 200_000 && /^0x(?:[0-9a-fA-F]{2})*$/.test(value),
);
/** A UUID in its usual form. */
export const Uuid = v.pipe(v.string(), v.regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/));
/** A time, as milliseconds since 1970. */
export const Time = v.pipe(
  v.string(),
  v.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/),
  v.transform((text) => Date.parse(text)),
  v.number(),
  v.finite(),
);
/** A count, a number of a block, a serial: exact. */
export const Count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
/** A short text of the daemon, shown as text that hides and reorders nothing. */
export const Text = v.pipe(v.string(), v.maxLength(2_000), v.transform(visible));
