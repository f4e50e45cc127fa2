import assert from "node:assert/strict";
import { test } from "node:test";
import type { Status } from "./otps";
import { cooldownLeft, timelineOf } from "./timeline";

function states(purpose: string, status: Status, ...history: Status[]): string {
  const timeline = timelineOf({ purpose, status, history: history.map((status, index) => ({ status, at: index })) });
  const steps = timeline.steps.map((step) => `${step.name}:${step.state}`).join(" ");
  return `${steps}${timeline.ending ? ` ${timeline.ending}` : ""}${timeline.isComplete ? " complete" : ""}`;
}

test("each step is done, waited for, or still to come", () => {
  assert.equal(
    states("withdraw", "issued", "queued", "submitted", "issued"),
    "queued:done submitted:done issued:done delivered:waiting unlocked:later verified:later consumed:later",
  );
});

test("a code that was used by its link skipped the digits", () => {
  assert.equal(
    states("withdraw", "verified", "queued", "submitted", "issued", "delivered", "verified"),
    "queued:done submitted:done issued:done delivered:done unlocked:skipped verified:done consumed:waiting",
  );
});

test("a sign-in is complete once verified; nobody spends it", () => {
  assert.match(states("login", "verified", "queued", "submitted", "issued", "delivered", "unlocked", "verified"), /verified:done complete$/);
  assert.doesNotMatch(states("login", "verified", "queued"), /consumed/);
});

test("what ended early waits for nothing", () => {
  for (const ending of ["locked", "expired", "revoked", "failed"] as const) {
    assert.equal(
      states("withdraw", ending, "queued", "submitted", "issued", "delivered", ending),
      `queued:done submitted:done issued:done delivered:done unlocked:later verified:later consumed:later ${ending}`,
    );
  }
});

test("the pause before another code is counted down and never longer than it is", () => {
  assert.equal(cooldownLeft({ createdAt: 1_000 }, 30, 11_000), 20);
  assert.equal(cooldownLeft({ createdAt: 1_000 }, 30, 60_000), 0);
  assert.equal(cooldownLeft({ createdAt: 1_000 }, 30, -500_000), 30);
  assert.equal(cooldownLeft({ createdAt: 1_000 }, 30, undefined), 30);
});
