// The session's end at the daemon. An answer that is lost, or that something before the daemon gave, ends nothing there: the
// cookie would serve whoever sits at this computer next. So what is owed is kept, and asked for again.
import * as v from "valibot";
import { Refusal, call } from "../../shared/http";
import { keep, kept } from "../../shared/storage";

const OWED_AS = "otp.log-out-owed";

/** Asks the daemon to end the session; false where it is not known to have done so, and is owed. */
export async function logOut(ask: () => Promise<unknown> = askDaemon): Promise<boolean> {
  keep(OWED_AS, "1");
  try {
    await ask();
  } catch (error) {
    // It knows the session no more.
    if (!(error instanceof Refusal && error.slug === "unauthenticated")) return false;
  }
  keep(OWED_AS, null);
  return true;
}

/** Ends what an earlier visit could not. */
export async function settleLogOut(ask?: () => Promise<unknown>): Promise<void> {
  if (kept(OWED_AS) !== null) await logOut(ask);
}

/** A new session has taken the cookie's place. */
export function forgetLogOut(): void {
  keep(OWED_AS, null);
}

function askDaemon(): Promise<unknown> {
  return call("v1/auth/logout", v.unknown(), { method: "POST" });
}
