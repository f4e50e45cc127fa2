// Which wallets are there (EIP-6963): each announces itself, and the person chooses. What a wallet says of itself is a
// stranger's text: bounded, shown as text, and its icon only as the image that it is.
import { type ReadonlySignal, signal } from "@preact/signals";
import * as v from "valibot";
import { visible } from "../../shared/visible";

/** EIP-1193, as far as this page asks. */
export interface Provider {
  request(call: { method: string; params?: unknown[] }): Promise<unknown>;
  on(event: string, listener: (value: unknown) => void): unknown;
  removeListener(event: string, listener: (value: unknown) => void): unknown;
}

/** A wallet that announced itself. */
export interface Announced {
  readonly uuid: string;
  readonly name: string;
  /** The same at each visit, which the uuid is not. */
  readonly rdns: string;
  /** A data URI; empty where what was given is none. */
  readonly icon: string;
  readonly provider: Provider;
}

const MOST = 24;
const MOST_ICON = 512 * 1024;

const InfoShape = v.object({
  uuid: v.pipe(v.string(), v.minLength(1), v.maxLength(64)),
  name: v.pipe(v.string(), v.transform((name) => visible(Array.from(name.trim().slice(0, 128)).slice(0, 64).join(""))), v.minLength(1)),
  rdns: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
  icon: v.fallback(v.pipe(v.string(), v.maxLength(MOST_ICON), v.regex(/^data:image\/[a-z+.-]{1,16}[;,]/)), ""),
});
const AnnouncementShape = v.object({
  info: InfoShape,
  provider: v.custom<Provider>((it) => typeof it === "object" && it !== null && ["request", "on", "removeListener"].every(
    (name) => typeof (it as Record<string, unknown>)[name] === "function",
  )),
});

const found = signal<readonly Announced[]>([]);

/** In the order in which they announced themselves. */
export const wallets: ReadonlySignal<readonly Announced[]> = found;

/** Takes an announcement; false for one that makes no sense or was heard before. */
export function hear(detail: unknown): boolean {
  const read = v.safeParse(AnnouncementShape, detail);
  if (!read.success || found.value.length >= MOST) return false;
  const { info, provider } = read.output;
  if (found.value.some((known) => known.uuid === info.uuid)) return false;
  found.value = [...found.value, { ...info, provider }];
  return true;
}

/** Asks the wallets to announce themselves, and listens from now on. */
export function discover(): void {
  addEventListener("eip6963:announceProvider", (event) => {
    hear((event as CustomEvent<unknown>).detail);
  });
  dispatchEvent(new Event("eip6963:requestProvider"));
}
