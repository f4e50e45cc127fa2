import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { type Abi, type EIP1193Provider, encodeErrorResult, encodeFunctionResult } from "viem";
import { VERIFIER_ABI, VERIFIER_ERRORS } from "./abi";
import { CallFailed, type Failure, type Progress, STATUS, type Wallet, reached, send, signVerification, statusOf, verifyCall } from "./contract";

const VERIFIER = "0x5FbDB2315678afecb367f032d93F642f64180aa3";
const ACCOUNT = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const word = (byte: string): `0x${string}` => `0x${byte.repeat(32)}`;
const TICKET = { id: word("11"), issuer: ACCOUNT, purpose: word("22"), serial: 3, proof: [] as `0x${string}`[] } as const;
const HASH = word("aa");

type Answers = Record<string, (params: unknown[]) => unknown>;

/** Answers as a wallet whose node has just mined what it was given. */
const WELL: Answers = {
  eth_chainId: () => "0x7a69",
  eth_call: () => encodeFunctionResult({ abi: VERIFIER_ABI, functionName: "verify", result: true }),
  eth_sendTransaction: () => HASH,
  eth_blockNumber: () => "0x10",
  eth_getTransactionReceipt: () => receipt(HASH, "0x1"),
  eth_getTransactionByHash: () => null,
};

function receipt(transactionHash: string, status: string): unknown {
  return {
    transactionHash, status, blockHash: word("bb"), blockNumber: "0x10", transactionIndex: "0x0", from: ACCOUNT, to: VERIFIER,
    contractAddress: null, cumulativeGasUsed: "0x1", gasUsed: "0x1", effectiveGasPrice: "0x1", logs: [], logsBloom: `0x${"00".repeat(256)}`, type: "0x2",
  };
}

function wallet(answers: Answers): Wallet & { asked: string[] } {
  const asked: string[] = [];
  const request = ({ method, params }: { method: string; params?: unknown[] }): Promise<unknown> =>
    new Promise((resolve) => {
      asked.push(method);
      const answer = answers[method] ?? WELL[method];
      if (answer === undefined) throw Object.assign(new Error(`no ${method}`), { code: -32601 });
      resolve(answer(params ?? []));
    });
  const provider = { request, on: () => undefined, removeListener: () => undefined } as unknown as EIP1193Provider;
  return { provider, account: ACCOUNT, chainId: 31_337, verifier: VERIFIER, asked };
}

async function outcome(answers: Answers): Promise<{ failure?: Failure; told: Progress[]; asked: string[] }> {
  const it = wallet(answers);
  const told: Progress[] = [];
  const call = verifyCall(it, { ...TICKET, proof: [] }, word("33"), "482913");
  try {
    await send(it, call, (progress) => told.push(progress), new AbortController().signal);
    return { told, asked: it.asked };
  } catch (error) {
    assert.ok(error instanceof CallFailed, String(error));
    return { failure: error.failure, told, asked: it.asked };
  }
}

const fails = (code: number, message: string, data?: unknown) => (): never => {
  throw Object.assign(new Error(message), { code, data });
};

test("the entries are the contract's own", () => {
  const abi = JSON.parse(readFileSync("../core/abi/OtpVerifier.json", "utf8")) as { name?: string; type: string }[];
  for (const entry of VERIFIER_ABI) {
    const own = abi.find((other) => other.type === entry.type && other.name === entry.name);
    assert.deepEqual(entry, own, entry.name);
  }
});

test("a call is tried before anybody is asked to sign, and followed into its block", async () => {
  const { failure, told, asked } = await outcome({});
  assert.equal(failure, undefined);
  assert.deepEqual(told.map((progress) => progress.state), ["checking", "signing", "pending", "mined"]);
  assert.ok(asked.indexOf("eth_call") < asked.indexOf("eth_sendTransaction"));
});

test("what the contract would refuse is not sent, and its error is named", async () => {
  for (const { name } of VERIFIER_ERRORS) {
    const inputs = VERIFIER_ERRORS.find((entry) => entry.name === name)?.inputs ?? [];
    const args = inputs.map((input) => (input.type === "bytes32" ? word("11") : input.type === "address" ? ACCOUNT : 5n));
    const data = encodeErrorResult<Abi>({ abi: VERIFIER_ABI, errorName: name, args });
    const { failure, asked } = await outcome({ eth_call: fails(3, "execution reverted", data) });
    assert.equal(failure?.kind === "reverted" && failure.error, name);
    assert.ok(!asked.includes("eth_sendTransaction"), name);
  }
  const { failure } = await outcome({ eth_call: fails(3, "execution reverted", "0x12345678") });
  assert.deepEqual(failure, { kind: "reverted", error: "", args: [] });
});

test("whatever the wallet answers ends in a sentence's kind", async () => {
  const kinds: [string, Answers, Failure["kind"]][] = [
    ["no", { eth_sendTransaction: fails(4001, "User rejected") }, "rejected"],
    ["another chain", { eth_chainId: () => "0x1" }, "wrong-chain"],
    ["a chain that is no number", { eth_chainId: () => "<b>" }, "wallet"],
    ["no money", { eth_sendTransaction: fails(-32000, "insufficient funds for gas * price + value") }, "no-funds"],
    ["a dead node", { eth_call: fails(-32603, "Internal JSON-RPC error.") }, "wallet"],
    ["not ours to ask", { eth_sendTransaction: fails(4100, "Unauthorized") }, "wallet"],
    ["no hash", { eth_sendTransaction: () => "<img src=x>" }, "unknown-outcome"],
    ["an object", { eth_sendTransaction: () => ({}) }, "unknown-outcome"],
    ["nothing", { eth_sendTransaction: () => null }, "unknown-outcome"],
    ["nonsense from the node", { eth_call: () => "0x01" }, "wallet"],
    ["an error without a code", { eth_sendTransaction: () => { throw new Error("<b>no</b>"); } }, "wallet"],
  ];
  for (const [what, answers, kind] of kinds) assert.equal((await outcome(answers)).failure?.kind, kind, what);
});

test("a transaction that reverts in its block has the contract's reason", async () => {
  const data = encodeErrorResult({ abi: VERIFIER_ABI, errorName: "OtpUsed", args: [word("11")] });
  let calls = 0;
  const { failure } = await outcome({
    eth_call: () => {
      calls += 1;
      return calls === 1 ? WELL["eth_call"]?.([]) : fails(3, "execution reverted", data)();
    },
    eth_getTransactionReceipt: () => receipt(HASH, "0x0"),
  });
  assert.deepEqual(failure, { kind: "reverted", error: "OtpUsed", args: [word("11")], hash: HASH });
});

test("a transaction that was sped up counts, and one that was cancelled does not", async () => {
  const other = word("cc");
  const sent = { hash: HASH, from: ACCOUNT, to: VERIFIER, nonce: "0x5", input: "0x12", value: "0x0", gas: "0x1", type: "0x2", blockHash: null, blockNumber: null, transactionIndex: null };
  const replaced = (by: object): Answers => ({
    eth_getTransactionReceipt: ([hash]) => (hash === other ? receipt(other, "0x1") : null),
    eth_getTransactionByHash: ([hash]) => (hash === HASH ? sent : null),
    eth_getBlockByNumber: () => ({
      number: "0x10", timestamp: "0x1", transactions: [{ ...sent, hash: other, blockHash: word("bb"), blockNumber: "0x10", transactionIndex: "0x0", ...by }],
    }),
  });
  const sped = await outcome(replaced({}));
  assert.equal(sped.failure, undefined);
  assert.deepEqual(sped.told.at(-1), { state: "mined", hash: other });
  const cancelled = await outcome(replaced({ to: ACCOUNT, input: "0x" }));
  assert.deepEqual(cancelled.failure, { kind: "cancelled", hash: other });
  const otherOne = await outcome(replaced({ to: word("33").slice(0, 42), input: "0x34" }));
  assert.deepEqual(otherOne.failure, { kind: "unknown-outcome", hash: other }, "it may hold the same call");
});

test("how far a code has come, the contract says and nobody for it", async () => {
  const ask = async (answer: () => unknown): Promise<unknown> =>
    statusOf(wallet({ eth_call: answer }), { ...TICKET, proof: [] }).catch((error: unknown) =>
      error instanceof CallFailed ? error.failure.kind : error);
  const status = (result: number): string => encodeFunctionResult({ abi: VERIFIER_ABI, functionName: "statusOf", result });
  const words = await Promise.all([0, 1, 2, 3, 4, 5, 9].map((result) => ask(() => status(result))));
  assert.deepEqual(words, [undefined, "issued", "expired", "verified", "consumed", "revoked", undefined]);
  assert.equal(await ask(() => "0x"), "wallet");
});

test("a transaction in its block has done something only once the contract says so", async () => {
  const status = (result: number): string => encodeFunctionResult({ abi: VERIFIER_ABI, functionName: "statusOf", result });
  const look = async (least: number, ...answers: (() => unknown)[]): Promise<string> => {
    const it = wallet({ eth_call: () => (answers.length > 1 ? answers.shift() : answers[0])?.() });
    return reached(it, { ...TICKET, proof: [] }, least, HASH, new AbortController().signal).then(
      () => "done",
      (error: unknown) => (error instanceof CallFailed ? error.failure.kind : String(error)),
    );
  };
  const outcomes = await Promise.all([
    look(STATUS.verified, () => status(3)),
    look(STATUS.verified, () => status(4)),
    look(STATUS.verified, fails(-32603, "behind"), () => status(1), () => status(3)),
    look(STATUS.verified, () => status(1)),
    look(STATUS.consumed, () => status(3)),
    look(STATUS.verified, () => status(5)),
    look(STATUS.verified, () => "0x"),
  ]);
  assert.deepEqual(outcomes, ["done", "done", "done", ...Array.from({ length: 4 }, () => "unknown-outcome")]);
});

test("what is signed for a sponsor is Verify in the contract's domain, and a signature that is none goes nowhere", async () => {
  let signed: unknown;
  const signature = `0x${"12".repeat(65)}`;
  const it = wallet({
    eth_signTypedData_v4: ([, json]) => {
      signed = JSON.parse(String(json));
      return signature;
    },
  });
  const sign = (of: Wallet): Promise<string> => signVerification(of, { ...TICKET, proof: [] }, word("33"), "482913", 1_700_000_000);
  assert.equal(await sign(it), signature);
  const { domain, primaryType, message } = signed as Record<string, Record<string, unknown>>;
  assert.deepEqual(
    { ...domain, chainId: Number(domain?.["chainId"]), verifyingContract: String(domain?.["verifyingContract"]).toLowerCase() },
    { name: "OtpVerifier", version: "1", chainId: 31_337, verifyingContract: VERIFIER.toLowerCase() },
  );
  assert.equal(primaryType, "Verify");
  assert.deepEqual({ ...message, deadline: Number(message?.["deadline"]) }, { id: word("11"), action: word("33"), deadline: 1_700_000_000 });
  for (const nonsense of ["<b>", null, {}, "0x", `0x${"00".repeat(5_000)}`]) {
    await assert.rejects(sign(wallet({ eth_signTypedData_v4: () => nonsense })), CallFailed);
  }
});

