// The texts of the page for operators and auditors, as the wallet page has its own.
import { createTranslator } from "../../shared/i18n";
import { en } from "./en";
import type { OpsTexts } from "./types";

export const LANGUAGES = {
  en: { name: "English", dir: "ltr", load: () => Promise.resolve(en) },
  de: { name: "Deutsch", dir: "ltr", load: async () => (await import("./de")).de },
} as const;

export const translator = createTranslator<keyof typeof LANGUAGES, OpsTexts>(LANGUAGES, "en", en);

/** The texts of the language that is spoken now. */
export function t(): OpsTexts {
  return translator.texts.value;
}
