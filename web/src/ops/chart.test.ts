import assert from "node:assert/strict";
import { test } from "node:test";
import { labelled, level, most, mostTogether, path, stack, ticks } from "./chart";

const frame = { left: 0, top: 0, width: 100, height: 50 };

test("ticks are round, begin at 0 and hold the largest value", () => {
  assert.deepEqual(ticks(7, 4, true), [0, 2, 4, 6, 8]);
  assert.deepEqual(ticks(1, 4, true), [0, 1]);
  assert.deepEqual(ticks(0.3, 3, false), [0, 0.1, 0.2, 0.3]);
  assert.deepEqual(ticks(0, 4, true), [0, 1]);
  assert.deepEqual(ticks(Number.NaN, 4, true), [0, 1]);
  for (const value of [3, 17, 99, 1_234, 68_000, 1e9]) {
    const all = ticks(value, 4, true);
    assert.ok((all.at(-1) ?? 0) >= value && all.length <= 6, String(value));
  }
});

test("a line is broken where nothing was measured", () => {
  const line = { name: "p50", values: [1, null, 2, 4] };
  assert.equal(path(line, 4, frame), "M12.5 37.5M62.5 25L87.5 0");
  assert.equal(path({ name: "none", values: [null, null] }, 1, frame), "");
});

test("stacks stand on one another and reach their sum", () => {
  const lines = [
    { name: "a", values: [1, 0] },
    { name: "b", values: [3, 2] },
  ];
  assert.equal(mostTogether(lines), 4);
  assert.equal(most(lines), 3);
  const blocks = stack(lines, 4, frame);
  assert.equal(blocks.length, 3, "what is 0 has no block");
  const [first, second] = blocks;
  assert.ok(first && second);
  assert.equal(first.y + first.height, 50);
  assert.equal(second.y + second.height, first.y);
  assert.equal(second.y, 0);
});

test("values beyond the scale stay within the frame", () => {
  assert.equal(level(10, 4, frame), 0);
  assert.equal(level(-1, 4, frame), 50);
  assert.equal(level(1, 0, frame), 50);
  assert.equal(mostTogether([]), 0);
  assert.deepEqual(stack([], 1, frame), []);
});

test("labels are even and few enough", () => {
  assert.deepEqual(labelled(25, 6), [0, 5, 10, 15, 20]);
  assert.deepEqual(labelled(3, 6), [0, 1, 2]);
  assert.deepEqual(labelled(0, 6), []);
});
