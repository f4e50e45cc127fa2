// What is said to those who listen, when nothing on the page takes the focus.
import { signal } from "@preact/signals";
import type { JSX } from "preact";

const said = signal("");

/** Says `text`, after what is being said. */
export function announce(text: string): void {
  // The same text twice is a change all the same.
  said.value = said.peek() === text ? `${text}\u00a0` : text;
}

export function Announcer(): JSX.Element {
  return <p class="unseen" role="status" aria-live="polite" data-testid="announcer">{said.value}</p>;
}
