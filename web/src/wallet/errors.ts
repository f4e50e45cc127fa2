// Whatever a daemon's answer ended in, as a sentence that says what happened and what to do.
import { BadAnswer, NoAnswer, Refusal } from "../shared/http";
import { t } from "./texts";

/** The sentence of an error; of one that nobody foresaw, a general one. */
export function sentence(error: unknown): string {
  const texts = t().errors;
  if (error instanceof NoAnswer) return error.why === "timeout" ? texts.timeout : texts.offline;
  if (error instanceof BadAnswer) return texts.badAnswer;
  if (!(error instanceof Refusal)) return texts.unknown;
  const { slug, status, retryAfterSeconds } = error;
  if (slug !== "" && Object.hasOwn(texts.refusals, slug)) return texts.refusals[slug as keyof typeof texts.refusals];
  if (status === 401) return texts.refusals.unauthenticated;
  if (status === 429) return texts.tooMany(Math.max(1, retryAfterSeconds ?? 60));
  return status >= 500 ? texts.broken : texts.refused(status);
}
