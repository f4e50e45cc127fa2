// Calls to the daemon that served the page. What comes back is bounded, in time and in size, and has a known shape before
// anything else sees it; what is refused comes back as one of three errors.
import * as v from "valibot";
import { visible } from "./visible";

/** What an answer may weigh. */
const MOST_BYTES = 2 * 1024 * 1024;
/** How long an answer may take, in all. */
const WITHIN_MS = 20_000;

const ProblemShape = v.looseObject({
  type: v.pipe(v.string(), v.regex(/^\/problems\/[a-z0-9-]{1,64}$/)),
  title: v.pipe(v.string(), v.maxLength(200)),
  detail: v.optional(v.pipe(v.string(), v.maxLength(2_000), v.transform(visible)), ""),
  requestId: v.optional(v.pipe(v.string(), v.maxLength(64), v.transform(visible)), ""),
});

/** The daemon refused: RFC 9457's problem, or a status alone where something before the daemon answered. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  /** `/problems/<slug>`; empty where there was no problem in the answer. */
  readonly slug: string;
  readonly status: number;
  /** In English, of the daemon: text, to be shown as text. */
  readonly detail: string;
  readonly requestId: string;
  /** `Retry-After`, where it was given in seconds. */
  readonly retryAfterSeconds: number | undefined;
  /** All members of the problem: read with a shape. */
  readonly members: Readonly<Record<string, unknown>>;

  constructor(status: number, retryAfterSeconds: number | undefined, problem: unknown) {
    const read = v.safeParse(ProblemShape, problem);
    const slug = read.success ? read.output.type.slice("/problems/".length) : "";
    super(`the daemon answered ${status} ${slug}`);
    this.status = status;
    this.slug = slug;
    this.retryAfterSeconds = retryAfterSeconds;
    this.detail = read.success ? read.output.detail : "";
    this.requestId = read.success ? read.output.requestId : "";
    this.members = read.success ? read.output : {};
  }

  /** A number among the problem's members, as `attemptsLeft`. */
  count(name: string): number | undefined {
    const value = this.members[name];
    return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  }
}

/** No answer came: no connection, or not in time. What was asked may have been done. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
  readonly why: "offline" | "timeout";

  constructor(why: "offline" | "timeout", cause?: unknown) {
    super(`no answer: ${why}`, { cause });
    this.why = why;
  }
}

/** An answer came that no daemon of ours gives: too big, not JSON, or of another shape. */
export class BadAnswer extends Error {
  override readonly name = "BadAnswer";
}

/** What a call may say. */
export interface CallOptions {
  readonly method?: "GET" | "POST" | "DELETE";
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Aborts the call: the promise is then rejected with the signal's reason. */
  readonly signal?: AbortSignal;
  readonly withinMs?: number;
  /** Another place than below the page, for a page that is told where the other daemon is. */
  readonly base?: string;
}

/** Adds headers to each call, such as a proof of the device's key; given the method and the whole URL. */
export type Decorate = (method: string, url: URL) => Promise<Readonly<Record<string, string>>>;

let aheadMs = 0;

/** The daemon's time, by the last answer's `Date`: good to a second. The browser's own clock may be wrong by hours. */
export function serverNow(): number {
  return Date.now() + aheadMs;
}

function noteTime(response: Response): void {
  const told = Date.parse(response.headers.get("date") ?? "");
  if (Number.isFinite(told)) aheadMs = told - Date.now();
}

let decorate: Decorate = () => Promise.resolve({});

/** Sets what is added to each call from now on. */
export function decorateCalls(by: Decorate): void {
  decorate = by;
}

/**
 * Calls `path` (relative, as `v1/config`) and reads the answer by `shape`; an answer without a body is `undefined` to it.
 *
 * Throws `Refusal`, `NoAnswer` or `BadAnswer`, or the reason of an aborted `signal`.
 */
export async function call<S extends v.GenericSchema>(
  path: string,
  shape: S,
  options: CallOptions = {},
): Promise<v.InferOutput<S>> {
  const response = await send(path, options, "application/json");
  const value = await readJson(response);
  if (!response.ok) {
    throw new Refusal(response.status, retryAfter(response), value instanceof BadAnswer ? undefined : value);
  }
  if (value instanceof BadAnswer) throw value;
  const read = v.safeParse(shape, value);
  if (!read.success) throw new BadAnswer(`an answer to ${path} has another shape: ${v.getDotPath(read.issues[0]) ?? "all"}`);
  return read.output;
}

/**
 * Opens `path` as a stream: the answer is returned once its headers are there, and its body is the caller's to read and to
 * bound. `signal` ends it.
 */
export async function open(path: string, accept: string, options: CallOptions & { signal: AbortSignal }): Promise<Response> {
  const response = await send(path, options, accept);
  if (response.ok) return response;
  const value = await readJson(response);
  throw new Refusal(response.status, retryAfter(response), value instanceof BadAnswer ? undefined : value);
}

async function send(path: string, options: CallOptions, accept: string): Promise<Response> {
  const method = options.method ?? "GET";
  const url = new URL(path, options.base ?? new URL("./", location.href));
  const isStream = accept !== "application/json";
  // A stream lives as long as its reader wants; its headers have the same time as any answer.
  const late = new AbortController();
  const timer = setTimeout(() => {
    late.abort();
  }, options.withinMs ?? WITHIN_MS);
  const signals = [late.signal, ...(options.signal ? [options.signal] : [])];
  try {
    const added = await decorate(method, url);
    const response = await fetch(url, {
      method,
      headers: {
        accept,
        ...(options.body === undefined ? {} : { "content-type": "application/json" }),
        ...added,
        ...options.headers,
      },
      body: options.body === undefined ? null : JSON.stringify(options.body),
      credentials: options.base === undefined ? "same-origin" : "omit",
      cache: "no-store",
      redirect: "error",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.any(signals),
    });
    if (options.base === undefined) noteTime(response);
    if (isStream && response.ok) return response;
    // The time limit is for the body too: it is read here, whole.
    const bytes = await readBounded(response);
    return new Response(bytes === undefined || nullBody(response.status) ? null : bytes, response);
  } catch (cause) {
    if (options.signal?.aborted === true) throw options.signal.reason;
    if (cause instanceof BadAnswer) throw cause;
    throw new NoAnswer(late.signal.aborted ? "timeout" : "offline", cause);
  } finally {
    clearTimeout(timer);
  }
}

function nullBody(status: number): boolean {
  return status === 204 || status === 205 || status === 304;
}

async function readBounded(response: Response): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (response.body === null) return undefined;
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = response.body.getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    length += read.value.length;
    if (length > MOST_BYTES) {
      await reader.cancel();
      throw new BadAnswer("an answer is too big");
    }
    chunks.push(read.value);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

async function readJson(response: Response): Promise<unknown> {
  const text = await response.text();
  if (text === "") return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return new BadAnswer("an answer is not JSON");
  }
}

function retryAfter(response: Response): number | undefined {
  const text = response.headers.get("retry-after") ?? "";
  return /^\d{1,6}$/.test(text) ? Number(text) : undefined;
}
