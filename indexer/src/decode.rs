//! From a block's logs to its events. A log that is not what the contract's interface says ends the tail: to go on would
//! be to guess.

use alloy::{primitives::B256, rpc::types::Log, sol_types::SolEventInterface};
use otp_core::{
    contract::{MAX_BATCH, OtpVerifier::OtpVerifierEvents as Event},
    store::{Block, ChainEvent, EventKind, Facts, Place},
};

/// Why logs make no events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Logs are missing: a batch's ids do not follow its `OtpBatchSet` one by one.
    #[error("logs are missing around log {log_index} of block {block}")]
    Gap {
        /// The block.
        block: B256,
        /// The log at which it was seen.
        log_index: u64,
    },
    /// A log that the contract cannot have written.
    #[error("log {log_index} of block {block} is no event of this contract's interface: {why}")]
    Malformed {
        /// The block.
        block: B256,
        /// The log.
        log_index: u64,
        /// What is wrong.
        why: &'static str,
    },
}

/// A batch whose ids are being read.
struct OpenBatch {
    tx_hash: B256,
    facts: Facts,
    next: u64,
    end: u64,
}

/// Decodes the verifier's logs of one block, given in order. Events that this system does not follow are left out.
///
/// # Errors
/// [`DecodeError`].
pub fn events(block: &Block, logs: &[Log]) -> Result<Vec<ChainEvent>, DecodeError> {
    let mut events = Vec::with_capacity(logs.len());
    let mut open: Option<OpenBatch> = None;
    for log in logs {
        let place = place(block, log)?;
        let malformed = |why| DecodeError::Malformed { block: block.hash, log_index: place.log_index, why };
        let gap = DecodeError::Gap { block: block.hash, log_index: place.log_index };
        let Some(topic) = log.topic0() else { return Err(malformed("it has no topic")) };
        if !Event::SELECTORS.contains(&topic.0) {
            continue;
        }
        let event = Event::decode_log(&log.inner).map_err(|_| malformed("it does not decode"))?.data;
        if open.is_some() && !matches!(event, Event::OtpSet(_)) {
            return Err(gap);
        }
        let found = match event {
            Event::OtpBatchSet(batch) => {
                let facts = batch_facts(&batch).ok_or_else(|| malformed("numbers out of bounds"))?;
                let first = facts.first.unwrap_or_default();
                let end = first + facts.size.unwrap_or_default();
                open = Some(OpenBatch { tx_hash: place.tx_hash, facts: facts.clone(), next: first, end });
                Some((EventKind::BatchSet, facts))
            }
            Event::OtpSet(set) => {
                let Some(batch) = open.as_mut() else { return Err(gap) };
                let belongs = batch.tx_hash == place.tx_hash && batch.facts.root == Some(set.root);
                if !belongs || u64::try_from(set.serial) != Ok(batch.next) {
                    return Err(gap);
                }
                let facts = Facts { on_chain_id: Some(set.id), serial: Some(batch.next), ..batch.facts.clone() };
                batch.next += 1;
                if batch.next == batch.end {
                    open = None;
                }
                Some((EventKind::Set, facts))
            }
            other => other_facts(other),
        };
        events.extend(found.map(|(kind, facts)| ChainEvent { place, kind, facts }));
    }
    match (open, logs.last()) {
        (Some(_), Some(last)) => {
            Err(DecodeError::Gap { block: block.hash, log_index: last.log_index.unwrap_or_default() })
        }
        _ => Ok(events),
    }
}

fn place(block: &Block, log: &Log) -> Result<Place, DecodeError> {
    let (Some(tx_hash), Some(log_index)) = (log.transaction_hash, log.log_index) else {
        return Err(DecodeError::Malformed { block: block.hash, log_index: 0, why: "it has no place" });
    };
    Ok(Place { block_hash: block.hash, block_number: block.number, timestamp: block.timestamp, tx_hash, log_index })
}

/// `None` when a number is one that the contract's own bounds exclude.
fn batch_facts(batch: &otp_core::contract::OtpVerifier::OtpBatchSet) -> Option<Facts> {
    let first = u64::try_from(batch.first).ok().filter(|first| *first < 1 << 40)?;
    let size = u64::try_from(batch.size).ok().filter(|size| (1..=MAX_BATCH as u64).contains(size))?;
    Some(Facts {
        root: Some(batch.root),
        issuer: Some(batch.issuer),
        purpose: Some(batch.purpose),
        first: Some(first),
        size: Some(size),
        expiry: Some(batch.expiry).filter(|expiry| *expiry < 1 << 40)?.into(),
        ..Facts::default()
    })
}

fn other_facts(event: Event) -> Option<(EventKind, Facts)> {
    let facts = Facts::default();
    match event {
        Event::OtpVerified(e) => Some((
            EventKind::Verified,
            Facts {
                on_chain_id: Some(e.id),
                subject: Some(e.subject),
                action: Some(e.action),
                issuer: Some(e.issuer),
                purpose: Some(e.purpose),
                ..facts
            },
        )),
        Event::OtpConsumed(e) => Some((
            EventKind::Consumed,
            Facts {
                on_chain_id: Some(e.id),
                subject: Some(e.subject),
                party: Some(e.consumer),
                issuer: Some(e.issuer),
                purpose: Some(e.purpose),
                ..facts
            },
        )),
        Event::OtpRevoked(e) => Some((
            EventKind::Revoked,
            Facts { on_chain_id: Some(e.id), issuer: Some(e.issuer), party: Some(e.by), ..facts },
        )),
        Event::OtpBatchRevoked(e) => Some((
            EventKind::BatchRevoked,
            Facts { root: Some(e.root), issuer: Some(e.issuer), party: Some(e.by), ..facts },
        )),
        Event::PolicySet(e) => Some((EventKind::PolicySet, Facts { purpose: Some(e.purpose), ..facts })),
        // roles, pause and upgrades
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use alloy::{
        primitives::{Address, U256},
        sol_types::SolEvent,
    };
    use otp_core::contract::OtpVerifier::{OtpBatchSet, OtpSet, OtpVerified, Paused};

    use super::*;

    const BLOCK: Block = Block { hash: B256::repeat_byte(1), number: 7, parent_hash: B256::ZERO, timestamp: 1_000 };

    fn batch(first: u64, size: u64) -> OtpBatchSet {
        OtpBatchSet {
            root: B256::repeat_byte(9),
            issuer: Address::repeat_byte(2),
            purpose: B256::repeat_byte(3),
            first: U256::from(first),
            size: U256::from(size),
            expiry: 1_060,
        }
    }

    fn set(id: u8, serial: u64) -> OtpSet {
        OtpSet { id: B256::repeat_byte(id), root: B256::repeat_byte(9), serial: U256::from(serial) }
    }

    fn logs(events: Vec<alloy::primitives::LogData>) -> Vec<Log> {
        let log = |(index, data)| Log {
            inner: alloy::primitives::Log { address: Address::ZERO, data },
            transaction_hash: Some(B256::repeat_byte(5)),
            log_index: Some(index),
            ..Log::default()
        };
        (10..).zip(events).map(log).collect()
    }

    #[test]
    fn an_id_repeats_the_facts_of_the_batch_before_it() {
        let given = logs(vec![
            batch(4, 2).encode_log_data(),
            set(0xa, 4).encode_log_data(),
            set(0xb, 5).encode_log_data(),
            Paused { account: Address::ZERO }.encode_log_data(),
        ]);
        let read = events(&BLOCK, &given).unwrap();
        assert_eq!(read.iter().map(|e| e.kind.name()).collect::<Vec<_>>(), ["otp-batch-set", "otp-set", "otp-set"]);
        assert_eq!(read[2].facts.serial, Some(5));
        assert_eq!(read[2].facts.issuer, Some(Address::repeat_byte(2)));
        assert_eq!(read[2].facts.expiry, Some(1_060));
        assert_eq!(read[2].place.log_index, 12);
    }

    #[test]
    fn a_batch_with_any_log_missing_is_a_gap() {
        let whole = logs(vec![
            batch(4, 2).encode_log_data(),
            set(0xa, 4).encode_log_data(),
            set(0xb, 5).encode_log_data(),
            batch(6, 1).encode_log_data(),
            set(0xc, 6).encode_log_data(),
        ]);
        for missing in 0..whole.len() {
            let mut partial = whole.clone();
            partial.remove(missing);
            assert!(matches!(events(&BLOCK, &partial), Err(DecodeError::Gap { .. })), "without log {missing}");
        }
    }

    #[test]
    fn numbers_beyond_the_contracts_bounds_are_malformed() {
        for wrong in [batch(0, 0), batch(0, 81), batch(1 << 40, 1), OtpBatchSet { expiry: u64::MAX, ..batch(0, 1) }] {
            let read = events(&BLOCK, &logs(vec![wrong.encode_log_data()]));
            assert!(matches!(read, Err(DecodeError::Malformed { .. })));
        }
    }

    #[test]
    fn a_log_with_a_known_topic_and_strange_data_is_malformed() {
        let mut data = OtpVerified {
            id: B256::ZERO,
            subject: Address::ZERO,
            action: B256::ZERO,
            issuer: Address::ZERO,
            purpose: B256::ZERO,
        }
        .encode_log_data();
        data.data = vec![1, 2, 3].into();
        assert!(matches!(events(&BLOCK, &logs(vec![data])), Err(DecodeError::Malformed { .. })));
    }
}
