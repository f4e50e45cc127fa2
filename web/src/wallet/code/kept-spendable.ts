// What the last step needs of a code that is verified already, over a reload of the page: its ticket, which the chain
// tells everybody, and the code's hash, which is no code and useless to another wallet. The code itself is never kept.
import * as v from "valibot";
import { Address, Bytes32, Count } from "../../shared/shapes";
import type { Unlocked } from "./otps";

const Shape = v.object({
  codeHash: Bytes32,
  ticket: v.object({ id: Bytes32, issuer: Address, purpose: Bytes32, serial: Count, proof: v.array(Bytes32) }),
});
/** A verified code's hash and ticket. */
export type Kept = v.InferOutput<typeof Shape>;

const PREFIX = "otp.spendable.";
const name = (id: string): string => `${PREFIX}${id}`;

export function keepSpendable(id: string, { codeHash, ticket }: Pick<Unlocked, "codeHash" | "ticket">): void {
  try {
    sessionStorage.setItem(name(id), JSON.stringify({ codeHash, ticket }));
  } catch {
    // A browser that keeps nothing: the digits are entered again after a reload.
  }
}

/** What was kept in this tab. */
export function keptSpendable(id: string): Kept | undefined {
  try {
    const read = v.safeParse(Shape, JSON.parse(sessionStorage.getItem(name(id)) ?? "null"));
    return read.success ? read.output : undefined;
  } catch {
    return undefined;
  }
}

export function forgetSpendable(id: string): void {
  try {
    sessionStorage.removeItem(name(id));
  } catch {
    // Nothing was kept.
  }
}

/** For whoever leaves: the next person in this tab is another one. */
export function forgetSpendables(): void {
  try {
    for (const kept of Object.keys(sessionStorage)) {
      if (kept.startsWith(PREFIX)) sessionStorage.removeItem(kept);
    }
  } catch {
    // Nothing was kept.
  }
}
