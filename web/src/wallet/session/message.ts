// The text that signs in (EIP-4361), by the letter of its grammar.
import { createSiweMessage } from "viem/siwe";
import type { Config } from "../config";

/** What the text says beside the account. */
export interface Wanted {
  readonly account: `0x${string}`;
  readonly nonce: string;
  readonly issuedAt: Date;
  /** In the person's language; see the texts. */
  readonly statement: string;
}

/** The text for the page at `origin`; undefined where the daemon lets nobody sign in from there. */
export function signInMessage(config: Config, origin: string, wanted: Wanted): string | undefined {
  const domain = config.domains.find((known) => known.origin === origin);
  if (domain === undefined) return undefined;
  return createSiweMessage({
    address: wanted.account,
    chainId: config.chainId,
    domain: domain.domain,
    uri: domain.uri,
    nonce: wanted.nonce,
    issuedAt: wanted.issuedAt,
    statement: wanted.statement,
    version: "1",
  });
}
