import assert from "node:assert/strict";
import { test } from "node:test";
import { de } from "../texts/de";
import { en } from "../texts/en";
import type { Config } from "../config";
import { signInMessage } from "./message";

const config: Config = {
  chainId: 31337,
  verifier: "0x5FbDB2315678afecb367f032d93F642f64180aa3",
  domains: [{ domain: "localhost:8080", uri: "http://localhost:8080/", origin: "http://localhost:8080" }],
  purposes: [],
  actions: [],
  sponsoring: false,
  issuance: { on: true },
  channels: [],
};
const wanted = {
  account: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
  nonce: "0000019a0000019a0000019a0000019a",
  issuedAt: new Date("2026-11-22T06:30:00Z"),
  statement: "Sign in.",
} as const;

test("the message names the page, the account, the chain and the nonce, as the standard has it", () => {
  const message = signInMessage(config, "http://localhost:8080", wanted);
  assert.equal(message, [
    "localhost:8080 wants you to sign in with your Ethereum account:",
    "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    "",
    "Sign in.",
    "",
    "URI: http://localhost:8080/",
    "Version: 1",
    "Chain ID: 31337",
    "Nonce: 0000019a0000019a0000019a0000019a",
    "Issued At: 2026-11-22T06:30:00.000Z",
  ].join("\n"));
});

test("from a page that the daemon does not name nobody signs in", () => {
  assert.equal(signInMessage(config, "http://127.0.0.1:8080", wanted), undefined);
});

test("each language's statement is of the characters that the standard allows", () => {
  for (const { signIn } of [en, de]) assert.match(signIn.statement, /^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;= ]+$/);
});
