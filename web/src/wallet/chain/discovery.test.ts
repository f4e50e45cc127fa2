import assert from "node:assert/strict";
import { test } from "node:test";
import { hear, wallets } from "./discovery";

const provider = { request: () => Promise.resolve(null), on: () => undefined, removeListener: () => undefined };
const info = { uuid: "1", name: "A wallet", rdns: "test.a", icon: "data:image/svg+xml,%3Csvg/%3E" };

test("a wallet is listed once, however often it announces itself", () => {
  assert.equal(hear({ info, provider }), true);
  assert.equal(hear({ info, provider }), false);
  assert.deepEqual(wallets.value.map((wallet) => wallet.name), ["A wallet"]);
});

test("an announcement that makes no sense is passed over", () => {
  for (const detail of [null, {}, { info }, { info, provider: {} }, { info: { ...info, uuid: "2", name: "  " }, provider }]) {
    assert.equal(hear(detail), false);
  }
});

test("what a wallet says of itself is bounded, and its icon is an image or nothing", () => {
  hear({ info: { ...info, uuid: "3", name: "x".repeat(1_000), icon: "https://elsewhere.example/pixel.png" }, provider });
  const last = wallets.value.at(-1);
  assert.equal(last?.name.length, 64);
  assert.equal(last.icon, "");
});

test("a wallet's name hides and reorders nothing", () => {
  hear({ info: { ...info, uuid: "4", name: "\u202eksaMateM\u200b" }, provider });
  assert.equal(wallets.value.at(-1)?.name, "\\u{202e}ksaMateM\\u{200b}");
});
