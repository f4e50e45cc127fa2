import assert from "node:assert/strict";
import { test } from "node:test";
import type { Message } from "./inapp";
import { confirmationFor, digitsFor } from "./inbox";

const CONTACT = "0199aa00-0000-7000-8000-000000000001";
const word = (byte: string): `0x${string}` => `0x${byte.repeat(32)}`;

function message(change: Partial<Message>): Message {
  return { version: 1, id: "x", type: "code", contactId: CONTACT, createdAt: 0, expiresAt: 0, ...change };
}

test("digits are of the code that bears the reference and the id, the newest first", () => {
  const messages = [
    message({ digits: "111111", code: { reference: "ABCDEF", onChainId: word("11") } }),
    message({ digits: "222222", code: { reference: "ABCDEF", onChainId: word("22") } }),
    message({ digits: "333333", code: { reference: "GHJKLM", onChainId: word("11") } }),
    message({ type: "contact-confirmation", digits: "444444" }),
  ];
  assert.equal(digitsFor(messages, "ABCDEF", word("11")), "111111");
  assert.equal(digitsFor(messages, "ABCDEF", undefined), "222222");
  assert.equal(digitsFor(messages, "ABCDEF", word("33")), undefined);
  assert.equal(confirmationFor(messages, CONTACT), "444444");
  assert.equal(confirmationFor(messages, CONTACT.replace("1", "2")), undefined);
});
