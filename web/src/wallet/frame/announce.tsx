// What came of something that was done: seen, and said to those who listen, without taking the focus.
import { signal } from "@preact/signals";
import type { JSX } from "preact";

const SHOWN_MS = 15_000;

const said = signal("");
let timer: ReturnType<typeof setTimeout> | undefined;

/** Says `text`, in place of what was said before. */
export function announce(text: string): void {
  // The same text twice is a change all the same.
  said.value = said.peek() === text ? `${text}\u00a0` : text;
  clearTimeout(timer);
  timer = setTimeout(() => {
    said.value = "";
  }, SHOWN_MS);
}

export function Announcer(): JSX.Element {
  return <div role="status" data-testid="announcer">{said.value !== "" && <p class="notice good">{said.value}</p>}</div>;
}
