// Every event becomes a row, as with us; a row of theirs does not repeat its batch's facts, which is less to do.
import { appendFileSync } from "node:fs";
import { ponder } from "ponder:registry";
import { event as table } from "ponder:schema";

const kinds = ["OtpBatchSet", "OtpSet", "OtpVerified", "OtpConsumed", "OtpRevoked", "OtpBatchRevoked", "PolicySet"];
// Where the time at which an event arrives is measured, it is noted: block number and Unix milliseconds.
const noted = process.env.BENCH_NOTED;

for (const kind of kinds) {
  // The ABI is read at run time, so its names are no types.
  (ponder.on as (name: string, handle: (given: any) => Promise<void>) => void)(
    `OtpVerifier:${kind}`,
    async ({ event, context }) => {
      if (noted !== undefined) {
        appendFileSync(noted, `${event.block.number} ${performance.timeOrigin + performance.now()}\n`);
      }
      await context.db.insert(table).values({
        id: event.id,
        kind,
        blockNumber: event.block.number,
        blockHash: event.block.hash,
        timestamp: event.block.timestamp,
        txHash: event.transaction.hash,
        logIndex: event.log.logIndex,
        onChainId: event.args.id,
        root: event.args.root,
        serial: event.args.serial,
      });
    },
  );
}
