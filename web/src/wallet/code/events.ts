// A request's changes of status as they happen: the stream of `GET /v1/otps/{id}/events`, which is resumed where it
// broke, and looks at `GET /v1/otps/{id}` where there is no stream (a proxy that buffers, too many tabs).
import * as v from "valibot";
import { BadAnswer, Refusal, open } from "../../shared/http";
import { type Otp, OtpShape, type Status, isOver, show } from "./otps";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const LOOK_EVERY_MS = 10_000;
/** What one event may weigh; an answer's own limit is higher. */
const MOST_CHARACTERS = 64 * 1024;

/** An event of a stream, as WHATWG HTML 9.2 has it, without the fields that nobody here needs. */
export interface ServerEvent {
  readonly type: string;
  readonly id: string;
  readonly data: string;
}

/** Cuts a stream of text into events. */
export class EventParser {
  #rest = "";
  #type = "";
  #id = "";
  #data: string[] = [];

  /** What is whole by now. Throws `BadAnswer` where an event is too big. */
  push(text: string): ServerEvent[] {
    this.#rest += text;
    const events: ServerEvent[] = [];
    for (let end = this.#lineEnd(); end !== undefined; end = this.#lineEnd()) {
      const line = this.#rest.slice(0, end.at);
      this.#rest = this.#rest.slice(end.next);
      this.#line(line, events);
    }
    const size = this.#rest.length + this.#data.reduce((sum, line) => sum + line.length, 0);
    if (size > MOST_CHARACTERS) throw new BadAnswer("an event is too big");
    return events;
  }

  #lineEnd(): { at: number; next: number } | undefined {
    const at = this.#rest.search(/[\r\n]/);
    if (at < 0) return undefined;
    // A CR at the end may be half of a CRLF.
    if (this.#rest[at] === "\r" && at === this.#rest.length - 1) return undefined;
    return { at, next: at + (this.#rest.startsWith("\r\n", at) ? 2 : 1) };
  }

  #line(line: string, events: ServerEvent[]): void {
    if (line === "") {
      if (this.#data.length > 0) events.push({ type: this.#type || "message", id: this.#id, data: this.#data.join("\n") });
      this.#type = "";
      this.#data = [];
      return;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#type = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
  }
}

/** What whoever follows is told. */
export interface Follower {
  /** The request as it stands. */
  readonly news: (otp: Otp) => void;
  /** Whether there is contact with the daemon. */
  readonly contact: (isThere: boolean) => void;
}

/** What following needs of the world; tests bring their own. */
export interface Sources {
  readonly open: (path: string, lastEventId: string, signal: AbortSignal) => Promise<AsyncIterable<string> | undefined>;
  readonly show: (id: string, signal: AbortSignal) => Promise<Otp>;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/**
 * Follows a request until it is over or `signal` aborts. Rejects with a `Refusal` that waiting does not mend (401, 403,
 * 404); whatever else fails is tried again.
 */
export async function follow(id: string, follower: Follower, signal: AbortSignal, sources: Sources = LIVE): Promise<void> {
  let last: Status | undefined;
  let isDone = false;
  const tell = (otp: Otp): void => {
    follower.contact(true);
    last = otp.status;
    isDone ||= isOver(otp.status);
    follower.news(otp);
  };
  const done = new AbortController();
  const both = AbortSignal.any([signal, done.signal]);
  const stop = (): boolean => isDone || both.aborted;
  const streaming = persist(both, stop, sources, follower, async () => {
    const events = await sources.open(`v1/otps/${id}/events`, last ?? "", both);
    // Over, and all was told: where that is news, looking tells it.
    if (events === undefined) tell(await sources.show(id, both));
    else await readEvents(events, id, tell);
  });
  // Beside the stream: what it holds back is seen all the same, and the chain's time stays fresh.
  const looking = persist(both, stop, sources, follower, async () => {
    tell(await sources.show(id, both));
    await sources.sleep(LOOK_EVERY_MS, both);
  });
  try {
    await Promise.race([streaming, looking]);
  } finally {
    done.abort();
  }
}

async function readEvents(events: AsyncIterable<string>, id: string, tell: (otp: Otp) => void): Promise<void> {
  const parser = new EventParser();
  for await (const text of events) {
    for (const event of parser.push(text)) {
      if (event.type !== "status") continue;
      const read = v.safeParse(OtpShape, parsed(event.data));
      if (!read.success || read.output.id !== id) throw new BadAnswer("an event has another shape");
      tell(read.output);
    }
  }
}

/** Does `attempt` again and again, with growing pauses after those that failed. */
async function persist(
  signal: AbortSignal,
  stop: () => boolean,
  sources: Sources,
  follower: Follower,
  attempt: () => Promise<void>,
): Promise<void> {
  let waitMs = FIRST_WAIT_MS;
  while (!stop()) {
    try {
      await attempt();
      waitMs = FIRST_WAIT_MS;
    } catch (error) {
      if (stop()) return;
      if (error instanceof Refusal && [401, 403, 404].includes(error.status)) throw error;
      follower.contact(false);
      waitMs = Math.min(LONGEST_WAIT_MS, waitMs * 2);
      if (error instanceof Refusal && error.retryAfterSeconds !== undefined) {
        waitMs = Math.max(waitMs, Math.min(60, error.retryAfterSeconds) * 1_000);
      }
    }
    if (!stop()) await sources.sleep(waitMs, signal);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const LIVE: Sources = {
  async open(path, lastEventId, signal) {
    const headers: Record<string, string> = lastEventId === "" ? {} : { "last-event-id": lastEventId };
    const response = await open(path, "text/event-stream", { signal, headers });
    if (response.status === 204 || response.body === null) return undefined;
    return texts(response.body);
  },
  show,
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      const timer = setTimeout(end, ms);
      signal.addEventListener("abort", end, { once: true });
      function end(): void {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        resolve();
      }
    }),
};

async function* texts(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      yield decoder.decode(read.value, { stream: true });
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
