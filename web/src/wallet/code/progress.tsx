import type { JSX } from "preact";
import { clock, moment, shortened } from "../../shared/format";
import { t, translator } from "../texts";
import type { ChainTime } from "./chain-time";
import type { Progress } from "./contract";
import type { Otp } from "./otps";
import { type Timeline, timelineOf } from "./timeline";
import { useSeconds } from "./use-request";

/** How far a request is, what it waits for, and what tells it from others. */
export function RequestProgress({ otp, time }: { readonly otp: Otp; readonly time: ChainTime }): JSX.Element {
  const texts = t().code;
  const timeline = timelineOf(otp);
  return (
    <section class="card stack" aria-labelledby="progress">
      <h2 id="progress">{texts.progress}</h2>
      <Steps timeline={timeline} />
      <dl class="facts">
        <dt>{texts.reference}</dt>
        <dd><strong class="mono" data-testid="reference">{otp.reference}</strong></dd>
        <dt>{texts.sentTo}</dt>
        <dd><bdi>{otp.delivery.masked}</bdi></dd>
        {otp.expiry !== undefined && !timeline.isComplete && timeline.ending === undefined && <Expiry expiry={otp.expiry} time={time} />}
        {otp.attemptsLeft !== undefined && timeline.ending === undefined && !timeline.isComplete && (
          <>
            <dt>{texts.attempts}</dt>
            <dd class="digits" data-testid="attempts">{otp.attemptsLeft}</dd>
          </>
        )}
        {otp.txHash !== undefined && (
          <>
            <dt>{texts.transaction}</dt>
            <dd><code title={otp.txHash}>{shortened(otp.txHash)}</code></dd>
          </>
        )}
        {otp.blockNumber !== undefined && (
          <>
            <dt>{texts.block}</dt>
            <dd class="digits">{otp.blockNumber}</dd>
          </>
        )}
        {otp.serial !== undefined && (
          <>
            <dt>{texts.serial}</dt>
            <dd class="digits">{otp.serial}</dd>
          </>
        )}
      </dl>
      <p class="hint">{texts.referenceHint}</p>
    </section>
  );
}

function Steps({ timeline }: { readonly timeline: Timeline }): JSX.Element {
  const texts = t().code;
  return (
    <ol class="timeline plain-list">
      {timeline.steps.map((step) => (
        <li key={step.name} class={step.state} {...(step.state === "waiting" ? { "aria-current": "step" as const } : {})} data-step={step.name} data-state={step.state}>
          <span class="step-name">{texts.steps[step.name]}</span>
          <span class="step-what muted small">
            {step.at !== undefined && moment(step.at, translator.language.value)}
            {step.state === "waiting" && texts.waiting[step.name]}
            {step.state === "skipped" && texts.skipped}
          </span>
        </li>
      ))}
    </ol>
  );
}

function Expiry({ expiry, time }: { readonly expiry: number; readonly time: ChainTime }): JSX.Element {
  useSeconds(true);
  const left = time.secondsUntil(expiry);
  return (
    <>
      <dt>{t().code.expiresIn}</dt>
      <dd><span role="timer" class="digits" data-testid="expires-in">{left === undefined ? "…" : clock(left)}</span></dd>
    </>
  );
}

/** What a transaction is doing, for eyes. The live region of the view says it to ears. */
export function progressText(progress: Progress | "sending" | undefined): string {
  const texts = t().verify;
  if (progress === undefined) return "";
  if (progress === "sending") return texts.sending;
  switch (progress.state) {
    case "checking":
      return texts.checking;
    case "signing":
      return texts.signing;
    case "pending":
      return progress.isReplacement ? texts.replaced : texts.pending;
    case "mined":
      return texts.mined;
  }
}

export function Transaction({ progress }: { readonly progress: Progress | "sending" | undefined }): JSX.Element {
  const hash = progress !== undefined && progress !== "sending" && "hash" in progress ? progress.hash : undefined;
  return (
    <p role="status" class={progress === undefined ? "unseen" : "notice"} data-testid="transaction">
      {progressText(progress)}
      {hash !== undefined && <>{" "}<code title={hash}>{shortened(hash)}</code></>}
    </p>
  );
}
