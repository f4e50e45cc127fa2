//! Rows of the issuing tables, read into types.

use sqlx::FromRow;
use uuid::Uuid;

use super::{MinedAt, OpenBatch, QueuedRequest, SignedTransaction};
use crate::store::{StoreError, column};

#[derive(FromRow)]
pub(super) struct QueuedRow {
    id: Uuid,
    account_id: Uuid,
    wallet: Vec<u8>,
    seed_sealed: Vec<u8>,
    action: Vec<u8>,
}

impl QueuedRow {
    pub(super) fn read(self) -> Result<QueuedRequest, StoreError> {
        Ok(QueuedRequest {
            id: self.id,
            account_id: self.account_id,
            subject: column::address(&self.wallet, "accounts")?,
            seed_sealed: self.seed_sealed,
            action: column::word(&self.action, "requests")?,
        })
    }
}

#[derive(FromRow)]
pub(super) struct BatchRow {
    pub(super) id: i64,
    state: String,
    purpose: Vec<u8>,
    first: i64,
    size: i64,
    root: Vec<u8>,
    nonce: i64,
    deadline: i64,
    tx_hash: Option<Vec<u8>>,
    block_number: Option<i64>,
    block_hash: Option<Vec<u8>>,
}

impl BatchRow {
    pub(super) fn read(self, transactions: Vec<SignedTransaction>) -> Result<OpenBatch, StoreError> {
        let mined = match (self.tx_hash, self.block_number, self.block_hash) {
            (Some(tx_hash), Some(number), Some(block_hash)) => Some(MinedAt {
                tx_hash: column::word(&tx_hash, "batches")?,
                block_number: column::unsigned(number, "batches")?,
                block_hash: column::word(&block_hash, "batches")?,
            }),
            _ => None,
        };
        Ok(OpenBatch {
            id: self.id,
            purpose: column::purpose(&self.purpose, "batches")?,
            first: column::unsigned(self.first, "batches")?,
            size: column::unsigned(self.size, "batches")?,
            root: column::word(&self.root, "batches")?,
            nonce: column::unsigned(self.nonce, "batches")?,
            deadline: column::unsigned(self.deadline, "batches")?,
            late: self.state == "late",
            mined,
            void: self.state == "void",
            transactions,
        })
    }
}

#[derive(FromRow)]
pub(super) struct TransactionRow {
    hash: Vec<u8>,
    raw: Vec<u8>,
    max_fee_per_gas_wei: String,
    max_priority_fee_per_gas_wei: String,
    signed_at_ms: i64,
}

impl TransactionRow {
    pub(super) fn read(self) -> Result<SignedTransaction, StoreError> {
        let damaged = |_| StoreError::Damaged { table: "transactions" };
        Ok(SignedTransaction {
            hash: column::word(&self.hash, "transactions")?,
            raw: self.raw,
            max_fee_per_gas_wei: self.max_fee_per_gas_wei.parse().map_err(damaged)?,
            max_priority_fee_per_gas_wei: self.max_priority_fee_per_gas_wei.parse().map_err(damaged)?,
            signed_at_ms: self.signed_at_ms,
        })
    }
}
