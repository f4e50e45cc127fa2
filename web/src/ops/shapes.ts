// What the indexer answers, as far as this page reads it.
import * as v from "valibot";
import { Address, Bytes, Bytes32, Count, Text, Time } from "../shared/shapes";

const Measure = v.nullable(v.pipe(v.number(), v.finite(), v.minValue(0)));
const Quantiles = v.object({ count: Count, p50Seconds: Measure, p95Seconds: Measure, p99Seconds: Measure });
const AsOf = v.object({ blockNumber: Count, time: Time });

/** A window or a part of one. */
export const Part = v.object({
  from: v.nullable(Time),
  to: v.optional(Time),
  complete: v.optional(v.boolean(), true),
  issuancesReverted: Count,
  issued: Count,
  verified: Count,
  consumed: Count,
  revoked: Count,
  expired: Count,
  wrongDigits: Count,
  refusedUsed: Count,
  refusedUnknown: Count,
  delivered: v.record(v.pipe(v.string(), v.maxLength(32)), Count),
  rates: v.object({ issuedPerMinute: Measure, verifiedPerMinute: Measure, verifiedShare: Measure }),
  stages: v.object({
    requestToMined: Quantiles,
    minedToDelivered: Quantiles,
    deliveredToVerified: Quantiles,
    requestToVerified: Quantiles,
  }),
  gasPerCode: v.object({ count: Count, p50: Measure, p95: Measure, p99: Measure }),
});
export type Part = v.InferOutput<typeof Part>;

export const Series = v.object({
  asOf: AsOf,
  window: v.picklist(["hour", "day", "week"]),
  partSeconds: Count,
  total: Part,
  parts: v.pipe(v.array(Part), v.maxLength(200)),
});
export type Series = v.InferOutput<typeof Series>;

const Since = v.object({ blockNumber: Count, time: Time, txHash: Bytes32 });
export type Since = v.InferOutput<typeof Since>;

const Event = v.object({
  type: Text,
  blockNumber: Count,
  txHash: Bytes32,
  time: Time,
  canonical: v.boolean(),
  confirmations: v.optional(Count, 0),
  final: v.optional(v.boolean(), false),
  subject: v.optional(Text),
  consumer: v.optional(Text),
  by: v.optional(Text),
  evidence: v.optional(v.nullable(v.object({ index: Count, head: v.nullable(Count) }))),
});
export type Event = v.InferOutput<typeof Event>;

const Message = v.object({
  channel: Text,
  state: Text,
  to: v.optional(v.nullable(Text)),
  attempts: v.optional(Count),
  sentAt: v.optional(v.nullable(Time)),
  reason: v.optional(v.nullable(Text)),
});

const Check = v.object({ what: Text, by: Text, ok: v.nullable(v.boolean()), detail: Text });
export type Check = v.InferOutput<typeof Check>;

const Request = v.object({
  requestId: Text,
  reference: Text,
  wallet: Text,
  purposeName: Text,
  status: Text,
  reached: v.pipe(v.array(v.object({ status: Text, at: Time })), v.maxLength(20)),
  createdAt: Time,
  attemptsLeft: Count,
  channel: Text,
  to: v.nullable(Text),
  failure: v.nullable(Text),
  id: v.nullable(Bytes32),
});
export type Request = v.InferOutput<typeof Request>;

const Code = v.object({
  id: Bytes32,
  issuer: Address,
  purpose: v.nullable(Bytes32),
  purposeName: v.nullable(Text),
  serial: v.nullable(Count),
  root: v.nullable(Bytes32),
  first: v.nullable(Count),
  size: v.nullable(Count),
  expiry: v.nullable(Time),
  proof: v.nullable(v.pipe(v.array(Bytes32), v.maxLength(16))),
  status: Text,
  asOf: AsOf,
});
export type Code = v.InferOutput<typeof Code>;

export const Story = v.object({
  code: Code,
  events: v.pipe(v.array(Event), v.maxLength(1_000)),
  /** With the token alone. */
  deliveries: v.optional(v.pipe(v.array(Message), v.maxLength(50))),
  checks: v.pipe(v.array(Check), v.maxLength(10)),
  request: v.optional(v.nullable(Request)),
});
export type Story = v.InferOutput<typeof Story>;

const Listed = v.object({
  id: Bytes32,
  issuer: Address,
  purposeName: v.nullable(Text),
  serial: v.nullable(Count),
  blockNumber: v.nullable(Count),
  time: v.nullable(Time),
});

export const Found = v.object({
  codes: v.pipe(v.array(Listed), v.maxLength(100)),
  requests: v.pipe(v.array(Request), v.maxLength(100)),
  more: v.boolean(),
  story: v.nullable(Story),
});
export type Found = v.InferOutput<typeof Found>;

const Policy = v.object({ ttlSeconds: Count, graceSeconds: Count, maxAttempts: Count, enabled: v.boolean() });
export type Policy = v.InferOutput<typeof Policy>;

const Call = v.object({
  target: Address,
  targetName: Text,
  function: Text,
  arguments: v.record(v.string(), v.unknown()),
  data: Bytes,
  words: v.pipe(v.string(), v.maxLength(4_000)),
});
export type Call = v.InferOutput<typeof Call>;

const Operation = v.object({
  operation: Bytes32,
  state: v.picklist(["waiting", "ready", "executed", "cancelled"]),
  scheduled: Since,
  delaySeconds: v.nullable(Count),
  readyAt: v.nullable(Time),
  ended: v.nullable(Since),
  calls: v.pipe(v.array(Call), v.maxLength(200)),
  matchesId: v.nullable(v.boolean()),
  detail: v.nullable(Text),
});
export type Operation = v.InferOutput<typeof Operation>;

export const Governance = v.object({
  asOf: AsOf,
  version: v.nullable(Text),
  verifier: Address,
  proxyAdmin: v.nullable(Address),
  implementation: v.nullable(v.object({ address: v.nullable(Address), since: Since })),
  pause: v.object({ paused: v.boolean(), since: v.nullable(Since), agrees: v.nullable(v.boolean()) }),
  policies: v.pipe(
    v.array(v.object({ purposeName: Text, policy: v.nullable(Policy), since: Since })),
    v.maxLength(1_000),
  ),
  roles: v.pipe(
    v.array(v.object({ roleName: Text, account: Address, since: Since, agrees: v.nullable(v.boolean()) })),
    v.maxLength(1_000),
  ),
  timelock: v.nullable(
    v.object({
      address: Address,
      minDelaySeconds: v.nullable(Count),
      operations: v.pipe(v.array(Operation), v.maxLength(100)),
      more: v.boolean(),
    }),
  ),
  node: v.object({ ok: v.boolean(), detail: v.nullable(Text) }),
});
export type Governance = v.InferOutput<typeof Governance>;

const Counts = v.record(v.pipe(v.string(), v.maxLength(64)), Count);

export const Operations = v.object({
  outbox: v.object({ due: Count, sending: Count, waiting: Count, dead: Count, oldestDueSeconds: Count }),
  requestsQueued: Counts,
  transactionsOpen: Counts,
  chain: v.object({
    head: v.nullable(Count),
    applied: v.nullable(Count),
    final: v.nullable(Count),
    lagBlocks: v.nullable(Count),
    headAgeSeconds: v.nullable(Count),
  }),
  mailUp: v.boolean(),
  signers: v.pipe(
    v.array(v.object({ address: Address, nextNonce: Count, balanceEther: v.nullable(Text), detail: v.nullable(Text) })),
    v.maxLength(100),
  ),
  limitsInUse: Counts,
  switchedOff: v.pipe(
    v.array(v.object({ scope: Text, name: Text, reason: Text, since: Time })),
    v.maxLength(1_000),
  ),
});
export type Operations = v.InferOutput<typeof Operations>;
