// Answers that are asked for again and again while somebody looks.
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import type * as v from "valibot";
import { ask } from "./daemon";

/** How often, in milliseconds; the indexer makes its figures anew every five seconds. */
const EVERY_MS = 10_000;

/** Whether answers are asked for again by themselves. */
export const isLive = signal(true);
/** Counts up when somebody wants to see what is now. */
export const wanted = signal(0);

/** What is known: the last answer, and what went wrong since. */
export interface Known<T> {
  readonly value: T | undefined;
  readonly error: unknown;
  /** Of which path the value is: another one's is not shown in its place. */
  readonly path: string;
}

/** Asks `path` now, when it changes, and again while the page is seen. An answer stays where a later one fails. */
export function useLive<S extends v.GenericSchema>(path: string, shape: S): Known<v.InferOutput<S>> {
  const [known, setKnown] = useState<Known<v.InferOutput<S>>>({ value: undefined, error: undefined, path });
  const asked = wanted.value;
  const live = isLive.value;
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    async function look(): Promise<void> {
      try {
        if (document.visibilityState === "visible") {
          const value = await ask(path, shape, { signal: stop.signal });
          setKnown({ value, error: undefined, path });
        }
      } catch (error) {
        if (stop.signal.aborted) return;
        setKnown((before) => ({ value: before.path === path ? before.value : undefined, error, path }));
      }
      // The effect's own cleanup may have come meanwhile.
      if (stop.signal.aborted || !live) return;
      timer = setTimeout(() => {
        void look();
      }, EVERY_MS);
    }
    void look();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [path, shape, live, asked]);
  return known.path === path ? known : { value: undefined, error: undefined, path };
}
