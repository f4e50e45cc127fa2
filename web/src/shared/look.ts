// Light, dark, or as the system has it.
import { signal } from "@preact/signals";
import { keep, kept } from "./storage";

const KEPT_AS = "otp.look";
export const LOOKS = ["system", "light", "dark"] as const;
export type Look = (typeof LOOKS)[number];

export const look = signal<Look>("system");

/** Looks as was chosen before. */
export function startLook(): void {
  const before = kept(KEPT_AS);
  choose(LOOKS.find((known) => known === before) ?? "system");
}

/** Looks so from now on. */
export function choose(chosen: Look): void {
  look.value = chosen;
  keep(KEPT_AS, chosen === "system" ? null : chosen);
  if (chosen === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = chosen;
}
