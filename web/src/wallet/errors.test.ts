import assert from "node:assert/strict";
import { test } from "node:test";
import { BadAnswer, NoAnswer, Refusal } from "../shared/http";
import { WalletFault } from "./chain/fault";
import { sentence } from "./errors";

const refusal = (status: number, slug: string, more: object = {}, retryAfter?: number): Refusal =>
  new Refusal(status, retryAfter, { type: `/problems/${slug}`, title: "T", status, detail: "do this", requestId: "r-1", ...more });

test("a refusal is a sentence of the page's own, with its numbers", () => {
  assert.match(sentence(refusal(422, "wrong-digits", { attemptsLeft: 2 })), /wrong.*2 attempts/i);
  assert.match(sentence(refusal(429, "rate-limited", {}, 90)), /2 minutes/);
  assert.match(sentence(refusal(423, "account-locked")), /operators|run this service/);
});

test("a refusal that the page does not know says what the service says, and which request it was", () => {
  assert.match(sentence(refusal(400, "something-new")), /do this.*r-1/);
  assert.match(sentence(refusal(500, "internal")), /r-1/);
});

test("an answer that is none is told apart from none and from one that makes no sense", () => {
  const told = [new NoAnswer("offline"), new NoAnswer("timeout"), new BadAnswer("?"), new Refusal(502, undefined, "<h1>Bad gateway"), new Error("x")];
  assert.equal(new Set(told.map(sentence)).size, told.length);
  assert.ok(told.map(sentence).every((text) => !text.includes("<")));
});

test("a wallet's error is known by its code, wherever the wallet puts it", () => {
  assert.equal(WalletFault.of({ code: 4001 }).kind, "rejected");
  assert.equal(WalletFault.of({ code: -32603, data: { originalError: { code: 4902 } } }).kind, "unknown-chain");
  assert.equal(WalletFault.of({ code: -32002 }).kind, "pending");
  for (const odd of [undefined, null, "no", { code: "4001" }, {}]) assert.equal(WalletFault.of(odd).kind, "failed");
});
