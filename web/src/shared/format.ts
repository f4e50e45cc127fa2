// How values are shown.

/** `0x7099…79C8`: for eyes; the whole belongs beside it, in a title or a copy button. */
export function shortened(hex: string): string {
  return hex.length <= 13 ? hex : `${hex.slice(0, 6)}…${hex.slice(-4)}`;
}

/** `4:07`, or `1:04:07` from an hour on. Never below zero. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n: number): string => n.toString().padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** Day and time in the language's own form. */
export function moment(ms: number, language: string): string {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(ms);
}

/** `in 3 days`, `in 5 minutes`, `2 hours ago`. */
export function fromNow(ms: number, nowMs: number, language: string): string {
  const format = new Intl.RelativeTimeFormat(language, { numeric: "always" });
  const seconds = (ms - nowMs) / 1_000;
  const units = [["day", 86_400], ["hour", 3_600], ["minute", 60]] as const;
  const [unit, length] = units.find(([, length]) => Math.abs(seconds) >= length) ?? (["second", 1] as const);
  return format.format(Math.round(seconds / length), unit);
}
