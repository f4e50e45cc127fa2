// What the daemon says of itself at the start: GET /v1/config.
import * as v from "valibot";
import { call } from "../shared/http";
import { Address, Count, Text } from "../shared/shapes";
import { ActionShape } from "./code/actions";

const PurposeShape = v.object({ name: Text, cooldown: Count, actionRequired: v.boolean() });

/** The indexer, which serves the page for links alone, has less to say. */
export const ConfigShape = v.object({
  chainId: v.pipe(Count, v.minValue(1)),
  verifier: Address,
  domains: v.optional(v.pipe(v.array(v.object({ domain: Text, uri: Text, origin: Text })), v.maxLength(100)), []),
  purposes: v.optional(v.pipe(v.array(PurposeShape), v.maxLength(100)), []),
  actions: v.optional(v.pipe(v.array(ActionShape), v.maxLength(200)), []),
  sponsoring: v.optional(v.boolean(), false),
  /** Whether codes are issued at all; operators can switch that off. */
  issuance: v.optional(v.object({ on: v.boolean() }), { on: true }),
  channels: v.optional(v.pipe(v.array(Text), v.maxLength(20)), []),
});
export type Config = v.InferOutput<typeof ConfigShape>;

/** Asks for it. */
export function loadConfig(): Promise<Config> {
  return call("v1/config", ConfigShape);
}
