//! From queued requests to final batches. Writer: the relayer, under the fence of its issuer key.
//!
//! A batch, its numbers, its nonce and its signed bytes are stored in one transaction, before anything is sent; every
//! write carries the holder's fence and is refused once another process has taken the key.

use alloy::primitives::{Address, B256};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, StoreError, Write};
use crate::{clock::now_ms, id::Purpose};

/// The right to issue with a key, taken by [`Store::take_issuer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The issuing account.
    pub issuer: Address,
    /// Rises with each taking.
    pub fence: i64,
}

/// A request that waits for a number, with what its code derives from.
#[derive(Debug)]
pub struct QueuedRequest {
    /// The request.
    pub id: Uuid,
    /// Its account.
    pub account_id: Uuid,
    /// The account's wallet: the code's subject.
    pub subject: Address,
    /// The account's sealed seed.
    pub seed_sealed: Vec<u8>,
    /// What the code authorises.
    pub action: B256,
}

/// A signed form of a batch's transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTransaction {
    /// Transaction hash.
    pub hash: B256,
    /// EIP-2718 bytes, as they are sent.
    pub raw: Vec<u8>,
    /// EIP-1559 fee cap.
    pub max_fee_per_gas_wei: u128,
    /// EIP-1559 tip.
    pub max_priority_fee_per_gas_wei: u128,
    /// When it was signed.
    pub signed_at_ms: i64,
}

/// A batch that is about to be stored.
#[derive(Debug)]
pub struct NewBatch<'a> {
    /// Which policy.
    pub purpose: Purpose,
    /// The first serial.
    pub first: u64,
    /// Merkle root over the leaves.
    pub root: B256,
    /// Account nonce of the transaction.
    pub nonce: u64,
    /// Unix seconds of chain time past which the contract refuses it.
    pub deadline: u64,
    /// Requests and their on-chain ids, in order of serial.
    pub codes: &'a [(Uuid, B256)],
    /// The first signed form.
    pub transaction: SignedTransaction,
}

/// A batch that is not final.
#[derive(Debug)]
pub struct OpenBatch {
    /// Row id.
    pub id: i64,
    /// Which policy.
    pub purpose: Purpose,
    /// The first serial.
    pub first: u64,
    /// How many codes.
    pub size: u64,
    /// Merkle root.
    pub root: B256,
    /// Account nonce.
    pub nonce: u64,
    /// Unix seconds of chain time.
    pub deadline: u64,
    /// Past its deadline: its requests were told and its nonce is being freed.
    pub late: bool,
    /// The block its nonce was mined in, as last seen.
    pub mined: Option<MinedAt>,
    /// It was mined and issued nothing: it reverted, or a cancellation took its place.
    pub void: bool,
    /// Every signed form, oldest first; never empty.
    pub transactions: Vec<SignedTransaction>,
}

/// Where a batch landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinedAt {
    /// Which of the batch's transactions.
    pub tx_hash: B256,
    /// Its block.
    pub block_number: u64,
    /// Its block.
    pub block_hash: B256,
}

impl Store {
    /// Takes the issuer key: all earlier leases on it are void from here on.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn take_issuer(&self, issuer: Address) -> Result<Lease, StoreError> {
        let mut tx = self.write().await?;
        let fence = sqlx::query_scalar(
            "INSERT INTO issuers (address, fence, next_nonce) VALUES (?, 1, 0)
             ON CONFLICT DO UPDATE SET fence = fence + 1 RETURNING fence",
        )
        .bind(issuer.as_slice())
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Lease { issuer, fence })
    }

    /// Aligns nonce and serials with the chain, after a start or a restore: the next nonce is the one above every open
    /// batch and at least `chain_nonce`; a serial never falls.
    ///
    /// # Errors
    /// When the store fails or the lease is void.
    pub async fn align_issuer(
        &self,
        lease: Lease,
        chain_nonce: u64,
        chain_serials: &[(Purpose, u64)],
    ) -> Result<(), StoreError> {
        let issuer = lease.issuer.as_slice();
        let mut tx = self.fenced(lease).await?;
        sqlx::query(
            "UPDATE issuers SET next_nonce = MAX(?1, COALESCE((SELECT MAX(nonce) + 1 FROM batches
             WHERE issuer = ?2 AND state NOT IN ('final', 'dead')), 0)) WHERE address = ?2",
        )
        .bind(signed(chain_nonce))
        .bind(issuer)
        .execute(&mut *tx)
        .await?;
        for (purpose, next) in chain_serials {
            sqlx::query(
                "INSERT INTO serials (issuer, purpose, next) VALUES (?, ?, ?)
                 ON CONFLICT DO UPDATE SET next = MAX(next, excluded.next)",
            )
            .bind(issuer)
            .bind(purpose.bytes32().as_slice())
            .bind(signed(*next))
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// The next nonce of an issuer, and the next serial for a purpose of it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn next_numbers(&self, issuer: Address, purpose: Purpose) -> Result<(u64, u64), StoreError> {
        let (nonce, serial): (i64, i64) = sqlx::query_as(
            "SELECT next_nonce, COALESCE((SELECT next FROM serials WHERE issuer = ?1 AND purpose = ?2), 0)
             FROM issuers WHERE address = ?1",
        )
        .bind(issuer.as_slice())
        .bind(purpose.bytes32().as_slice())
        .fetch_one(&self.readers)
        .await?;
        Ok((unsigned(nonce, "issuers")?, unsigned(serial, "serials")?))
    }

    /// How many requests wait, by purpose; purposes with none are left out.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn queue_lengths(&self) -> Result<Vec<(Purpose, u64)>, StoreError> {
        let rows: Vec<(Vec<u8>, i64)> =
            sqlx::query_as("SELECT purpose, COUNT(*) FROM requests WHERE state = 'queued' GROUP BY purpose")
                .fetch_all(&self.readers)
                .await?;
        rows.into_iter().map(|(purpose, count)| Ok((read_purpose(&purpose)?, unsigned(count, "requests")?))).collect()
    }

    /// The oldest waiting requests of a purpose.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn queued(&self, purpose: Purpose, limit: usize) -> Result<Vec<QueuedRequest>, StoreError> {
        let rows: Vec<QueuedRow> = sqlx::query_as(
            "SELECT r.id, r.account_id, a.wallet, a.seed_sealed, r.action
             FROM requests r JOIN accounts a ON a.id = r.account_id
             WHERE r.state = 'queued' AND r.purpose = ? ORDER BY r.id LIMIT ?",
        )
        .bind(purpose.bytes32().as_slice())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(QueuedRow::read).collect()
    }

    /// Stores a batch, its numbers, its nonce and its signed bytes, and takes its requests out of the queue. Returns
    /// the batch's row id, or `None` where one of the requests no longer waits: then nothing was stored, and the signed
    /// bytes must not be sent.
    ///
    /// # Errors
    /// When the store fails or the lease is void.
    pub async fn commit_batch(&self, lease: Lease, batch: &NewBatch<'_>) -> Result<Option<i64>, StoreError> {
        let mut tx = self.fenced(lease).await?;
        let batch_id = insert_batch(&mut tx, lease.issuer, batch).await?;
        insert_transaction(&mut tx, batch_id, &batch.transaction).await?;
        for (serial, (request_id, on_chain_id)) in (batch.first..).zip(batch.codes) {
            let taken = sqlx::query("UPDATE requests SET state = 'batched' WHERE id = ? AND state = 'queued'")
                .bind(request_id)
                .execute(&mut *tx)
                .await?;
            if taken.rows_affected() != 1 {
                return Ok(None);
            }
            sqlx::query("INSERT INTO issuances (on_chain_id, request_id, batch_id, serial) VALUES (?, ?, ?, ?)")
                .bind(on_chain_id.as_slice())
                .bind(request_id)
                .bind(batch_id)
                .bind(signed(serial))
                .execute(&mut *tx)
                .await?;
        }
        advance(&mut tx, lease.issuer, batch).await?;
        tx.commit().await?;
        Ok(Some(batch_id))
    }

    /// Adds a replacement to an open batch; call before sending it.
    ///
    /// # Errors
    /// When the store fails or the lease is void.
    pub async fn add_transaction(
        &self,
        lease: Lease,
        batch_id: i64,
        transaction: &SignedTransaction,
    ) -> Result<(), StoreError> {
        let mut tx = self.fenced(lease).await?;
        insert_transaction(&mut tx, batch_id, transaction).await?;
        Ok(tx.commit().await?)
    }

    /// Batches that are neither final nor dead, in order of nonce.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open_batches(&self, issuer: Address) -> Result<Vec<OpenBatch>, StoreError> {
        let rows: Vec<BatchRow> = sqlx::query_as(
            "SELECT id, state, purpose, first, size, root, nonce, deadline, tx_hash, block_number, block_hash FROM batches
             WHERE issuer = ? AND state NOT IN ('final', 'dead') ORDER BY nonce",
        )
        .bind(issuer.as_slice())
        .fetch_all(&self.readers)
        .await?;
        let mut batches = Vec::with_capacity(rows.len());
        for row in rows {
            let transactions: Vec<TransactionRow> = sqlx::query_as(
                "SELECT hash, raw, max_fee_per_gas_wei, max_priority_fee_per_gas_wei, signed_at_ms FROM transactions
                 WHERE batch_id = ? ORDER BY signed_at_ms, rowid",
            )
            .bind(row.id)
            .fetch_all(&self.readers)
            .await?;
            let transactions = transactions.into_iter().map(TransactionRow::read).collect::<Result<_, _>>()?;
            batches.push(row.read(transactions)?);
        }
        Ok(batches)
    }

    /// A batch issued its codes in a block. `max_attempts` is the policy's at that block, where the node still knows it,
    /// and holds for its requests from now on. Requests that were told of a failure are told better.
    ///
    /// # Errors
    /// When the store fails or the lease is void.
    pub async fn mark_mined(
        &self,
        lease: Lease,
        batch_id: i64,
        mined: &MinedAt,
        max_attempts: Option<u8>,
    ) -> Result<(), StoreError> {
        let mut tx = self.fenced(lease).await?;
        set_block(&mut tx, batch_id, "mined", mined).await?;
        unfail(&mut tx, batch_id).await?;
        sqlx::query(
            "UPDATE requests SET max_attempts = MAX(COALESCE(?, max_attempts), attempts)
             WHERE id IN (SELECT request_id FROM issuances WHERE batch_id = ?)",
        )
        .bind(max_attempts)
        .bind(batch_id)
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// A batch's nonce was mined and nothing was issued: its requests are told why.
    ///
    /// # Errors
    /// When the store fails or the lease is void.
    pub async fn mark_void(&self, lease: Lease, batch_id: i64, mined: &MinedAt, why: &str) -> Result<(), StoreError> {
        let mut tx = self.fenced(lease).await?;
        set_block(&mut tx, batch_id, "void", mined).await?;
        fail(&mut tx, batch_id, why).await?;
        Ok(tx.commit().await?)
    }

    /// A batch can no longer be mined in time: its requests are told why, and its nonce is to be freed.
    ///
    /// # Errors
    /// When the store fails or the lease is void.
    pub async fn mark_late(&self, lease: Lease, batch_id: i64, why: &str) -> Result<(), StoreError> {
        let mut tx = self.fenced(lease).await?;
        sqlx::query("UPDATE batches SET state = 'late' WHERE id = ?").bind(batch_id).execute(&mut *tx).await?;
        fail(&mut tx, batch_id, why).await?;
        Ok(tx.commit().await?)
    }

    /// A reorg took a batch out of its block: it is followed as one that was only signed, and its requests may hope.
    ///
    /// # Errors
    /// When the store fails or the lease is void.
    pub async fn mark_unmined(&self, lease: Lease, batch_id: i64) -> Result<(), StoreError> {
        let mut tx = self.fenced(lease).await?;
        sqlx::query(
            "UPDATE batches SET state = 'signed', tx_hash = NULL, block_number = NULL, block_hash = NULL WHERE id = ?",
        )
        .bind(batch_id)
        .execute(&mut *tx)
        .await?;
        unfail(&mut tx, batch_id).await?;
        Ok(tx.commit().await?)
    }

    /// Enough blocks stand on top of a batch: it is followed no more.
    ///
    /// # Errors
    /// When the store fails or the lease is void.
    pub async fn mark_final(&self, lease: Lease, batch_id: i64) -> Result<(), StoreError> {
        let mut tx = self.fenced(lease).await?;
        sqlx::query("UPDATE batches SET state = CASE state WHEN 'void' THEN 'dead' ELSE 'final' END WHERE id = ?")
            .bind(batch_id)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// A batch's nonce is final with other contents, so it can never land: its requests wait for new numbers.
    ///
    /// # Errors
    /// When the store fails or the lease is void.
    pub async fn requeue_batch(&self, lease: Lease, batch_id: i64) -> Result<(), StoreError> {
        let mut tx = self.fenced(lease).await?;
        // The nonce is free for the row of whoever used it, should that be stored some day.
        sqlx::query("UPDATE batches SET state = 'dead', nonce = -id WHERE id = ?")
            .bind(batch_id)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "UPDATE requests SET state = 'queued', queued_at_ms = ?
             WHERE state = 'batched' AND id IN (SELECT request_id FROM issuances WHERE batch_id = ?)",
        )
        .bind(now_ms())
        .bind(batch_id)
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// Fails waiting requests: those of `purpose`, or of every purpose, that have waited since before
    /// `queued_before_ms`.
    /// Returns how many.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn fail_queued(
        &self,
        purpose: Option<Purpose>,
        queued_before_ms: i64,
        why: &str,
    ) -> Result<u64, StoreError> {
        let purpose = purpose.map(Purpose::bytes32);
        let done = sqlx::query(
            "UPDATE requests SET state = 'failed', failure = ?1, failed_at_ms = ?2
             WHERE state = 'queued' AND queued_at_ms < ?3 AND (?4 IS NULL OR purpose = ?4)",
        )
        .bind(why)
        .bind(now_ms())
        .bind(queued_before_ms)
        .bind(purpose.as_ref().map(|word| word.as_slice()))
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected())
    }

    /// A write that the holder of `lease` alone can make.
    async fn fenced(&self, lease: Lease) -> Result<Write, StoreError> {
        let mut tx = self.write().await?;
        let current: i64 = sqlx::query_scalar("SELECT fence FROM issuers WHERE address = ?")
            .bind(lease.issuer.as_slice())
            .fetch_one(&mut *tx)
            .await?;
        if current == lease.fence { Ok(tx) } else { Err(StoreError::Fenced { held: lease.fence, current }) }
    }
}

async fn set_block(tx: &mut Write, batch_id: i64, state: &str, mined: &MinedAt) -> Result<(), StoreError> {
    sqlx::query("UPDATE batches SET state = ?, tx_hash = ?, block_number = ?, block_hash = ? WHERE id = ?")
        .bind(state)
        .bind(mined.tx_hash.as_slice())
        .bind(signed(mined.block_number))
        .bind(mined.block_hash.as_slice())
        .bind(batch_id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn fail(tx: &mut Write, batch_id: i64, why: &str) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE requests SET state = 'failed', failure = ?, failed_at_ms = ?
         WHERE state = 'batched' AND id IN (SELECT request_id FROM issuances WHERE batch_id = ?)",
    )
    .bind(why)
    .bind(now_ms())
    .bind(batch_id)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn unfail(tx: &mut Write, batch_id: i64) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE requests SET state = 'batched', failure = NULL, failed_at_ms = NULL
         WHERE state = 'failed' AND id IN (SELECT request_id FROM issuances WHERE batch_id = ?)",
    )
    .bind(batch_id)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn insert_batch(tx: &mut Write, issuer: Address, batch: &NewBatch<'_>) -> Result<i64, StoreError> {
    let id = sqlx::query_scalar(
        "INSERT INTO batches (issuer, purpose, first, size, root, nonce, deadline, created_at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
    )
    .bind(issuer.as_slice())
    .bind(batch.purpose.bytes32().as_slice())
    .bind(signed(batch.first))
    .bind(i64::try_from(batch.codes.len()).unwrap_or(i64::MAX))
    .bind(batch.root.as_slice())
    .bind(signed(batch.nonce))
    .bind(signed(batch.deadline))
    .bind(now_ms())
    .fetch_one(&mut **tx)
    .await?;
    Ok(id)
}

async fn insert_transaction(tx: &mut Write, batch_id: i64, signed: &SignedTransaction) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO transactions
         (hash, batch_id, raw, max_fee_per_gas_wei, max_priority_fee_per_gas_wei, signed_at_ms) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(signed.hash.as_slice())
    .bind(batch_id)
    .bind(&signed.raw)
    .bind(signed.max_fee_per_gas_wei.to_string())
    .bind(signed.max_priority_fee_per_gas_wei.to_string())
    .bind(signed.signed_at_ms)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The numbers that a batch used are used up.
async fn advance(tx: &mut Write, issuer: Address, batch: &NewBatch<'_>) -> Result<(), StoreError> {
    let used = u64::try_from(batch.codes.len()).unwrap_or(u64::MAX);
    sqlx::query("UPDATE issuers SET next_nonce = ? WHERE address = ?")
        .bind(signed(batch.nonce + 1))
        .bind(issuer.as_slice())
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "INSERT INTO serials (issuer, purpose, next) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET next = MAX(next, excluded.next)",
    )
    .bind(issuer.as_slice())
    .bind(batch.purpose.bytes32().as_slice())
    .bind(signed(batch.first.saturating_add(used)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

#[derive(FromRow)]
struct QueuedRow {
    id: Uuid,
    account_id: Uuid,
    wallet: Vec<u8>,
    seed_sealed: Vec<u8>,
    action: Vec<u8>,
}

impl QueuedRow {
    fn read(self) -> Result<QueuedRequest, StoreError> {
        let damaged = |_| StoreError::Damaged { table: "requests" };
        Ok(QueuedRequest {
            id: self.id,
            account_id: self.account_id,
            subject: Address::try_from(self.wallet.as_slice()).map_err(damaged)?,
            seed_sealed: self.seed_sealed,
            action: B256::try_from(self.action.as_slice()).map_err(damaged)?,
        })
    }
}

#[derive(FromRow)]
struct BatchRow {
    id: i64,
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
    fn read(self, transactions: Vec<SignedTransaction>) -> Result<OpenBatch, StoreError> {
        let mined = match (self.tx_hash, self.block_number, self.block_hash) {
            (Some(tx_hash), Some(number), Some(block_hash)) => Some(MinedAt {
                tx_hash: read_hash(&tx_hash, "batches")?,
                block_number: unsigned(number, "batches")?,
                block_hash: read_hash(&block_hash, "batches")?,
            }),
            _ => None,
        };
        Ok(OpenBatch {
            id: self.id,
            purpose: read_purpose(&self.purpose)?,
            first: unsigned(self.first, "batches")?,
            size: unsigned(self.size, "batches")?,
            root: read_hash(&self.root, "batches")?,
            nonce: unsigned(self.nonce, "batches")?,
            deadline: unsigned(self.deadline, "batches")?,
            late: self.state == "late",
            mined,
            void: self.state == "void",
            transactions,
        })
    }
}

#[derive(FromRow)]
struct TransactionRow {
    hash: Vec<u8>,
    raw: Vec<u8>,
    max_fee_per_gas_wei: String,
    max_priority_fee_per_gas_wei: String,
    signed_at_ms: i64,
}

impl TransactionRow {
    fn read(self) -> Result<SignedTransaction, StoreError> {
        let damaged = |_| StoreError::Damaged { table: "transactions" };
        Ok(SignedTransaction {
            hash: read_hash(&self.hash, "transactions")?,
            raw: self.raw,
            max_fee_per_gas_wei: self.max_fee_per_gas_wei.parse().map_err(damaged)?,
            max_priority_fee_per_gas_wei: self.max_priority_fee_per_gas_wei.parse().map_err(damaged)?,
            signed_at_ms: self.signed_at_ms,
        })
    }
}

/// SQLite integers are signed; what is stored here stays far below 2^63.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64, table: &'static str) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Damaged { table })
}

pub(super) fn read_hash(bytes: &[u8], table: &'static str) -> Result<B256, StoreError> {
    B256::try_from(bytes).map_err(|_| StoreError::Damaged { table })
}

fn read_purpose(bytes: &[u8]) -> Result<Purpose, StoreError> {
    Purpose::try_from(read_hash(bytes, "purpose")?).map_err(|_| StoreError::Damaged { table: "purpose" })
}
