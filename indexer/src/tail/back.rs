//! The way back, where the chain has changed under the cursor.

use otp_core::{failpoint, metrics::INDEXER_REORG_BLOCKS, store::Cursor};

use super::{Step, Tail, TailError, moved};
use crate::source::{ReadError, Source};

/// Stored blocks that are compared with the chain at a time when looking for a common ancestor.
const ANCESTORS: u32 = 64;
const BETWEEN_CHAINS: ReadError = ReadError::Inconsistent("the node's blocks do not link: it is between two chains");

impl Tail {
    /// Finds the highest stored block that the chain still has, and goes back to it. Never below what is final.
    pub(super) async fn go_back(&mut self, cursor: Cursor) -> Result<Step, TailError> {
        self.flight.clear();
        if has(&self.source, cursor).await? {
            return Err(BETWEEN_CHAINS.into());
        }
        let settled = self.store.final_block(&self.config.deployment).await?;
        let mut below = cursor.number;
        loop {
            let stored = self.store.blocks_below(below, ANCESTORS).await?;
            let Some(lowest) = stored.last() else {
                return Err(TailError::Halt(format!(
                    "the chain has changed below block {below}, which is beyond everything stored: check that the \
                     node serves the right chain, then let the indexer start on a new database file"
                )));
            };
            for ancestor in &stored {
                if let Some(settled) = settled.filter(|settled| ancestor.number < settled.number) {
                    return self.contradicted(settled).await;
                }
                if has(&self.source, *ancestor).await? {
                    return self.rewind(cursor, *ancestor).await;
                }
            }
            below = lowest.number;
        }
    }

    /// The node's chain seems to lack the final block. Where another node has it, this one is wrong and is put aside;
    /// where none has, nobody can say what is true, and the tail ends.
    async fn contradicted(&self, settled: Cursor) -> Result<Step, TailError> {
        let asked = self.source.asked();
        if has(&self.source, settled).await? {
            return Err(BETWEEN_CHAINS.into());
        }
        if !self.source.is_alone() && has(&self.source.beside(asked), settled).await? {
            self.source.distrust(asked);
            return Err(ReadError::Inconsistent("the node's chain lacks a final block that another node has").into());
        }
        Err(TailError::Halt(format!(
            "the chain has changed at or below block {} ({}), which was final: nothing is undone by guess. Find out which \
             chain is right; if chain.rpc_urls serve the wrong one, set the right ones and start again, else let the \
             indexer start on a new database file",
            settled.number, settled.hash
        )))
    }

    async fn rewind(&self, from: Cursor, to: Cursor) -> Result<Step, TailError> {
        let undone = self.store.rewind(&self.config.deployment, from, to).await?.ok_or_else(moved)?;
        failpoint::hit("rewound");
        self.progress.stands_at(to);
        metrics::histogram!(INDEXER_REORG_BLOCKS).record((from.number - to.number) as f64);
        tracing::warn!(
            from_block = from.number,
            to_block = to.number,
            events = undone.events,
            deliveries_cancelled = undone.deliveries,
            messages_out = undone.sent,
            "reorg: went back"
        );
        Ok(Step::Rewound)
    }
}

async fn has(source: &Source, block: Cursor) -> Result<bool, ReadError> {
    Ok(source.header(block.number).await?.block.hash == block.hash)
}
