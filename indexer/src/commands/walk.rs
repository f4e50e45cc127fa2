//! A range of blocks, read in stretches: several under way at once, handed out in order and linked to each other, each
//! with all the checks of [`Source`].

use std::{future::Future, pin::Pin, time::Duration};

use alloy::rpc::types::Log;
use anyhow::{Context, bail};
use futures_util::{StreamExt, stream::FuturesOrdered};
use otp_core::{
    chain,
    store::{Block, ChainEvent, Cursor, Stretch},
};

use crate::source::{Header, ReadError, Source};

/// Stretches that are read at once.
const AT_ONCE: usize = 4;
/// The most blocks in a stretch: of more, what is in memory at once would be much.
const MOST_BLOCKS: u64 = 256;
/// How often a stretch is tried, and how long is waited after the first failure; it doubles from there.
const ATTEMPTS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// How often in a row the chain may move away under the walk.
const MOST_MOVES: u32 = 20;

/// What was read of the blocks `from..=to`.
pub(super) struct Piece {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) blocks: Vec<Block>,
    pub(super) events: Vec<ChainEvent>,
}

impl Piece {
    pub(super) fn stretch(&self) -> Stretch<'_> {
        Stretch { from: self.from, to: self.to, blocks: &self.blocks, events: &self.events }
    }

    fn links_to(&self, stand: Option<&Cursor>) -> bool {
        match (stand, self.blocks.first()) {
            (Some(stand), Some(first)) => first.parent_hash == stand.hash,
            _ => true,
        }
    }
}

type Reading<'a> = Pin<Box<dyn Future<Output = Result<Piece, ReadError>> + Send + 'a>>;

/// A walk through a range.
pub(super) struct Walk<'a> {
    source: &'a Source,
    from: u64,
    to: u64,
    size: u64,
    /// The first block that is not asked for yet.
    next: u64,
    running: FuturesOrdered<Reading<'a>>,
    /// The last block of each piece that was handed out.
    stands: Vec<Cursor>,
    moves: u32,
}

impl<'a> Walk<'a> {
    /// Through `from..=to`, with at most `range_blocks` in one `eth_getLogs`.
    pub(super) fn new(source: &'a Source, from: u64, to: u64, range_blocks: u64) -> Self {
        let size = range_blocks.min(MOST_BLOCKS);
        Self { source, from, to, size, next: from, running: FuturesOrdered::new(), stands: Vec::new(), moves: 0 }
    }

    /// The next piece, or `None` after the last one. Where the chain moved meanwhile, pieces that were handed out before
    /// come again, with other contents.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Piece>> {
        loop {
            while self.running.len() < AT_ONCE && self.next <= self.to {
                let (from, to) = (self.next, self.to.min(self.next.saturating_add(self.size - 1)));
                self.running.push_back(Box::pin(read(self.source, from, to)));
                self.next = to + 1;
            }
            let Some(piece) = self.running.next().await else { return Ok(None) };
            let piece = piece?;
            if !piece.links_to(self.stands.last()) {
                self.go_back().await?;
                continue;
            }
            self.moves = 0;
            self.stands.push(piece.blocks.last().context("a stretch without blocks")?.cursor());
            return Ok(Some(piece));
        }
    }

    /// Back to the end of the last piece that the chain still has.
    async fn go_back(&mut self) -> anyhow::Result<()> {
        self.moves += 1;
        if self.moves > MOST_MOVES {
            bail!("the node's blocks do not link: it is between two chains");
        }
        tokio::time::sleep(FIRST_PAUSE).await;
        while let Some(stand) = self.stands.last() {
            if self.source.header(stand.number).await?.block.hash == stand.hash {
                break;
            }
            self.stands.pop();
        }
        self.next = self.stands.last().map_or(self.from, |stand| stand.number + 1);
        self.running = FuturesOrdered::new();
        Ok(())
    }
}

/// Reads `from..=to` and tries again where that can help.
pub(super) async fn read(source: &Source, from: u64, to: u64) -> Result<Piece, ReadError> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..ATTEMPTS {
        match read_once(source, from, to).await {
            Err(error) if error.is_retryable() => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            settled => return settled,
        }
    }
    read_once(source, from, to).await
}

async fn read_once(source: &Source, from: u64, to: u64) -> Result<Piece, ReadError> {
    let headers = source.headers(from, to).await?;
    let mut logs = logs(source, from, to).await?.into_iter().peekable();
    let (mut blocks, mut events) = (Vec::with_capacity(headers.len()), Vec::new());
    for header in &headers {
        let Header { block, .. } = header;
        let here = std::iter::from_fn(|| logs.next_if(|log| log.block_number == Some(block.number))).collect();
        events.extend(source.read(header, here).await?);
        blocks.push(*block);
    }
    if logs.next().is_some() {
        return Err(ReadError::Inconsistent("the node answered with logs outside the range"));
    }
    Ok(Piece { from, to, blocks, events })
}

/// The logs of a range; of its halves where the node finds it too large.
async fn logs(source: &Source, from: u64, to: u64) -> Result<Vec<Log>, ReadError> {
    match source.logs(from, to).await {
        Ok(logs) => Ok(logs),
        Err(error) if from == to || !(chain::is_too_much(&error) || chain::is_timeout(&error)) => Err(error.into()),
        Err(_) => {
            let middle = from + (to - from) / 2;
            let mut first = Box::pin(logs(source, from, middle)).await?;
            first.extend(Box::pin(logs(source, middle + 1, to)).await?);
            Ok(first)
        }
    }
}
