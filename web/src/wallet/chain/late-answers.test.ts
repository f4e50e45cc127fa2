import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, connection, signText } from "./connection";
import type { Announced } from "./discovery";
import { WalletFault } from "./fault";

const [FIRST, SECOND] = ["0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "0x5FbDB2315678afecb367f032d93F642f64180aa3"] as const;

/** A wallet whose questions to a person are answered by hand. */
function walletOf(account: string): Announced & { answer: (value: unknown) => void; says: (event: string, value: unknown) => void } {
  let answer: (value: unknown) => void = () => undefined;
  const listeners = new Map<string, (value: unknown) => void>();
  return {
    uuid: account, name: account, rdns: account, icon: "",
    answer: (value) => {
      answer(value);
    },
    says: (event, value) => listeners.get(event)?.(value),
    provider: {
      request: ({ method }) => method === "eth_chainId" ? Promise.resolve("0x7a69") : new Promise((resolve) => (answer = resolve)),
      on: (event, listener) => listeners.set(event, listener),
      removeListener: (event) => listeners.delete(event),
    },
  };
}

const changed = (error: unknown): boolean => error instanceof WalletFault && error.kind === "changed";

test("a wallet that does not answer keeps nobody from another one, and its late answer changes nothing", async () => {
  const [silent, other] = [walletOf(FIRST), walletOf(SECOND)];
  const early = connect(silent);
  const late = connect(other);
  other.answer([SECOND]);
  await late;
  silent.answer([FIRST]);
  await assert.rejects(early, changed);
  assert.equal(connection.value?.account, SECOND);
});

test("a text that was signed is of no use once the wallet has another account or chain", async () => {
  const wallet = walletOf(FIRST);
  const signature = `0x${"12".repeat(65)}`;
  const signed = async (meanwhile: () => void): Promise<string> => {
    const connecting = connect(wallet);
    wallet.answer([FIRST]);
    const at = await connecting;
    const signing = signText(at, "text");
    meanwhile();
    wallet.answer(signature);
    return signing;
  };
  assert.equal(await signed(() => undefined), signature);
  await assert.rejects(signed(() => {
    wallet.says("accountsChanged", [SECOND]);
  }), changed);
  await assert.rejects(signed(() => {
    wallet.says("chainChanged", "0x1");
  }), changed);
  await assert.rejects(signed(() => {
    wallet.says("accountsChanged", []);
  }), changed);
});
