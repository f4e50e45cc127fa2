// Failures of a code as sentences that say what happened and what to do.
import { Refusal } from "../../shared/http";
import { visible } from "../../shared/visible";
import { sentence } from "../errors";
import { t } from "../texts";
import type { Action } from "./actions";
import { NotShown } from "./authorization";
import { CallFailed, type Failure } from "./contract";

/** Whatever failed, as a sentence; `action` knows the errors of its contract. */
export function sentenceOf(error: unknown, action?: Action): string {
  if (error instanceof CallFailed) return ofFailure(error.failure, action);
  if (error instanceof NotShown) return t().authorization.notShown;
  if (error instanceof Refusal) {
    const texts = t().failures;
    if (error.slug === "sponsoring-disabled" || error.slug === "sponsor-unavailable") return texts.sponsorOff;
    if (error.slug === "too-much-gas") return texts.tooMuchGas;
    if (error.slug === "verification-refused") return ofRevert(String(error.members["error"]), action);
  }
  return sentence(error);
}

function ofFailure(failure: Failure, action: Action | undefined): string {
  const texts = t().failures;
  switch (failure.kind) {
    case "reverted":
      return [failure.hash === undefined ? "" : texts.minedReverted, ofRevert(failure.error, action)].join(" ").trim();
    case "rejected":
      return texts.rejected;
    case "cancelled":
      return texts.cancelled;
    case "wrong-chain":
      return texts.wrongChain;
    case "no-funds":
      return texts.noFunds;
    case "wallet":
      return texts.wallet;
    case "unknown-outcome":
      return failure.hash === undefined ? texts.noHash : texts.unknownOutcome;
  }
}

function ofRevert(error: string, action: Action | undefined): string {
  const texts = t().failures;
  const own = action !== undefined && Object.hasOwn(action.sentences, error) ? action.sentences[error] : undefined;
  if (own !== undefined) return own;
  return isOurs(error) ? texts[error] : texts.contract(/^[A-Za-z0-9_]{0,64}$/.test(error) ? error : visible(error.slice(0, 200)));
}

const OURS = [
  "UnknownOtp", "WrongCode", "OtpExpired", "OtpUsed", "OtpIsRevoked", "OtpNotVerified", "PastDeadline", "WrongPurpose",
  "InvalidSignature", "EnforcedPause",
] as const;

function isOurs(error: string): error is (typeof OURS)[number] {
  return (OURS as readonly string[]).includes(error);
}
