import assert from "node:assert/strict";
import { test } from "node:test";
import { readLink } from "./link";

const ACTION = {
  consumer: "0x5FbDB2315678afecb367f032d93F642f64180aa3",
  primaryType: "Note",
  types: { Note: [{ name: "text", type: "string" }] },
  message: { text: "\u00fc" },
};
const LINK = { id: `0x${"11".repeat(32)}`, issuer: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8", code: `482913${"a2".repeat(13)}`, action: ACTION };

function fragment(value: unknown, version = "v1"): string {
  return `#${version}.${Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url")}`;
}

test("a whole link is read as it was written", () => {
  assert.deepEqual(readLink(fragment(LINK)), { state: "whole", link: LINK });
  const blind = { ...LINK, action: `0x${"22".repeat(32)}` };
  assert.deepEqual(readLink(fragment(blind)), { state: "whole", link: blind });
  assert.deepEqual(readLink(""), { state: "none" });
  assert.deepEqual(readLink("#"), { state: "none" });
});

test("wherever it is cut, nothing of it is used", () => {
  const whole = fragment(LINK);
  for (let length = 2; length < whole.length; length += 1) {
    assert.equal(readLink(whole.slice(0, length)).state, "broken", `${length} of ${whole.length} characters`);
  }
});

test("what was changed or added is broken", () => {
  const wrong: unknown[] = [
    { ...LINK, more: 1 },
    { ...LINK, id: "0x11" },
    { ...LINK, issuer: LINK.issuer.toLowerCase().replace("0x7", "0xZ") },
    { ...LINK, issuer: LINK.issuer.replace("C8", "c8") },
    { ...LINK, code: "482913" },
    { ...LINK, code: `４８２９１３${"a".repeat(26)}` },
    { ...LINK, action: "0x22" },
    { ...LINK, action: { ...ACTION, more: 1 } },
    [LINK],
    null,
    "{",
    "",
  ];
  for (const value of wrong) assert.deepEqual(readLink(fragment(value)), { state: "broken", why: "cut" }, JSON.stringify(value));
  assert.deepEqual(readLink(`${fragment(LINK)}=`), { state: "broken", why: "cut" });
  assert.deepEqual(readLink(`#v1.${"A".repeat(30_000)}`), { state: "broken", why: "cut" });
  assert.deepEqual(readLink(fragment(LINK, "v2")), { state: "broken", why: "version" });
});
