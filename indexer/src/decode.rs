//! From a block's logs to its events. A log that is not what the contract's interface says is either a node's fault, and
//! is asked for again, or the contract's: then it is stored as what it is, and nothing follows from it.

use alloy::{
    primitives::{Address, B256},
    rpc::types::Log,
    sol_types::{SolEvent, SolEventInterface},
};
use otp_core::{
    contract::{MAX_BATCH, OtpVerifier::OtpVerifierEvents as Event, proxy},
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
    /// A log that the contract, as we know it, cannot have written.
    #[error("log {log_index} of block {block} is no event of this contract's interface: {why}")]
    Malformed {
        /// The block.
        block: B256,
        /// The log.
        log_index: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// The node does not say where a log stands.
    #[error("a log of block {block} has no place")]
    Unplaced {
        /// The block.
        block: B256,
    },
}

/// Decodes the verifier's logs of one block, given in order. Events that this system does not follow are left out; those
/// that the interface does not have are [`EventKind::Unknown`].
///
/// # Errors
/// [`DecodeError`]: the logs are to be read again in another way.
pub fn events(block: &Block, logs: &[Log]) -> Result<Vec<ChainEvent>, DecodeError> {
    let mut reading = Reading::default();
    for log in logs {
        let place = place(block, log)?;
        reading.take(place, log)?;
    }
    match (reading.open, logs.last()) {
        (Some(_), Some(last)) => {
            Err(DecodeError::Gap { block: block.hash, log_index: last.log_index.unwrap_or_default() })
        }
        _ => Ok(reading.events),
    }
}

/// As [`events`], where it is certain that these are the block's logs: what does not decode, or belongs to no batch, is
/// [`EventKind::Malformed`].
///
/// # Errors
/// [`DecodeError::Unplaced`]
pub fn events_as_they_are(block: &Block, logs: &[Log]) -> Result<Vec<ChainEvent>, DecodeError> {
    let mut reading = Reading::default();
    for log in logs {
        let place = place(block, log)?;
        let mut outcome = reading.take(place, log);
        // A batch that broke off hides nothing of what comes after it.
        if matches!(outcome, Err(DecodeError::Gap { .. })) && reading.open.take().is_some() {
            outcome = reading.take(place, log);
        }
        if let Err(error) = outcome {
            tracing::warn!(%error, tx_hash = %place.tx_hash, "a log was stored that nobody understands");
            reading.events.push(ChainEvent { place, kind: EventKind::Malformed, facts: Facts::default() });
        }
    }
    Ok(reading.events)
}

/// A batch whose ids are being read.
struct OpenBatch {
    tx_hash: B256,
    facts: Facts,
    next: u64,
    end: u64,
}

#[derive(Default)]
struct Reading {
    events: Vec<ChainEvent>,
    open: Option<OpenBatch>,
}

impl Reading {
    /// Nothing changes where it fails.
    fn take(&mut self, place: Place, log: &Log) -> Result<(), DecodeError> {
        let (block, log_index) = (place.block_hash, place.log_index);
        let malformed = |why| DecodeError::Malformed { block, log_index, why };
        let gap = DecodeError::Gap { block, log_index };
        if log.topic0() == Some(&proxy::Upgraded::SIGNATURE_HASH) {
            let upgraded = proxy::Upgraded::decode_log(&log.inner).map_err(|_| malformed("it does not decode"))?;
            let facts = Facts { party: Some(upgraded.implementation), ..Facts::default() };
            self.events.push(ChainEvent { place, kind: EventKind::Upgraded, facts });
            return Ok(());
        }
        if !log.topic0().is_some_and(|topic| Event::SELECTORS.contains(&topic.0)) {
            if !log.topic0().is_some_and(|topic| proxy::TOPICS.contains(topic)) {
                self.events.push(ChainEvent { place, kind: EventKind::Unknown, facts: Facts::default() });
            }
            return Ok(());
        }
        let event = Event::decode_log(&log.inner).map_err(|_| malformed("it does not decode"))?.data;
        if self.open.is_some() && !matches!(event, Event::OtpSet(_)) {
            return Err(gap);
        }
        let found = match event {
            Event::OtpBatchSet(batch) => {
                let facts = batch_facts(&batch).ok_or_else(|| malformed("numbers out of bounds"))?;
                let first = facts.first.unwrap_or_default();
                let end = first + facts.size.unwrap_or_default();
                self.open = Some(OpenBatch { tx_hash: place.tx_hash, facts: facts.clone(), next: first, end });
                Some((EventKind::BatchSet, facts))
            }
            Event::OtpSet(set) => {
                let Some(batch) = self.open.as_mut() else { return Err(gap) };
                let belongs = batch.tx_hash == place.tx_hash && batch.facts.root == Some(set.root);
                if !belongs || u64::try_from(set.serial) != Ok(batch.next) {
                    return Err(gap);
                }
                let facts = Facts { on_chain_id: Some(set.id), serial: Some(batch.next), ..batch.facts.clone() };
                batch.next += 1;
                if batch.next == batch.end {
                    self.open = None;
                }
                Some((EventKind::Set, facts))
            }
            other => other_facts(other),
        };
        self.events.extend(found.map(|(kind, facts)| ChainEvent { place, kind, facts }));
        Ok(())
    }
}

fn place(block: &Block, log: &Log) -> Result<Place, DecodeError> {
    let (Some(tx_hash), Some(log_index)) = (log.transaction_hash, log.log_index) else {
        return Err(DecodeError::Unplaced { block: block.hash });
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
        Event::RoleGranted(e) => Some((EventKind::RoleGranted, role(e.role, e.account, e.sender))),
        Event::RoleRevoked(e) => Some((EventKind::RoleRevoked, role(e.role, e.account, e.sender))),
        Event::Paused(e) => Some((EventKind::Paused, Facts { party: Some(e.account), ..facts })),
        Event::Unpaused(e) => Some((EventKind::Unpaused, Facts { party: Some(e.account), ..facts })),
        // the initialization, and who administers a role: nothing of ours ever changes that
        _ => None,
    }
}

fn role(role: B256, account: Address, sender: Address) -> Facts {
    Facts { action: Some(role), subject: Some(account), party: Some(sender), ..Facts::default() }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::U256;
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
        assert_eq!(
            read.iter().map(|e| e.kind.name()).collect::<Vec<_>>(),
            ["otp-batch-set", "otp-set", "otp-set", "paused"]
        );
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

    fn kinds(read: &[ChainEvent]) -> Vec<&'static str> {
        read.iter().map(|event| event.kind.name()).collect()
    }

    #[test]
    fn what_is_certain_and_makes_no_sense_is_kept_and_hides_nothing_after_it() {
        let mut strange = batch(0, 1).encode_log_data();
        strange.data = vec![1].into();
        let given = logs(vec![
            set(0xf, 9).encode_log_data(),
            batch(4, 2).encode_log_data(),
            set(0xa, 4).encode_log_data(),
            batch(6, 1).encode_log_data(),
            set(0xb, 6).encode_log_data(),
            strange,
            batch(7, 0).encode_log_data(),
            batch(8, 1).encode_log_data(),
            set(0xc, 8).encode_log_data(),
        ]);
        assert!(events(&BLOCK, &given).is_err());
        let read = events_as_they_are(&BLOCK, &given).unwrap();
        let (batch, set, odd) = ("otp-batch-set", "otp-set", "malformed");
        assert_eq!(kinds(&read), [odd, batch, set, batch, set, odd, odd, batch, set]);
        assert_eq!(read[8].facts.on_chain_id, Some(B256::repeat_byte(0xc)));
        assert_eq!(read[0].facts, Facts::default(), "nothing follows from what makes no sense");
    }

    #[test]
    fn an_event_of_a_later_contract_is_kept_and_so_is_an_upgrade_of_the_proxy() {
        let later = alloy::primitives::LogData::new_unchecked(vec![B256::repeat_byte(0x44)], vec![1, 2].into());
        let bare = alloy::primitives::LogData::new_unchecked(Vec::new(), vec![3].into());
        let upgraded = proxy::Upgraded { implementation: Address::ZERO }.encode_log_data();
        let admin = proxy::AdminChanged { previousAdmin: Address::ZERO, newAdmin: Address::ZERO }.encode_log_data();
        let (batch, set) = (batch(4, 1).encode_log_data(), set(0xa, 4).encode_log_data());
        let read = events(&BLOCK, &logs(vec![admin, upgraded, batch, later, set, bare])).unwrap();
        assert_eq!(kinds(&read), ["upgraded", "otp-batch-set", "unknown", "otp-set", "unknown"]);
    }

    #[test]
    fn a_log_without_a_place_is_the_nodes_fault() {
        let mut given = logs(vec![batch(4, 1).encode_log_data()]);
        given[0].transaction_hash = None;
        assert_eq!(events_as_they_are(&BLOCK, &given), Err(DecodeError::Unplaced { block: BLOCK.hash }));
    }
}
