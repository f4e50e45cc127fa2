import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { t } from "../texts";

/** A webhook's secret: shown once, and kept nowhere by the page. */
export function Secret({ secret, onDone }: { readonly secret: string; readonly onDone: () => void }): JSX.Element {
  const [isCopied, setCopied] = useState(false);
  const texts = t().contacts;
  return (
    <section class="notice good stack" aria-labelledby="secret">
      <h2 id="secret">{texts.secretTitle}</h2>
      <p>{texts.secretText}</p>
      <p class="mono" data-testid="signing-secret">{secret}</p>
      <div class="row">
        <button type="button" onClick={() => {
          navigator.clipboard.writeText(secret).then(() => {
            setCopied(true);
          }, () => undefined);
        }}>{texts.copy}</button>
        <button type="button" onClick={onDone}>{texts.done}</button>
        <span role="status">{isCopied ? texts.copied : ""}</span>
      </div>
    </section>
  );
}
