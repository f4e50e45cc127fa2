import type { WalletTexts } from "./types";

export const de: WalletTexts = {
  shell: {
    title: "Einmalcodes",
    language: "Sprache",
  },
};
