// The wallet of the session as the views of a code use it: whatever is connected at the time of each call.
import type { EIP1193Provider } from "viem";
import type { Wallet } from "../code/contract";
import type { Config } from "../config";
import { connection } from "./connection";

/** EIP-1193: disconnected. */
const DISCONNECTED = 4900;

const provider = {
  async request(call: { method: string; params?: unknown[] }): Promise<unknown> {
    const at = connection.peek();
    if (at === undefined) throw Object.assign(new Error("no wallet is connected to this page"), { code: DISCONNECTED });
    return at.wallet.provider.request(call);
  },
  on(event: string, listener: (value: unknown) => void): void {
    connection.peek()?.wallet.provider.on(event, listener);
  },
  removeListener(event: string, listener: (value: unknown) => void): void {
    connection.peek()?.wallet.provider.removeListener(event, listener);
  },
} as unknown as EIP1193Provider;

/** For `account`, on the chain and the contract of `config`. */
export function walletOf(account: `0x${string}`, config: Config): Wallet {
  return { provider, account, chainId: config.chainId, verifier: config.verifier };
}
