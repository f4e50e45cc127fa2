import type { JSX } from "preact";
import { t } from "../texts";
import { ending } from "./session";

/** Why the last session ended, where there was one. */
export function Ended(): JSX.Element | null {
  const why = ending.value;
  return why === undefined ? null : <p class="notice" role="status" data-testid="ended">{t().ended[why]}</p>;
}
