import assert from "node:assert/strict";
import { test } from "node:test";
import * as v from "valibot";
import { Refusal } from "./http";
import { Text } from "./shapes";
import { visible } from "./visible";

test("a text cannot hide or reorder other text", () => {
  assert.equal(visible("pay \u202egnp.exe\nto: you\u200b"), "pay \\u{202e}gnp.exe\\u{a}to: you\\u{200b}");
  assert.equal(visible("Grüße, 世界 <b>bold</b>"), "Grüße, 世界 <b>bold</b>");
});

test("letters and marks that are drawn as nothing are seen", () => {
  // Hangul fillers are letters, the joiner and the selectors marks, the Braille blank a symbol.
  for (const point of [0x3164, 0x115f, 0xffa0, 0x34f, 0x180b, 0xfe0f, 0xe0100, 0x2800, 0xad]) {
    assert.equal(visible(`a${String.fromCodePoint(point)}b`), `a\\u{${point.toString(16)}}b`);
  }
});

test("what a daemon says reorders nothing around it", () => {
  assert.equal(v.parse(Text, "a\u202eb"), "a\\u{202e}b");
  const refusal = new Refusal(400, undefined, { type: "/problems/x", title: "x", detail: "no\u202e", requestId: "\u200b1" });
  assert.deepEqual([refusal.detail, refusal.requestId], ["no\\u{202e}", "\\u{200b}1"]);
});
