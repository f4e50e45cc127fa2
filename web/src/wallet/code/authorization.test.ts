import assert from "node:assert/strict";
import { test } from "node:test";
import { hashStruct } from "viem";
import { NotShown, actionOf, describe, describeChecked, signInAction } from "./authorization";
import type { TypedAction } from "./otps";

const WITHDRAWAL: TypedAction = {
  consumer: "0x5FbDB2315678afecb367f032d93F642f64180aa3",
  primaryType: "Withdrawal",
  types: { Withdrawal: [{ name: "to", type: "address" }, { name: "amount", type: "uint256" }, { name: "nonce", type: "uint256" }] },
  message: { to: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8", amount: "1500000000000000000", nonce: 0 },
};

function changed(change: Partial<TypedAction>): TypedAction {
  return { ...WITHDRAWAL, ...change };
}

test("a withdrawal's hashes are those of protocol.md, and its lines say all of it", () => {
  const it = describe(WITHDRAWAL);
  const payloadHash = hashStruct({
    data: { to: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8", amount: 1_500_000_000_000_000_000n, nonce: 0n },
    primaryType: "Withdrawal",
    types: WITHDRAWAL.types,
  });
  assert.equal(it.payloadHash, payloadHash);
  assert.equal(it.action, actionOf(WITHDRAWAL.consumer, payloadHash));
  assert.deepEqual(
    it.lines.map(({ name, kind, text }) => [name, kind, text]),
    [
      ["to", "address", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"],
      ["amount", "number", "1500000000000000000"],
      ["nonce", "number", "0"],
    ],
  );
});

test("what was issued for another payload is not shown", () => {
  const { action, payloadHash } = describe(WITHDRAWAL);
  assert.equal(describeChecked(WITHDRAWAL, action, payloadHash).action, action);
  const other = changed({ message: { ...WITHDRAWAL.message, amount: "1" } });
  assert.throws(() => describeChecked(other, action, payloadHash), NotShown);
  assert.throws(() => describeChecked(WITHDRAWAL, action, signInAction(payloadHash)), NotShown);
});

test("nested structs and lists are shown with their places and hashed as EIP-712 has it", () => {
  const typed: TypedAction = {
    consumer: WITHDRAWAL.consumer,
    primaryType: "Order",
    types: {
      Order: [{ name: "items", type: "Item[]" }, { name: "note", type: "string" }, { name: "key", type: "bytes32" }],
      Item: [{ name: "count", type: "int8" }, { name: "paid", type: "bool" }, { name: "pair", type: "uint8[2]" }],
    },
    message: { items: [{ count: -3, paid: true, pair: [1, "0x02"] }], note: "hello", key: `0x${"Ab".repeat(32)}` },
  };
  const it = describe(typed);
  assert.deepEqual(
    it.lines.map(({ name, depth, text }) => `${"  ".repeat(depth)}${name}: ${text}`),
    ["items: ", "  1: ", "    count: -3", "    paid: true", "    pair: ", "      1: 1", "      2: 2", "note: hello", `key: 0x${"ab".repeat(32)}`],
  );
  const data = { items: [{ count: -3, paid: true, pair: [1, 2] }], note: "hello", key: `0x${"ab".repeat(32)}` };
  assert.equal(it.payloadHash, hashStruct({ data, primaryType: "Order", types: typed.types }));
});

test("what cannot be shown to the letter is refused", () => {
  const types = (type: string): TypedAction => changed({ types: { Withdrawal: [{ name: "x", type }] }, message: { x: "1" } });
  const withValue = (type: string, x: unknown): TypedAction => changed({ types: { Withdrawal: [{ name: "x", type }] }, message: { x } });
  const chain = Object.fromEntries(
    Array.from({ length: 12 }, (_, n) => [`T${n}`, [{ name: "a", type: `T${n + 1}` }, { name: "b", type: `T${n + 1}` }]]),
  );
  const refused: Record<string, TypedAction> = {
    "the zero address as consumer": changed({ consumer: `0x${"0".repeat(40)}` }),
    "no such type": changed({ primaryType: "Payment" }),
    "a type from the prototype": changed({ primaryType: "constructor" }),
    "a domain": changed({ types: { ...WITHDRAWAL.types, EIP712Domain: [] } }),
    "a field too many": changed({ message: { ...WITHDRAWAL.message, fee: "1" } }),
    "a field missing": changed({ message: { to: WITHDRAWAL.message["to"], amount: "1", other: "1" } }),
    "a name that says something": changed({ types: { Withdrawal: [{ name: "to (safe)", type: "uint8" }] }, message: { "to (safe)": 1 } }),
    "a field twice": changed({ types: { Withdrawal: [{ name: "x", type: "uint8" }, { name: "x", type: "uint8" }] }, message: { x: 1 } }),
    "a struct named as a plain type": changed({ types: { ...WITHDRAWAL.types, uint256: [{ name: "x", type: "uint8" }] } }),
    "a struct that holds itself": types("Withdrawal"),
    "types that double": { consumer: WITHDRAWAL.consumer, primaryType: "T0", types: chain, message: {} },
    "an unknown type": types("fixed128x18"),
    "an alias": types("uint"),
    "an address with a wrong checksum": withValue("address", "0x70997970C51812dc3A010C7d01b50e0d17dc79c8"),
    "an integer out of range": withValue("uint8", "256"),
    "a negative unsigned one": withValue("uint8", "-1"),
    "a fraction": withValue("uint8", 1.5),
    "an integer that lost digits": withValue("uint256", 2 ** 53),
    "an integer with a sign or zeros before it": withValue("uint8", "+1"),
    "odd bytes": withValue("bytes", "0x123"),
    "other bytes": withValue("bytes4", "0x123456"),
    "a text for a bool": withValue("bool", "true"),
    "a lone surrogate": withValue("string", "\ud800"),
    "a list of another length": withValue("uint8[2]", [1]),
    "a list that is none": withValue("uint8[]", { length: 1 }),
    "a very long list": withValue("uint8[]", Array.from({ length: 300 }, () => 1)),
  };
  for (const [what, typed] of Object.entries(refused)) assert.throws(() => describe(typed), NotShown, what);
});
