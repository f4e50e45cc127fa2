import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { connect, connection, disconnect, signText, switchChain } from "./connection";
import type { Announced } from "./discovery";
import { WalletFault } from "./fault";

const ACCOUNT = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const OTHER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

/** A wallet that answers as told, and can say that something changed. */
function walletOf(answers: Record<string, unknown>): Announced & { says: (event: string, value: unknown) => void } {
  const heard = new Map<string, (value: unknown) => void>();
  return {
    uuid: "1", name: "A wallet", rdns: "test.a", icon: "",
    provider: {
      request: ({ method }) => {
        const answer = answers[method];
        return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
      },
      on: (event, listener) => heard.set(event, listener),
      removeListener: (event) => heard.delete(event),
    },
    says: (event, value) => heard.get(event)?.(value),
  };
}

const fault = (kind: string) => (error: unknown) => error instanceof WalletFault && error.kind === kind;

beforeEach(disconnect);

test("a connected wallet has its account in EIP-55 and its chain, and tells of changes", async () => {
  const wallet = walletOf({ eth_requestAccounts: [ACCOUNT.toLowerCase()], eth_chainId: "0x7a69" });
  const { account, chainId } = await connect(wallet);
  assert.deepEqual([account, chainId], [ACCOUNT, 31_337]);
  wallet.says("accountsChanged", [OTHER]);
  wallet.says("chainChanged", "0x1");
  wallet.says("chainChanged", "nonsense");
  assert.deepEqual([connection.value?.account, connection.value?.chainId], [OTHER, 1]);
  wallet.says("accountsChanged", []);
  assert.equal(connection.value, undefined);
});

test("an answer that makes no sense connects nothing", async () => {
  for (const accounts of [[], null, 7, [`${ACCOUNT}00`], ["<b>"], { 0: ACCOUNT, length: 1 }]) {
    await assert.rejects(connect(walletOf({ eth_requestAccounts: accounts, eth_chainId: "0x1" })), fault("nonsense"));
  }
  for (const chainId of [null, "0x", "one", -1, 1.5, "0xffffffffffffffff"]) {
    await assert.rejects(connect(walletOf({ eth_requestAccounts: [ACCOUNT], eth_chainId: chainId })), fault("nonsense"));
  }
  assert.equal(connection.value, undefined);
});

test("a refusal is told by its kind", async () => {
  const no = Object.assign(new Error("no"), { code: 4001 });
  await assert.rejects(connect(walletOf({ eth_requestAccounts: no })), fault("rejected"));
  const at = await connect(walletOf({ eth_requestAccounts: [ACCOUNT], eth_chainId: "0x1", personal_sign: "0x" }));
  await assert.rejects(signText(at, "text"), fault("nonsense"));
});

test("a switch that the wallet says yes to and does not make is none", async () => {
  await connect(walletOf({ eth_requestAccounts: [ACCOUNT], eth_chainId: "0x1", wallet_switchEthereumChain: null }));
  await assert.rejects(switchChain(31_337), fault("unknown-chain"));
  assert.equal(connection.value?.chainId, 1);
});
