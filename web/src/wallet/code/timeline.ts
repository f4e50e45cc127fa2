// How far a request has come, step by step, and what the next step waits for.
import type { Otp, Status } from "./otps";

export const STEPS = ["queued", "submitted", "issued", "delivered", "unlocked", "verified", "consumed"] as const;
export type StepName = (typeof STEPS)[number];
/** How a request ends that does not reach its last step. */
export type Ending = Exclude<Status, StepName>;

export interface Step {
  readonly name: StepName;
  /** `skipped`: not reached, though a later one was (a link needs no digits). */
  readonly state: "done" | "skipped" | "waiting" | "later";
  /** Milliseconds, of server or chain, where it was reached. */
  readonly at?: number;
}

export interface Timeline {
  readonly steps: readonly Step[];
  readonly ending?: Ending;
  /** Everything that was to happen has happened. */
  readonly isComplete: boolean;
}

/** The steps of a request; a sign-in is done once it is verified, since no contract spends it. */
export function timelineOf(otp: Pick<Otp, "status" | "history" | "purpose">): Timeline {
  const names = STEPS.filter((name) => name !== "consumed" || otp.purpose !== "login");
  const reached = new Map(otp.history.map(({ status, at }) => [status, at]));
  const furthest = Math.max(...names.map((name, index) => (reached.has(name) || name === otp.status ? index : -1)));
  const ending = names.includes(otp.status as StepName) ? undefined : (otp.status as Ending);
  const steps = names.map((name, index): Step => {
    const at = reached.get(name);
    if (at !== undefined) return { name, state: "done", at };
    if (name === otp.status) return { name, state: "done" };
    if (index < furthest) return { name, state: "skipped" };
    return { name, state: index === furthest + 1 && ending === undefined ? "waiting" : "later" };
  });
  return { steps, ...(ending === undefined ? {} : { ending }), isComplete: furthest === names.length - 1 };
}

/** Whether digits are of use now. */
export function takesDigits(otp: Pick<Otp, "status">): boolean {
  return ["issued", "delivered", "unlocked"].includes(otp.status);
}

/** Seconds until the same contact may be sent another code; `now` in milliseconds of the chain's time. */
export function cooldownLeft(otp: Pick<Otp, "createdAt">, cooldownSeconds: number, now: number | undefined): number {
  if (now === undefined) return cooldownSeconds;
  const left = Math.ceil(cooldownSeconds - (now - otp.createdAt) / 1_000);
  return Math.min(cooldownSeconds, Math.max(0, left));
}
