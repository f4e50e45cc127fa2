// The indexer behind the page: on its public port open to everybody, on its admin port with the token that stays in this
// tab. Which of the two it is, its answers tell.
import { signal } from "@preact/signals";
import * as v from "valibot";
import { BadAnswer, call, NoAnswer, open, Refusal } from "../shared/http";
import type { OpsTexts } from "./texts/types";

const KEPT_AS = "otp.admin-token";
const TOKEN = /^[0-9a-f]{64}$/;
/** An exported table is some hundred rows. */
const MOST_FILE_BYTES = 8 * 1024 * 1024;

/** `asking`: nothing is known yet. `locked`: the admin port, without its token. */
export type Door = "asking" | "public" | "locked" | "admin";

export const door = signal<Door>("asking");
/** Whether the door is locked since a token was refused. */
export const wasRefused = signal(false);

let token = readToken();

/** Whether a text can be a token. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** Takes the token for this tab. */
export function useToken(text: string): void {
  token = text;
  wasRefused.value = false;
  door.value = "asking";
  try {
    sessionStorage.setItem(KEPT_AS, text);
  } catch {
    // It stays in memory.
  }
}

export function forgetToken(): void {
  token = null;
  door.value = "locked";
  try {
    sessionStorage.removeItem(KEPT_AS);
  } catch {
    // It was in memory alone.
  }
}

function readToken(): string | null {
  try {
    const kept = sessionStorage.getItem(KEPT_AS);
    return kept !== null && isToken(kept) ? kept : null;
  } catch {
    return null;
  }
}

function headers(): Record<string, string> {
  return token === null ? {} : { authorization: `Bearer ${token}` };
}

/** What a question may say. */
interface Asking {
  readonly signal?: AbortSignal;
  /** Sent by POST. */
  readonly body?: unknown;
}

/** Asks the indexer; a refused token locks the door. */
export async function ask<S extends v.GenericSchema>(path: string, shape: S, asking: Asking = {}): Promise<v.InferOutput<S>> {
  try {
    const answer = await call(path, shape, { ...options(asking), headers: headers() });
    if (door.value === "asking") door.value = token === null ? "public" : "admin";
    return answer;
  } catch (error) {
    lockedBy(error);
    throw error;
  }
}

/** Finds out which of the two ports it is, where no answer has told yet. */
export async function knock(): Promise<void> {
  if (door.value === "asking") await ask("v1/governance", v.unknown());
}

/** Saves an answer as a file. */
export async function saveFrom(path: string, name: string, type: string, body?: unknown): Promise<void> {
  const stop = new AbortController();
  try {
    const response = await open(path, type, { ...options({ body, signal: stop.signal }), headers: headers(), signal: stop.signal });
    const bytes = await response.blob();
    if (bytes.size > MOST_FILE_BYTES) throw new BadAnswer("a file is too big");
    save(bytes, name);
  } catch (error) {
    lockedBy(error);
    throw error;
  }
}

/** Saves what the page has, as JSON. */
export function saveJson(value: unknown, name: string): void {
  save(new Blob([`${JSON.stringify(value, null, 2)}\n`], { type: "application/json" }), name);
}

function save(bytes: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(bytes);
  link.download = name;
  link.click();
  // The browser has begun to read it by then.
  setTimeout(() => {
    URL.revokeObjectURL(link.href);
  }, 10_000);
}

function options(asking: Asking): { method: "GET" | "POST"; body?: unknown; signal?: AbortSignal } {
  return {
    method: asking.body === undefined ? "GET" : "POST",
    ...(asking.body === undefined ? {} : { body: asking.body }),
    ...(asking.signal === undefined ? {} : { signal: asking.signal }),
  };
}

function lockedBy(error: unknown): void {
  if (!(error instanceof Refusal) || error.status !== 401) return;
  wasRefused.value = token !== null;
  forgetToken();
}

/** What happened and what to do, in a sentence. */
export function explain(error: unknown, texts: OpsTexts): string {
  if (error instanceof NoAnswer) return error.why === "timeout" ? texts.errors.timeout : texts.errors.offline;
  if (error instanceof Refusal) {
    if (error.status === 503 && error.slug === "chain-unavailable") return texts.errors.unread;
    return texts.errors.refused(String(error.status), error.requestId);
  }
  return texts.errors.shape;
}
