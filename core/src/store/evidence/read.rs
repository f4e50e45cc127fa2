//! Reading the log: for the export, the interface and the metrics.

use alloy::primitives::B256;
use sqlx::FromRow;

use super::TABLE;
use crate::{
    evidence::{Attested, Entry, Fields, SignedHead},
    store::{Store, StoreError, column},
};

const ATTESTED: &str = "evidence_attested";

/// The entries that a head was the first one to cover: a file of the export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// The first entry.
    pub first: u64,
    /// The last entry.
    pub last: u64,
}

impl Segment {
    /// What `head` covers and `before` did not; `None` where that is nothing.
    #[must_use]
    pub fn between(before: Option<&SignedHead>, head: &SignedHead) -> Option<Self> {
        let first = before.map_or(0, |before| before.head.index + 1);
        (first <= head.head.index).then_some(Self { first, last: head.head.index })
    }
}

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvidenceCount {
    /// Entries.
    pub entries: u64,
    /// Heads.
    pub heads: u64,
}

impl Store {
    /// Entries from `first` on, at most `limit`.
    ///
    /// # Errors
    /// When the store fails or a row is damaged.
    pub async fn evidence_entries(&self, first: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        // One more before, whose hash the first one names.
        let from = column::signed(first.saturating_sub(1));
        let rows: Vec<EntryRow> =
            sqlx::query_as("SELECT idx, fields, commitment, hash FROM evidence WHERE idx >= ? ORDER BY idx LIMIT ?")
                .bind(from)
                .bind(limit.saturating_add(1))
                .fetch_all(&self.readers)
                .await?;
        let mut previous = B256::ZERO;
        let mut entries = Vec::with_capacity(rows.len());
        for row in rows {
            let entry = row.read(previous)?;
            previous = entry.hash;
            if entry.index >= first && entries.len() < limit as usize {
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    /// What is still attested of the entries of a segment.
    ///
    /// # Errors
    /// When the store fails or a row is damaged.
    pub async fn evidence_attested(&self, segment: Segment) -> Result<Vec<(u64, Attested)>, StoreError> {
        let rows: Vec<AttestedRow> = sqlx::query_as(
            "SELECT idx, salt, account_tag, requested_at_ms, delivered_at_ms, channel FROM evidence_attested
             WHERE idx BETWEEN ? AND ? ORDER BY idx",
        )
        .bind(column::signed(segment.first))
        .bind(column::signed(segment.last))
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(AttestedRow::read).collect()
    }

    /// The segment that an entry is in; `None` while no head covers it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn evidence_segment(&self, index: u64) -> Result<Option<Segment>, StoreError> {
        let last: Option<i64> = sqlx::query_scalar("SELECT MIN(idx) FROM evidence_heads WHERE idx >= ?")
            .bind(column::signed(index))
            .fetch_one(&self.readers)
            .await?;
        let before: Option<i64> = sqlx::query_scalar("SELECT MAX(idx) FROM evidence_heads WHERE idx < ?")
            .bind(column::signed(index))
            .fetch_one(&self.readers)
            .await?;
        let Some(last) = last else { return Ok(None) };
        let first = before.map_or(0, |before| before + 1);
        Ok(Some(Segment { first: column::unsigned(first, TABLE)?, last: column::unsigned(last, TABLE)? }))
    }

    /// How many entries and heads there are: neither table ever loses a row, so their last numbers say it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn evidence_count(&self) -> Result<EvidenceCount, StoreError> {
        let (entries, heads): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT COALESCE(MAX(idx) + 1, 0) FROM evidence),
                    (SELECT COALESCE(MAX(number) + 1, 0) FROM evidence_heads)",
        )
        .fetch_one(&self.readers)
        .await?;
        Ok(EvidenceCount { entries: column::unsigned(entries, TABLE)?, heads: column::unsigned(heads, TABLE)? })
    }

    /// The next head that a bucket is to be given.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn evidence_uploaded(&self, bucket: &str) -> Result<u64, StoreError> {
        let next: Option<i64> = sqlx::query_scalar("SELECT next_head FROM evidence_uploads WHERE bucket = ?")
            .bind(bucket)
            .fetch_optional(&self.readers)
            .await?;
        column::unsigned(next.unwrap_or_default(), "evidence_uploads")
    }

    /// A bucket has everything before head `next`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn set_evidence_uploaded(&self, bucket: &str, next: u64) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO evidence_uploads (bucket, next_head) VALUES (?, ?)
             ON CONFLICT DO UPDATE SET next_head = excluded.next_head",
        )
        .bind(bucket)
        .bind(column::signed(next))
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }
}

#[derive(FromRow)]
struct EntryRow {
    idx: i64,
    fields: Vec<u8>,
    commitment: Option<Vec<u8>>,
    hash: Vec<u8>,
}

impl EntryRow {
    /// Its hash stands as it is stored: whether it is right, the audit says.
    fn read(self, previous: B256) -> Result<Entry, StoreError> {
        Ok(Entry {
            index: column::unsigned(self.idx, TABLE)?,
            previous,
            fields: Fields::decode(&self.fields).ok_or(StoreError::Damaged { table: TABLE })?,
            commitment: self.commitment.map(|commitment| column::word(&commitment, TABLE)).transpose()?,
            hash: column::word(&self.hash, TABLE)?,
        })
    }
}

#[derive(FromRow)]
struct AttestedRow {
    idx: i64,
    salt: Vec<u8>,
    account_tag: Vec<u8>,
    requested_at_ms: i64,
    delivered_at_ms: Option<i64>,
    channel: String,
}

impl AttestedRow {
    fn read(self) -> Result<(u64, Attested), StoreError> {
        let attested = Attested {
            salt: column::word(&self.salt, ATTESTED)?,
            account: column::word(&self.account_tag, ATTESTED)?,
            requested_at_ms: self.requested_at_ms,
            delivered_at_ms: self.delivered_at_ms,
            channel: self.channel,
        };
        Ok((column::unsigned(self.idx, ATTESTED)?, attested))
    }
}
