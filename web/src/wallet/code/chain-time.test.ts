import assert from "node:assert/strict";
import { test } from "node:test";
import { ChainTime } from "./chain-time";

test("the chain's time goes on between samples by a steady clock", () => {
  let steady = 5_000;
  const time = new ChainTime(() => steady);
  assert.equal(time.now(), undefined);
  assert.equal(time.secondsUntil(9), undefined);
  time.sample(1_700_000_000_000);
  steady += 2_500;
  assert.equal(time.now(), 1_700_000_002_500);
  assert.equal(time.secondsUntil(1_700_000_060_000), 58);
  assert.equal(time.secondsUntil(1_600_000_000_000), 0);
});

test("an older block told later turns nothing back", () => {
  let steady = 0;
  const time = new ChainTime(() => steady);
  time.sample(100_000);
  steady = 6_000;
  time.sample(100_000);
  assert.equal(time.now(), 106_000);
  steady = 7_000;
  time.sample(112_000);
  assert.equal(time.now(), 112_000);
});
