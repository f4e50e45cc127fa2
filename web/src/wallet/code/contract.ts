// Calls of contracts from the wallet: tried by `eth_call` first, so that a refusal costs nothing and has the contract's own
// reason; then sent, and followed until it is in a block, also where the wallet speeds it up or cancels it. The chain is
// reached by the wallet alone.
import {
  type Abi,
  BaseError,
  type Client,
  ContractFunctionRevertedError,
  type EIP1193Provider,
  type Hash,
  UserRejectedRequestError,
  createClient,
  custom,
  isHash,
  keccak256,
  stringToHex,
} from "viem";
import {
  getChainId,
  readContract,
  signTypedData,
  simulateContract,
  waitForTransactionReceipt,
  writeContract,
} from "viem/actions";
import * as v from "valibot";
import { VERIFIER_ABI, VERIFIER_DOMAIN, VERIFIER_ERRORS, VERIFY_TYPES } from "./abi";
import { type Action, type Spendable, abiOf, argumentsOf } from "./actions";
import type { Authorization } from "./authorization";
import { SignatureShape, type Ticket } from "./otps";

const POLL_MS = 1_000;
/** One question to the wallet's node, which may be slow or dead. Signing takes as long as a person takes. */
const CALL_WITHIN_MS = 20_000;
/** After so long without a block a person is told to look in the wallet. */
const MINED_WITHIN_MS = 180_000;

/** Where the calls go, and from whom. */
export interface Wallet {
  readonly provider: EIP1193Provider;
  readonly account: `0x${string}`;
  readonly chainId: number;
  readonly verifier: `0x${string}`;
}

/** A call of a contract. */
export interface Call {
  readonly address: `0x${string}`;
  readonly abi: Abi;
  readonly functionName: string;
  readonly args: readonly unknown[];
}

/** Where a transaction stands. */
export type Progress =
  | { readonly state: "checking" }
  | { readonly state: "signing" }
  | { readonly state: "pending"; readonly hash: Hash; readonly isReplacement: boolean }
  | { readonly state: "mined"; readonly hash: Hash };

/** Why a call came to nothing. */
export type Failure =
  /** The contract refuses, or has refused, with an error of its interface. */
  | { readonly kind: "reverted"; readonly error: string; readonly args: readonly unknown[]; readonly hash?: Hash }
  /** The person said no in the wallet. */
  | { readonly kind: "rejected" }
  /** The wallet cancelled it. */
  | { readonly kind: "cancelled"; readonly hash: Hash }
  | { readonly kind: "wrong-chain" }
  /** The account cannot pay. */
  | { readonly kind: "no-funds" }
  /** The wallet or its node gave no answer, or one that makes no sense. Nothing was sent. */
  | { readonly kind: "wallet"; readonly code?: number }
  /** It was sent, and what became of it could not be asked; without a hash, it may have been sent. */
  | { readonly kind: "unknown-outcome"; readonly hash?: Hash };

/** A call that came to nothing. */
export class CallFailed extends Error {
  override readonly name = "CallFailed";
  readonly failure: Failure;

  constructor(failure: Failure, cause?: unknown) {
    super(failure.kind === "reverted" ? failure.error : failure.kind, { cause });
    this.failure = failure;
  }
}

export function codeHash(code: string): Hash {
  return keccak256(stringToHex(code));
}

/** `verify(ticket, action, code)`. */
export function verifyCall(wallet: Wallet, ticket: Ticket, action: Hash, code: string): Call {
  return { address: wallet.verifier, abi: VERIFIER_ABI, functionName: "verify", args: [ticket, action, code] };
}

/** What the code is for. */
export function actionCall(action: Action, authorization: Authorization, spendable: Spendable): Call {
  return {
    address: authorization.consumer,
    abi: [...abiOf(action), ...VERIFIER_ERRORS],
    functionName: action.function,
    args: argumentsOf(action, authorization, spendable),
  };
}

/** Tries a call, and asks nobody to sign. Throws `CallFailed`. */
export async function simulate(wallet: Wallet, call: Call): Promise<void> {
  const client = clientOf(wallet);
  await guarded(async () => {
    if ((await within(getChainId(client))) !== wallet.chainId) throw new CallFailed({ kind: "wrong-chain" });
    await within(simulateContract(client, { ...call, account: wallet.account }));
  });
}

/** Tries, sends, and follows a call until it is in a block. Throws `CallFailed`, or the reason of an aborted `signal`. */
export async function send(
  wallet: Wallet,
  call: Call,
  tell: (progress: Progress) => void,
  signal: AbortSignal,
): Promise<Hash> {
  const client = clientOf(wallet);
  tell({ state: "checking" });
  await simulate(wallet, call);
  signal.throwIfAborted();
  tell({ state: "signing" });
  const hash = await guarded(async () => {
    // Tried already; `chain: null` because the chain was asked for a line above, and the wallet knows it best.
    const sent: unknown = await writeContract(client, { ...call, account: wallet.account, chain: null });
    // The wallet took it: by what it answers it cannot be followed, but that nothing was sent would be a guess.
    if (typeof sent !== "string" || !isHash(sent)) throw new CallFailed({ kind: "unknown-outcome" });
    return sent;
  });
  return await mined(wallet, call, hash, tell, signal);
}

/** Follows a transaction that was sent. */
export async function mined(
  wallet: Wallet,
  call: Call,
  sent: Hash,
  tell: (progress: Progress) => void,
  signal: AbortSignal,
): Promise<Hash> {
  const client = clientOf(wallet);
  let hash = sent;
  const seen: { replaced?: "cancelled" | "replaced" } = {};
  tell({ state: "pending", hash, isReplacement: false });
  const receipt = await until(
    signal,
    waitForTransactionReceipt(client, {
      hash,
      pollingInterval: POLL_MS,
      timeout: MINED_WITHIN_MS,
      onReplaced(replacement) {
        if (replacement.reason === "repriced") delete seen.replaced;
        else seen.replaced = replacement.reason;
        hash = replacement.transaction.hash;
        tell({ state: "pending", hash, isReplacement: true });
      },
    }),
  ).catch((cause: unknown) => {
    if (signal.aborted) throw signal.reason;
    throw new CallFailed({ kind: "unknown-outcome", hash }, cause);
  });
  if (seen.replaced === "cancelled") throw new CallFailed({ kind: "cancelled", hash });
  // The other transaction may hold the same call, as in a batch of the wallet's own: that nothing changed would be a guess.
  if (seen.replaced === "replaced") throw new CallFailed({ kind: "unknown-outcome", hash });
  if (receipt.status !== "success") throw await whyReverted(wallet, call, hash);
  tell({ state: "mined", hash });
  return hash;
}

/** How far a code has come, as `statusOf` counts. */
export const STATUS = { verified: 3, consumed: 4 } as const;
/** Its words, in the order of the contract's `Status`. */
const STATUS_WORDS = [undefined, "issued", "expired", "verified", "consumed", "revoked"] as const;
/** What the contract says of a ticket; `undefined` where it knows none such. */
export type StatusWord = (typeof STATUS_WORDS)[number];

/** Asks the contract itself how far a code has come, by the wallet's node. Throws `CallFailed`. */
export async function statusOf(wallet: Wallet, ticket: Ticket): Promise<StatusWord> {
  const client = clientOf(wallet);
  return await guarded(async () => {
    if ((await within(getChainId(client))) !== wallet.chainId) throw new CallFailed({ kind: "wrong-chain" });
    const asked = readContract(client, { address: wallet.verifier, abi: VERIFIER_ABI, functionName: "statusOf", args: [ticket] });
    return STATUS_WORDS[await within(asked)];
  });
}
/** A node that has the receipt may ask another one that is a block behind. */
const LOOKS = 5;

/**
 * Waits until the contract says that the code has come as far as the transaction was to bring it: that of a smart account
 * succeeds also where the call inside it failed. Throws `CallFailed`.
 */
export async function reached(wallet: Wallet, ticket: Ticket, least: number, hash: Hash, signal: AbortSignal): Promise<void> {
  const client = clientOf(wallet);
  for (let look = 1; look <= LOOKS; look++) {
    signal.throwIfAborted();
    const asked = readContract(client, { address: wallet.verifier, abi: VERIFIER_ABI, functionName: "statusOf", args: [ticket] });
    const status = await within(asked).catch(() => undefined);
    if (status !== undefined && status >= least && status <= STATUS.consumed) return;
    if (look < LOOKS) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new CallFailed({ kind: "unknown-outcome", hash });
}

/** Asks the contract for the reason that the receipt does not have. */
async function whyReverted(wallet: Wallet, call: Call, hash: Hash): Promise<CallFailed> {
  try {
    await simulate(wallet, call);
  } catch (error) {
    if (error instanceof CallFailed && error.failure.kind === "reverted") return new CallFailed({ ...error.failure, hash }, error);
  }
  return new CallFailed({ kind: "reverted", error: "", args: [], hash });
}

/** Signs what lets anybody send `verifyFor`, and tries it. `deadline` in Unix seconds. Throws `CallFailed`. */
export async function signVerification(
  wallet: Wallet,
  ticket: Ticket,
  action: Hash,
  code: string,
  deadline: number,
): Promise<`0x${string}`> {
  const client = clientOf(wallet);
  return await guarded(async () => {
    if ((await within(getChainId(client))) !== wallet.chainId) throw new CallFailed({ kind: "wrong-chain" });
    const signature = await signTypedData(client, {
      account: wallet.account,
      domain: { ...VERIFIER_DOMAIN, chainId: wallet.chainId, verifyingContract: wallet.verifier },
      types: VERIFY_TYPES,
      primaryType: "Verify",
      message: { id: ticket.id, action, deadline: BigInt(deadline) },
    });
    if (!v.is(SignatureShape, signature)) throw new CallFailed({ kind: "wallet" });
    const args = [wallet.account, ticket, action, code, BigInt(deadline), signature] as const;
    await within(
      simulateContract(client, {
        address: wallet.verifier,
        abi: VERIFIER_ABI,
        functionName: "verifyFor",
        args,
        account: wallet.account,
      }),
    );
    return signature;
  });
}

/** An unsigned integer that a contract's view function says of the account. Throws `CallFailed`. */
export async function accountNumber(wallet: Wallet, action: Action, functionName: string): Promise<bigint> {
  const client = clientOf(wallet);
  return await guarded(async () => {
    if ((await within(getChainId(client))) !== wallet.chainId) throw new CallFailed({ kind: "wrong-chain" });
    const call = { address: action.consumer, abi: abiOf(action), functionName, args: [wallet.account] };
    const value: unknown = await within(readContract(client, call));
    if (typeof value === "bigint") return value;
    if (typeof value === "number") return BigInt(value);
    throw new CallFailed({ kind: "wallet" });
  });
}

function clientOf(wallet: Wallet): Client {
  // A question that failed once is asked again by a person, not by a loop behind their back.
  // Nor is anything fetched that a contract names (EIP-3668).
  return createClient({ transport: custom(wallet.provider, { retryCount: 0 }), pollingInterval: POLL_MS, ccipRead: false });
}

/** Turns whatever a wallet, its node or viem throws into a `CallFailed`. */
async function guarded<T>(attempt: () => Promise<T>): Promise<T> {
  try {
    return await attempt();
  } catch (error) {
    throw error instanceof CallFailed ? error : new CallFailed(failureOf(error), error);
  }
}

/** What went wrong, from errors of viem and from those of wallets that viem passes on. */
export function failureOf(error: unknown): Failure {
  if (error instanceof BaseError) {
    const reverted = error.walk((cause) => cause instanceof ContractFunctionRevertedError);
    if (reverted instanceof ContractFunctionRevertedError) {
      const { data, raw, reason } = reverted;
      // viem takes some faults of a node for a refusal of the contract.
      if (raw === undefined && !/revert/i.test(reason ?? "")) return { kind: "wallet", code: -32603 };
      return { kind: "reverted", error: data?.errorName ?? "", args: data?.args ?? [] };
    }
    if (error.walk((cause) => cause instanceof UserRejectedRequestError) !== null) return { kind: "rejected" };
    const names = new Set(causes(error).map((cause) => cause.name));
    if (names.has("InsufficientFundsError")) return { kind: "no-funds" };
    if (names.has("ChainMismatchError")) return { kind: "wrong-chain" };
  }
  const code = causes(error).map((cause) => (cause as { code?: unknown }).code).find((code) => typeof code === "number");
  if (code === 4001) return { kind: "rejected" };
  if (causes(error).some((cause) => /insufficient funds/i.test(cause.message))) return { kind: "no-funds" };
  return code === undefined ? { kind: "wallet" } : { kind: "wallet", code };
}

function causes(error: unknown): Error[] {
  const found: Error[] = [];
  let at = error;
  while (typeof at === "object" && at !== null && found.length < 16) {
    const { name, message, code } = at as { name?: unknown; message?: unknown; code?: unknown };
    found.push(Object.assign(new Error(typeof message === "string" ? message : ""), { name: String(name), code }));
    at = (at as { cause?: unknown }).cause;
  }
  return found;
}

/** A question to the wallet's node with an end. */
async function within<T>(asked: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new CallFailed({ kind: "wallet" }));
    }, CALL_WITHIN_MS);
  });
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function until<T>(signal: AbortSignal, awaited: Promise<T>): Promise<T> {
  signal.throwIfAborted();
  return await new Promise<T>((resolve, reject) => {
    const stop = (): void => {
      reject(signal.reason instanceof Error ? signal.reason : new Error("stopped"));
    };
    signal.addEventListener("abort", stop, { once: true });
    awaited.then(resolve, reject).finally(() => {
      signal.removeEventListener("abort", stop);
    });
  });
}
