//! The outbox: what is to be sent, to whom, and whether it was. Writer: the indexer.
//!
//! A row is claimed under a lease (`claims.rs`), sent outside any transaction, then settled. A process that dies in
//! between leaves the row pending: when the lease is over the same message goes out again, with the same Message-ID.

use alloy::primitives::B256;
use sha2::{Digest, Sha256};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Depths, Store, StoreError, Write, column};
use crate::{clock::now_ms, id::Deployment};

const MESSAGE_DOMAIN: &[u8] = b"otp/message/v1\0";

/// What message ids are made from.
#[derive(Debug, Clone)]
pub struct Outbox {
    /// Chain and contract.
    pub deployment: Deployment,
    /// The part of a Message-ID after the `@`.
    pub mail_domain: String,
    /// `delivery.depth.*`: what each channel's messages wait for.
    pub depths: Depths,
}

impl Outbox {
    /// The one id that a code's (or a notice's) message ever has: a function of what it is about and of nothing else.
    #[must_use]
    pub fn message_id(&self, about: &[u8], channel: &str) -> String {
        let digest = Sha256::new()
            .chain_update(MESSAGE_DOMAIN)
            .chain_update(self.deployment.chain_id.to_be_bytes())
            .chain_update(self.deployment.verifier)
            .chain_update([u8::try_from(about.len()).unwrap_or(u8::MAX)])
            .chain_update(about)
            .chain_update(channel)
            .finalize();
        format!("{}@{}", hex::encode(&digest[..16]), self.mail_domain)
    }
}

/// How many messages stand where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryCount {
    /// `pending`, `sent`, `cancelled`, `expired` or `dead`.
    pub state: String,
    /// Rows.
    pub count: u64,
}

impl Store {
    /// Gives every open notice without a message its message. Returns how many were added.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn enqueue_notices(&self, outbox: &Outbox) -> Result<u64, StoreError> {
        let open: Vec<NoticeRow> = sqlx::query_as(
            "SELECT n.id, n.contact_id, c.channel, n.expires_at_ms FROM notices n JOIN contacts c ON c.id = n.contact_id
             WHERE n.expires_at_ms > ? AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.notice_id = n.id)
             ORDER BY n.created_at_ms LIMIT 100",
        )
        .bind(now_ms())
        .fetch_all(&self.readers)
        .await?;
        if open.is_empty() {
            return Ok(0);
        }
        let mut tx = self.write().await?;
        let mut added = 0;
        for notice in open {
            let now = now_ms();
            added += sqlx::query(
                "INSERT INTO deliveries (message_id, notice_id, contact_id, channel, created_at_ms, due_at_ms,
                 expires_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(outbox.message_id(notice.id.as_bytes(), &notice.channel))
            .bind(notice.id)
            .bind(notice.contact_id)
            .bind(&notice.channel)
            .bind(now)
            .bind(now)
            .bind(notice.expires_at_ms)
            .execute(&mut *tx)
            .await?
            .rows_affected();
        }
        tx.commit().await?;
        Ok(added)
    }

    /// The server took the message. It counts as sent also where a reorg has cancelled it meanwhile: it is out.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn mark_sent(&self, message_id: &str) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE deliveries SET state = 'sent', sent_at_ms = ?, error = NULL WHERE message_id = ?")
            .bind(now_ms())
            .bind(message_id)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// The message can be tried again from `due_at_ms` on, a notice also when it expires: then it is settled. (A code
    /// expires by chain time, which is no time on this server's clock.) `why` carries no address.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn retry_delivery(&self, message_id: &str, due_at_ms: i64, why: &str) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query(
            "UPDATE deliveries SET lease_until_ms = 0, error = ?2,
             due_at_ms = CASE WHEN notice_id IS NULL THEN ?1 ELSE MIN(?1, expires_at_ms) END
             WHERE message_id = ?3 AND state <> 'sent'",
        )
        .bind(due_at_ms)
        .bind(why)
        .bind(message_id)
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// The message will never go out. `why` carries no address.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn mark_dead(&self, message_id: &str, why: &str) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE deliveries SET state = 'dead', error = ? WHERE message_id = ? AND state <> 'sent'")
            .bind(why)
            .bind(message_id)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Ends every lease: for a process that starts and knows that it is the only one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn release_deliveries(&self) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE deliveries SET lease_until_ms = 0 WHERE lease_until_ms > 0").execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Messages by state; states without any are left out.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delivery_counts(&self) -> Result<Vec<DeliveryCount>, StoreError> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT state, COUNT(*) FROM deliveries GROUP BY state ORDER BY state")
                .fetch_all(&self.readers)
                .await?;
        let read = |(state, count)| Ok(DeliveryCount { state, count: column::unsigned(count, "deliveries")? });
        rows.into_iter().map(read).collect()
    }

    /// How many messages wait, and the date of the oldest of them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delivery_queue(&self) -> Result<(u64, Option<i64>), StoreError> {
        let (count, oldest): (i64, Option<i64>) =
            sqlx::query_as("SELECT COUNT(*), MIN(created_at_ms) FROM deliveries WHERE state = 'pending'")
                .fetch_one(&self.readers)
                .await?;
        Ok((column::unsigned(count, "deliveries")?, oldest))
    }
}

/// Makes a code's message due when its landing answers one of our requests. A message that was not sent is revived with
/// the new expiry (a reorg took the code out and it landed again); one that was sent stays sent.
pub(super) async fn enqueue_code(tx: &mut Write, outbox: &Outbox, on_chain_id: B256) -> Result<u64, StoreError> {
    let landing: Option<LandingRow> = sqlx::query_as(
        "SELECT l.request_id, l.expiry, r.contact_id, c.channel FROM landings l
         JOIN requests r ON r.id = l.request_id JOIN contacts c ON c.id = r.contact_id WHERE l.on_chain_id = ?",
    )
    .bind(on_chain_id.as_slice())
    .fetch_optional(&mut **tx)
    .await?;
    let Some(landing) = landing else { return Ok(0) };
    let now = now_ms();
    // No conflict target: message_id and (on_chain_id, channel) say the same and collide together.
    let added = sqlx::query(
        "INSERT INTO deliveries (message_id, request_id, on_chain_id, contact_id, channel, created_at_ms, due_at_ms,
         expires_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET state = 'pending', due_at_ms = excluded.due_at_ms,
         expires_at_ms = excluded.expires_at_ms, error = NULL WHERE state IN ('pending', 'cancelled', 'expired')",
    )
    .bind(outbox.message_id(on_chain_id.as_slice(), &landing.channel))
    .bind(landing.request_id)
    .bind(on_chain_id.as_slice())
    .bind(landing.contact_id)
    .bind(&landing.channel)
    .bind(now)
    .bind(outbox.depths.due_at_ms(&landing.channel, now))
    .bind(landing.expiry.saturating_mul(1_000))
    .execute(&mut **tx)
    .await?;
    Ok(added.rows_affected())
}

#[derive(FromRow)]
struct NoticeRow {
    id: Uuid,
    contact_id: Uuid,
    channel: String,
    expires_at_ms: i64,
}

#[derive(FromRow)]
struct LandingRow {
    request_id: Uuid,
    expiry: i64,
    contact_id: Uuid,
    channel: String,
}
