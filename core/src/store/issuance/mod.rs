//! From queued requests to final batches. Writer: the relayer, under the fence of its issuer key.
//!
//! A batch, its numbers, its nonce and its signed bytes are stored in one transaction, before anything is sent; every
//! write carries the holder's fence and is refused once another process has taken the key.

mod outcome;
mod rows;

use alloy::primitives::{Address, B256};
use uuid::Uuid;

use self::rows::{BatchRow, QueuedRow, TransactionRow};
use super::{Store, StoreError, Write, column};
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
        .bind(column::signed(chain_nonce))
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
            .bind(column::signed(*next))
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
        Ok((column::unsigned(nonce, "issuers")?, column::unsigned(serial, "serials")?))
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
        rows.into_iter()
            .map(|(purpose, count)| Ok((column::purpose(&purpose, "requests")?, column::unsigned(count, "requests")?)))
            .collect()
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
                .bind(column::signed(serial))
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

async fn insert_batch(tx: &mut Write, issuer: Address, batch: &NewBatch<'_>) -> Result<i64, StoreError> {
    let id = sqlx::query_scalar(
        "INSERT INTO batches (issuer, purpose, first, size, root, nonce, deadline, created_at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
    )
    .bind(issuer.as_slice())
    .bind(batch.purpose.bytes32().as_slice())
    .bind(column::signed(batch.first))
    .bind(i64::try_from(batch.codes.len()).unwrap_or(i64::MAX))
    .bind(batch.root.as_slice())
    .bind(column::signed(batch.nonce))
    .bind(column::signed(batch.deadline))
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
        .bind(column::signed(batch.nonce + 1))
        .bind(issuer.as_slice())
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "INSERT INTO serials (issuer, purpose, next) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET next = MAX(next, excluded.next)",
    )
    .bind(issuer.as_slice())
    .bind(batch.purpose.bytes32().as_slice())
    .bind(column::signed(batch.first.saturating_add(used)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
