import type { JSX } from "preact";
import { t } from "../texts";
import { Transaction } from "./progress";
import type { Shown } from "./shown";
import { type AtHand, type Spending, isInOne } from "./use-spending";

interface Props {
  readonly shown: Shown;
  readonly spending: Spending;
  /** The chain says that it is verified. */
  readonly isVerified: boolean;
  readonly atHand: AtHand | undefined;
  /** Where the relayer pays. */
  readonly onSponsored: (() => void) | undefined;
}

/** The wallet's part: verify, and then what the code is for; or both in one, where the contract does so. */
export function Spend({ shown, spending, isVerified, atHand, onSponsored }: Props): JSX.Element {
  const texts = t().verify;
  const action = shown.kind === "typed" ? shown.action : undefined;
  const canVerify = atHand?.code !== undefined && shown.kind !== "refused";
  const canSpend = atHand !== undefined && action !== undefined && shown.kind === "typed";
  const spend = (): void => {
    if (canSpend) spending.spend(atHand, action, shown.authorization);
  };
  const inOne = !isVerified && isInOne(action);
  return (
    <div class="stack">
      <p>{isVerified ? (action === undefined ? texts.elsewhere : texts.actionText) : inOne ? texts.oneStepText : texts.text}</p>
      {isVerified && action !== undefined && !canSpend && <p class="notice warn">{texts.lost}</p>}
      <p class={spending.error === undefined ? "unseen" : "notice bad"} role="alert">{spending.error}</p>
      <div class="row">
        {!isVerified && !inOne && (
          <button type="button" class="primary" aria-disabled={spending.isBusy || !canVerify} onClick={() => {
            if (canVerify) spending.verify(atHand);
          }}>
            {texts.button}
          </button>
        )}
        {!isVerified && !inOne && onSponsored !== undefined && (
          <button type="button" aria-disabled={spending.isBusy || !canVerify} onClick={() => {
            if (canVerify) onSponsored();
          }}>
            {texts.sponsoredButton}
          </button>
        )}
        {(isVerified || inOne) && canSpend && (
          <button type="button" class="primary" aria-disabled={spending.isBusy} onClick={spend}>{action.title}</button>
        )}
      </div>
      {!isVerified && !inOne && onSponsored !== undefined && <p class="hint">{texts.sponsoredHint}</p>}
      <Transaction progress={spending.progress} />
    </div>
  );
}
