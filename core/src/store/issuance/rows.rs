//! Rows of the issuing tables, read into types.

use sqlx::FromRow;
use uuid::Uuid;

use super::{Contents, MinedAt, OpenCall, QueuedRequest, SignedTransaction};
use crate::store::{StoreError, column};

const TABLE: &str = "calls";

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
pub(super) struct CallRow {
    pub(super) id: i64,
    kind: String,
    state: String,
    nonce: i64,
    deadline: Option<i64>,
    created_at_ms: i64,
    tx_hash: Option<Vec<u8>>,
    block_number: Option<i64>,
    block_hash: Option<Vec<u8>>,
    purpose: Option<Vec<u8>>,
    size: Option<i64>,
    root: Option<Vec<u8>>,
    request_id: Option<Uuid>,
    awaited: bool,
}

impl CallRow {
    pub(super) fn read(self, transactions: Vec<SignedTransaction>) -> Result<OpenCall, StoreError> {
        let contents = self.contents()?;
        let mined = match (self.tx_hash, self.block_number, self.block_hash) {
            (Some(tx_hash), Some(number), Some(block_hash)) => Some(MinedAt {
                tx_hash: column::word(&tx_hash, TABLE)?,
                block_number: column::unsigned(number, TABLE)?,
                block_hash: column::word(&block_hash, TABLE)?,
            }),
            _ => None,
        };
        Ok(OpenCall {
            id: self.id,
            contents,
            nonce: column::unsigned(self.nonce, TABLE)?,
            deadline: self.deadline.map(|deadline| column::unsigned(deadline, TABLE)).transpose()?,
            created_at_ms: self.created_at_ms,
            late: self.state == "late",
            mined,
            void: self.state == "void",
            awaited: self.awaited,
            transactions,
        })
    }

    fn contents(&self) -> Result<Contents, StoreError> {
        match (self.kind.as_str(), &self.purpose, self.size, &self.root, self.request_id) {
            ("batch", Some(purpose), Some(size), Some(root), _) => Ok(Contents::Batch {
                purpose: column::purpose(purpose, "batches")?,
                size: column::unsigned(size, "batches")?,
                root: column::word(root, "batches")?,
            }),
            ("verification", .., Some(request_id)) => Ok(Contents::Verification { request_id }),
            ("revocation", ..) => Ok(Contents::Revocation),
            ("filler", ..) => Ok(Contents::Filler),
            _ => Err(StoreError::Damaged { table: TABLE }),
        }
    }
}

/// Where a final call landed.
#[derive(FromRow)]
pub(super) struct FinalRow {
    id: i64,
    nonce: i64,
    tx_hash: Vec<u8>,
    block_number: i64,
    block_hash: Vec<u8>,
}

impl FinalRow {
    pub(super) fn read(self) -> Result<(i64, u64, MinedAt), StoreError> {
        let mined = MinedAt {
            tx_hash: column::word(&self.tx_hash, TABLE)?,
            block_number: column::unsigned(self.block_number, TABLE)?,
            block_hash: column::word(&self.block_hash, TABLE)?,
        };
        Ok((self.id, column::unsigned(self.nonce, TABLE)?, mined))
    }
}

#[derive(FromRow)]
pub(super) struct TransactionRow {
    pub(super) call_id: i64,
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
