import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { type Sealed, openMessage } from "./inapp";

interface Vector {
  id: string;
  contactId: string;
  enc: `0x${string}`;
  ciphertext: `0x${string}`;
  privateKey: string;
  publicKey: string;
  message: { digits: string; type: string };
}
const VECTOR = JSON.parse(readFileSync("../core/tests/vectors/inapp.json", "utf8")) as Vector;
const SEALED: Sealed = { id: VECTOR.id, contactId: VECTOR.contactId, createdAt: 0, expiresAt: 0, enc: VECTOR.enc, ciphertext: VECTOR.ciphertext };

async function pair(): Promise<CryptoKeyPair> {
  // RFC 8410's PKCS #8 around the 32 bytes.
  const pkcs8 = Buffer.from(`302e020100300506032b656e04220420${VECTOR.privateKey.slice(2)}`, "hex");
  const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, { name: "X25519" }, false, ["deriveBits"]);
  const publicKey = await crypto.subtle.importKey("raw", Buffer.from(VECTOR.publicKey.slice(2), "hex"), { name: "X25519" }, true, []);
  return { privateKey, publicKey };
}

test("the vector's message opens with a key that cannot be taken out", async () => {
  const key = await pair();
  assert.equal(key.privateKey.extractable, false);
  const message = await openMessage(SEALED, [key]);
  assert.equal(message?.digits, VECTOR.message.digits);
  assert.equal(message.type, "contact-confirmation");
});

test("another key, another id, another contact or a changed byte opens nothing", async () => {
  const key = await pair();
  const other = (await crypto.subtle.generateKey({ name: "X25519" }, false, ["deriveBits"]));
  assert.equal(await openMessage(SEALED, [other]), undefined);
  assert.ok(await openMessage(SEALED, [other, key]));
  const changes: Partial<Sealed>[] = [
    { id: "another@otp.example" },
    { contactId: VECTOR.contactId.replace("1", "2") },
    { ciphertext: SEALED.ciphertext.replace(/..$/, "00") as `0x${string}` },
    { ciphertext: SEALED.ciphertext.slice(0, 30) as `0x${string}` },
    { ciphertext: "0x" },
    { enc: `0x${"00".repeat(32)}` },
  ];
  for (const change of changes) assert.equal(await openMessage({ ...SEALED, ...change }, [key]), undefined, JSON.stringify(change));
});
