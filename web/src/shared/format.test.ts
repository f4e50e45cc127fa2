import assert from "node:assert/strict";
import { test } from "node:test";
import { clock, fromNow, shortened } from "./format";

test("an address is shortened in the middle, a short text is not", () => {
  assert.equal(shortened("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"), "0x7099…79C8");
  assert.equal(shortened("0x1234"), "0x1234");
});

test("a countdown shows the second that runs, and never less than nothing", () => {
  assert.deepEqual([59.2, 60, 61, 3_661, 0, -5].map(clock), ["1:00", "1:00", "1:01", "1:01:01", "0:00", "0:00"]);
});

test("a time is told from now in the language", () => {
  assert.equal(fromNow(3 * 86_400_000, 0, "en"), "in 3 days");
  assert.equal(fromNow(0, 7_200_000, "de"), "vor 2 Stunden");
});
