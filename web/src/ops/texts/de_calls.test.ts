import assert from "node:assert/strict";
import { test } from "node:test";
import type { Call } from "../shapes";
import { callInGerman } from "./de_calls";

const policy = { ttlSeconds: 120, graceSeconds: 300, maxAttempts: 3, enabled: true };

function call(name: string, members: Record<string, unknown>): Call {
  return { target: "0x00", targetName: "verifier", function: name, arguments: members, data: "0x", words: "The indexer's words." };
}

test("a policy is told against the one that holds now", () => {
  const told = callInGerman(call("setPolicy", { purposeName: "withdraw", policy, now: { ...policy, ttlSeconds: 60 }, inBounds: true }));
  assert.match(told, /120 s \(jetzt 60 s\)/);
  assert.match(told, /300 s \(wie jetzt\)/);
});

test("what is not known, or has other arguments than it should, stays in the indexer's words", () => {
  for (const unknown of [call("unknown", {}), call("setPolicy", { policy: 1 }), call("grantRole", {})]) {
    assert.equal(callInGerman(unknown), "The indexer's words.");
  }
});
