//! What became of a call, and what its requests are told. Writer: the relayer, under the fence of the sending key.

use super::{Lease, MinedAt, revocations};
use crate::{
    clock::now_ms,
    id::Purpose,
    store::{Store, StoreError, Write, column, switches},
};

impl Store {
    /// A call had its effect in a block. Of a batch, `max_attempts` is the policy's at that block, where the node still
    /// knows it, and holds for its requests from now on. Requests that were told of a failure are told better.
    ///
    /// # Errors
    /// When the store fails or the lease is void.
    pub async fn mark_mined(
        &self,
        lease: Lease,
        call_id: i64,
        mined: &MinedAt,
        max_attempts: Option<u8>,
    ) -> Result<(), StoreError> {
        let mut tx = self.fenced(lease).await?;
        set_block(&mut tx, call_id, "mined", mined).await?;
        unfail(&mut tx, call_id).await?;
        sqlx::query(
            "UPDATE requests SET max_attempts = MAX(COALESCE(?, max_attempts), attempts)
             WHERE id IN (SELECT request_id FROM issuances WHERE batch_id = ?)",
        )
        .bind(max_attempts)
        .bind(call_id)
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// A call's nonce was mined without effect. Its requests are told `why`; without a reason they wait until that is
    /// final, for new numbers.
    ///
    /// # Errors
    /// When the store fails or the lease is void.
    pub async fn mark_void(
        &self,
        lease: Lease,
        call_id: i64,
        mined: &MinedAt,
        why: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut tx = self.fenced(lease).await?;
        set_block(&mut tx, call_id, "void", mined).await?;
        if let Some(why) = why {
            fail(&mut tx, call_id, why).await?;
        }
        Ok(tx.commit().await?)
    }

    /// The requests of a void batch are told why nothing comes of them.
    ///
    /// # Errors
    /// When the store fails or the lease is void.
    pub async fn fail_batch(&self, lease: Lease, call_id: i64, why: &str) -> Result<(), StoreError> {
        let mut tx = self.fenced(lease).await?;
        fail(&mut tx, call_id, why).await?;
        Ok(tx.commit().await?)
    }

    /// A call can no longer be mined in time: its requests are told why, and its nonce is to be freed.
    ///
    /// # Errors
    /// When the store fails or the lease is void.
    pub async fn mark_late(&self, lease: Lease, call_id: i64, why: &str) -> Result<(), StoreError> {
        let mut tx = self.fenced(lease).await?;
        sqlx::query("UPDATE calls SET state = 'late' WHERE id = ?").bind(call_id).execute(&mut *tx).await?;
        fail(&mut tx, call_id, why).await?;
        Ok(tx.commit().await?)
    }

    /// A reorg took a call out of its block: it is followed as one that was only signed, and its requests may hope.
    ///
    /// # Errors
    /// When the store fails or the lease is void.
    pub async fn mark_unmined(&self, lease: Lease, call_id: i64) -> Result<(), StoreError> {
        let mut tx = self.fenced(lease).await?;
        sqlx::query(
            "UPDATE calls SET state = 'signed', tx_hash = NULL, block_number = NULL, block_hash = NULL WHERE id = ?",
        )
        .bind(call_id)
        .execute(&mut *tx)
        .await?;
        unfail(&mut tx, call_id).await?;
        Ok(tx.commit().await?)
    }

    /// Enough blocks stand on top of a call: it is followed no more. Requests that still wait for a void batch wait for
    /// new numbers.
    ///
    /// # Errors
    /// When the store fails or the lease is void.
    pub async fn mark_final(&self, lease: Lease, call_id: i64) -> Result<(), StoreError> {
        let mut tx = self.fenced(lease).await?;
        let void: bool = sqlx::query_scalar("SELECT state = 'void' FROM calls WHERE id = ?")
            .bind(call_id)
            .fetch_one(&mut *tx)
            .await?;
        if void {
            bury(&mut tx, call_id).await?;
        } else {
            sqlx::query("UPDATE calls SET state = 'final' WHERE id = ?").bind(call_id).execute(&mut *tx).await?;
            revocations::settle_revoked(&mut tx, call_id).await?;
        }
        Ok(tx.commit().await?)
    }

    /// A call's nonce is final with other contents, so it can never land: its requests wait for new numbers.
    ///
    /// # Errors
    /// When the store fails or the lease is void.
    pub async fn requeue(&self, lease: Lease, call_id: i64) -> Result<(), StoreError> {
        let mut tx = self.fenced(lease).await?;
        bury(&mut tx, call_id).await?;
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
        let fail = sqlx::query(
            "UPDATE requests SET state = 'failed', failure = ?1, failed_at_ms = ?2
             WHERE state = 'queued' AND queued_at_ms < ?3 AND (?4 IS NULL OR purpose = ?4)",
        )
        .bind(why)
        .bind(now_ms())
        .bind(queued_before_ms)
        .bind(purpose.as_ref().map(|word| word.as_slice()));
        let done = self.alone(fail).await?;
        Ok(done.rows_affected())
    }
}

async fn set_block(tx: &mut Write, call_id: i64, state: &str, mined: &MinedAt) -> Result<(), StoreError> {
    sqlx::query("UPDATE calls SET state = ?, tx_hash = ?, block_number = ?, block_hash = ? WHERE id = ?")
        .bind(state)
        .bind(mined.tx_hash.as_slice())
        .bind(column::signed(mined.block_number))
        .bind(mined.block_hash.as_slice())
        .bind(call_id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn fail(tx: &mut Write, call_id: i64, why: &str) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE requests SET state = 'failed', failure = ?, failed_at_ms = ?
         WHERE state = 'batched' AND id IN (SELECT request_id FROM issuances WHERE batch_id = ?)",
    )
    .bind(why)
    .bind(now_ms())
    .bind(call_id)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn unfail(tx: &mut Write, call_id: i64) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE requests SET state = 'batched', failure = NULL, failed_at_ms = NULL
         WHERE state = 'failed' AND id IN (SELECT request_id FROM issuances WHERE batch_id = ?)",
    )
    .bind(call_id)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A call that can never have its effect. Its nonce is free for the row of whoever used it, should that be stored some
/// day. Requests keep the time since which they wait, but for those whose revocation is owed: they are told.
async fn bury(tx: &mut Write, call_id: i64) -> Result<(), StoreError> {
    sqlx::query("UPDATE calls SET state = 'dead', nonce = -id WHERE id = ?").bind(call_id).execute(&mut **tx).await?;
    sqlx::query(
        "UPDATE requests SET state = 'failed', failed_at_ms = ?1,
                failure = (SELECT cause FROM revocations v WHERE v.request_id = requests.id)
         WHERE state = 'batched' AND id IN (
             SELECT i.request_id FROM issuances i JOIN revocations v ON v.request_id = i.request_id WHERE i.batch_id = ?2)",
    )
    .bind(now_ms())
    .bind(call_id)
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "UPDATE requests SET state = 'queued'
         WHERE state = 'batched' AND id IN (SELECT request_id FROM issuances WHERE batch_id = ?)",
    )
    .bind(call_id)
    .execute(&mut **tx)
    .await?;
    switches::fail_barred(tx).await?;
    revocations::settle_batch(tx, call_id).await
}
