//! What the node says, checked against itself. A node behind a balancer answers from several machines: an empty or
//! partial answer is asked for again in another way, and never taken for "nothing happened".

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, Bloom, BloomInput},
    providers::Provider,
    rpc::{
        client::{BatchRequest, Waiter},
        types::{Filter, Log},
    },
    transports::{RpcError, TransportErrorKind},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use otp_core::{
    chain::{self, EndpointPlace, Node, Pool, RpcFailure},
    store::{Block, ChainEvent},
};

pub use self::header::Header;
use self::header::RawHeader;
use crate::decode::{self, DecodeError};

mod header;

/// Headers in one batch: the smallest limit of the known providers is 100.
const BATCH: u64 = 100;
/// Batches of one range that are under way at once.
const BATCHES_AT_ONCE: usize = 2;
/// Headers that are asked for at once where a node takes no batches.
const HEADERS_AT_ONCE: usize = 16;
/// A node that refused so many batches in a row is asked for single headers.
const REFUSALS: u32 = 3;

/// A read failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The node did not answer, or with an error.
    #[error("{}", chain::brief(.0))]
    Rpc(#[from] RpcFailure),
    /// Answers that do not fit together: the node lags, or the chain moved while it was read.
    #[error("{0}")]
    Inconsistent(&'static str),
    /// Logs that cannot be the block's.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl ReadError {
    /// Whether asking again can help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        // What the contract wrote is read as it is: what is left is the node's fault, and nodes change.
        match self {
            Self::Rpc(_) | Self::Inconsistent(_) | Self::Decode(_) => true,
        }
    }
}

/// One contract's logs at one node.
#[derive(Debug, Clone)]
pub struct Source {
    node: Node,
    pool: Pool,
    verifier: Address,
    /// Batches refused since one was answered.
    refusals: Arc<AtomicU32>,
}

impl Source {
    /// Reads `verifier`'s logs from `node`, which stands before `pool`.
    #[must_use]
    pub fn new(node: Node, pool: Pool, verifier: Address) -> Self {
        Self { node, pool, verifier, refusals: Arc::default() }
    }

    /// The node that answers now.
    #[must_use]
    pub fn asked(&self) -> EndpointPlace {
        self.pool.asked()
    }

    /// This node, where it is still the one that answers: `None` where what was read since may be another's.
    #[must_use]
    pub fn still(&self, asked: EndpointPlace) -> Option<EndpointPlace> {
        (self.asked() == asked).then_some(asked)
    }

    /// Whether no other node is configured.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.pool.is_alone()
    }

    /// The same contract at any node but this one; at this one where there is no other.
    #[must_use]
    pub fn beside(&self, but: EndpointPlace) -> Self {
        Self::new(self.pool.beside(but), self.pool.clone(), self.verifier)
    }

    /// The same contract at this node alone.
    #[must_use]
    pub fn only(&self, place: EndpointPlace) -> Self {
        Self::new(self.pool.only(place), self.pool.clone(), self.verifier)
    }

    /// Turns away from a node whose chain others have shown to be wrong.
    pub fn distrust(&self, place: EndpointPlace) {
        self.pool.distrust(place);
    }

    /// The latest block.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn head(&self) -> Result<Header, ReadError> {
        let header = self.fetch(BlockNumberOrTag::Latest).await?;
        header.ok_or(ReadError::Inconsistent("the node has no latest block"))
    }

    /// The block that a tag means; `None` where the node does not know the tag, or has no such block yet.
    ///
    /// # Errors
    /// When the node does not answer, or with an error that says nothing about the tag.
    pub async fn tagged(&self, tag: BlockNumberOrTag) -> Result<Option<Block>, ReadError> {
        match self.fetch(tag).await {
            Err(ReadError::Rpc(error)) if chain::is_unknown_tag(&error) => Ok(None),
            found => Ok(found?.map(|header| header.block)),
        }
    }

    /// The block with this number; an error where the node has none: it lags, and will have it.
    ///
    /// # Errors
    /// When the node does not answer or does not know the block.
    pub async fn header(&self, number: u64) -> Result<Header, ReadError> {
        numbered(number, self.fetch(number.into()).await?)
    }

    /// The block with this hash; `None` where the node does not know it.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn header_of(&self, hash: B256) -> Result<Option<Header>, ReadError> {
        let answer: Option<RawHeader> = self.node.client().request("eth_getBlockByHash", (hash, false)).await?;
        match answer.map(Header::from) {
            Some(header) if header.block.hash != hash => {
                Err(ReadError::Inconsistent("the node answered with another block"))
            }
            answer => Ok(answer),
        }
    }

    async fn fetch(&self, number: BlockNumberOrTag) -> Result<Option<Header>, ReadError> {
        let answer: Option<RawHeader> = self.node.client().request("eth_getBlockByNumber", (number, false)).await?;
        Ok(answer.map(Header::from))
    }

    /// The headers of the blocks `from..=to`, each the parent of the next.
    ///
    /// # Errors
    /// As [`Source::header`], and when they do not link.
    pub async fn headers(&self, from: u64, to: u64) -> Result<Vec<Header>, ReadError> {
        let starts = (from..=to).step_by(usize::try_from(BATCH).unwrap_or(1));
        let parts = stream::iter(starts).map(|start| self.part(start, to.min(start + BATCH - 1)));
        let parts: Vec<Vec<Header>> = parts.buffered(BATCHES_AT_ONCE).try_collect().await?;
        let headers = parts.concat();
        if headers.windows(2).all(|pair| pair[1].block.parent_hash == pair[0].block.hash) {
            Ok(headers)
        } else {
            Err(ReadError::Inconsistent("the chain moved while a range was read"))
        }
    }

    /// By one batch; one by one where the node refuses batches, or this one.
    async fn part(&self, from: u64, to: u64) -> Result<Vec<Header>, ReadError> {
        if from < to && self.refusals.load(Relaxed) < REFUSALS {
            match self.batch(from, to).await {
                Err(ReadError::Rpc(error)) if is_refused(&error) => {
                    let refusals = self.refusals.fetch_add(1, Relaxed) + 1;
                    if refusals == REFUSALS {
                        tracing::warn!(error = chain::brief(&error), "the node takes no batches: reading goes slowly");
                    }
                }
                settled => {
                    self.refusals.store(0, Relaxed);
                    return settled;
                }
            }
        }
        stream::iter(from..=to).map(|number| self.header(number)).buffered(HEADERS_AT_ONCE).try_collect().await
    }

    async fn batch(&self, from: u64, to: u64) -> Result<Vec<Header>, ReadError> {
        let client = self.node.client();
        let mut batch = BatchRequest::new(client);
        let call = |number: u64| {
            let waiter: Result<Waiter<Option<RawHeader>>, RpcFailure> =
                batch.add_call("eth_getBlockByNumber", &(BlockNumberOrTag::from(number), false));
            waiter
        };
        let waiters: Vec<Waiter<Option<RawHeader>>> = (from..=to).map(call).collect::<Result<_, _>>()?;
        batch.send().await?;
        let mut headers = Vec::with_capacity(waiters.len());
        for (number, waiter) in (from..=to).zip(waiters) {
            headers.push(numbered(number, waiter.await?.map(Header::from))?);
        }
        Ok(headers)
    }

    /// The events of one block.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn events(&self, header: &Header) -> Result<Vec<ChainEvent>, ReadError> {
        let logs = self.logs_of(header.block.hash).await?;
        self.read(header, logs).await
    }

    /// The logs of one block, by its hash.
    ///
    /// # Errors
    /// When the node does not answer, or does not know the block.
    pub async fn logs_of(&self, block: B256) -> Result<Vec<Log>, RpcFailure> {
        self.node.get_logs(&Filter::new().at_block_hash(block).address(self.verifier)).await
    }

    /// The logs of the blocks `from..=to`, in the chain's order.
    ///
    /// # Errors
    /// When the node does not answer, or finds the range too large.
    pub async fn logs(&self, from: u64, to: u64) -> Result<Vec<Log>, RpcFailure> {
        let filter = Filter::new().from_block(from).to_block(to).address(self.verifier);
        let mut logs = self.node.get_logs(&filter).await?;
        logs.sort_by_key(|log| (log.block_number, log.log_index));
        Ok(logs)
    }

    /// Decodes a block's logs. Where the header's bloom or the events themselves show that logs are missing or are not the
    /// contract's, the block's receipts are asked for. If these have no more, the bloom spoke of somebody else; if they
    /// make no more sense, here nor at another node, the contract has written it.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read(&self, header: &Header, mut logs: Vec<Log>) -> Result<Vec<ChainEvent>, ReadError> {
        logs.sort_by_key(|log| log.log_index);
        self.check(&header.block, &logs)?;
        let hidden = logs.is_empty() && header.bloom.contains_input(BloomInput::Raw(self.verifier.as_slice()));
        if !hidden && let Ok(events) = decode::events(&header.block, &logs) {
            return Ok(events);
        }
        tracing::debug!(block = header.block.number, "logs seem to be missing: asking for receipts");
        let asked = self.asked();
        let logs = self.logs_from_receipts(header).await?;
        let error = match decode::events(&header.block, &logs) {
            Ok(events) => return Ok(events),
            Err(error) => error,
        };
        // Where no other node answers, this one is believed until the block is read again when it is final.
        if !self.is_alone()
            && let Ok(others) = self.beside(asked).logs_from_receipts(header).await
        {
            if let Ok(events) = decode::events(&header.block, &others) {
                return Ok(events);
            }
            if others.iter().map(|log| &log.inner).ne(logs.iter().map(|log| &log.inner)) {
                return Err(error.into());
            }
        }
        Ok(decode::events_as_they_are(&header.block, &logs)?)
    }

    /// The verifier's logs by the block's receipts, which are all there: their logs make the header's bloom, unless it is
    /// a chain that makes none.
    async fn logs_from_receipts(&self, header: &Header) -> Result<Vec<Log>, ReadError> {
        let receipts = self.node.get_block_receipts(header.block.hash.into()).await?.ok_or(RpcError::NullResp)?;
        if receipts.len() != header.transactions {
            return Err(ReadError::Inconsistent("the node has not all receipts of a block"));
        }
        let logs = receipts.into_iter().flat_map(|receipt| receipt.inner.into_receipt().logs);
        let (mut bloom, mut ours) = (Bloom::ZERO, Vec::new());
        for log in logs {
            bloom.accrue_log(&log.inner);
            if log.address() == self.verifier {
                ours.push(log);
            }
        }
        if !header.bloom.is_zero() && bloom != header.bloom {
            return Err(ReadError::Inconsistent("the node has not all logs of a block in its receipts"));
        }
        self.check(&header.block, &ours)?;
        Ok(ours)
    }

    fn check(&self, block: &Block, logs: &[Log]) -> Result<(), ReadError> {
        let ours = |log: &Log| {
            log.block_hash == Some(block.hash)
                && log.block_number == Some(block.number)
                && log.address() == self.verifier
                && !log.removed
        };
        let ascending = logs.windows(2).all(|pair| pair[0].log_index < pair[1].log_index);
        if ascending && logs.iter().all(ours) {
            Ok(())
        } else {
            Err(ReadError::Inconsistent("the node answered with logs of another block"))
        }
    }
}

fn numbered(number: u64, header: Option<Header>) -> Result<Header, ReadError> {
    match header {
        None => Err(ReadError::Inconsistent("the node does not know a block below its head")),
        Some(header) if header.block.number == number => Ok(header),
        Some(_) => Err(ReadError::Inconsistent("the node answered with another block")),
    }
}

/// An error for one of a batch's calls, or for the batch: single calls tell what it is.
const fn is_refused(error: &RpcFailure) -> bool {
    matches!(error, RpcError::ErrorResp(_) | RpcError::Transport(TransportErrorKind::MissingBatchResponse(_)))
}
