// Contacts and what waits to be changed of them, as the relayer has them. Addresses come masked; the page keeps none.
import { type ReadonlySignal, signal } from "@preact/signals";
import * as v from "valibot";
import { call } from "../../shared/http";
import { Text, Time, Uuid } from "../../shared/shapes";

export const CHANNELS = ["email", "sms", "webhook", "inapp"] as const;
export type Channel = (typeof CHANNELS)[number];
const ChannelShape = v.picklist(CHANNELS);

const ContactShape = v.object({
  contactId: Uuid,
  channel: ChannelShape,
  masked: Text,
  /** Its owner has shown digits that were sent there. */
  proved: v.boolean(),
  /** It receives codes. */
  confirmed: v.boolean(),
});
export type Contact = v.InferOutput<typeof ContactShape>;

const ChangeShape = v.object({
  id: Uuid,
  kind: Text,
  dueAt: Time,
  digitsExpireAt: Time,
  contactId: v.optional(Uuid),
  masked: v.optional(Text),
});
export type Change = v.InferOutput<typeof ChangeShape>;

const AddedShape = v.object({ contactId: Uuid, masked: Text });
const ProvedShape = v.object({ ...ContactShape.entries, signingSecret: v.optional(Text) });
export type Proved = v.InferOutput<typeof ProvedShape>;
const ContactsShape = v.object({ contacts: v.pipe(v.array(ContactShape), v.maxLength(200)) });
const ChangesShape = v.object({ changes: v.pipe(v.array(ChangeShape), v.maxLength(200)) });

/** All of somebody's. */
export interface Book {
  readonly contacts: readonly Contact[];
  readonly changes: readonly Change[];
}

const current = signal<Book | undefined>(undefined);
/** As last read; undefined before that. */
export const book: ReadonlySignal<Book | undefined> = current;

/** Counted up with each session, so that an answer to the one before is not taken for this one's. */
let volume = 0;

/** Reads it anew. */
export async function readBook(): Promise<void> {
  const asked = volume;
  const [{ contacts }, { changes }] = await Promise.all([
    call("v1/contacts", ContactsShape),
    call("v1/contact-changes", ChangesShape),
  ]);
  if (asked === volume) current.value = { contacts, changes };
}

/** Forgets it, as with the end of a session. */
export function closeBook(): void {
  volume += 1;
  current.value = undefined;
}

/** Adds a contact, which is written to in `language` (BCP 47): digits go there. Its address, masked. */
export async function addContact(channel: Channel, address: string, language: string): Promise<string> {
  const { masked } = await call("v1/contacts", AddedShape, { method: "POST", body: { channel, address, language } });
  return masked;
}

/** Shows the digits that were sent to a contact. */
export async function confirmContact(id: string, digits: string): Promise<Proved> {
  return call(`v1/contacts/${id}/confirm`, ProvedShape, { method: "POST", body: { digits } });
}

/** Removes a contact; whether that waits. */
export async function removeContact(id: string): Promise<boolean> {
  const answer = await call(`v1/contacts/${id}`, v.optional(v.object({ change: ChangeShape })), { method: "DELETE" });
  await readBook();
  return answer !== undefined;
}

/** Approves a change by the digits of its announcement. */
export async function approveChange(id: string, digits: string): Promise<void> {
  await call(`v1/contact-changes/${id}/approve`, v.unknown(), { method: "POST", body: { digits } });
}

/** Has new digits sent for a change. */
export async function renewDigits(id: string): Promise<void> {
  await call(`v1/contact-changes/${id}/digits`, v.unknown(), { method: "POST" });
  await readBook();
}

/** Asks for the account's deletion, which waits. */
export async function deleteAccount(): Promise<void> {
  await call("v1/account", v.object({ change: ChangeShape }), { method: "DELETE" });
  await readBook();
}
