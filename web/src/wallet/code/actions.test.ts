import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as v from "valibot";
import { ActionShape, actionFor, argumentsOf, isOneStep, readField, shownField, typedAction } from "./actions";
import { describe } from "./authorization";

const FILE = JSON.parse(readFileSync("../src-sol/examples/GatedVault.action.json", "utf8")) as Record<string, unknown>;
const VAULT = v.parse(ActionShape, { ...FILE, consumer: "0x5FbDB2315678afecb367f032d93F642f64180aa3" });
const TO = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const [to, amount] = VAULT.fields;
assert.ok(to && amount);

test("what a person types becomes what the payload says", () => {
  assert.deepEqual(readField(VAULT, to, ` ${TO} `), { value: TO });
  assert.deepEqual(readField(VAULT, amount, "1.5"), { value: "1500000000000000000" });
  assert.deepEqual(readField(VAULT, amount, "1,5"), { value: "1500000000000000000" });
  const values = { to: TO, amount: "1500000000000000000", nonce: "7" };
  const it = describe(typedAction(VAULT, values));
  assert.deepEqual(it.message, { to: TO, amount: 1_500_000_000_000_000_000n, nonce: 7n });
  assert.equal(shownField(amount, 1_500_000_000_000_000_000n, "en"), "1.5 ETH");
});

test("an amount means in each language what the payload says", () => {
  const value = 1_234_000_000_000_000_000n;
  assert.equal(shownField(amount, value, "en"), "1.234 ETH");
  assert.equal(shownField(amount, value, "de"), "1,234 ETH");
  assert.deepEqual(readField(VAULT, amount, "1,234"), { value: value.toString() });
  assert.equal(shownField(amount, 1_234_000n * 10n ** 18n, "de"), "1234000 ETH");
});

test("what could mean something else is not guessed at", () => {
  const faults: [typeof to, string, string][] = [
    [to, "", "missing"], [to, "0x123", "no-address"], [to, TO.toLowerCase().replace("c8", "C8"), "no-address"],
    [to, `0x${"0".repeat(40)}`, "zero"], [amount, "1,000.5", "no-number"], [amount, "1e3", "no-number"],
    [amount, "-1", "no-number"], [amount, "0", "zero"], [amount, "0.0000000000000000001", "too-many-decimals"],
    [amount, "9".repeat(60), "too-much"], [amount, "١", "no-number"],
  ];
  for (const [field, text, fault] of faults) assert.deepEqual(readField(VAULT, field, text), { fault }, text);
});

test("a payload is an action's when contract and struct are, to the letter", () => {
  const typed = typedAction(VAULT, { to: TO, amount: "1", nonce: "0" });
  assert.equal(actionFor([VAULT], typed), VAULT);
  assert.equal(actionFor([VAULT], { ...typed, consumer: TO }), undefined);
  assert.equal(actionFor([VAULT], { ...typed, primaryType: "Other" }), undefined);
  const types = { Withdrawal: [...(typed.types["Withdrawal"] ?? [])].reverse() };
  assert.equal(actionFor([VAULT], { ...typed, types }), undefined);
});

test("the call gets what was shown and what the code is, in the function's order", () => {
  const authorization = describe(typedAction(VAULT, { to: TO, amount: "5", nonce: "0" }));
  const word = `0x${"11".repeat(32)}` as const;
  const ticket = { id: word, issuer: TO, purpose: word, serial: 3, proof: [] } as const;
  const spendable = { ticket: { ...ticket, proof: [] }, code: "482913", codeHash: word };
  assert.equal(isOneStep(VAULT), false);
  assert.deepEqual(argumentsOf(VAULT, authorization, spendable), [TO, 5n, spendable.ticket, word]);
  const abi = VAULT.abi.map((entry) =>
    entry.name === "withdraw" ? { ...entry, inputs: [...(entry.inputs ?? []), { name: "fee", type: "uint256" }] } : entry,
  );
  assert.throws(() => argumentsOf({ ...VAULT, abi }, authorization, spendable), /fee/);
});
