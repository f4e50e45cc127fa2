import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { announce } from "../frame/announce";
import { t } from "../texts";
import { deleteAccount } from "./contacts";
import { useTask } from "./use-task";

/** The account's deletion, asked for twice, since there is no way back but within its delay. */
export function DeleteAccount(): JSX.Element {
  const [isAsked, setAsked] = useState(false);
  const { isBusy, error, run } = useTask();
  const texts = t().account;
  const erase = (): void => {
    run(async () => {
      await deleteAccount();
      setAsked(false);
      announce(texts.waits);
    });
  };
  return (
    <section class="card stack" aria-labelledby="delete-account">
      <h2 id="delete-account">{texts.title}</h2>
      <p>{texts.text}</p>
      {isAsked ? (
        <div class="notice bad stack">
          <p role="alert">{texts.sure}</p>
          <div class="row">
            <button type="button" class="danger" aria-disabled={isBusy} onClick={erase}>{texts.yes}</button>
            <button type="button" onClick={() => {
              setAsked(false);
            }}>{texts.no}</button>
          </div>
        </div>
      ) : (
        <div><button type="button" class="danger" onClick={() => {
          setAsked(true);
        }}>{texts.start}</button></div>
      )}
      {error !== undefined && <p class="notice bad" role="alert">{error}</p>}
    </section>
  );
}
