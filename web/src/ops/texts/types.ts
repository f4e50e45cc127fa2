import type { Texts } from "../../shared/i18n";
import type { en } from "./en";

/** What every language has. */
export type OpsTexts = Texts<typeof en>;
