// The texts of the wallet page. A section per view; `t()` in a component speaks the language that is chosen, and the
// component is drawn anew when another one is.
import { createTranslator } from "../../shared/i18n";
import { en } from "./en";
import type { WalletTexts } from "./types";

export const LANGUAGES = {
  en: { name: "English", dir: "ltr", load: () => Promise.resolve(en) },
  de: { name: "Deutsch", dir: "ltr", load: async () => (await import("./de")).de },
} as const;

export const translator = createTranslator<keyof typeof LANGUAGES, WalletTexts>(LANGUAGES, "en", en);

/** The texts of the language that is spoken now. */
export function t(): WalletTexts {
  return translator.texts.value;
}


