import assert from "node:assert/strict";
import { test } from "node:test";
import * as v from "valibot";
import { channels, codes, delivered, failed, isQuiet, label, short, times } from "./lines";
import { Series } from "./shapes";
import { en } from "./texts/en";

const quantiles = { count: 1, p50Seconds: 1.5, p95Seconds: 2, p99Seconds: 2 };
const none = { count: 0, p50Seconds: null, p95Seconds: null, p99Seconds: null };
const stage = (of: typeof quantiles | typeof none): unknown => ({
  requestToMined: of, minedToDelivered: of, deliveredToVerified: of, requestToVerified: of,
});

function part(members: Record<string, unknown>): Record<string, unknown> {
  return {
    from: "2026-01-01T10:00:00Z", to: "2026-01-01T11:00:00Z", complete: true, issuances: 0, issuancesReverted: 0, issued: 0,
    verified: 0, consumed: 0, revoked: 0, expired: 0, wrongDigits: 0, refusedUsed: 0, refusedUnknown: 0, delivered: {},
    rates: { issuedPerMinute: 0, verifiedPerMinute: 0, verifiedShare: null }, stages: stage(none),
    gasPerCode: { count: 0, p50: null, p95: null, p99: null }, ...members,
  };
}

const answer = {
  chainId: 1, asOf: { blockNumber: 7, time: "2026-01-01T12:00:00Z" }, window: "day", partSeconds: 3_600, total: part({ issued: 3 }),
  parts: [part({ issued: 3, delivered: { email: 2, sms: 1 }, expired: 1, wrongDigits: 2, stages: stage(quantiles) }), part({})],
};

test("an answer of the indexer becomes lines, and what was not measured a gap", () => {
  const series = v.parse(Series, answer);
  const [first, second] = series.parts;
  assert.ok(first && second);
  assert.deepEqual(codes(series, en)[0], { name: "Issued", values: [3, 0] });
  assert.deepEqual(channels(series, en).map((channel) => channel.name), ["E-mail", "Text message"]);
  assert.deepEqual(times(series, "requestToMined", en)[0]?.values, [1.5, null]);
  assert.deepEqual([failed(first), delivered(first), isQuiet(first), isQuiet(second)], [3, 3, false, true]);
  assert.match(label(series, first, "en"), /\d/);
});

test("an answer of another shape is refused", () => {
  for (const bad of [
    { ...answer, window: "year" },
    { ...answer, parts: [part({ issued: -1 })] },
    { ...answer, parts: [part({ issued: "3" })] },
    { ...answer, parts: Array.from({ length: 201 }, () => part({})) },
    { ...answer, asOf: { blockNumber: 7, time: "<b>now</b>" } },
    {},
  ]) {
    assert.equal(v.safeParse(Series, bad).success, false);
  }
});

test("numbers are short", () => {
  assert.equal(short(0.123_4, "en"), "0.12");
  assert.equal(short(12.34, "en"), "12.3");
  assert.equal(short(64_000, "en"), "64K");
});
