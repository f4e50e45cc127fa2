// Anything that went wrong, as a sentence that says what happened and what to do.
import { BadAnswer, NoAnswer, Refusal } from "../shared/http";
import { WalletFault } from "./chain/fault";
import { t } from "./texts";

/** The sentence for `error`, in the language that is spoken now. */
export function sentence(error: unknown): string {
  const texts = t().errors;
  if (error instanceof Refusal) return ofRefusal(error);
  if (error instanceof NoAnswer) return texts[error.why];
  if (error instanceof BadAnswer) return texts.badAnswer;
  if (error instanceof WalletFault) return texts.wallet[error.kind];
  return texts.unknown;
}

function ofRefusal(refusal: Refusal): string {
  const texts = t().errors;
  const { slug, retryAfterSeconds } = refusal;
  switch (slug) {
    case "wrong-digits":
      return texts.wrongDigits(refusal.count("attemptsLeft") ?? 0);
    case "rate-limited":
      return texts.tooMany(retryAfterSeconds ?? 60);
    case "siwe-invalid":
      return refusal.members["check"] === "nonce" || refusal.members["check"] === "issued-at" ? texts.signInLate : texts.signInRefused;
    default:
      if (isKnown(slug, texts.refusals)) return texts.refusals[slug];
      if (refusal.status === 401) return texts.refusals.unauthenticated;
      if (refusal.status === 429) return texts.tooMany(retryAfterSeconds ?? 60);
      return refusal.status >= 500 ? texts.broken(refusal.requestId) : texts.refused(refusal.detail, refusal.requestId);
  }
}

function isKnown<T extends object>(slug: string, texts: T): slug is Extract<keyof T, string> {
  return Object.hasOwn(texts, slug);
}
