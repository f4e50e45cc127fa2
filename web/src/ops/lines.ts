// From the indexer's series to what charts and tiles show.
import type { Line } from "./chart";
import type { Part, Series } from "./shapes";
import type { OpsTexts } from "./texts/types";

/** A stage's name in the interface. */
export type Stage = keyof Part["stages"];
export const STAGES = ["requestToMined", "minedToDelivered", "deliveredToVerified", "requestToVerified"] as const satisfies readonly Stage[];

type Failure = "expired" | "wrongDigits" | "refusedUsed" | "refusedUnknown" | "issuancesReverted";
const FAILURES: readonly Failure[] = ["expired", "wrongDigits", "refusedUsed", "refusedUnknown", "issuancesReverted"];
const CHANNELS = ["email", "sms", "webhook", "inapp"] as const;

function line(series: Series, name: string, value: (part: Part) => number | null): Line {
  return { name, values: series.parts.map(value) };
}

/** What became of codes. */
export function codes(series: Series, texts: OpsTexts): Line[] {
  const names = ["issued", "verified", "consumed", "revoked"] as const;
  return names.map((name) => line(series, texts.figures[name], (part) => part[name]));
}

/** Codes whose message was handed over; channels that had none in the whole window are left out, but for one. */
export function channels(series: Series, texts: OpsTexts): Line[] {
  const all = CHANNELS.map((channel) => line(series, texts.figures.channels[channel], (part) => part.delivered[channel] ?? 0));
  const used = all.filter((channel) => channel.values.some((value) => value !== null && value > 0));
  return used.length > 0 ? used : all.slice(0, 1);
}

/** What did not go well, each by itself: they are not parts of one whole. */
export function failures(series: Series, texts: OpsTexts): Line[] {
  return FAILURES.map((name) => line(series, texts.figures[name], (part) => part[name]));
}

/** Everything that did not go well, together. */
export function failed(part: Part): number {
  return FAILURES.reduce((all, name) => all + part[name], 0);
}

/** Everything handed over, together. */
export function delivered(part: Part): number {
  return Object.values(part.delivered).reduce((all, count) => all + count, 0);
}

/** How long a stage took, in seconds. */
export function times(series: Series, stage: Stage, texts: OpsTexts): Line[] {
  const names = texts.figures.quantiles;
  return [
    line(series, names.p50, (part) => part.stages[stage].p50Seconds),
    line(series, names.p95, (part) => part.stages[stage].p95Seconds),
    line(series, names.p99, (part) => part.stages[stage].p99Seconds),
  ];
}

/** Gas of issuances for each code in them. */
export function gas(series: Series, texts: OpsTexts): Line[] {
  const names = texts.figures.quantiles;
  return [
    line(series, names.p50, (part) => part.gasPerCode.p50),
    line(series, names.p95, (part) => part.gasPerCode.p95),
    line(series, names.p99, (part) => part.gasPerCode.p99),
  ];
}

/** Whether nothing at all happened. */
export function isQuiet(part: Part): boolean {
  return part.issued + part.verified + part.consumed + part.revoked + failed(part) + delivered(part) === 0;
}

/** When a part begins, as short as its window allows. */
export function label(series: Series, part: Part, language: string): string {
  if (part.from === null) return "";
  const style = series.window === "week" ? ({ weekday: "short", hour: "2-digit" } as const) : ({ hour: "2-digit", minute: "2-digit" } as const);
  return new Intl.DateTimeFormat(language, style).format(part.from);
}

/** A number in the language's own form, short for large ones. */
export function short(value: number, language: string): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  const style = value >= 10_000 ? ({ notation: "compact", maximumFractionDigits: 1 } as const) : { maximumFractionDigits: digits };
  return new Intl.NumberFormat(language, style).format(value);
}

/** A whole number or a measure, in full. */
export function full(value: number | null, language: string, none: string): string {
  return value === null ? none : new Intl.NumberFormat(language, { maximumFractionDigits: 3 }).format(value);
}
