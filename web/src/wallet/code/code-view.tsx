import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Message } from "../inapp";
import { digitsFor } from "../inbox";
import { t } from "../texts";
import { View } from "../view";
import { Another } from "./another";
import type { Around } from "./around";
import { Authorizes } from "./authorizes";
import { Enter } from "./enter";
import { forgetSpendable, keepSpendable, keptSpendable } from "./kept-spendable";
import type { Otp, Unlocked } from "./otps";
import { RequestProgress } from "./progress";
import { shownOf } from "./shown";
import { Spend } from "./spend";
import { takesDigits, timelineOf } from "./timeline";
import { type AtHand, type Spending, useSpending } from "./use-spending";
import { useRequest } from "./use-request";
import "./code.css";

interface Props {
  readonly id: string;
  readonly around: Around;
  /** Opened in this browser. */
  readonly messages: readonly Message[];
}

/** A code, from the request to what it is for. A reload comes back to where the chain and the relayer say it is. */
export function CodeView({ id, around, messages }: Props): JSX.Element {
  const { otp, isInContact, isMissing, time, refresh } = useRequest(id, around.noteError);
  const [unlocked, setUnlocked] = useState<Unlocked>();
  const spending = useSpending(around.wallet, around.noteError, otp?.status === "verified");
  const texts = t().code;
  const isOver = otp !== undefined && (timelineOf(otp).isComplete || timelineOf(otp).ending !== undefined);
  useEffect(() => {
    if (isOver) forgetSpendable(id);
  }, [isOver]);

  const hasMoved = unlocked !== undefined || spending.isVerified || spending.isSpent;
  useEffect(() => {
    if (hasMoved) refresh();
  }, [unlocked, spending.isVerified, spending.isSpent]);

  if (otp === undefined) {
    return (
      <View name="code" title={t().newCode.title}>
        <p role="status">{isMissing ? texts.missing : isInContact ? texts.loading : texts.offline}</p>
        <button type="button" onClick={around.openForm}>{texts.back}</button>
      </View>
    );
  }
  const shown = shownOf(otp, around.service.actions);
  const phase = phaseOf(otp, unlocked, spending);
  const arrived = digitsFor(messages, otp.reference, otp.onChainId);
  const atHand = unlocked ?? keptAtHand(otp);
  const onUnlocked = (it: Unlocked): void => {
    keepSpendable(id, it);
    setUnlocked(it);
  };
  return (
    <View name={phase} title={texts.title(otp.reference)}>
      <p role="status" class={isInContact ? "unseen" : "notice warn"}>{isInContact ? statusText(otp) : texts.offline}</p>
      <div class="code-columns">
        <div class="stack">
          {phase === "enter" && shown.kind !== "refused" && (
            <section class="card"><EnterOr otp={otp} arrived={arrived} onUnlocked={onUnlocked} noteError={(error) => {
              refresh();
              around.noteError(error);
            }} /></section>
          )}
          {phase === "verify" && (
            <section class="card stack">
              <h2>{t().verify.title}</h2>
              <Spend
                shown={shown}
                spending={spending}
                isVerified={otp.status === "verified" || spending.isVerified}
                atHand={atHand}
                onSponsored={around.service.sponsoring && unlocked !== undefined ? () => {
                  spending.verifySponsored(unlocked, id, unlocked.expiry);
                } : undefined}
              />
            </section>
          )}
          {phase === "done" && <Done otp={otp} title={shown.kind === "typed" ? shown.action?.title : undefined} again={around.openForm} />}
          {phase === "ended" && <Ended otp={otp} />}
          <Authorizes shown={shown} account={around.wallet.account} />
          {phase !== "done" && phase !== "verify" && <Another otp={otp} around={around} time={time} />}
        </div>
        <RequestProgress otp={otp} time={time} />
      </div>
    </View>
  );
}

type Phase = "code" | "enter" | "verify" | "done" | "ended";

function phaseOf(otp: Otp, unlocked: Unlocked | undefined, spending: Spending): Phase {
  const timeline = timelineOf(otp);
  if (timeline.isComplete || spending.isSpent) return "done";
  if (timeline.ending !== undefined) return "ended";
  if (otp.status === "verified" || spending.isVerified || unlocked !== undefined) return "verify";
  return takesDigits(otp) ? "enter" : "code";
}

function keptAtHand(otp: Otp): AtHand | undefined {
  const kept = keptSpendable(otp.id);
  return kept === undefined ? undefined : { ...kept, code: undefined, action: otp.action };
}

/** What ears are told when the request goes on. */
function statusText(otp: Otp): string {
  const texts = t().code;
  const { steps, ending, isComplete } = timelineOf(otp);
  if (isComplete) return texts.done;
  if (ending !== undefined) return texts.endings[ending];
  const waiting = steps.find((step) => step.state === "waiting");
  return waiting === undefined ? "" : texts.waiting[waiting.name];
}

function EnterOr(props: Parameters<typeof Enter>[0]): JSX.Element {
  // Only the session that asked has attempts.
  return props.otp.attemptsLeft === undefined ? <p class="notice warn">{t().enter.otherSession}</p> : <Enter {...props} />;
}

function Done({ otp, title, again }: { readonly otp: Otp; readonly title: string | undefined; readonly again: () => void }): JSX.Element {
  const texts = t().code;
  const told = otp.purpose === "login" ? texts.doneSignIn : title === undefined ? texts.doneOther : texts.doneAction(title);
  return (
    <section class="card stack">
      <h2>{texts.done}</h2>
      <p class="notice good" data-testid="done">{told}</p>
      <div class="row"><button type="button" onClick={again}>{texts.newOne}</button></div>
    </section>
  );
}

function Ended({ otp }: { readonly otp: Otp }): JSX.Element {
  const texts = t().code;
  const { ending } = timelineOf(otp);
  return (
    <section class="card stack">
      <p class="notice bad" data-testid="ending">{ending === undefined ? "" : texts.endings[ending]}</p>
      {otp.failure !== undefined && <p class="muted small">{texts.why(otp.failure)}</p>}
    </section>
  );
}
