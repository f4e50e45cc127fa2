// The session: begun by a signature, kept in a cookie that no script reads, and ended in every tab at once. The page keeps
// whose it is and when it ends.
import { type ReadonlySignal, signal } from "@preact/signals";
import * as v from "valibot";
import { Refusal, call, serverNow } from "../../shared/http";
import { Address, Text, Time } from "../../shared/shapes";
import { keep, kept } from "../../shared/storage";
import { connection, letGo, reconnect } from "../chain/connection";
import { forgetSpendables } from "../code/kept-spendable";
import { forgetLogOut, logOut, settleLogOut } from "./log-out";

/** Why a session ended, which the next view says. */
export type Ending =
  | "logged-out"
  | "account"
  | "chain"
  | "idle"
  | "expired"
  /** The daemon knows it no more: it was ended elsewhere, as by a report or a change of contacts. */
  | "refused"
  | "deleted"
  /** Logged out here, and the daemon could not be told. */
  | "untold";

/** Whose it is, and until when it lasts (server time). */
export interface Session {
  readonly wallet: `0x${string}`;
  readonly expiresAt: number;
}

const KEPT_AS = "otp.session";
const SessionShape = v.object({ wallet: Address, expiresAt: v.pipe(v.number(), v.finite()) });
const LoggedInShape = v.object({ wallet: Address, expiresAt: Time });
const NonceShape = v.object({ nonce: v.pipe(Text, v.regex(/^[A-Za-z0-9]{8,128}$/)), expiresAt: Time });
const NewsShape = v.variant("what", [
  v.object({ what: v.literal("ended"), why: v.picklist(["logged-out", "account", "chain", "idle", "expired", "refused", "deleted", "untold"]) }),
  v.object({ what: v.literal("began"), session: SessionShape }),
  v.object({ what: v.literal("active") }),
]);

const current = signal<Session | undefined>(undefined);
const ended = signal<Ending | undefined>(undefined);
const tabs = new BroadcastChannel("otp-session");

export const session: ReadonlySignal<Session | undefined> = current;
/** Why the last one ended, until another one begins. */
export const ending: ReadonlySignal<Ending | undefined> = ended;

/** Whether this browser keeps anything, which is how tabs agree on who tells the daemon. */
let isKept = false;

/** When somebody last did something, in any tab: milliseconds of this browser's clock. */
export let activeAt = Date.now();

/** Takes up the session of an earlier visit, and hears of what other tabs do. */
export function startSession(): void {
  tabs.onmessage = ({ data }: MessageEvent<unknown>) => {
    const news = v.safeParse(NewsShape, data);
    if (!news.success) return;
    if (news.output.what === "active") activeAt = Date.now();
    else if (news.output.what === "ended") forget(news.output.why);
    else follow(news.output.session);
  };
  // A page that the back button brings back has heard nothing meanwhile.
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted && isKept && remembered()?.expiresAt !== current.value?.expiresAt) forget("logged-out");
  });
  const read = remembered();
  if (read !== undefined && read.expiresAt > serverNow()) begin(read);
  else keep(KEPT_AS, null);
  if (current.value === undefined) void alone(() => settleLogOut());
}

/** Another tab has signed in. One cookie serves all: a session of another wallet takes the place of this one. */
function follow(began: Session): void {
  if (current.value !== undefined && current.value.wallet !== began.wallet) {
    forget("account");
    return;
  }
  if (connection.peek()?.account === began.wallet) {
    begin(began);
    return;
  }
  // This tab may have another wallet, which is no reason to end what began in that one.
  letGo();
  begin(began);
  void reconnect(began.wallet);
}

/** Somebody did something. */
export function noteActivity(): void {
  const now = Date.now();
  if (now - activeAt > 5_000) tabs.postMessage({ what: "active" });
  activeAt = now;
}

/** A nonce for one message. */
export async function askNonce(): Promise<string> {
  return (await call("v1/auth/nonce", NonceShape)).nonce;
}

/** Signs in by a signed message. The token in the answer is not looked at: the cookie has it. */
export async function logIn(message: string, signature: string): Promise<void> {
  // After a logging out that is still under way: its answer takes the cookie.
  const began = await alone(async () => {
    const { wallet, expiresAt } = await call("v1/auth/login", LoggedInShape, { method: "POST", body: { message, signature } });
    forgetLogOut();
    keep(KEPT_AS, JSON.stringify({ wallet, expiresAt }));
    return { wallet, expiresAt };
  });
  activeAt = Date.now();
  begin(began);
  tabs.postMessage({ what: "began", session: began });
  // The wallet may have changed its account while its question was open.
  if (connection.peek()?.account !== began.wallet) await endSession("account");
}

/** Ends the session: at the daemon, here and in every other tab. Does nothing without one. */
export async function endSession(why: Ending): Promise<void> {
  const at = current.value;
  if (at === undefined) return;
  forget(why);
  tabs.postMessage({ what: "ended", why });
  // Several tabs may hear of the same change of account: one of them tells the daemon.
  await alone(async () => {
    if (isKept && remembered()?.expiresAt !== at.expiresAt) return;
    keep(KEPT_AS, null);
    if (why === "expired" || why === "refused" || why === "deleted") return;
    if (!(await logOut()) && current.value === undefined) ended.value = "untold";
  });
}

/** Ends the session here where the daemon's answer says that it is over. */
export function noteError(error: unknown): void {
  if (!(error instanceof Refusal)) return;
  if (error.slug === "unauthenticated" || error.slug === "dpop-invalid") void endSession("refused");
  if (error.slug === "account-closed") void endSession("deleted");
}

/** One tab at a time begins or ends the session that all share. */
function alone<T>(work: () => Promise<T>): Promise<Awaited<T>> {
  return navigator.locks.request("otp-log-out", work);
}

function begin(began: Session): void {
  isKept = remembered()?.expiresAt === began.expiresAt;
  current.value = began;
  ended.value = undefined;
}

function forget(why: Ending): void {
  if (current.value === undefined) return;
  current.value = undefined;
  ended.value = why;
  // Where the same person may come back they are needed still.
  if (why !== "expired" && why !== "idle" && why !== "chain" && why !== "refused") forgetSpendables();
}

function remembered(): Session | undefined {
  try {
    return v.parse(SessionShape, JSON.parse(kept(KEPT_AS) ?? "null"));
  } catch {
    return undefined;
  }
}
