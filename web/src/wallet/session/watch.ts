// What ends a session without anybody asking for it: another account, another chain, nobody there, its time.
import { type ReadonlySignal, effect, signal } from "@preact/signals";
import { serverNow } from "../../shared/http";
import { connection } from "../chain/connection";
import { activeAt, endSession, noteActivity, session } from "./session";

/** Nobody did anything for so long. */
const IDLE_MS = 10 * 60_000;
/** So long before the end it is told. */
const WARN_MS = 60_000;

/** What will end the session soon. */
export interface Warning {
  /** `time`: nothing but signing in anew prolongs it. */
  readonly why: "idle" | "time";
  readonly seconds: number;
}

const soon = signal<Warning | undefined>(undefined);
/** Undefined while the end is far. */
export const warning: ReadonlySignal<Warning | undefined> = soon;

/** Watches from now on. */
export function watchSession(chainId: number): void {
  for (const event of ["pointerdown", "keydown", "input", "scroll"]) {
    addEventListener(event, () => {
      // A warning is answered by its button: a stray movement is no answer.
      if (soon.peek()?.why !== "idle") noteActivity();
    }, { capture: true, passive: true });
  }
  setInterval(tick, 1_000);
  // A tab in the background is not woken each second: it looks at once when somebody comes back.
  document.addEventListener("visibilitychange", tick);
  let seen = connection.peek();
  effect(() => {
    const now = connection.value;
    const before = seen;
    seen = now;
    const at = session.peek();
    if (at === undefined) return;
    if (now === undefined) {
      if (before !== undefined) void endSession("account");
    } else if (now.account !== at.wallet) void endSession("account");
    else if (now.chainId !== chainId) void endSession("chain");
  });
}

/** Somebody is there. */
export function stay(): void {
  noteActivity();
  tick();
}

function tick(): void {
  const at = session.peek();
  if (at === undefined) {
    soon.value = undefined;
    return;
  }
  const leftMs = at.expiresAt - serverNow();
  const idleMs = activeAt + IDLE_MS - Date.now();
  if (leftMs <= 0) void endSession("expired");
  else if (idleMs <= 0) void endSession("idle");
  soon.value = warn(leftMs, idleMs);
}

function warn(leftMs: number, idleMs: number): Warning | undefined {
  if (Math.min(leftMs, idleMs) > WARN_MS) return undefined;
  const why = leftMs <= idleMs ? "time" : "idle";
  return { why, seconds: Math.max(0, Math.ceil(Math.min(leftMs, idleMs) / 1_000)) };
}
