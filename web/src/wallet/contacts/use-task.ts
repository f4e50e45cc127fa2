import { useState } from "preact/hooks";
import { sentence } from "../errors";
import { noteError } from "../session/session";

/** Something that a button does: once at a time, with its error as a sentence. */
export interface Task {
  readonly isBusy: boolean;
  readonly error: string | undefined;
  readonly run: (work: () => Promise<void>) => void;
}

export function useTask(): Task {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  const run = (work: () => Promise<void>): void => {
    if (isBusy) return;
    setBusy(true);
    setError(undefined);
    work()
      .catch((thrown: unknown) => {
        noteError(thrown);
        setError(sentence(thrown));
      })
      .finally(() => {
        setBusy(false);
      });
  };
  return { isBusy, error, run };
}
