// Messages that arrived in this browser while somebody is signed in: asked for every few seconds where the browser holds a
// key, opened, and kept in memory alone.
import { type ReadonlySignal, signal } from "@preact/signals";
import { type Message, fetchMessages, keys } from "./inapp";

const EVERY_MS = 3_000;
const LONGEST_MS = 60_000;
/** The last so many. */
const MOST = 50;

const arrived = signal<readonly Message[]>([]);

/** Oldest first. */
export const inbox: ReadonlySignal<readonly Message[]> = arrived;

/** The newest digits that prove a contact of this browser. */
export function confirmationFor(messages: readonly Message[], contactId: string): string | undefined {
  return messages.findLast((message) => message.type === "contact-confirmation" && message.contactId === contactId)?.digits;
}

/** The digits of a code. Its reference says which of two codes is meant, and its id on the chain that it is this account's. */
export function digitsFor(messages: readonly Message[], reference: string, onChainId: string | undefined): string | undefined {
  const isOf = ({ type, code }: Message): boolean =>
    type === "code" && code?.reference === reference && (onChainId === undefined || code.onChainId.toLowerCase() === onChainId.toLowerCase());
  return messages.findLast(isOf)?.digits;
}

/** Asks for messages until the returned function is called, which also forgets them. */
export function watchInbox(noteError: (error: unknown) => void): () => void {
  const leaving = new AbortController();
  const { signal: leave } = leaving;
  let next = 0;
  let waitMs = EVERY_MS;
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function look(): Promise<void> {
    if (document.visibilityState === "visible" && (await keys()).length > 0) {
      const page = await fetchMessages(next, leave);
      if (leave.aborted) return;
      next = page.next;
      if (page.messages.length > 0) arrived.value = [...arrived.value, ...page.messages].slice(-MOST);
    }
    waitMs = EVERY_MS;
  }
  function again(): void {
    look()
      .catch((error: unknown) => {
        if (leave.aborted) return;
        waitMs = Math.min(LONGEST_MS, 2 * waitMs);
        noteError(error);
      })
      .finally(() => {
        if (!leave.aborted) timer = setTimeout(again, waitMs);
      });
  }
  again();
  return () => {
    leaving.abort();
    clearTimeout(timer);
    arrived.value = [];
  };
}
