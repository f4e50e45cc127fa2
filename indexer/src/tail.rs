//! The tail: from the stored cursor to the head, block by block, each block in one transaction with what it calls for.
//!
//! A block is applied when its parent is the cursor. Another parent, or another block at the cursor's own height, is a
//! reorg: the tail goes back to the last stored block that the chain still has. A head below the cursor is a node that
//! lags, and is waited for. Far below the head, several ranges are read at once and applied in order; blocks without our
//! logs are not stored there.
//!
//! The head is asked for at every interval, always. A socket that announces heads only makes that happen earlier: what
//! it says is never believed, so one that is silent, dead or lying costs an interval.

mod back;
mod flight;
mod range;

use std::{sync::Arc, time::Duration};

use alloy::primitives::B256;
use otp_core::{
    chain::EndpointPlace,
    failpoint,
    metrics::INDEXER_ODD_LOGS,
    store::{Block, ChainEvent, Cursor, EventKind, Outbox, Store, StoreError},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::flight::Flight;
pub(crate) use self::{
    flight::Adaptive,
    range::{Range, RangeError},
};
use crate::{
    config::ChainConfig,
    heads::Heads,
    progress::Progress,
    source::{Header, ReadError, Source},
};

/// Within this distance of the head blocks are applied one by one; further down ranges are read.
pub(crate) const LINKED_BLOCKS: u64 = 128;
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// The node that is asked may learn of an announced block a moment later than the one that announced it.
const UNKNOWN_YET: [Duration; 2] = [Duration::from_millis(30), Duration::from_millis(100)];

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
    flight: Flight,
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
        let flight = Flight::new(config.range_blocks, config.ranges_in_flight);
        Self { source, store, outbox, config, progress, due, flight, still: false }
    }

    /// Steps until `shutdown`: at once, then at every interval, and whenever `heads` announces one.
    ///
    /// # Errors
    /// What waiting cannot mend: the database, a reorg beyond everything stored.
    pub async fn run(mut self, mut heads: Heads, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut pause = self.config.poll;
        let mut announced = None;
        loop {
            let step = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                step = self.follow(announced.take()) => step,
            };
            match step {
                Err(error) if error.is_retryable() => {
                    tracing::warn!(%error, retry_in_ms = pause.as_millis(), "the chain cannot be read");
                    // No head that is announced shortens this: nodes that fail are left alone.
                    tokio::select! {
                        () = shutdown.cancelled() => return Ok(()),
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(error.into()),
                Ok(step) => {
                    pause = self.config.poll;
                    if step == Step::Idle {
                        tokio::select! {
                            () = shutdown.cancelled() => return Ok(()),
                            () = tokio::time::sleep(self.config.poll) => {}
                            hash = heads.next() => announced = Some(hash),
                        }
                    }
                }
            }
        }
    }

    async fn follow(&mut self, announced: Option<B256>) -> Result<Step, TailError> {
        match announced {
            Some(hash) => self.step_to(hash).await,
            None => self.step().await,
        }
    }

    /// Applies the block that was announced, where it is the next one: asked for by its hash, with its logs at the same
    /// time. Whatever else it may be, an ordinary step finds out.
    ///
    /// # Errors
    /// [`TailError`]; nothing was written then.
    pub async fn step_to(&mut self, hash: B256) -> Result<Step, TailError> {
        let asked = self.source.asked();
        let cursor = self.store.cursor(&self.config.deployment).await?;
        let Some(cursor) = cursor.filter(|_| self.config.confirmations == 0) else { return self.step().await };
        let (mut header, mut logs) = tokio::join!(self.source.header_of(hash), self.source.logs_of(hash));
        for pause in UNKNOWN_YET {
            if !matches!(header, Ok(None)) {
                break;
            }
            tokio::time::sleep(pause).await;
            (header, logs) = tokio::join!(self.source.header_of(hash), self.source.logs_of(hash));
        }
        match header? {
            Some(header) if header.block.number == cursor.number + 1 && header.block.parent_hash == cursor.hash => {
                self.saw(header.block, cursor);
                let events = self.source.read(&header, logs.map_err(ReadError::from)?).await?;
                self.apply(cursor, &[header.block], &events, self.source.still(asked)).await
            }
            _ => self.step().await,
        }
    }

    /// Asks for the head and goes one block or range forward, or back where the chain has changed.
    ///
    /// # Errors
    /// [`TailError`]; nothing was written then.
    pub async fn step(&mut self) -> Result<Step, TailError> {
        let asked = self.source.asked();
        let head = self.source.head().await?;
        let cursor = self.cursor(&head.block).await?;
        self.saw(head.block, cursor);
        let tip = head.block.number.saturating_sub(self.config.confirmations);
        if tip < cursor.number {
            return Ok(Step::Idle);
        }
        if tip == cursor.number {
            let there = self.header(tip, head).await?;
            return if there.block.hash == cursor.hash { Ok(Step::Idle) } else { self.go_back(cursor).await };
        }
        if tip - cursor.number > LINKED_BLOCKS {
            return self.apply_range(cursor, tip - LINKED_BLOCKS).await;
        }
        let next = self.header(cursor.number + 1, head).await?;
        if next.block.parent_hash != cursor.hash {
            return self.go_back(cursor).await;
        }
        let events = self.source.events(&next).await?;
        self.apply(cursor, &[next.block], &events, self.source.still(asked)).await
    }

    /// The head itself where it has this number: it was asked for a moment ago.
    async fn header(&self, number: u64, head: Header) -> Result<Header, ReadError> {
        if head.block.number == number { Ok(head) } else { self.source.header(number).await }
    }

    fn saw(&mut self, head: Block, cursor: Cursor) {
        self.progress.stands_at(cursor);
        self.progress.saw_head(head);
        self.tell_whether_still(head, cursor);
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
        let Some(range) = self.flight.next(&self.source, cursor.number + 1, limit).await? else {
            return Ok(Step::Shrunk);
        };
        if range.parent() != Some(cursor.hash) {
            return self.go_back(cursor).await;
        }
        let (mut from, reader) = (cursor, range.reader);
        for (blocks, events) in range.pieces() {
            self.apply(from, &blocks, &events, reader).await?;
            from = blocks.last().map_or(from, Block::cursor);
        }
        Ok(Step::Applied)
    }

    async fn apply(
        &self,
        from: Cursor,
        blocks: &[Block],
        events: &[ChainEvent],
        reader: Option<EndpointPlace>,
    ) -> Result<Step, TailError> {
        failpoint::hit("block-read");
        let due = self.store.apply(&self.outbox, from, blocks, events).await?.ok_or_else(moved)?;
        failpoint::hit("block-applied");
        count_odd(events);
        if let Some(last) = blocks.last() {
            self.progress.was_read(from.number + 1, last.number, reader);
            self.progress.stands_at(last.cursor());
            tracing::debug!(block = last.number, events = events.len(), due, "applied");
        }
        if due > 0 {
            self.due.notify_waiters();
        }
        Ok(Step::Applied)
    }
}

fn count_odd(events: &[ChainEvent]) {
    for event in events.iter().filter(|event| matches!(event.kind, EventKind::Unknown | EventKind::Malformed)) {
        metrics::counter!(INDEXER_ODD_LOGS, "kind" => event.kind.name()).increment(1);
    }
}

fn moved() -> TailError {
    TailError::Halt("another process moves the cursor: run one indexer for a database".to_owned())
}
