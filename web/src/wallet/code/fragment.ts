// Takes what a link carries out of the address bar before anything else runs: main.tsx imports this first. From then on
// it is in the page's memory alone, not in the history, and not in what somebody copies from the address bar.
import { signal } from "@preact/signals";

/** The fragment that the page was opened with, or that a later link set; empty where there was none. */
export const fragment = signal(take());

addEventListener("hashchange", () => {
  const next = take();
  if (next !== "") fragment.value = next;
});

function take(): string {
  const { hash, pathname, search } = location;
  if (hash !== "") history.replaceState(history.state, "", pathname + search);
  return hash;
}
