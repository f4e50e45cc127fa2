import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { stringToHex } from "viem";
import { clock } from "../../shared/format";
import { Refusal } from "../../shared/http";
import { t } from "../texts";
import { View } from "../view";
import type { Action } from "./actions";
import { Authorizes } from "./authorizes";
import { ChainTime } from "./chain-time";
import { type Wallet, codeHash, statusOf } from "./contract";
import { type Link, type ReadLink, readLink } from "./link";
import { type IssuedTicket, ticketOf } from "./otps";
import { sentenceOf } from "./sentences";
import { type Shown, shownTyped } from "./shown";
import { Spend } from "./spend";
import { useSpending } from "./use-spending";
import { useSeconds } from "./use-request";
import "./code.css";

interface Props {
  /** As the page was opened with it; see fragment.ts. */
  readonly fragment: string;
  /** What `GET /v1/config` says of contracts. */
  readonly actions: readonly Action[];
  readonly verifier: string;
  readonly chainId: number;
  /** Connected, and on the chain. */
  readonly wallet: Wallet | undefined;
  /** What connects one. */
  readonly connect: ComponentChildren;
}

/** What a message's link opens, at either daemon. It does nothing before a click, and asks for no session. */
export function LinkView(props: Props): JSX.Element {
  const [read, setRead] = useState<ReadLink>(() => readLink(props.fragment));
  useEffect(() => {
    setRead(readLink(props.fragment));
  }, [props.fragment]);
  const texts = t().link;
  if (read.state !== "whole") {
    return (
      <View name="link" title={texts.title}>
        <p class="notice bad" role="alert" data-testid="link-broken">{read.state === "none" ? texts.none : texts[read.why]}</p>
      </View>
    );
  }
  return <Whole key={read.link.id} link={read.link} {...props} />;
}

function Whole({ link, actions, verifier, chainId, wallet, connect }: Props & { readonly link: Link }): JSX.Element {
  const [found, setFound] = useState<IssuedTicket>();
  const [isLooking, setLooking] = useState(false);
  const [error, setError] = useState<string>();
  const spending = useSpending(wallet, () => undefined);
  const time = useRef(new ChainTime());
  const texts = t().link;
  const shown = shownLink(link, actions, found);
  const action = typeof link.action === "string" ? link.action : shown.kind === "typed" ? shown.authorization.action : undefined;

  async function look(): Promise<void> {
    if (isLooking) return;
    setLooking(true);
    setError(undefined);
    try {
      const answer = await ticketOf(link.issuer, link.id);
      const isOurs = answer.chainId === chainId && answer.verifier.toLowerCase() === verifier.toLowerCase() && answer.ticket.id.toLowerCase() === link.id.toLowerCase();
      if (!isOurs) {
        setError(texts.otherContract);
        return;
      }
      // The daemon finds the ticket; how far its code has come, the contract says, or a daemon could talk people out of it.
      const status = wallet === undefined ? answer.status : await statusOf(wallet, answer.ticket);
      if (status === undefined) {
        setError(texts.notFound);
        return;
      }
      if (answer.chainTime !== undefined) time.current.sample(answer.chainTime);
      setFound({ ...answer, status });
    } catch (failure) {
      setError(failure instanceof Refusal && failure.status === 404 ? texts.notFound : sentenceOf(failure));
    } finally {
      setLooking(false);
    }
  }

  const isVerified = found?.status === "verified" || spending.isVerified;
  const isOver = found !== undefined && ["expired", "consumed", "revoked"].includes(found.status) && !spending.isVerified;
  const atHand = found && action && { ticket: found.ticket, code: link.code, codeHash: codeHash(link.code), action };
  return (
    <View name={spending.isSpent ? "done" : "link"} title={texts.title}>
      {found === undefined && <p>{texts.text}</p>}
      <Authorizes shown={shown} account={wallet?.account} />
      {!isOver && !isVerified && shown.kind !== "refused" && (
        <div class="notice warn stack tight" data-testid="only-asked">
          {shown.kind === "sign-in" && <p>{texts.signsIn}</p>}
          <p>{texts.onlyAsked}</p>
        </div>
      )}
      <section class="card stack">
        {shown.kind !== "refused" && wallet === undefined && <><p>{texts.connect}</p>{connect}</>}
        {shown.kind !== "refused" && wallet !== undefined && found === undefined && (
          <div class="row">
            <button type="button" class="primary" aria-disabled={isLooking} onClick={() => void look()}>{isLooking ? texts.looking : texts.show}</button>
          </div>
        )}
        <p class={error === undefined ? "unseen" : "notice bad"} role="alert">{error}</p>
        {found !== undefined && found.status !== "issued" && !spending.isSpent && (
          <p class={isOver ? "notice bad" : "notice"} data-testid="link-status">{texts.status[found.status]}</p>
        )}
        {found !== undefined && wallet !== undefined && !isOver && !spending.isSpent && (
          <>
            <Spend shown={shown} spending={spending} isVerified={isVerified} atHand={atHand} onSponsored={undefined} />
            {!isVerified && <Expires expiry={found.expiry} time={time.current} />}
          </>
        )}
        {spending.isSpent && (
          <p class="notice good" role="status" data-testid="done">
            {t().code.doneAction(shown.kind === "typed" ? (shown.action?.title ?? shown.authorization.primaryType) : t().authorization.signIn)}
          </p>
        )}
      </section>
    </View>
  );
}

/** A sign-in has no payload in its link; that it is one, the chain says by the ticket's purpose. */
function shownLink(link: Link, actions: readonly Action[], found: IssuedTicket | undefined): Shown {
  if (typeof link.action !== "string") return shownTyped(link.action, actions);
  const isSignIn = found?.ticket.purpose.toLowerCase() === stringToHex("login", { size: 32 });
  return isSignIn ? { kind: "sign-in", origin: "" } : { kind: "blind", action: link.action };
}

function Expires({ expiry, time }: { readonly expiry: number; readonly time: ChainTime }): JSX.Element {
  useSeconds(true);
  const left = time.secondsUntil(expiry);
  return <p class="muted small">{t().code.expiresIn} <span role="timer" class="digits">{left === undefined ? "…" : clock(left)}</span></p>;
}
