//! Storing calls before they are sent, and reading those that are not final.

use alloy::primitives::{Address, B256};
use std::collections::HashMap;

use super::{
    Lease, MinedAt, NewBatch, NewCall, NewContents, OpenCall, SignedTransaction,
    rows::{CallRow, FinalRow, TransactionRow},
};
use crate::{
    clock::now_ms,
    failpoint,
    store::{
        Store, StoreError, Write,
        column::{self, json},
        switches,
    },
};

/// The signed forms of a sender's calls that are in no block. SQLite takes the index of open calls only where its own
/// condition stands as it was written.
pub(in crate::store) const UNMINED: &str = "
    SELECT t.call_id, t.hash, t.raw, t.max_fee_per_gas_wei, t.max_priority_fee_per_gas_wei, t.signed_at_ms
    FROM calls c JOIN transactions t ON t.call_id = c.id
    WHERE c.sender = ? AND c.state NOT IN ('final', 'dead') AND c.state IN ('signed', 'late') ORDER BY t.rowid";
/// Takes the requests in the JSON array ?1, `[request, id]` each, out of the queue.
pub(in crate::store) const BATCH: &str = "
    UPDATE requests SET state = 'batched', claimed_by = NULL, claimed_at_ms = NULL
    WHERE state = 'queued' AND id IN (SELECT unhex(value ->> 0) FROM json_each(?1))";
/// Numbers them from ?3 on, as codes of batch ?2.
const NUMBER: &str = "
    INSERT INTO issuances (on_chain_id, request_id, batch_id, serial)
    SELECT unhex(value ->> 1), unhex(value ->> 0), ?2, ?3 + key FROM json_each(?1)";

impl Store {
    /// Stores a batch, its numbers, its nonce and its signed bytes, and takes its requests out of the queue. Returns
    /// the call's row id, or `None` where one of the requests no longer waits: then nothing was stored, and the signed
    /// bytes must not be sent.
    ///
    /// # Errors
    /// When the store fails or the lease is void.
    pub async fn commit_batch(&self, lease: Lease, batch: &NewBatch<'_>) -> Result<Option<i64>, StoreError> {
        let mut tx = self.fenced(lease).await?;
        if switches::is_issuer_blocked(&mut tx, lease.sender).await? {
            return Ok(None);
        }
        let call_id = insert_call(&mut tx, lease, "batch", batch.nonce, Some(batch.deadline)).await?;
        insert_batch(&mut tx, lease.sender, call_id, batch).await?;
        insert_transaction(&mut tx, call_id, &batch.transaction).await?;
        if !number(&mut tx, call_id, batch).await? {
            return Ok(None);
        }
        failpoint::hit("batch-half-stored");
        tx.commit().await?;
        Ok(Some(call_id))
    }

    /// Stores a call other than a batch, its nonce and its signed bytes; call before sending it.
    ///
    /// # Errors
    /// When the store fails or the lease is void.
    pub async fn commit_call(&self, lease: Lease, call: &NewCall<'_>) -> Result<i64, StoreError> {
        let mut tx = self.fenced(lease).await?;
        let kind = match call.contents {
            NewContents::Revocation(_) => "revocation",
            NewContents::Verification(_) => "verification",
            NewContents::Filler => "filler",
        };
        let call_id = insert_call(&mut tx, lease, kind, call.nonce, call.deadline).await?;
        insert_transaction(&mut tx, call_id, &call.transaction).await?;
        match call.contents {
            NewContents::Revocation(ids) => {
                let ids = json(&ids.iter().map(hex::encode).collect::<Vec<_>>())?;
                let insert =
                    "INSERT INTO revoked_codes (call_id, on_chain_id) SELECT ?, unhex(value) FROM json_each(?)";
                sqlx::query(insert).bind(call_id).bind(ids).execute(&mut *tx).await?;
            }
            NewContents::Verification(request_id) => {
                sqlx::query("INSERT INTO verifications (call_id, request_id) VALUES (?, ?)")
                    .bind(call_id)
                    .bind(request_id)
                    .execute(&mut *tx)
                    .await?;
            }
            NewContents::Filler => {}
        }
        tx.commit().await?;
        Ok(call_id)
    }

    /// Adds a replacement to an open call; call before sending it.
    ///
    /// # Errors
    /// When the store fails or the lease is void.
    pub async fn add_transaction(
        &self,
        lease: Lease,
        call_id: i64,
        transaction: &SignedTransaction,
    ) -> Result<(), StoreError> {
        let mut tx = self.fenced(lease).await?;
        insert_transaction(&mut tx, call_id, transaction).await?;
        Ok(tx.commit().await?)
    }

    /// Calls that are neither final nor dead, in order of nonce; those in no block with their signed forms.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open_calls(&self, sender: Address) -> Result<Vec<OpenCall>, StoreError> {
        let mut read = self.readers.begin().await?;
        let rows: Vec<CallRow> = sqlx::query_as(
            "SELECT c.id, c.kind, c.state, c.nonce, c.deadline, c.created_at_ms, c.tx_hash, c.block_number, c.block_hash,
                    b.purpose, b.size, b.root, v.request_id,
                    c.state = 'void' AND EXISTS (
                        SELECT 1 FROM issuances i JOIN requests r ON r.id = i.request_id
                        WHERE i.batch_id = c.id AND r.state = 'batched') AS awaited
             FROM calls c LEFT JOIN batches b ON b.id = c.id LEFT JOIN verifications v ON v.call_id = c.id
             WHERE c.sender = ? AND c.state NOT IN ('final', 'dead') ORDER BY c.nonce",
        )
        .bind(sender.as_slice())
        .fetch_all(&mut *read)
        .await?;
        let signed: Vec<TransactionRow> = sqlx::query_as(UNMINED).bind(sender.as_slice()).fetch_all(&mut *read).await?;
        let mut forms: HashMap<i64, Vec<SignedTransaction>> = HashMap::new();
        for row in signed {
            forms.entry(row.call_id).or_default().push(row.read()?);
        }
        rows.into_iter()
            .map(|row| {
                let transactions = forms.remove(&row.id).unwrap_or_default();
                row.read(transactions)
            })
            .collect()
    }

    /// Whether a batch of this issuer is ours.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn has_batch(&self, issuer: Address, root: B256) -> Result<bool, StoreError> {
        let known = sqlx::query("SELECT 1 FROM batches WHERE issuer = ? AND root = ?")
            .bind(issuer.as_slice())
            .bind(root.as_slice())
            .fetch_optional(&self.readers)
            .await?;
        Ok(known.is_some())
    }

    /// Accounts of ours with calls that are neither final nor dead.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn senders_with_open_calls(&self) -> Result<Vec<Address>, StoreError> {
        let rows: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT DISTINCT sender FROM calls WHERE state NOT IN ('final', 'dead')")
                .fetch_all(&self.readers)
                .await?;
        rows.iter().map(|address| column::address(address, "calls")).collect()
    }

    /// The last final calls of a sender from a nonce on, newest first: row ids, nonces and blocks.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn last_final(
        &self,
        sender: Address,
        from_nonce: u64,
        limit: usize,
    ) -> Result<Vec<(i64, u64, MinedAt)>, StoreError> {
        let rows: Vec<FinalRow> = sqlx::query_as(
            "SELECT id, nonce, tx_hash, block_number, block_hash FROM calls
             WHERE sender = ? AND nonce >= ? AND state = 'final' ORDER BY nonce DESC LIMIT ?",
        )
        .bind(sender.as_slice())
        .bind(column::signed(from_nonce))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(FinalRow::read).collect()
    }

    /// A call that was taken for final is open again: a reorg went deeper than `issue.confirmations`.
    ///
    /// # Errors
    /// When the store fails or the lease is void.
    pub async fn reopen_call(&self, lease: Lease, call_id: i64) -> Result<(), StoreError> {
        let mut tx = self.fenced(lease).await?;
        sqlx::query(
            "UPDATE calls SET state = 'signed', tx_hash = NULL, block_number = NULL, block_hash = NULL
             WHERE id = ? AND state = 'final'",
        )
        .bind(call_id)
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }
}

/// A row for a nonce, which is used up from here on.
async fn insert_call(
    tx: &mut Write,
    lease: Lease,
    kind: &str,
    nonce: u64,
    deadline: Option<u64>,
) -> Result<i64, StoreError> {
    let id = sqlx::query_scalar(
        "INSERT INTO calls (sender, kind, nonce, deadline, created_at_ms) VALUES (?, ?, ?, ?, ?) RETURNING id",
    )
    .bind(lease.sender.as_slice())
    .bind(kind)
    .bind(column::signed(nonce))
    .bind(deadline.map(column::signed))
    .bind(now_ms())
    .fetch_one(&mut **tx)
    .await?;
    sqlx::query("UPDATE senders SET next_nonce = MAX(next_nonce, ?) WHERE address = ?")
        .bind(column::signed(nonce.saturating_add(1)))
        .bind(lease.sender.as_slice())
        .execute(&mut **tx)
        .await?;
    Ok(id)
}

/// A batch's facts; its numbers are used up.
async fn insert_batch(tx: &mut Write, issuer: Address, call_id: i64, batch: &NewBatch<'_>) -> Result<(), StoreError> {
    let size = u64::try_from(batch.codes.len()).unwrap_or(u64::MAX);
    sqlx::query("INSERT INTO batches (id, issuer, purpose, first, size, root) VALUES (?, ?, ?, ?, ?, ?)")
        .bind(call_id)
        .bind(issuer.as_slice())
        .bind(batch.purpose.bytes32().as_slice())
        .bind(column::signed(batch.first))
        .bind(column::signed(size))
        .bind(batch.root.as_slice())
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "INSERT INTO serials (issuer, purpose, next) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET next = MAX(next, excluded.next)",
    )
    .bind(issuer.as_slice())
    .bind(batch.purpose.bytes32().as_slice())
    .bind(column::signed(batch.first.saturating_add(size)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Gives the batch's requests their numbers; `false` where one of them no longer waits.
async fn number(tx: &mut Write, batch_id: i64, batch: &NewBatch<'_>) -> Result<bool, StoreError> {
    let rows = batch.codes.iter().map(|(request, id)| (hex::encode(request), hex::encode(id))).collect::<Vec<_>>();
    let rows = json(&rows)?;
    let taken = sqlx::query(BATCH).bind(&rows).execute(&mut **tx).await?;
    if usize::try_from(taken.rows_affected()).ok() != Some(batch.codes.len()) {
        return Ok(false);
    }
    sqlx::query(NUMBER).bind(rows).bind(batch_id).bind(column::signed(batch.first)).execute(&mut **tx).await?;
    Ok(true)
}

async fn insert_transaction(tx: &mut Write, call_id: i64, signed: &SignedTransaction) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO transactions
         (hash, call_id, raw, max_fee_per_gas_wei, max_priority_fee_per_gas_wei, signed_at_ms) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(signed.hash.as_slice())
    .bind(call_id)
    .bind(&signed.raw)
    .bind(signed.max_fee_per_gas_wei.to_string())
    .bind(signed.max_priority_fee_per_gas_wei.to_string())
    .bind(signed.signed_at_ms)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
