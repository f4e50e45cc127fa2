import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { moment } from "../../shared/format";
import { t, translator } from "../texts";
import type { Around } from "./around";
import { type Otp, list } from "./otps";
import { sentenceOf } from "./sentences";
import { shownOf } from "./shown";
import { timelineOf } from "./timeline";

const SHOWN = 5;

/** The last codes of the wallet; a click opens one. */
export function Codes({ around }: { readonly around: Around }): JSX.Element {
  const [otps, setOtps] = useState<readonly Otp[]>();
  const [error, setError] = useState<string>();
  useEffect(() => {
    let isCurrent = true;
    list().then(
      (own) => {
        if (isCurrent) setOtps(own.slice(0, SHOWN));
      },
      (failure: unknown) => {
        around.noteError(failure);
        if (isCurrent) setError(sentenceOf(failure));
      },
    );
    return () => {
      isCurrent = false;
    };
  }, []);
  const texts = t().code;
  if (error !== undefined) return <p class="notice bad" role="alert">{error}</p>;
  if (otps?.length === 0) return <p class="muted">{t().home.noCodes}</p>;
  return (
    <ul class="plain-list stack tight" data-testid="codes">
      {otps?.map((otp) => {
        const { ending, isComplete, steps } = timelineOf(otp);
        const last = steps.filter((step) => step.state === "done").at(-1)?.name ?? "queued";
        const shown = shownOf(otp, around.service.actions);
        const what = shown.kind === "typed" ? (shown.action?.title ?? shown.authorization.primaryType) : t().authorization.signIn;
        return (
          <li key={otp.id} class="row apart">
            <button type="button" class="quiet" onClick={() => {
              around.openCode(otp.id);
            }}>
              <span class="mono">{otp.reference}</span> {otp.purpose === "login" || shown.kind === "typed" ? what : otp.purpose}
            </button>
            <span class={`badge ${ending === undefined ? (isComplete ? "good" : "warn") : "bad"}`}>
              {ending === undefined ? texts.steps[last] : texts.ended[ending]}
            </span>
            <span class="muted small">{moment(otp.createdAt, translator.language.value)}</span>
          </li>
        );
      })}
    </ul>
  );
}
