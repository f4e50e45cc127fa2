//! Signed heads.

use alloy::primitives::{B256, B512};
use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::{Appended, tip};
use crate::{
    evidence::{Head, SignedHead, SigningKey},
    id::Deployment,
    store::{Store, StoreError, column},
};

const TABLE: &str = "evidence_heads";
const SELECT: &str = "SELECT number, previous, idx, hash, final_number, final_hash, complete, time_ms, key, signature \
                      FROM evidence_heads";

/// When a head is due.
#[derive(Debug, Clone, Copy)]
pub struct HeadRule {
    /// With so many new entries at the latest.
    pub entries: u64,
    /// With any new entry, so long after the last head.
    pub after_ms: u64,
    /// With none, where the chain went on: so long after the last head.
    pub idle_ms: u64,
}

impl HeadRule {
    /// A clock that was set back makes a head due, never one that waits for hours.
    fn is_due(&self, last: &Head, end: u64, appended: &Appended, now_ms: i64) -> bool {
        let (entries, ago_ms) = (end.saturating_sub(last.index), now_ms.abs_diff(last.time_ms));
        let news = appended.complete && (appended.final_block.number > last.final_number || !last.complete);
        entries >= self.entries || (entries > 0 && ago_ms >= self.after_ms) || (news && ago_ms >= self.idle_ms)
    }
}

impl Store {
    /// Signs the log as it stands where a head is due.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sign_evidence(
        &self,
        deployment: &Deployment,
        rule: HeadRule,
        appended: Appended,
        key: &SigningKey,
        now_ms: i64,
    ) -> Result<Option<SignedHead>, StoreError> {
        let last = self.latest_evidence_head(deployment).await?;
        let end = self.evidence_tip().await?;
        let Some(index) = end.next.checked_sub(1) else { return Ok(None) };
        if last.is_some_and(|last| !rule.is_due(&last.head, index, &appended, now_ms)) {
            return Ok(None);
        }
        let head = Head {
            number: last.map_or(0, |last| last.head.number + 1),
            previous: last.map_or(B256::ZERO, |last| last.head.digest()),
            index,
            hash: end.hash,
            final_number: appended.final_block.number,
            final_hash: appended.final_block.hash,
            complete: appended.complete,
            time_ms: now_ms,
            deployment: *deployment,
            key: key.public_key(),
        };
        let signed = head.sign(key);
        let mut tx = self.write().await?;
        // Entries are only added by this process, which does one thing at a time; a second one would be seen here.
        if tip(&mut tx).await? != end {
            return Ok(None);
        }
        sqlx::query(
            "INSERT INTO evidence_heads (number, previous, idx, hash, final_number, final_hash, complete, time_ms, key,
             signature) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(column::signed(head.number))
        .bind(head.previous.as_slice())
        .bind(column::signed(head.index))
        .bind(head.hash.as_slice())
        .bind(column::signed(head.final_number))
        .bind(head.final_hash.as_slice())
        .bind(head.complete)
        .bind(head.time_ms)
        .bind(head.key.as_slice())
        .bind(signed.signature.as_slice())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Some(signed))
    }

    /// The last head that was signed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn latest_evidence_head(&self, deployment: &Deployment) -> Result<Option<SignedHead>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        query.push(" ORDER BY number DESC LIMIT 1");
        let row: Option<HeadRow> = query.build_query_as().fetch_optional(&self.readers).await?;
        row.map(|row| row.read(deployment)).transpose()
    }

    /// Heads from this number on, at most `limit`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn evidence_heads(
        &self,
        deployment: &Deployment,
        from: u64,
        limit: u32,
    ) -> Result<Vec<SignedHead>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        query.push(" WHERE number >= ").push_bind(column::signed(from));
        query.push(" ORDER BY number LIMIT ").push_bind(limit);
        let rows: Vec<HeadRow> = query.build_query_as().fetch_all(&self.readers).await?;
        rows.into_iter().map(|row| row.read(deployment)).collect()
    }
}

#[derive(FromRow)]
struct HeadRow {
    number: i64,
    previous: Vec<u8>,
    idx: i64,
    hash: Vec<u8>,
    final_number: i64,
    final_hash: Vec<u8>,
    complete: bool,
    time_ms: i64,
    key: Vec<u8>,
    signature: Vec<u8>,
}

impl HeadRow {
    fn read(self, deployment: &Deployment) -> Result<SignedHead, StoreError> {
        let signature = B512::try_from(self.signature.as_slice()).map_err(|_| StoreError::Damaged { table: TABLE })?;
        let head = Head {
            number: column::unsigned(self.number, TABLE)?,
            previous: column::word(&self.previous, TABLE)?,
            index: column::unsigned(self.idx, TABLE)?,
            hash: column::word(&self.hash, TABLE)?,
            final_number: column::unsigned(self.final_number, TABLE)?,
            final_hash: column::word(&self.final_hash, TABLE)?,
            complete: self.complete,
            time_ms: self.time_ms,
            deployment: *deployment,
            key: column::word(&self.key, TABLE)?,
        };
        Ok(SignedHead { head, signature })
    }
}
