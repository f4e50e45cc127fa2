// What the daemons say of codes: shapes and calls (api.md). Nothing else in the page reads such an answer.
import * as v from "valibot";
import { call } from "../../shared/http";
import { describeChecked } from "./authorization";
import { Address, Bytes32, Bytes, Count, Text, Time, Uuid } from "../../shared/shapes";

export const STATUSES = [
  "queued", "submitted", "issued", "delivered", "unlocked", "verified", "consumed",
  "locked", "expired", "revoked", "failed",
] as const;
const StatusShape = v.picklist(STATUSES);
/** Where a request stands. */
export type Status = (typeof STATUSES)[number];

/** Whether nothing more is expected to happen. */
export function isOver(status: Status): boolean {
  return ["locked", "expired", "failed", "revoked", "consumed"].includes(status);
}

const Name = v.pipe(v.string(), v.regex(/^[a-z0-9-]{1,31}$/));
/** Letters alone: which of two codes is meant. */
const Reference = v.pipe(v.string(), v.regex(/^[A-Z]{4,12}$/));
export const FullCode = v.pipe(v.string(), v.regex(/^[0-9]{6}[a-z2-7]{26}$/));

/** EIP-712 types and message without a domain, as a request gives them; what is in them is checked when it is described. */
export const TypedActionShape = v.strictObject({
  consumer: Address,
  primaryType: v.pipe(v.string(), v.maxLength(64)),
  types: v.record(v.string(), v.array(v.strictObject({ name: v.string(), type: v.string() }))),
  message: v.record(v.string(), v.unknown()),
});
export type TypedAction = v.InferOutput<typeof TypedActionShape>;

const TicketShape = v.object({
  id: Bytes32,
  issuer: Address,
  purpose: Bytes32,
  serial: v.pipe(Count, v.maxValue(2 ** 40 - 1)),
  proof: v.pipe(v.array(Bytes32), v.maxLength(8)),
});
/** What the contract asks for beside the code. */
export type Ticket = v.InferOutput<typeof TicketShape>;

export const OtpShape = v.object({
  id: Uuid,
  reference: Reference,
  status: StatusShape,
  history: v.pipe(v.array(v.object({ status: StatusShape, at: Time })), v.maxLength(32)),
  purpose: Name,
  action: Bytes32,
  payloadHash: v.optional(Bytes32),
  authorization: v.optional(v.object({
    title: Text,
    fields: v.pipe(v.array(v.object({ name: Text, value: v.string() })), v.maxLength(64)),
    typed: v.optional(TypedActionShape),
    session: v.optional(Bytes32),
  })),
  verifier: Address,
  chainId: Count,
  createdAt: Time,
  chainTime: Time,
  delivery: v.object({ channel: Text, masked: Text, state: Text, attempts: Count }),
  onChainId: v.optional(Bytes32),
  issuer: v.optional(Address),
  serial: v.optional(Count),
  txHash: v.optional(Bytes32),
  blockNumber: v.optional(Count),
  expiry: v.optional(Time),
  failure: v.optional(Text),
  attemptsLeft: v.optional(Count),
});
/** A request as its owner sees it. Times are milliseconds; `expiry` and `chainTime` are the chain's. */
export type Otp = v.InferOutput<typeof OtpShape>;

const AcceptedShape = v.object({ id: Uuid, reference: Reference, action: Bytes32 });
export type Accepted = v.InferOutput<typeof AcceptedShape>;

const UnlockedShape = v.object({
  code: FullCode,
  codeHash: Bytes32,
  action: Bytes32,
  payloadHash: v.optional(Bytes32),
  ticket: TicketShape,
  verifier: Address,
  chainId: Count,
  expiry: Time,
});
/** The full code, and what `verify` asks for beside it. */
export type Unlocked = v.InferOutput<typeof UnlockedShape>;

const IssuedTicketShape = v.object({
  ticket: TicketShape,
  verifier: Address,
  chainId: Count,
  expiry: Time,
  chainTime: v.optional(Time),
  status: v.picklist(["issued", "expired", "verified", "consumed", "revoked"]),
});
export type IssuedTicket = v.InferOutput<typeof IssuedTicketShape>;

/** What a code is asked for. */
export interface Wanted {
  readonly purpose: string;
  readonly action?: TypedAction;
  readonly contactId: string;
}

/**
 * Asks for a code. The same `key` again is the same request again, never a second code. Throws `NotShown` where the code is
 * for something else than what was asked for.
 */
export async function ask(wanted: Wanted, key: string): Promise<Accepted> {
  const accepted = await call("v1/otps", AcceptedShape, { method: "POST", body: wanted, headers: { "idempotency-key": key } });
  if (wanted.action !== undefined) describeChecked(wanted.action, accepted.action);
  return accepted;
}

export function show(id: string, signal?: AbortSignal): Promise<Otp> {
  return call(`v1/otps/${id}`, OtpShape, signal ? { signal } : {});
}

/** The caller's own, newest first. */
export function list(): Promise<readonly Otp[]> {
  const Page = v.object({ otps: v.pipe(v.array(OtpShape), v.maxLength(100)) });
  return call("v1/otps", Page).then((page) => page.otps);
}

export function unlock(id: string, digits: string): Promise<Unlocked> {
  return call(`v1/otps/${id}/unlock`, UnlockedShape, { method: "POST", body: { digits } });
}

/** Has `verifyFor` sent by the relayer; `deadline` in Unix seconds, as signed. */
export function sponsor(id: string, body: { code: string; deadline: number; signature: string }): Promise<`0x${string}`> {
  return call(`v1/otps/${id}/sponsor`, v.object({ txHash: Bytes32 }), { method: "POST", body }).then((sent) => sent.txHash);
}

/** A code's ticket from the chain's logs, which either daemon has. */
export function ticketOf(issuer: string, onChainId: string): Promise<IssuedTicket> {
  return call(`v1/tickets/${issuer}/${onChainId}`, IssuedTicketShape);
}

/** Bytes of a wallet's signature. */
export const SignatureShape = v.pipe(Bytes, v.minLength(4), v.maxLength(2 + 2 * 4_096));
