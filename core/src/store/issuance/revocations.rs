//! Codes to be revoked: owed from the moment somebody says so until the revocation is final on the chain.

use alloy::primitives::{Address, B256};
use sqlx::FromRow;
use uuid::Uuid;

use crate::{
    clock::now_ms,
    id::Purpose,
    store::{Store, StoreError, Write, column},
};

/// What [`Store::owe_revocation`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// The request still waited for a number and was failed instead: nothing of it reaches the chain.
    Withdrawn,
    /// Its code is revoked as soon as it stands on the chain, and again after a reorg.
    Owed,
    /// Its code never reached the chain and will not.
    Moot,
}

/// A code that stands on the chain and is to be revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwedRevocation {
    /// The code's id.
    pub on_chain_id: B256,
    /// Its batch.
    pub batch_id: i64,
    /// Its number.
    pub serial: u64,
    /// Which policy.
    pub purpose: Purpose,
}

#[derive(FromRow)]
struct OwedRow {
    on_chain_id: Vec<u8>,
    batch_id: i64,
    serial: i64,
    purpose: Vec<u8>,
}

impl Store {
    /// Owes the revocation of a request's code; asked again, it says the same. `cause` is told to whoever waited for the
    /// code where it never gets a number. `None` where there is no such request. Wake the issuing task afterwards.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn owe_revocation(&self, request_id: Uuid, cause: &str) -> Result<Option<Revocation>, StoreError> {
        let mut tx = self.write().await?;
        let row: Option<(String, bool, bool)> = sqlx::query_as(
            "SELECT r.state, EXISTS (SELECT 1 FROM revocations v WHERE v.request_id = r.id),
                    EXISTS (SELECT 1 FROM issuances i JOIN calls c ON c.id = i.batch_id
                            WHERE i.request_id = r.id AND c.state <> 'dead')
             FROM requests r WHERE r.id = ?",
        )
        .bind(request_id)
        .fetch_optional(&mut *tx)
        .await?;
        let Some((state, owed, numbered)) = row else { return Ok(None) };
        let answer = match (state.as_str(), owed, numbered) {
            ("queued", ..) => Revocation::Withdrawn,
            (_, _, true) => Revocation::Owed,
            (_, true, false) => Revocation::Withdrawn,
            (_, false, false) => Revocation::Moot,
        };
        if owed {
            return Ok(Some(answer));
        }
        if state == "queued" {
            sqlx::query("UPDATE requests SET state = 'failed', failure = ?, failed_at_ms = ? WHERE id = ?")
                .bind(cause)
                .bind(now_ms())
                .bind(request_id)
                .execute(&mut *tx)
                .await?;
        }
        sqlx::query(
            "INSERT INTO revocations (request_id, cause, owed_at_ms, settled_at_ms) VALUES (?1, ?2, ?3, iif(?4, NULL, ?3))",
        )
        .bind(request_id)
        .bind(cause)
        .bind(now_ms())
        .bind(numbered)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Some(answer))
    }

    /// Codes of this issuer that stand on the chain, are to be revoked, and are in no revocation that may still land.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn owed_revocations(&self, issuer: Address, limit: u32) -> Result<Vec<OwedRevocation>, StoreError> {
        let rows: Vec<OwedRow> = sqlx::query_as(
            "SELECT i.on_chain_id, i.batch_id, i.serial, b.purpose
             FROM revocations v JOIN issuances i ON i.request_id = v.request_id
             JOIN calls c ON c.id = i.batch_id JOIN batches b ON b.id = i.batch_id
             WHERE v.settled_at_ms IS NULL AND c.sender = ? AND c.state IN ('mined', 'final') AND NOT EXISTS (
                 SELECT 1 FROM revoked_codes k JOIN calls by_call ON by_call.id = k.call_id
                 WHERE k.on_chain_id = i.on_chain_id AND by_call.state IN ('signed', 'late', 'mined', 'final'))
             ORDER BY v.owed_at_ms LIMIT ?",
        )
        .bind(issuer.as_slice())
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        let read = |row: OwedRow| {
            Ok(OwedRevocation {
                on_chain_id: column::word(&row.on_chain_id, "issuances")?,
                batch_id: row.batch_id,
                serial: column::unsigned(row.serial, "issuances")?,
                purpose: column::purpose(&row.purpose, "batches")?,
            })
        };
        rows.into_iter().map(read).collect()
    }
}

/// A revocation became final: nothing more is owed for its codes.
pub(super) async fn settle_revoked(tx: &mut Write, call_id: i64) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE revocations SET settled_at_ms = ? WHERE settled_at_ms IS NULL AND request_id IN (
             SELECT i.request_id FROM revoked_codes k JOIN issuances i ON i.on_chain_id = k.on_chain_id
             WHERE k.call_id = ?)",
    )
    .bind(now_ms())
    .bind(call_id)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A batch died: no code of it will ever stand on the chain.
pub(super) async fn settle_batch(tx: &mut Write, call_id: i64) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE revocations SET settled_at_ms = ? WHERE settled_at_ms IS NULL AND request_id IN (
             SELECT request_id FROM issuances WHERE batch_id = ?)",
    )
    .bind(now_ms())
    .bind(call_id)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
