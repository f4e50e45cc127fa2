//! What the node says, checked against itself. A node behind a balancer answers from several machines: an empty or
//! partial answer is asked for again in another way, and never taken for "nothing happened".

use alloy::{
    consensus::BlockHeader,
    eips::BlockNumberOrTag,
    network::{BlockResponse, primitives::HeaderResponse},
    primitives::{Address, B256, Bloom, BloomInput},
    providers::Provider,
    rpc::types::{Filter, Log},
    transports::RpcError,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use otp_core::{
    chain::{self, Node, RpcFailure},
    store::{Block, ChainEvent},
};

use crate::decode::{self, DecodeError};

/// Headers that are asked for at once while catching up.
const HEADERS_AT_ONCE: usize = 16;

/// A read failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The node did not answer, or with an error.
    #[error("{}", chain::brief(.0))]
    Rpc(#[from] RpcFailure),
    /// Answers that do not fit together: the node lags, or the chain moved while it was read.
    #[error("{0}")]
    Inconsistent(&'static str),
    /// Logs that no reading makes sense of.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl ReadError {
    /// Whether asking again can help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        !matches!(self, Self::Decode(_))
    }
}

/// A header with what is needed to judge an answer about its block.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    /// The block.
    pub block: Block,
    /// Which addresses and topics its logs may have.
    pub bloom: Bloom,
    /// How many transactions it has.
    pub transactions: usize,
}

/// One contract's logs at one node.
#[derive(Debug, Clone)]
pub struct Source {
    node: Node,
    verifier: Address,
}

impl Source {
    /// Reads `verifier`'s logs from `node`.
    #[must_use]
    pub const fn new(node: Node, verifier: Address) -> Self {
        Self { node, verifier }
    }

    /// The latest block.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn head(&self) -> Result<Block, ReadError> {
        let header = self.fetch(BlockNumberOrTag::Latest).await?;
        header.map(|header| header.block).ok_or(ReadError::Inconsistent("the node has no latest block"))
    }

    /// The block with this number; an error where the node has none: it lags, and will have it.
    ///
    /// # Errors
    /// When the node does not answer or does not know the block.
    pub async fn header(&self, number: u64) -> Result<Header, ReadError> {
        let header = self.fetch(number.into()).await?;
        let header = header.ok_or(ReadError::Inconsistent("the node does not know a block below its head"))?;
        if header.block.number == number {
            Ok(header)
        } else {
            Err(ReadError::Inconsistent("the node answered with another block"))
        }
    }

    /// The headers of the blocks `from..=to`, each the parent of the next, the first one's parent being `parent`.
    ///
    /// # Errors
    /// As [`Source::header`], and when they do not link.
    pub async fn headers(&self, parent: B256, from: u64, to: u64) -> Result<Vec<Header>, ReadError> {
        let headers = stream::iter(from..=to).map(|number| self.header(number)).buffered(HEADERS_AT_ONCE);
        let headers: Vec<Header> = headers.try_collect().await?;
        let parents = std::iter::once(parent).chain(headers.iter().map(|header| header.block.hash));
        if headers.iter().zip(parents).all(|(header, parent)| header.block.parent_hash == parent) {
            Ok(headers)
        } else {
            Err(ReadError::Inconsistent("the chain moved while a range was read"))
        }
    }

    async fn fetch(&self, number: BlockNumberOrTag) -> Result<Option<Header>, ReadError> {
        let answer = self.node.get_block_by_number(number).await?;
        Ok(answer.map(|answer| {
            let header = answer.header();
            let block = Block {
                hash: header.hash(),
                number: header.number(),
                parent_hash: header.parent_hash(),
                timestamp: header.timestamp(),
            };
            Header { block, bloom: header.logs_bloom(), transactions: answer.transactions().len() }
        }))
    }

    /// The events of one block.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn events(&self, header: &Header) -> Result<Vec<ChainEvent>, ReadError> {
        let filter = Filter::new().at_block_hash(header.block.hash).address(self.verifier);
        let logs = self.node.get_logs(&filter).await?;
        self.read(header, logs).await
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

    /// Decodes a block's logs. Where the header's bloom or the events themselves show that logs are missing, the block's
    /// receipts are asked for; if these have no more, the bloom spoke of somebody else.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read(&self, header: &Header, mut logs: Vec<Log>) -> Result<Vec<ChainEvent>, ReadError> {
        logs.sort_by_key(|log| log.log_index);
        self.check(&header.block, &logs)?;
        let hidden = logs.is_empty() && header.bloom.contains_input(BloomInput::Raw(self.verifier.as_slice()));
        if !hidden {
            match decode::events(&header.block, &logs) {
                Err(DecodeError::Gap { .. }) => {}
                settled => return Ok(settled?),
            }
        }
        tracing::debug!(block = header.block.number, "logs seem to be missing: asking for receipts");
        let logs = self.logs_from_receipts(header).await?;
        self.check(&header.block, &logs)?;
        Ok(decode::events(&header.block, &logs)?)
    }

    async fn logs_from_receipts(&self, header: &Header) -> Result<Vec<Log>, ReadError> {
        let receipts = self.node.get_block_receipts(header.block.hash.into()).await?.ok_or(RpcError::NullResp)?;
        if receipts.len() != header.transactions {
            return Err(ReadError::Inconsistent("the node has not all receipts of a block"));
        }
        let logs = receipts.into_iter().flat_map(|receipt| receipt.inner.into_receipt().logs);
        Ok(logs.filter(|log| log.address() == self.verifier).collect())
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
