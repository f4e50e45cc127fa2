// The browser's own check of a code: leaf and root from what the indexer sent, as the contract computes them.
import { concat, encodeAbiParameters, keccak256 } from "viem";
import type { Code } from "./shapes";

/** Whether id, serial, purpose and proof lead to the root; null where something of them is missing. */
export function leadsToRoot(code: Pick<Code, "id" | "purpose" | "serial" | "proof" | "root">): boolean | null {
  const { id, purpose, serial, proof, root } = code;
  if (purpose === null || serial === null || proof === null || root === null) return null;
  const words = [{ type: "bytes32" }, { type: "uint256" }, { type: "bytes32" }] as const;
  const leaf = keccak256(encodeAbiParameters(words, [purpose, BigInt(serial), id]));
  return proof.reduce(parent, leaf) === root.toLowerCase();
}

/** OpenZeppelin's `Hashes.commutativeKeccak256`. */
function parent(node: `0x${string}`, sibling: `0x${string}`): `0x${string}` {
  const [one, other] = [node.toLowerCase() as `0x${string}`, sibling.toLowerCase() as `0x${string}`];
  return keccak256(concat(one <= other ? [one, other] : [other, one]));
}
