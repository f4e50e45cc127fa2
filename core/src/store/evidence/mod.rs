//! The evidence log: entries, heads, and what we attest. Writer: the indexer.
//!
//! An entry is written once the block of its step is final, and never changed. Its place is the step's place on the final
//! chain, not a row of the tables that are rebuilt from it: so a rebuild neither doubles nor moves an entry.

mod append;
mod erase;
mod heads;
mod read;

use alloy::primitives::B256;
use sqlx::SqliteConnection;

pub use self::{
    append::{Appended, Attesting},
    erase::ErasedEvidence,
    heads::HeadRule,
    read::{EvidenceCount, Segment},
};
use super::{ChainEvent, EventKind, StoreError, Write, column};
use crate::evidence::{Entry, Fields, Step, StepKind};

const TABLE: &str = "evidence";

/// Where the log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// The next entry's index.
    pub next: u64,
    /// The last entry's hash; zero where there is none.
    pub hash: B256,
    /// The key in force; `None` before the first entry.
    pub key: Option<B256>,
}

/// The step that an event is; `None` for a batch's own log, whose facts each of its codes repeats, for what governance did, and
/// for a log that nobody understands: neither is a step of a code.
#[must_use]
pub fn step_of(event: &ChainEvent) -> Option<Step> {
    let kind = match event.kind {
        EventKind::BatchSet
        | EventKind::RoleGranted
        | EventKind::RoleRevoked
        | EventKind::Paused
        | EventKind::Unpaused
        | EventKind::Upgraded
        | EventKind::Unknown
        | EventKind::Malformed => return None,
        EventKind::Set => StepKind::Issued,
        EventKind::Verified => StepKind::Verified,
        EventKind::Consumed => StepKind::Consumed,
        EventKind::Revoked => StepKind::Revoked,
        EventKind::BatchRevoked => StepKind::BatchRevoked,
        EventKind::PolicySet => StepKind::PolicySet,
    };
    let (place, facts) = (&event.place, &event.facts);
    Some(Step {
        kind,
        block_number: place.block_number,
        block_hash: place.block_hash,
        block_time: place.timestamp,
        tx_hash: place.tx_hash,
        log_index: place.log_index,
        id: facts.on_chain_id,
        root: facts.root,
        issuer: facts.issuer,
        purpose: facts.purpose,
        serial: facts.serial,
        expiry: facts.expiry,
    })
}

async fn tip(connection: &mut SqliteConnection) -> Result<Tip, StoreError> {
    let last: Option<(i64, Vec<u8>)> = sqlx::query_as("SELECT idx, hash FROM evidence ORDER BY idx DESC LIMIT 1")
        .fetch_optional(&mut *connection)
        .await?;
    let Some((index, hash)) = last else { return Ok(Tip { next: 0, hash: B256::ZERO, key: None }) };
    let fields: Vec<u8> =
        sqlx::query_scalar("SELECT fields FROM evidence WHERE block_number IS NULL ORDER BY idx DESC LIMIT 1")
            .fetch_optional(connection)
            .await?
            .unwrap_or_default();
    let damaged = StoreError::Damaged { table: TABLE };
    let Some(Fields::Key(key)) = Fields::decode(&fields) else { return Err(damaged) };
    let next = column::unsigned::<u64>(index, TABLE)? + 1;
    Ok(Tip { next, hash: column::word(&hash, TABLE)?, key: Some(key.public_key) })
}

async fn insert_entry(tx: &mut Write, entry: &Entry) -> Result<(), StoreError> {
    let place = match &entry.fields {
        Fields::Step(step) => Some(step.place()),
        Fields::Key(_) => None,
    };
    sqlx::query(
        "INSERT INTO evidence (idx, fields, commitment, hash, block_number, log_index) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(column::signed(entry.index))
    .bind(entry.fields.encode())
    .bind(entry.commitment.map(|commitment| commitment.to_vec()))
    .bind(entry.hash.as_slice())
    .bind(place.map(|(block_number, _)| column::signed(block_number)))
    .bind(place.map(|(_, log_index)| column::signed(log_index)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
