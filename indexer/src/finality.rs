//! What becomes of blocks after they were applied: messages that wait for a depth become due, and a final range is read a
//! second time, from another node than the first time.
//!
//! What the first reading missed is mended in the transaction that raises the final mark. Where the second node contradicts
//! what is stored, one of the two is wrong and nobody can say which: the mark stays, and it is tried again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::{eips::BlockNumberOrTag, primitives::B256};
use otp_core::{
    chain::EndpointPlace,
    contact::Channel,
    failpoint,
    metrics::{INDEXER_EVENTS_MENDED, INDEXER_FINAL_LAG_BLOCKS},
    store::{Block, ChainEvent, Cursor, Depth, Outbox, Second, Store, Stretch},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    config::ChainConfig,
    progress::{Progress, Snapshot},
    source::{ReadError, Source},
    tail::{Adaptive, LINKED_BLOCKS, Range, RangeError, TailError},
};

const LONGEST_PAUSE: Duration = Duration::from_secs(15);
const DISAGREE: ReadError = ReadError::Inconsistent("two nodes disagree about final blocks: the final mark stays");

/// A block's tag, and how far it got.
#[derive(Debug)]
struct Tag {
    name: BlockNumberOrTag,
    /// Blocks on top that stand in for it, where the node does not know it.
    instead: u64,
    /// The node knows it: its absence means nothing from now on.
    known: bool,
    reached: u64,
}

impl Tag {
    const fn new(name: BlockNumberOrTag, instead: u64) -> Self {
        Self { name, instead, known: false, reached: 0 }
    }

    /// The last block that has it. It never goes back: a node that lags takes nothing back.
    async fn number(&mut self, source: &Source, head: u64) -> Result<u64, ReadError> {
        let number = match source.tagged(self.name).await? {
            Some(block) => {
                self.known = true;
                block.number.min(head)
            }
            None if self.known => self.reached,
            None => head.saturating_sub(self.instead),
        };
        self.reached = self.reached.max(number);
        Ok(self.reached)
    }
}

/// Reads final blocks again, and lets go of what waits for a depth.
#[derive(Debug)]
pub struct Settler {
    source: Source,
    store: Store,
    outbox: Outbox,
    config: ChainConfig,
    progress: Progress,
    due: Arc<Notify>,
    size: Adaptive,
    safe: Tag,
    finalized: Tag,
    /// The head and the cursor at which nothing more was to be done.
    looked_at: Option<(u64, Cursor)>,
}

impl Settler {
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
        let size = Adaptive::new(config.range_blocks);
        let blocks = config.finality_blocks;
        let (safe, finalized) =
            (Tag::new(BlockNumberOrTag::Safe, blocks / 2), Tag::new(BlockNumberOrTag::Finalized, blocks));
        Self { source, store, outbox, config, progress, due, size, safe, finalized, looked_at: None }
    }

    /// Steps at every interval until `shutdown`.
    ///
    /// # Errors
    /// What waiting cannot mend.
    pub async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        if self.source.is_alone() {
            tracing::warn!("one node is configured: final blocks are read a second time from the same one");
        }
        let (mut pause, mut rests_until) = (self.config.poll, Instant::now());
        loop {
            let rests = Instant::now() < rests_until;
            let step = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                step = self.step_or_release(rests) => step,
            };
            match step {
                Err(error) if error.is_retryable() && !rests => {
                    tracing::warn!(%error, retry_in_ms = pause.as_millis(), "final blocks cannot be read again");
                    rests_until = Instant::now() + pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) if error.is_retryable() => {}
                Err(error) => return Err(error.into()),
                Ok(true) => continue,
                Ok(false) if rests => {}
                Ok(false) => pause = self.config.poll,
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(self.config.poll) => {}
            }
        }
    }

    /// While a second reading that failed rests, messages go on: they owe nothing to it.
    async fn step_or_release(&mut self, rests: bool) -> Result<bool, TailError> {
        match self.progress.snapshot().head {
            Some(head) if rests => self.release(head).await.map(|()| false),
            _ => self.step().await,
        }
    }

    /// Does what the head allows; true where there is more to do at once.
    ///
    /// # Errors
    /// [`TailError`]; nothing was written then.
    pub async fn step(&mut self) -> Result<bool, TailError> {
        let Snapshot { head: Some(head), cursor: Some(cursor), .. } = self.progress.snapshot() else {
            return Ok(false);
        };
        if self.looked_at == Some((head.number, cursor)) {
            return Ok(false);
        }
        self.release(head).await?;
        let catching_up = head.number.saturating_sub(cursor.number) > LINKED_BLOCKS + self.config.confirmations;
        let more = !catching_up && self.settle(head).await?;
        if !more && !catching_up {
            self.looked_at = Some((head.number, cursor));
        }
        Ok(more)
    }

    /// Messages whose block has the depth that their channel asks for become due.
    async fn release(&mut self, head: Block) -> Result<(), TailError> {
        if !self.store.is_any_held().await? {
            return Ok(());
        }
        let mut released = 0;
        for channel in Channel::ALL {
            let upto = match self.outbox.depths.of(channel) {
                Depth::Latest => head.number,
                Depth::Blocks(blocks) => head.number.saturating_sub(blocks),
                Depth::Safe => self.safe.number(&self.source, head.number).await?,
                Depth::Finalized => self.finalized.number(&self.source, head.number).await?,
            };
            released += self.store.release_held(channel, upto).await?;
        }
        if released > 0 {
            self.due.notify_waiters();
        }
        Ok(())
    }

    /// Reads one range of final blocks again; true where there may be another one.
    async fn settle(&mut self, head: Block) -> Result<bool, TailError> {
        let deployment = self.config.deployment;
        let settled = self.store.final_block(&deployment).await?;
        let last = settled.map_or(self.config.deployment_block - 1, |settled| settled.number);
        let finalized = self.finalized.number(&self.source, head.number).await?;
        metrics::gauge!(INDEXER_FINAL_LAG_BLOCKS).set(head.number.saturating_sub(last) as f64);
        let (reader, upto) = self.progress.reader_of(last + 1);
        let mut upto = finalized.min(upto);
        if self.store.settling(last, upto, self.size.blocks()).await?.is_none() {
            return Ok(false);
        }
        let others = self.others(reader);
        // One node's word that a block is final would keep us from following a reorg of it.
        for other in &others {
            upto = other.tagged(BlockNumberOrTag::Finalized).await?.map_or(upto, |block| upto.min(block.number));
        }
        let Some(to) = self.store.settling(last, upto, self.size.blocks()).await? else { return Ok(false) };
        let mut readings = Vec::with_capacity(others.len());
        for other in &others {
            let (blocks, events) = self.read(other, last + 1, to.number).await?;
            let links = settled.is_none_or(|settled| blocks.first().is_some_and(|b| b.parent_hash == settled.hash));
            if !links || blocks.last().map(Block::cursor) != Some(to) {
                tracing::warn!(block = to.number, hash = %to.hash, "a final block is not the same at another node");
                return Err(DISAGREE.into());
            }
            readings.push((blocks, events));
        }
        let stretches =
            readings.iter().map(|(blocks, events)| Stretch { from: last + 1, to: to.number, blocks, events });
        if self.mend(settled, to, &stretches.collect::<Vec<_>>(), head).await? {
            self.progress.forget_readers(to.number);
            metrics::gauge!(INDEXER_FINAL_LAG_BLOCKS).set(head.number.saturating_sub(to.number) as f64);
        }
        Ok(true)
    }

    /// Who is asked beside the node of the first reading. Where nobody can say which that was, two nodes are: one of them
    /// is another one.
    fn others(&self, first: Option<EndpointPlace>) -> Vec<Source> {
        let asked = self.source.asked();
        match first {
            Some(first) => vec![self.source.beside(first)],
            None if self.source.is_alone() => vec![self.source.only(asked)],
            None => vec![self.source.only(asked), self.source.beside(asked)],
        }
    }

    /// Holds what is stored against each reading, and adds what the first one had missed. False where something moved
    /// meanwhile: the next step looks anew.
    async fn mend(
        &self,
        settled: Option<Cursor>,
        to: Cursor,
        readings: &[Stretch<'_>],
        head: Block,
    ) -> Result<bool, TailError> {
        let Some(stretch) = readings.last().copied() else { return Ok(false) };
        let stored = self.store.stored(stretch.from, stretch.to).await?;
        let mut missing = BTreeMap::new();
        for reading in readings {
            let found = stored.events(reading);
            let there: BTreeSet<B256> = reading.blocks.iter().map(|block| block.hash).collect();
            let strange = stored.blocks.iter().any(|block| !there.contains(&block.hash));
            if strange || !found.surplus.is_empty() || !found.differing.is_empty() {
                tracing::warn!(
                    from_block = stretch.from,
                    to_block = stretch.to,
                    events_surplus = found.surplus.len(),
                    events_differing = found.differing.len(),
                    "what is stored of final blocks is not what another node has"
                );
                return Err(DISAGREE.into());
            }
            for event in found.missing {
                let place = (event.place.block_number, event.place.log_index);
                if missing.insert(place, event).is_some_and(|other| other != event) {
                    return Err(DISAGREE.into());
                }
            }
        }
        let missing: Vec<&ChainEvent> = missing.into_values().collect();
        failpoint::hit("final-read");
        let second = Second { settled, to, stretch };
        let settled = self.store.settle(&self.outbox, &second, &missing, head.timestamp).await?;
        let Some(due) = settled else { return Ok(false) };
        failpoint::hit("final-stored");
        if !missing.is_empty() {
            let events = u64::try_from(missing.len()).unwrap_or(u64::MAX);
            metrics::counter!(INDEXER_EVENTS_MENDED).increment(events);
            tracing::warn!(
                from_block = stretch.from,
                to_block = stretch.to,
                events,
                due,
                "the first reading had missed events: mended"
            );
        }
        tracing::debug!(block = stretch.to, "final");
        if due > 0 {
            self.due.notify_waiters();
        }
        Ok(true)
    }

    /// As the tail does, in parts where the node finds it too large.
    async fn read(&mut self, source: &Source, from: u64, to: u64) -> Result<(Vec<Block>, Vec<ChainEvent>), TailError> {
        let (mut blocks, mut events): (Vec<Block>, Vec<ChainEvent>) = (Vec::new(), Vec::new());
        let mut next = from;
        while next <= to {
            let end = to.min(next.saturating_add(self.size.blocks() - 1));
            match Range::read(source, next, end).await {
                Ok(range) => {
                    self.size.passed(end - next + 1, range.events.len());
                    if blocks.last().is_some_and(|last| range.parent() != Some(last.hash)) {
                        return Err(ReadError::Inconsistent("the chain moved while a range was read").into());
                    }
                    blocks.extend(range.headers.iter().map(|header| header.block));
                    events.extend(range.events);
                    next = end + 1;
                }
                Err(RangeError::TooMuch(_) | RangeError::TooSlow(_)) if next < end => self.size.refused(end - next + 1),
                Err(RangeError::TooMuch(error) | RangeError::TooSlow(error)) => {
                    return Err(ReadError::from(error).into());
                }
                Err(RangeError::Read(error)) => return Err(error.into()),
            }
        }
        Ok((blocks, events))
    }
}
