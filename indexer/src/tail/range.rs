//! One range of blocks, read and checked.

use alloy::primitives::B256;
use otp_core::{
    chain::{self, EndpointPlace},
    store::{Block, ChainEvent},
};

use crate::source::{Header, ReadError, Source};

/// Events in one transaction, as far as one block has no more: other writers wait for so long at most.
const EVENTS_AT_ONCE: usize = 2_000;

/// What a range of blocks holds.
#[derive(Debug)]
pub(crate) struct Range {
    /// Every block, linked.
    pub(crate) headers: Vec<Header>,
    /// The verifier's events, in the chain's order.
    pub(crate) events: Vec<ChainEvent>,
    /// The one node that said all of it.
    pub(crate) reader: Option<EndpointPlace>,
}

/// Why a range was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RangeError {
    /// It is too large for the node.
    #[error("{}", chain::brief(.0))]
    TooMuch(chain::RpcFailure),
    /// The node took too long, which a smaller one might mend.
    #[error("{}", chain::brief(.0))]
    TooSlow(chain::RpcFailure),
    /// Anything else; it says nothing about the range.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Range {
    /// Reads the blocks `from..=to`: all logs in one call, and every header, for a node may leave logs out and only the
    /// header's bloom shows it.
    pub(crate) async fn read(source: &Source, from: u64, to: u64) -> Result<Self, RangeError> {
        let asked = source.asked();
        let logs = source.logs(from, to).await.map_err(|error| {
            if chain::is_too_much(&error) {
                RangeError::TooMuch(error)
            } else if chain::is_timeout(&error) {
                RangeError::TooSlow(error)
            } else {
                RangeError::Read(error.into())
            }
        })?;
        let headers = source.headers(from, to).await?;
        let mut events = Vec::with_capacity(logs.len());
        let mut logs = logs.into_iter().peekable();
        for header in &headers {
            let number = header.block.number;
            let here = std::iter::from_fn(|| logs.next_if(|log| log.block_number == Some(number))).collect();
            events.extend(source.read(header, here).await?);
        }
        if logs.next().is_some() {
            return Err(ReadError::Inconsistent("the node answered with logs outside the range").into());
        }
        Ok(Self { headers, events, reader: source.still(asked) })
    }

    /// The hash of the block before the first one.
    pub(crate) fn parent(&self) -> Option<B256> {
        self.headers.first().map(|header| header.block.parent_hash)
    }

    /// What is applied in one transaction each: the blocks with events and the last one, with their events. No block is
    /// split.
    pub(crate) fn pieces(self) -> Vec<(Vec<Block>, Vec<ChainEvent>)> {
        let last = self.headers.len().saturating_sub(1);
        let mut events = self.events.into_iter().peekable();
        let (mut pieces, mut blocks, mut piece) = (Vec::new(), Vec::new(), Vec::new());
        for (place, header) in self.headers.iter().enumerate() {
            let before = piece.len();
            piece.extend(std::iter::from_fn(|| events.next_if(|e| e.place.block_hash == header.block.hash)));
            if piece.len() > before || place == last {
                blocks.push(header.block);
            }
            if piece.len() >= EVENTS_AT_ONCE || place == last {
                pieces.push((std::mem::take(&mut blocks), std::mem::take(&mut piece)));
            }
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Bloom, U256};
    use otp_core::store::{EventKind, Facts, Place};

    use super::*;

    fn hash(number: u64) -> B256 {
        B256::from(U256::from(number))
    }

    fn header(number: u64) -> Header {
        let parent_hash = hash(number.wrapping_sub(1));
        let block = Block { hash: hash(number), number, parent_hash, timestamp: 0 };
        Header { block, bloom: Bloom::ZERO, transactions: 0 }
    }

    fn event(number: u64, log_index: u64) -> ChainEvent {
        let (block_hash, tx_hash) = (hash(number), B256::ZERO);
        let place = Place { block_hash, block_number: number, timestamp: 0, tx_hash, log_index };
        ChainEvent { place, kind: EventKind::Set, facts: Facts::default() }
    }

    /// Blocks from 0 on with so many events each.
    fn range(counts: &[u64]) -> Range {
        let counted = (0..).zip(counts);
        let events = counted.clone().flat_map(|(number, count)| (0..*count).map(move |index| event(number, index)));
        Range {
            headers: counted.clone().map(|(number, _)| header(number)).collect(),
            events: events.collect(),
            reader: None,
        }
    }

    #[test]
    fn a_range_is_cut_between_blocks_and_nothing_of_it_is_lost() {
        let pieces = range(&[0, 1_999, 1, 0, 5_000, 0, 3, 0]).pieces();
        let shape: Vec<(Vec<u64>, usize)> =
            pieces.iter().map(|(blocks, events)| (blocks.iter().map(|b| b.number).collect(), events.len())).collect();
        assert_eq!(shape, [(vec![1, 2], 2_000), (vec![4], 5_000), (vec![6, 7], 3)]);
    }

    #[test]
    fn a_range_without_events_is_its_last_block() {
        let pieces = range(&[0; 300]).pieces();
        assert_eq!(pieces.len(), 1);
        assert_eq!(pieces[0].0.iter().map(|block| block.number).collect::<Vec<_>>(), [299]);
    }
}
