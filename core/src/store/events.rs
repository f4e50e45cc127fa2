//! Reads of the chain's facts for auditors: events by filter, and a batch's codes to rebuild a ticket from. The writer
//! is `chain.rs`.

use alloy::primitives::{Address, B256};
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::{ChainEvent, EventKind, Facts, Place, Store, StoreError, column};

const COLUMNS: &str = "SELECT block_hash, log_index, block_number, timestamp, tx_hash, kind, on_chain_id, root, issuer, \
                       purpose, serial, first, size, expiry, subject, action, party FROM events WHERE canonical = ";

/// Which events are asked for, canonical ones unless it says otherwise; what is `None` does not restrict.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// First block number.
    pub from: Option<u64>,
    /// Last block number.
    pub to: Option<u64>,
    /// The code's id.
    pub on_chain_id: Option<B256>,
    /// The batch's root.
    pub root: Option<B256>,
    /// Which event.
    pub kind: Option<EventKind>,
    /// Who issued.
    pub issuer: Option<Address>,
    /// Only events after this block number and log index.
    pub after: Option<(u64, u64)>,
    /// Only steps of codes and policies. What else there is (batches' own events, whose facts each of their codes repeats,
    /// governance, what nobody understands) must not use up the limit of whoever asks for steps.
    pub steps_only: bool,
    /// Only governance's. What every deployment has few of, and has an index.
    pub governance_only: bool,
    /// Those that a reorg took away instead of those that stand.
    pub orphaned: bool,
}

impl Store {
    /// Events in the chain's order, at most `limit`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn events(&self, filter: &EventFilter, limit: u32) -> Result<Vec<ChainEvent>, StoreError> {
        select(&mut *self.readers.acquire().await?, filter, limit).await
    }
}

/// [`Store::events`], also inside a transaction.
pub(super) async fn select(
    connection: &mut SqliteConnection,
    filter: &EventFilter,
    limit: u32,
) -> Result<Vec<ChainEvent>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new(COLUMNS);
    // Written out, since an index over canonical events alone is chosen before values are bound.
    query.push(if filter.orphaned { "0" } else { "1" });
    if let Some(from) = filter.from {
        query.push(" AND block_number >= ").push_bind(column::signed(from));
    }
    if let Some(to) = filter.to {
        query.push(" AND block_number <= ").push_bind(column::signed(to));
    }
    if let Some(id) = filter.on_chain_id {
        query.push(" AND on_chain_id = ").push_bind(id.to_vec());
    }
    if let Some(root) = filter.root {
        query.push(" AND root = ").push_bind(root.to_vec());
    }
    if let Some(kind) = filter.kind {
        query.push(" AND kind = ").push_bind(kind.name());
    }
    if let Some(issuer) = filter.issuer {
        query.push(" AND issuer = ").push_bind(issuer.to_vec());
    }
    if let Some((block_number, log_index)) = filter.after {
        query.push(" AND (block_number, log_index) > (").push_bind(column::signed(block_number));
        query.push(", ").push_bind(column::signed(log_index)).push(")");
    }
    if filter.steps_only {
        let steps = " AND kind IN ('otp-set', 'otp-verified', 'otp-consumed', 'otp-revoked', 'otp-batch-revoked', 'policy-set')";
        query.push(steps);
    }
    if filter.governance_only {
        // As migration 0011 has it.
        let governance =
            " AND kind IN ('policy-set', 'role-granted', 'role-revoked', 'paused', 'unpaused', 'upgraded')";
        query.push(governance);
    }
    query.push(" ORDER BY block_number, log_index LIMIT ").push_bind(limit);
    let rows: Vec<EventRow> = query.build_query_as().fetch_all(connection).await?;
    rows.into_iter().map(EventRow::read).collect()
}

#[derive(FromRow)]
struct EventRow {
    block_hash: Vec<u8>,
    log_index: i64,
    block_number: i64,
    timestamp: i64,
    tx_hash: Vec<u8>,
    kind: String,
    on_chain_id: Option<Vec<u8>>,
    root: Option<Vec<u8>>,
    issuer: Option<Vec<u8>>,
    purpose: Option<Vec<u8>>,
    serial: Option<i64>,
    first: Option<i64>,
    size: Option<i64>,
    expiry: Option<i64>,
    subject: Option<Vec<u8>>,
    action: Option<Vec<u8>>,
    party: Option<Vec<u8>>,
}

impl EventRow {
    fn read(self) -> Result<ChainEvent, StoreError> {
        let place = Place {
            block_hash: column::word(&self.block_hash, "events")?,
            block_number: column::unsigned(self.block_number, "events")?,
            timestamp: column::unsigned(self.timestamp, "events")?,
            tx_hash: column::word(&self.tx_hash, "events")?,
            log_index: column::unsigned(self.log_index, "events")?,
        };
        let kind = EventKind::from_name(&self.kind).ok_or(StoreError::Damaged { table: "events" })?;
        let facts = Facts {
            on_chain_id: hash(self.on_chain_id)?,
            root: hash(self.root)?,
            issuer: address(self.issuer)?,
            purpose: hash(self.purpose)?,
            serial: number(self.serial)?,
            first: number(self.first)?,
            size: number(self.size)?,
            expiry: number(self.expiry)?,
            subject: address(self.subject)?,
            action: hash(self.action)?,
            party: address(self.party)?,
        };
        Ok(ChainEvent { place, kind, facts })
    }
}

fn hash(value: Option<Vec<u8>>) -> Result<Option<B256>, StoreError> {
    value.map(|bytes| column::word(&bytes, "events")).transpose()
}

fn number(value: Option<i64>) -> Result<Option<u64>, StoreError> {
    value.map(|number| column::unsigned(number, "events")).transpose()
}

fn address(value: Option<Vec<u8>>) -> Result<Option<Address>, StoreError> {
    value.map(|bytes| column::address(&bytes, "events")).transpose()
}
