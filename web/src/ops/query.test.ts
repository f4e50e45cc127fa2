import assert from "node:assert/strict";
import { test } from "node:test";
import { leadsToRoot } from "./proof";
import { asking, isPersonal, kindOf } from "./query";

const hash = `0x${"ab".repeat(32)}` as const;
const wallet = `0x${"0".repeat(38)}aa`;

test("what is looked for is told by its form, as the indexer tells it", () => {
  assert.equal(kindOf(` ${hash} `), "hash");
  assert.equal(kindOf(wallet), "wallet");
  assert.equal(kindOf("17"), "serial");
  assert.equal(kindOf("01890a5d-ac96-774b-bcce-b302099a8057"), "request");
  assert.equal(kindOf(`${"0f".repeat(16)}@otp.example`), "message");
  for (const bad of ["", "-1", "1099511627776", "0x12", "alice@example.com", "482913abc", "１７", "<b>", "9".repeat(40)]) {
    assert.equal(kindOf(bad), undefined, bad);
  }
});

test("on the admin port nothing that is looked for stands in an address", () => {
  const asked = asking(wallet, undefined, true, "csv");
  assert.deepEqual(asked, { path: "v1/search", body: { q: wallet, format: "csv" } });
  assert.equal(asking("17", hash, false, "json").path, `v1/search?q=17&issuer=${hash}`);
  assert.equal(isPersonal("wallet") && isPersonal("request") && isPersonal("message"), true);
  assert.equal(isPersonal("hash") || isPersonal("serial"), false);
});

test("a batch of one leads to its root by its leaf alone, and any other number does not", () => {
  const code = { id: hash, purpose: `0x${"77".repeat(32)}`, serial: 5, proof: [] } as const;
  // keccak256(abi.encode(purpose, 5, id)), by cast.
  const root = "0xd197f164963464e9d044811f4c68d6277d20569c6ec559ea102f7dfe1654e6ff";
  assert.equal(leadsToRoot({ ...code, proof: [], root }), true);
  assert.equal(leadsToRoot({ ...code, proof: [], serial: 6, root }), false);
  assert.equal(leadsToRoot({ ...code, proof: [hash], root }), false);
  assert.equal(leadsToRoot({ ...code, proof: null, root }), null);
});
