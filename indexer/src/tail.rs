//! The tail: from the stored cursor to the head, block by block, each block in one transaction with what it calls for.
//!
//! A block is applied when its parent is the cursor. Another parent, or another block at the cursor's own height, is a
//! reorg: the tail goes back to the last stored block that the chain still has. A head below the cursor is a node that
//! lags, and is waited for. Far below the head, logs are read in ranges; each block's header is read all the same, for a
//! node may leave logs out and only the header's bloom shows it. Blocks without our logs are not stored.

use std::{sync::Arc, time::Duration};

use otp_core::{
    chain,
    store::{Block, ChainEvent, Cursor, Outbox, Store, StoreError},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    config::ChainConfig,
    progress::Progress,
    source::{ReadError, Source},
};

/// Within this distance of the head blocks are applied one by one; further down ranges are read.
const LINKED_BLOCKS: u64 = 128;
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Stored blocks that are compared with the chain at a time when looking for a common ancestor.
const ANCESTORS: u32 = 64;

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The cursor went forward.
    Applied,
    /// The cursor went back.
    Rewound,
    /// A range was refused as too large; a smaller one comes next.
    Shrunk,
    /// Nothing to do at this head.
    Idle,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// The node.
    #[error("node: {0}")]
    Read(#[from] ReadError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node is not as far as the contract, or the contract not as far up as configured.
    #[error("chain.deployment_block {deployment_block} is above the node's head {head}")]
    NotDeployed {
        /// The configured block.
        deployment_block: u64,
        /// The node's head.
        head: u64,
    },
    /// Waiting helps nothing.
    #[error("{0}")]
    Halt(String),
}

impl TailError {
    /// Whether trying again can help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Read(error) => error.is_retryable(),
            Self::NotDeployed { .. } => true,
            Self::Store(_) | Self::Halt(_) => false,
        }
    }
}

/// The tail of one deployment.
#[derive(Debug)]
pub struct Tail {
    source: Source,
    store: Store,
    outbox: Outbox,
    config: ChainConfig,
    progress: Progress,
    due: Arc<Notify>,
    /// Blocks in the next range.
    range: u64,
    /// Whether it was told that the chain stands still.
    still: bool,
}

impl Tail {
    /// `due` is notified when messages became due.
    #[must_use]
    pub fn new(
        source: Source,
        store: Store,
        outbox: Outbox,
        config: ChainConfig,
        progress: Progress,
        due: Arc<Notify>,
    ) -> Self {
        let range = config.range_blocks;
        Self { source, store, outbox, config, progress, due, range, still: false }
    }

    /// Steps until `shutdown`.
    ///
    /// # Errors
    /// What waiting cannot mend: the database, a log that makes no sense, a reorg beyond everything stored.
    pub async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut pause = self.config.poll;
        loop {
            let step = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                step = self.step() => step,
            };
            let wait = match step {
                Err(error) if error.is_retryable() => {
                    tracing::warn!(%error, retry_in_ms = pause.as_millis(), "the chain cannot be read");
                    let wait = pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    wait
                }
                Err(error) => return Err(error.into()),
                Ok(step) => {
                    pause = self.config.poll;
                    if step == Step::Idle { self.config.poll } else { Duration::ZERO }
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Asks for the head and goes one block or range forward, or back where the chain has changed.
    ///
    /// # Errors
    /// [`TailError`]; nothing was written then.
    pub async fn step(&mut self) -> Result<Step, TailError> {
        let head = self.source.head().await?;
        let cursor = self.cursor(&head).await?;
        self.progress.stands_at(cursor);
        self.progress.saw_head(head);
        self.tell_whether_still(head, cursor);
        let tip = head.number.saturating_sub(self.config.confirmations);
        if tip < cursor.number {
            return Ok(Step::Idle);
        }
        if tip == cursor.number {
            let there = if tip == head.number { head } else { self.source.header(tip).await?.block };
            return if there.hash == cursor.hash { Ok(Step::Idle) } else { self.go_back(cursor).await };
        }
        let next = self.source.header(cursor.number + 1).await?;
        if next.block.parent_hash != cursor.hash {
            return self.go_back(cursor).await;
        }
        if tip - cursor.number > LINKED_BLOCKS {
            return self.apply_range(cursor, tip - LINKED_BLOCKS).await;
        }
        let events = self.source.events(&next).await?;
        self.apply(cursor, &[next.block], &events).await
    }

    /// The stored cursor, or a first one on the block before the contract's.
    async fn cursor(&self, head: &Block) -> Result<Cursor, TailError> {
        let deployment = &self.config.deployment;
        if let Some(cursor) = self.store.cursor(deployment).await? {
            return Ok(cursor);
        }
        if self.store.follows_another(deployment).await? {
            return Err(TailError::Halt(
                "the database holds another deployment's events: set store.path to a file of its own".to_owned(),
            ));
        }
        let deployment_block = self.config.deployment_block;
        if deployment_block > head.number {
            return Err(TailError::NotDeployed { deployment_block, head: head.number });
        }
        let before = self.source.header(deployment_block - 1).await?.block;
        self.store.start_cursor(deployment, &before).await?;
        Ok(before.cursor())
    }

    /// Warns once when the chain begins to stand still, and says once that it goes on.
    fn tell_whether_still(&mut self, head: Block, cursor: Cursor) {
        let bound = self.config.max_head_age;
        let still = self.progress.snapshot().stands_still(bound);
        if still && !self.still {
            tracing::warn!(
                head = head.number,
                head_timestamp_s = head.timestamp,
                cursor = cursor.number,
                max_head_age_ms = bound.as_millis(),
                "the chain stands still: the node's head is too old, or stays below what was applied; not ready"
            );
        } else if self.still && !still {
            tracing::info!(head = head.number, "the chain goes on");
        }
        self.still = still;
    }

    async fn apply_range(&mut self, cursor: Cursor, limit: u64) -> Result<Step, TailError> {
        let to = limit.min(cursor.number + self.range);
        let logs = match self.source.logs(cursor.number + 1, to).await {
            Ok(logs) => logs,
            Err(error) if self.range > 1 => {
                self.range /= 2;
                tracing::warn!(error = chain::brief(&error), range_blocks = self.range, "a range was refused: halved");
                return Ok(Step::Shrunk);
            }
            Err(error) => return Err(ReadError::Rpc(error).into()),
        };
        let headers = match self.source.headers(cursor.hash, cursor.number + 1, to).await {
            Ok(headers) => headers,
            Err(error) => {
                // Of fewer blocks, more often all are there.
                self.range = (self.range / 2).max(1);
                return Err(error.into());
            }
        };
        let (mut blocks, mut events) = (Vec::new(), Vec::new());
        let mut logs = logs.into_iter().peekable();
        for header in &headers {
            let number = header.block.number;
            let here = std::iter::from_fn(|| logs.next_if(|log| log.block_number == Some(number))).collect();
            let found = self.source.read(header, here).await?;
            if !found.is_empty() || number == to {
                blocks.push(header.block);
            }
            events.extend(found);
        }
        if logs.next().is_some() {
            return Err(ReadError::Inconsistent("the node answered with logs outside the range").into());
        }
        self.range = (self.range * 2).min(self.config.range_blocks);
        self.apply(cursor, &blocks, &events).await
    }

    async fn apply(&self, from: Cursor, blocks: &[Block], events: &[ChainEvent]) -> Result<Step, TailError> {
        let due = self.store.apply(&self.outbox, from, blocks, events).await?.ok_or_else(moved)?;
        if let Some(last) = blocks.last() {
            self.progress.stands_at(last.cursor());
            tracing::debug!(block = last.number, events = events.len(), due, "applied");
        }
        if due > 0 {
            self.due.notify_waiters();
        }
        Ok(Step::Applied)
    }

    /// Finds the highest stored block that the chain still has, and goes back to it.
    async fn go_back(&self, cursor: Cursor) -> Result<Step, TailError> {
        if self.source.header(cursor.number).await?.block.hash == cursor.hash {
            return Err(ReadError::Inconsistent("the node's blocks do not link: it is between two chains").into());
        }
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
                if self.source.header(ancestor.number).await?.block.hash == ancestor.hash {
                    return self.rewind(cursor, *ancestor).await;
                }
            }
            below = lowest.number;
        }
    }

    async fn rewind(&self, from: Cursor, to: Cursor) -> Result<Step, TailError> {
        let undone = self.store.rewind(&self.config.deployment, from, to).await?.ok_or_else(moved)?;
        self.progress.stands_at(to);
        tracing::warn!(
            from_block = from.number,
            to_block = to.number,
            events = undone.events,
            deliveries_cancelled = undone.deliveries,
            "reorg: went back"
        );
        Ok(Step::Rewound)
    }
}

fn moved() -> TailError {
    TailError::Halt("another process moves the cursor: run one indexer for a database".to_owned())
}
