//! Verifications that the sponsor pays for.

use alloy::primitives::{Address, B256};
use sqlx::FromRow;
use uuid::Uuid;

use crate::{
    id::Purpose,
    store::{Store, StoreError, column},
};

/// What a request's code derives from, number included.
#[derive(Debug)]
pub struct CodeSource {
    /// Whose seed.
    pub account_id: Uuid,
    /// The account's sealed seed.
    pub seed_sealed: Vec<u8>,
    /// The account's wallet.
    pub subject: Address,
    /// Which policy.
    pub purpose: Purpose,
    /// What the code authorises.
    pub action: B256,
    /// Who issued it.
    pub issuer: Address,
    /// Its number.
    pub serial: u64,
    /// Its id.
    pub on_chain_id: B256,
}

#[derive(FromRow)]
struct SourceRow {
    account_id: Uuid,
    seed_sealed: Vec<u8>,
    wallet: Vec<u8>,
    purpose: Vec<u8>,
    action: Vec<u8>,
    issuer: Vec<u8>,
    serial: i64,
    on_chain_id: Vec<u8>,
}

impl Store {
    /// What a request's code derives from; `None` where it has no number.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn code_source(&self, request_id: Uuid) -> Result<Option<CodeSource>, StoreError> {
        let row: Option<SourceRow> = sqlx::query_as(
            "SELECT r.account_id, a.seed_sealed, a.wallet, r.purpose, r.action, b.issuer, i.serial, i.on_chain_id
             FROM requests r JOIN accounts a ON a.id = r.account_id JOIN issuances i ON i.request_id = r.id
             JOIN batches b ON b.id = i.batch_id JOIN calls c ON c.id = i.batch_id
             WHERE r.id = ? AND c.state <> 'dead' ORDER BY i.batch_id DESC LIMIT 1",
        )
        .bind(request_id)
        .fetch_optional(&self.readers)
        .await?;
        row.map(|row| {
            Ok(CodeSource {
                account_id: row.account_id,
                seed_sealed: row.seed_sealed,
                subject: column::address(&row.wallet, "accounts")?,
                purpose: column::purpose(&row.purpose, "requests")?,
                action: column::word(&row.action, "requests")?,
                issuer: column::address(&row.issuer, "batches")?,
                serial: column::unsigned(row.serial, "issuances")?,
                on_chain_id: column::word(&row.on_chain_id, "issuances")?,
            })
        })
        .transpose()
    }

    /// The newest transaction of a request's verification that landed or may still land, under the number that the request
    /// has now: a call for a former one is older than the batch.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn verification_of(&self, request_id: Uuid) -> Result<Option<B256>, StoreError> {
        let hash: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT COALESCE(c.tx_hash, t.hash) FROM verifications v JOIN calls c ON c.id = v.call_id
             JOIN transactions t ON t.call_id = c.id
             WHERE v.request_id = ?1 AND c.state IN ('signed', 'mined', 'final') AND c.id > (
                 SELECT MAX(i.batch_id) FROM issuances i JOIN calls b ON b.id = i.batch_id
                 WHERE i.request_id = ?1 AND b.state <> 'dead')
             ORDER BY c.id DESC, t.rowid DESC LIMIT 1",
        )
        .bind(request_id)
        .fetch_optional(&self.readers)
        .await?;
        hash.map(|hash| column::word(&hash, "transactions")).transpose()
    }

    /// How many verifications of an account were paid for since `since_ms`, and when the first of them was.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn verifications_since(&self, account_id: Uuid, since_ms: i64) -> Result<(u64, Option<i64>), StoreError> {
        let (count, first): (i64, Option<i64>) = sqlx::query_as(
            "SELECT COUNT(*), MIN(c.created_at_ms) FROM requests r JOIN verifications v ON v.request_id = r.id
             JOIN calls c ON c.id = v.call_id WHERE r.account_id = ? AND c.created_at_ms >= ?",
        )
        .bind(account_id)
        .bind(since_ms)
        .fetch_one(&self.readers)
        .await?;
        Ok((column::unsigned(count, "verifications")?, first))
    }
}
