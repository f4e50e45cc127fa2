// Messages to this browser: sealed to an X25519 key that the browser holds and never gives out, opened here, so that
// nobody between can read them (docs/CHANNELS.md). The private key cannot be read by scripts either, not even this one.
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import { bytesToHex, hexToBytes } from "viem";
import * as v from "valibot";
import { BadAnswer, call } from "../shared/http";
import { Bytes, Bytes32, Count, Time, Uuid } from "../shared/shapes";

const DATABASE = "otp-inapp";
const KEYS = "keys";
const INFO = utf8("otp/inapp/v1");
const SUITE = "0x0020,0x0001,0x0002";
/** A full page: there may be more at once. */
const PAGE = 20;
/** Pages that one look reads. */
const MOST_PAGES = 10;

const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });

/** A key of this browser; `publicKey` is the contact's address. */
export interface InappKey {
  readonly publicKey: `0x${string}`;
  readonly pair: CryptoKeyPair;
}

const SealedShape = v.object({
  id: v.pipe(v.string(), v.regex(/^[\x21-\x7e]{1,200}$/)),
  contactId: Uuid,
  createdAt: Time,
  expiresAt: Time,
  enc: Bytes32,
  ciphertext: Bytes,
});
/** A message as the relayer has it. */
export type Sealed = v.InferOutput<typeof SealedShape>;
const PageShape = v.object({ suite: v.string(), messages: v.pipe(v.array(SealedShape), v.maxLength(100)), next: Count });

const DigitsShape = v.pipe(v.string(), v.regex(/^[0-9]{6}$/));
const DocumentShape = v.object({
  version: v.literal(1),
  id: v.string(),
  type: v.string(),
  contactId: Uuid,
  createdAt: Time,
  expiresAt: Time,
  digits: v.optional(DigitsShape),
  code: v.optional(v.object({ reference: v.pipe(v.string(), v.regex(/^[A-Z]{4,12}$/)), onChainId: Bytes32 })),
  change: v.optional(v.object({ id: Uuid })),
});
/** A message, opened: digits, and what they are for. */
export type Message = v.InferOutput<typeof DocumentShape>;

/** Whether this browser can hold such a key. */
export async function isSupported(): Promise<boolean> {
  try {
    await generate();
    return typeof indexedDB !== "undefined";
  } catch {
    return false;
  }
}

async function generate(): Promise<CryptoKeyPair> {
  return (await crypto.subtle.generateKey({ name: "X25519" }, false, ["deriveBits"]));
}

/** Makes a key and keeps it; the private half cannot be taken out of the browser. */
export async function createKey(): Promise<InappKey> {
  const pair = await generate();
  const key: InappKey = { publicKey: bytesToHex(new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey))), pair };
  await inStore("readwrite", (store) => store.put(key));
  return key;
}

/** The keys that this browser holds. */
export async function keys(): Promise<readonly InappKey[]> {
  const found: unknown = await inStore("readonly", (store) => store.getAll());
  return Array.isArray(found) ? (found as InappKey[]) : [];
}

/** Forgets a key: what was sealed to it stays sealed for good. */
export async function forgetKey(publicKey: string): Promise<void> {
  await inStore("readwrite", (store) => store.delete(publicKey));
}

async function inStore<T>(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => {
      opening.result.createObjectStore(KEYS, { keyPath: "publicKey" });
    };
    opening.onsuccess = () => {
      resolve(opening.result);
    };
    opening.onerror = () => {
      reject(opening.error ?? new Error("the browser's database cannot be opened"));
    };
    opening.onblocked = () => {
      reject(new Error("the browser's database is in use"));
    };
  });
  try {
    return await new Promise<T>((resolve, reject) => {
      const transaction = database.transaction(KEYS, mode);
      const request = act(transaction.objectStore(KEYS));
      transaction.oncomplete = () => {
        resolve(request.result);
      };
      transaction.onabort = transaction.onerror = () => {
        reject(transaction.error ?? new Error("the browser's database failed"));
      };
    });
  } finally {
    database.close();
  }
}

/** Opens a message with the key that it was sealed to; undefined where it is none of these keys', or was changed. */
export async function openMessage(sealed: Sealed, pairs: readonly CryptoKeyPair[]): Promise<Message | undefined> {
  const aad = utf8(`${sealed.id}\n${sealed.contactId}`);
  for (const pair of pairs) {
    const plain = await openWith(pair, sealed, aad);
    if (plain === undefined) continue;
    const read = v.safeParse(DocumentShape, parsed(plain));
    // The seal binds both ids; a document that says otherwise is none of ours.
    const isOurs = read.success && read.output.id === sealed.id && read.output.contactId === sealed.contactId;
    return isOurs ? read.output : undefined;
  }
  return undefined;
}

async function openWith(pair: CryptoKeyPair, sealed: Sealed, aad: Uint8Array<ArrayBuffer>): Promise<string | undefined> {
  try {
    const enc = hexToBytes(sealed.enc).slice().buffer;
    const recipient = await suite.createRecipientContext({ recipientKey: pair, enc, info: INFO });
    const plain = await recipient.open(hexToBytes(sealed.ciphertext).slice().buffer, aad);
    return new TextDecoder("utf-8", { fatal: true }).decode(plain);
  } catch {
    return undefined;
  }
}

/** Reads the messages after `after` and opens what this browser can. */
export async function fetchMessages(after: number, signal?: AbortSignal): Promise<{ messages: Message[]; next: number }> {
  const pairs = (await keys()).map((key) => key.pair);
  const messages: Message[] = [];
  let next = after;
  // What there is beyond that, the next look reads.
  let isFull = true;
  for (let pages = 0; isFull && pages < MOST_PAGES; pages++) {
    const page = await call(`v1/inapp/messages?after=${next}`, PageShape, signal ? { signal } : {});
    if (page.suite !== SUITE) throw new BadAnswer("messages are sealed in another way");
    for (const sealed of page.messages) {
      const message = await openMessage(sealed, pairs);
      if (message !== undefined) messages.push(message);
    }
    isFull = page.messages.length >= PAGE && page.next > next;
    next = Math.max(next, page.next);
  }
  return { messages, next };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
