// The last steps of a code: verified by the wallet, or by the relayer with the wallet's signature, and then spent by the
// contract that it is for.
import { useEffect, useRef, useState } from "preact/hooks";
import { type Action, isOneStep } from "./actions";
import type { Authorization } from "./authorization";
import { CallFailed, type Progress, STATUS, type Wallet, actionCall, reached, send, signVerification, verifyCall } from "./contract";
import { type Ticket, sponsor } from "./otps";
import { sentenceOf } from "./sentences";

/** A code at hand. Without `code` it can be spent only where it is verified already. */
export interface AtHand {
  readonly ticket: Ticket;
  readonly codeHash: `0x${string}`;
  readonly code: string | undefined;
  readonly action: `0x${string}`;
}

export interface Spending {
  readonly progress: Progress | "sending" | undefined;
  readonly error: string | undefined;
  /** Between a click and its outcome. */
  readonly isBusy: boolean;
  /** The wallet's transaction verified it, or somebody's did before. */
  readonly isVerified: boolean;
  /** The contract has done what the code is for. */
  readonly isSpent: boolean;
  readonly verify: (atHand: AtHand) => void;
  readonly verifySponsored: (atHand: AtHand, requestId: string, expiryMs: number) => void;
  readonly spend: (atHand: AtHand, action: Action, authorization: Authorization) => void;
}

/** `isVerifiedOnChain`: by what the daemon says, where it is asked; it may know sooner than the wallet's node. */
export function useSpending(wallet: Wallet | undefined, noteError: (error: unknown) => void, isVerifiedOnChain = false): Spending {
  const [progress, setProgress] = useState<Progress | "sending">();
  const [error, setError] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const [isVerified, setVerified] = useState(false);
  const [isSpent, setSpent] = useState(false);
  const leaving = useRef(new AbortController());
  const isUnderWay = useRef(false);
  const chainSays = useRef<() => void>(() => undefined);
  useEffect(() => {
    leaving.current = new AbortController();
    return () => {
      leaving.current.abort();
    };
  }, []);

  useEffect(() => {
    if (!isVerifiedOnChain) return;
    chainSays.current();
    if (!isUnderWay.current) setProgress(undefined);
  }, [isVerifiedOnChain]);

  /** One thing at a time: a second click while the wallet asks sends nothing twice. */
  const during = (act: (wallet: Wallet, signal: AbortSignal) => Promise<void>, action?: Action): void => {
    if (isUnderWay.current || wallet === undefined) return;
    const { signal } = leaving.current;
    isUnderWay.current = true;
    setBusy(true);
    setError(undefined);
    act(wallet, signal)
      .catch((failure: unknown) => {
        if (signal.aborted) return;
        setProgress(undefined);
        noteError(failure);
        setError(sentenceOf(failure, action));
      })
      .finally(() => {
        isUnderWay.current = false;
        setBusy(false);
      });
  };

  return {
    progress,
    error,
    isBusy,
    isVerified,
    isSpent,
    verify({ ticket, action, code = "" }) {
      during(async (wallet, signal) => {
        const told = new Promise<void>((resolve) => {
          chainSays.current = resolve;
        });
        const done = async (): Promise<void> => {
          const hash = await send(wallet, verifyCall(wallet, ticket, action, code), setProgress, signal);
          await reached(wallet, ticket, STATUS.verified, hash, signal);
        };
        await Promise.race([orUsed(done()), told]);
        setProgress(undefined);
        setVerified(true);
      });
    },
    verifySponsored({ ticket, action, code = "" }, requestId, expiryMs) {
      during(async (wallet) => {
        const deadline = Math.floor(expiryMs / 1_000);
        setProgress({ state: "signing" });
        const signature = await signVerification(wallet, ticket, action, code, deadline);
        setProgress("sending");
        const hash = await sponsor(requestId, { code, deadline, signature });
        // The relayer sends it anew where it must: that it is verified, the request's own story tells.
        setProgress({ state: "pending", hash, isReplacement: false });
      });
    },
    spend({ ticket, codeHash, code = "" }, action, authorization) {
      during(async (wallet, signal) => {
        const hash = await send(wallet, actionCall(action, authorization, { ticket, codeHash, code }), setProgress, signal);
        await reached(wallet, ticket, STATUS.consumed, hash, signal);
        setProgress(undefined);
        setVerified(true);
        setSpent(true);
      }, action);
    },
  };
}

/** That it was verified already is what was wanted: after a sped-up or repeated transaction, or another tab's. */
async function orUsed(sent: Promise<unknown>): Promise<void> {
  try {
    await sent;
  } catch (error) {
    if (!(error instanceof CallFailed && error.failure.kind === "reverted" && error.failure.error === "OtpUsed")) throw error;
  }
}

/** Whether a contract verifies and spends a code in one step. */
export function isInOne(action: Action | undefined): action is Action {
  return action !== undefined && isOneStep(action);
}
