import assert from "node:assert/strict";
import { test } from "node:test";
import { signInAction, signInPayload } from "./authorization";
import type { Otp } from "./otps";
import { shownOf } from "./shown";

const ORIGIN = "https://app.example";
const SESSION = `0x${"00".repeat(16)}${"5a".repeat(16)}` as const;

/** A sign-in as the relayer tells it, with something else in its place. */
function signIn(change: { readonly origin?: string; readonly session?: `0x${string}` | undefined; readonly action?: `0x${string}` } = {}): Otp {
  const payloadHash = signInPayload(ORIGIN, SESSION);
  const { origin = ORIGIN, action = signInAction(payloadHash) } = change;
  const session = "session" in change ? change.session : SESSION;
  const authorization = { title: "Sign in", fields: [{ name: "to", value: origin }], ...(session === undefined ? {} : { session }) };
  return { purpose: "login", action, payloadHash, authorization } as unknown as Otp;
}

test("a sign-in is shown with the origin that its hash commits to", () => {
  // As `SignIn(string origin,bytes32 session)` is hashed by the relayer (core/src/authorization.rs).
  assert.equal(signInPayload(ORIGIN, SESSION), "0x98a29ff84ddfdef87d1b24e573a399506264024721b7f608ed9e22267449f745");
  assert.deepEqual(shownOf(signIn(), []), { kind: "sign-in", origin: ORIGIN });
});

test("a sign-in to another origin, of another session or of none is not used", () => {
  const other = signInAction(signInPayload("https://evil.example", SESSION));
  for (const change of [{ origin: "https://evil.example" }, { session: `0x${"11".repeat(32)}` as const }, { session: undefined }, { action: other }]) {
    assert.deepEqual(shownOf(signIn(change), []), { kind: "refused" });
  }
});
