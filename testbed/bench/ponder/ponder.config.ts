// One chain, one contract, its database in a folder: all of it from the environment, since each run has its own.
import { readFileSync } from "node:fs";
import { createConfig } from "ponder";
import type { Abi, Address } from "viem";

const env = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
};
const abi = JSON.parse(readFileSync(new URL("../../../core/abi/OtpVerifier.json", import.meta.url), "utf8")) as Abi;

export default createConfig({
  database: { kind: "pglite", directory: env("BENCH_DATABASE") },
  chains: {
    local: { id: Number(env("BENCH_CHAIN_ID")), rpc: env("BENCH_RPC"), ws: process.env.BENCH_WS },
  },
  contracts: {
    OtpVerifier: { chain: "local", abi, address: env("BENCH_VERIFIER") as Address, startBlock: Number(env("BENCH_START")) },
  },
});
