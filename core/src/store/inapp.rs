//! Messages that wait here, sealed to their reader's key, until they are fetched. Writer: the indexer.

use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, StoreError, column, deliveries};
use crate::{clock::now_ms, inapp::Sealed};

/// The most rows that one pruning takes, so that no write is long.
const PRUNED_AT_ONCE: i64 = 1_000;
/// From the few accounts that were erased to their messages, not from every message to its account.
pub(super) const PRUNE: &str = "
    DELETE FROM inapp_messages WHERE number IN (
        SELECT number FROM inapp_messages WHERE keep_until_ms <= ?1
        UNION ALL
        SELECT m.number FROM accounts a CROSS JOIN contacts c ON c.account_id = a.id
        CROSS JOIN inapp_messages m ON m.contact_id = c.id WHERE a.erased_at_ms IS NOT NULL
        LIMIT ?2)";

/// A message to be kept.
#[derive(Debug)]
pub struct NewInapp<'a> {
    /// Its id in the outbox.
    pub message_id: &'a str,
    /// Whose key it is sealed to.
    pub contact_id: Uuid,
    /// The message.
    pub sealed: &'a Sealed,
    /// When it was first due, in Unix milliseconds.
    pub created_at_ms: i64,
    /// When what it says is worth nothing any more, in Unix milliseconds.
    pub expires_at_ms: i64,
    /// How long it is kept after that, in milliseconds.
    pub keep_ms: i64,
}

/// A message as it is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InappMessage {
    /// Its place: what was fetched up to here is asked for no more.
    pub number: u64,
    /// Its id in the outbox, bound by the seal.
    pub message_id: String,
    /// Whose key it is sealed to, bound by the seal.
    pub contact_id: Uuid,
    /// The message.
    pub sealed: Sealed,
    /// Unix milliseconds.
    pub created_at_ms: i64,
    /// Unix milliseconds.
    pub expires_at_ms: i64,
}

impl Store {
    /// Keeps a message and marks it as taken, in one transaction; false where it is not to go out any more, since the
    /// chain or another worker was faster.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn keep_inapp(&self, new: &NewInapp<'_>) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        if !deliveries::take_inapp(&mut tx, new.message_id).await? {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO inapp_messages (message_id, contact_id, enc, ciphertext, created_at_ms, expires_at_ms,
             keep_until_ms) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (message_id) DO NOTHING",
        )
        .bind(new.message_id)
        .bind(new.contact_id)
        .bind(&new.sealed.enc)
        .bind(&new.sealed.ciphertext)
        .bind(new.created_at_ms)
        .bind(new.expires_at_ms)
        .bind(new.expires_at_ms.max(now_ms()).saturating_add(new.keep_ms))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Messages for the account's keys behind the number `after`, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn inapp_messages(
        &self,
        account_id: Uuid,
        after: u64,
        most: u32,
    ) -> Result<Vec<InappMessage>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT m.number, m.message_id, m.contact_id, m.enc, m.ciphertext, m.created_at_ms, m.expires_at_ms
             FROM contacts c JOIN inapp_messages m ON m.contact_id = c.id
             WHERE c.account_id = ? AND m.number > ? AND m.keep_until_ms > ? ORDER BY m.number LIMIT ?",
        )
        .bind(account_id)
        .bind(column::signed(after))
        .bind(now_ms())
        .bind(most)
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(InappMessage::try_from).collect()
    }

    /// Deletes messages that are too old, and those of accounts that were erased. Returns how many.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn prune_inapp(&self, now_ms: i64) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let pruned = sqlx::query(PRUNE).bind(now_ms).bind(PRUNED_AT_ONCE).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(pruned.rows_affected())
    }
}

#[derive(FromRow)]
struct Row {
    number: i64,
    message_id: String,
    contact_id: Uuid,
    enc: Vec<u8>,
    ciphertext: Vec<u8>,
    created_at_ms: i64,
    expires_at_ms: i64,
}

impl TryFrom<Row> for InappMessage {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            number: column::unsigned(row.number, "inapp_messages")?,
            message_id: row.message_id,
            contact_id: row.contact_id,
            sealed: Sealed { enc: row.enc, ciphertext: row.ciphertext },
            created_at_ms: row.created_at_ms,
            expires_at_ms: row.expires_at_ms,
        })
    }
}
