// The link in a message: `#v1.` and base64url of JSON {id, issuer, code, action} (api.md). It is read strictly; what is
// not exactly of this form was cut or changed, and nothing of it is used.
import { getAddress, isAddress } from "viem";
import * as v from "valibot";
import { Address, Bytes32 } from "../../shared/shapes";
import { FullCode, TypedActionShape } from "./otps";

/** No link of ours is longer: a request's body is 16 KiB at the most. */
const MOST_CHARACTERS = 24 * 1024;

const LinkShape = v.strictObject({
  id: Bytes32,
  issuer: v.pipe(Address, v.check((address) => isAddress(address), "EIP-55")),
  code: FullCode,
  action: v.union([Bytes32, TypedActionShape]),
});
/** What a link carries: the code's id on the chain, who issued it, the full code, and what it authorises. */
export type Link = v.InferOutput<typeof LinkShape>;

/** What came of reading a link. */
export type ReadLink =
  | { readonly state: "none" }
  | { readonly state: "broken"; readonly why: "cut" | "version" }
  | { readonly state: "whole"; readonly link: Link };

/** Reads a fragment, with or without its `#`. */
export function readLink(fragment: string): ReadLink {
  const text = fragment.replace(/^#/, "");
  if (text === "") return { state: "none" };
  if (/^v[0-9]+\./.test(text) && !text.startsWith("v1.")) return { state: "broken", why: "version" };
  const cut: ReadLink = { state: "broken", why: "cut" };
  const [, encoded] = /^v1\.([A-Za-z0-9_-]+)$/.exec(text) ?? [];
  if (encoded === undefined || encoded.length > MOST_CHARACTERS) return cut;
  let value: unknown;
  try {
    const binary = atob(encoded.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return cut;
  }
  const read = v.safeParse(LinkShape, value);
  return read.success ? { state: "whole", link: { ...read.output, issuer: getAddress(read.output.issuer) } } : cut;
}
