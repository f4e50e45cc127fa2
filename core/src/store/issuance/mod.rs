//! From queued requests to final calls. Writer: the relayer, under the fence of the sending key.
//!
//! Whatever one of our accounts sends is a *call*: a nonce and what it is spent on. A call, its contents, its nonce and
//! its signed bytes are stored in one transaction, before anything is sent; every write carries the holder's fence and is
//! refused once another process has taken the key. All kinds of calls share one sequence of nonces per sender.

pub(in crate::store) mod calls;
mod outcome;
mod revocations;
mod rows;
#[cfg(test)]
mod tests;
mod types;
mod verifications;

use alloy::primitives::Address;

use self::rows::QueuedRow;
pub use self::{revocations::*, types::*, verifications::*};
use super::{
    Store, StoreError, Write,
    column::{self, json},
    switches,
};
use crate::{clock::now_ms, id::Purpose};

/// How long a claim on queued requests holds, in milliseconds: far longer than signing takes.
const CLAIM_MS: i64 = 30_000;
pub(super) const CLAIM: &str = "
    UPDATE requests SET claimed_by = ?1, claimed_at_ms = ?2 WHERE id IN (SELECT unhex(value) FROM json_each(?3))";

impl Store {
    /// Takes a sender's key: all earlier leases on it are void from here on.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn take_sender(&self, sender: Address) -> Result<Lease, StoreError> {
        let mut tx = self.write().await?;
        let fence = sqlx::query_scalar(
            "INSERT INTO senders (address, fence, next_nonce) VALUES (?, 1, 0)
             ON CONFLICT DO UPDATE SET fence = fence + 1 RETURNING fence",
        )
        .bind(sender.as_slice())
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Lease { sender, fence })
    }

    /// Aligns nonce and serials with the chain, after a start or a restore: the next nonce is the one above every open
    /// call and at least `chain_nonce`; a serial never falls.
    ///
    /// # Errors
    /// When the store fails or the lease is void.
    pub async fn align_sender(
        &self,
        lease: Lease,
        chain_nonce: u64,
        chain_serials: &[(Purpose, u64)],
    ) -> Result<(), StoreError> {
        let sender = lease.sender.as_slice();
        let mut tx = self.fenced(lease).await?;
        sqlx::query(
            "UPDATE senders SET next_nonce = MAX(?1, COALESCE((SELECT MAX(nonce) + 1 FROM calls
             WHERE sender = ?2 AND state NOT IN ('final', 'dead')), 0)) WHERE address = ?2",
        )
        .bind(column::signed(chain_nonce))
        .bind(sender)
        .execute(&mut *tx)
        .await?;
        for (purpose, next) in chain_serials {
            sqlx::query(
                "INSERT INTO serials (issuer, purpose, next) VALUES (?, ?, ?)
                 ON CONFLICT DO UPDATE SET next = MAX(next, excluded.next)",
            )
            .bind(sender)
            .bind(purpose.bytes32().as_slice())
            .bind(column::signed(*next))
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// The next nonce of a sender.
    ///
    /// # Errors
    /// When the store fails or does not know the sender.
    pub async fn next_nonce(&self, sender: Address) -> Result<u64, StoreError> {
        let nonce: i64 = sqlx::query_scalar("SELECT next_nonce FROM senders WHERE address = ?")
            .bind(sender.as_slice())
            .fetch_one(&self.readers)
            .await?;
        column::unsigned(nonce, "senders")
    }

    /// The next nonce of an issuer, and the next serial for a purpose of it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn next_numbers(&self, issuer: Address, purpose: Purpose) -> Result<(u64, u64), StoreError> {
        let serial: Option<i64> = sqlx::query_scalar("SELECT next FROM serials WHERE issuer = ? AND purpose = ?")
            .bind(issuer.as_slice())
            .bind(purpose.bytes32().as_slice())
            .fetch_optional(&self.readers)
            .await?;
        Ok((self.next_nonce(issuer).await?, column::unsigned(serial.unwrap_or_default(), "serials")?))
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

    /// Claims the oldest waiting requests of a purpose for a sender, so that of several relayers one signs for them. A
    /// claim ends with [`Store::commit_batch`], or by itself after a while; the sender's own hold nothing up.
    ///
    /// # Errors
    /// When the store fails or the lease is void.
    pub async fn claim_queued(
        &self,
        lease: Lease,
        purpose: Purpose,
        limit: usize,
    ) -> Result<Vec<QueuedRequest>, StoreError> {
        let mut tx = self.fenced(lease).await?;
        if switches::is_issuer_blocked(&mut tx, lease.sender).await? {
            return Ok(Vec::new());
        }
        let now = now_ms();
        // A claim from the future was made before the clock was set back: it would hold too long.
        let rows: Vec<QueuedRow> = sqlx::query_as(
            "SELECT r.id, r.account_id, a.wallet, a.seed_sealed, r.action
             FROM requests r JOIN accounts a ON a.id = r.account_id
             WHERE r.state = 'queued' AND r.purpose = ?1 AND a.erased_at_ms IS NULL
                   AND (r.claimed_by IS NULL OR r.claimed_by = ?2
                   OR r.claimed_at_ms NOT BETWEEN ?3 AND ?4)
             ORDER BY r.id LIMIT 0 + ?5",
        )
        .bind(purpose.bytes32().as_slice())
        .bind(lease.sender.as_slice())
        .bind(now.saturating_sub(CLAIM_MS))
        .bind(now)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut *tx)
        .await?;
        let requests = rows.into_iter().map(QueuedRow::read).collect::<Result<Vec<_>, _>>()?;
        let ids = json(&requests.iter().map(|request| hex::encode(request.id)).collect::<Vec<_>>())?;
        sqlx::query(CLAIM).bind(lease.sender.as_slice()).bind(now).bind(ids).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(requests)
    }

    /// A write that the holder of `lease` alone can make.
    async fn fenced(&self, lease: Lease) -> Result<Write, StoreError> {
        let mut tx = self.write().await?;
        let current: i64 = sqlx::query_scalar("SELECT fence FROM senders WHERE address = ?")
            .bind(lease.sender.as_slice())
            .fetch_one(&mut *tx)
            .await?;
        if current == lease.fence { Ok(tx) } else { Err(StoreError::Fenced { held: lease.fence, current }) }
    }
}
