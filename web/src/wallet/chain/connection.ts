// The wallet that the person chose, its account and its chain. Answers of a wallet are a stranger's: read by their shape.
import { type ReadonlySignal, signal } from "@preact/signals";
import { getAddress, isAddress } from "viem";
import { keep, kept } from "../../shared/storage";
import { type Announced, type Provider, wallets } from "./discovery";
import { WalletFault } from "./fault";

/** A wallet, connected. */
export interface Connection {
  readonly wallet: Announced;
  /** In EIP-55. */
  readonly account: `0x${string}`;
  readonly chainId: number;
}

const KEPT_AS = "otp.wallet";
/** For what a wallet answers without asking anybody. */
const WITHIN_MS = 10_000;

const current = signal<Connection | undefined>(undefined);
let stopListening = (): void => undefined;
/** Counts what was chosen: an answer to an earlier question comes too late. */
let turn = 0;

/** Undefined before one is chosen, and once it has let go. */
export const connection: ReadonlySignal<Connection | undefined> = current;

/**
 * Asks the wallet for an account, which asks the person. Throws `WalletFault`: `changed` where another wallet was chosen before
 * this one answered, since some wallets never answer a question whose window was closed.
 */
export async function connect(wallet: Announced): Promise<Connection> {
  const own = ++turn;
  return adopt(wallet, await ask(wallet.provider, "eth_requestAccounts"), () => own === turn);
}

/**
 * Connects to the wallet that was chosen last, where it still opens its account to this page: asks nobody. With `wanted`,
 * to that account alone.
 */
export async function reconnect(wanted?: string): Promise<Connection | undefined> {
  const rdns = kept(KEPT_AS);
  const wallet = wallets.value.find((known) => known.rdns === rdns);
  if (wallet === undefined) return undefined;
  const before = turn;
  try {
    const accounts = await soon(ask(wallet.provider, "eth_accounts"));
    const account = accountOf(accounts);
    if (account === undefined || (wanted ?? account) !== account) return undefined;
    return await adopt(wallet, accounts, () => turn === before);
  } catch {
    return undefined;
  }
}

/** Lets go of the wallet and forgets it. */
export function disconnect(): void {
  letGo();
  keep(KEPT_AS, null);
}

/** Lets go of the wallet in this tab. */
export function letGo(): void {
  turn += 1;
  stopListening();
  stopListening = () => undefined;
  current.value = undefined;
}

/** Asks the wallet to go to another chain, which asks the person. */
export async function switchChain(chainId: number): Promise<void> {
  const at = current.value;
  if (at === undefined) return;
  await ask(at.wallet.provider, "wallet_switchEthereumChain", [{ chainId: `0x${chainId.toString(16)}` }]);
  const chosen = await chainOf(at.wallet.provider);
  if (current.value?.wallet === at.wallet) current.value = { ...current.value, chainId: chosen };
  if (chosen !== chainId) throw new WalletFault("unknown-chain");
}

/**
 * Has the text signed by `personal_sign`: the signature, in the wallet's own form. Throws `WalletFault`: `changed` where the
 * account, the chain or the wallet is another one by then, so that nobody is signed in with what they have just left.
 */
export async function signText(at: Connection, text: string): Promise<`0x${string}`> {
  const bytes = [...new TextEncoder().encode(text)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const signature = await ask(at.wallet.provider, "personal_sign", [`0x${bytes}`, at.account]);
  if (typeof signature !== "string" || !/^0x(?:[0-9a-f]{2}){1,6000}$/i.test(signature)) throw new WalletFault("nonsense");
  const now = current.value;
  if (now?.wallet !== at.wallet || now.account !== at.account || now.chainId !== at.chainId) throw new WalletFault("changed");
  return signature as `0x${string}`;
}

async function adopt(wallet: Announced, accounts: unknown, isWanted: () => boolean): Promise<Connection> {
  const account = accountOf(accounts);
  if (account === undefined) throw new WalletFault("nonsense");
  // What the wallet says while its chain is asked for would be missed.
  const seen = { hasMoved: false };
  const moved = (): void => {
    seen.hasMoved = true;
  };
  wallet.provider.on("accountsChanged", moved);
  let chainId: number;
  try {
    chainId = await chainOf(wallet.provider);
  } finally {
    wallet.provider.removeListener("accountsChanged", moved);
  }
  if (seen.hasMoved || !isWanted()) throw new WalletFault("changed");
  const next: Connection = { wallet, account, chainId };
  stopListening();
  stopListening = listen(wallet);
  current.value = next;
  keep(KEPT_AS, wallet.rdns);
  return next;
}

function listen(wallet: Announced): () => void {
  const accountsChanged = (accounts: unknown): void => {
    const account = accountOf(accounts);
    const at = current.value;
    current.value = account === undefined || at === undefined ? undefined : { ...at, account };
  };
  const chainChanged = (chainId: unknown): void => {
    const number = chainNumber(chainId);
    if (number !== undefined && current.value !== undefined) current.value = { ...current.value, chainId: number };
  };
  const heard = [["accountsChanged", accountsChanged], ["chainChanged", chainChanged]] as const;
  for (const [event, listener] of heard) wallet.provider.on(event, listener);
  return () => {
    for (const [event, listener] of heard) wallet.provider.removeListener(event, listener);
  };
}

async function ask(provider: Provider, method: string, params?: unknown[]): Promise<unknown> {
  try {
    return await provider.request(params === undefined ? { method } : { method, params });
  } catch (thrown) {
    throw WalletFault.of(thrown);
  }
}

async function chainOf(provider: Provider): Promise<number> {
  const number = chainNumber(await soon(ask(provider, "eth_chainId")));
  if (number === undefined) throw new WalletFault("nonsense");
  return number;
}

async function soon<T>(answer: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new WalletFault("silent"));
    }, WITHIN_MS);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

function accountOf(accounts: unknown): `0x${string}` | undefined {
  const first: unknown = Array.isArray(accounts) ? accounts[0] : undefined;
  return typeof first === "string" && isAddress(first, { strict: false }) ? getAddress(first) : undefined;
}

function chainNumber(value: unknown): number | undefined {
  // Hex by EIP-695; some wallets answer a number.
  const isNumber = typeof value === "number" || (typeof value === "string" && /^(?:0x[0-9a-f]{1,13}|\d{1,15})$/i.test(value));
  const number = isNumber ? Number(value) : NaN;
  return Number.isSafeInteger(number) && number > 0 ? number : undefined;
}
