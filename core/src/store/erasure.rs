//! An account's end, and addresses that nobody needs any more. Writer: the relayer.
//!
//! An account is closed first: nobody signs in to it and nothing new is asked for, while codes that are on their way can
//! still arrive and be used. It is erased [`PENDING_MS`] later, when none can be: seed, addresses and what codes
//! authorised are overwritten, and with the seed every code of the account is gone. What the chain says stays.

use std::sync::atomic::Ordering;

use sqlx::SqliteConnection;
use uuid::Uuid;

use super::{BUSY_POLL, Store, StoreError};

/// The longest deadline of a batch (an hour) and the longest life of a code (ten minutes), and as much again.
pub const PENDING_MS: i64 = 2 * 4_200_000;
/// How long a removed contact's address is kept, for messages that are on their way to it.
const REMOVED_MS: i64 = 86_400_000;
/// How often the log is tried to be emptied before the next round: the writer is held as long.
const EMPTYING_TRIES: u32 = 50;

/// What a round of erasing did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// Accounts whose personal data is gone.
    pub accounts: Vec<Uuid>,
    /// Addresses of removed contacts that are gone.
    pub contacts: u64,
}

impl Store {
    /// Erases accounts that were closed long enough ago, and addresses of contacts that were removed a day ago, from the
    /// file and its log.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn erase_closed(&self, now_ms: i64) -> Result<Erased, StoreError> {
        let (closed_by, removed_by) = (now_ms.saturating_sub(PENDING_MS), now_ms.saturating_sub(REMOVED_MS));
        let accounts: Vec<Uuid> =
            sqlx::query_scalar("SELECT id FROM accounts WHERE closed_at_ms <= ? AND erased_at_ms IS NULL LIMIT 100")
                .bind(closed_by)
                .fetch_all(&self.readers)
                .await?;
        let removed = sqlx::query("SELECT 1 FROM contacts WHERE removed_at_ms <= ? AND length(address_sealed) > 0")
            .bind(removed_by)
            .fetch_optional(&self.readers)
            .await?;
        if accounts.is_empty() && removed.is_none() {
            self.empty_log().await?;
            return Ok(Erased { accounts, contacts: 0 });
        }
        self.log_holds_erased.store(true, Ordering::Release);
        for account in &accounts {
            let mut write = self.write().await?;
            erase(&mut write, *account, now_ms).await?;
            write.commit().await?;
        }
        let mut write = self.write().await?;
        let contacts = sqlx::query(
            "UPDATE contacts SET address_sealed = x'' WHERE removed_at_ms <= ? AND length(address_sealed) > 0",
        )
        .bind(removed_by)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        self.empty_log().await?;
        Ok(Erased { accounts, contacts: contacts.rows_affected() })
    }

    /// Folds the write-ahead log into the file and empties it, where it may hold what was erased. While somebody reads,
    /// that cannot be done: then it is the next round's.
    pub(super) async fn empty_log(&self) -> Result<(), StoreError> {
        if self.log_holds_erased.load(Ordering::Acquire) {
            let mut writer = self.writer.pool().acquire().await?;
            for _ in 0..EMPTYING_TRIES {
                let busy: i64 = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *writer).await?;
                self.log_holds_erased.store(busy != 0, Ordering::Release);
                if busy == 0 {
                    break;
                }
                tokio::time::sleep(BUSY_POLL).await;
            }
        }
        Ok(())
    }
}

/// Closes an account. Sessions that wait for a code keep running, so that it can be unlocked; they can ask for nothing
/// new.
pub(super) async fn close(write: &mut SqliteConnection, account: Uuid, now_ms: i64) -> Result<(), StoreError> {
    let since = now_ms.saturating_sub(PENDING_MS);
    sqlx::query("UPDATE accounts SET closed_at_ms = ? WHERE id = ? AND closed_at_ms IS NULL")
        .bind(now_ms)
        .bind(account)
        .execute(&mut *write)
        .await?;
    sqlx::query(
        "UPDATE contact_changes SET state = 'cancelled', settled_at_ms = ? WHERE account_id = ? AND state = 'waiting'",
    )
    .bind(now_ms)
    .bind(account)
    .execute(&mut *write)
    .await?;
    sqlx::query(
        "UPDATE sessions SET ended_at_ms = ?1 WHERE account_id = ?2 AND ended_at_ms IS NULL AND id NOT IN (
             SELECT session_id FROM requests
             WHERE account_id = ?2 AND created_at_ms > ?3 AND state <> 'failed' AND locked_at_ms IS NULL)",
    )
    .bind(now_ms)
    .bind(account)
    .bind(since)
    .execute(write)
    .await?;
    Ok(())
}

async fn erase(write: &mut SqliteConnection, account: Uuid, now_ms: i64) -> Result<(), StoreError> {
    for statement in [
        "UPDATE accounts SET wallet = zeroblob(20), seed_sealed = x'', erased_at_ms = ?1 WHERE id = ?2",
        "UPDATE contacts SET address_sealed = x'', address_tag = randomblob(32),
             removed_at_ms = coalesce(removed_at_ms, ?1) WHERE account_id = ?2",
        "UPDATE requests SET authorization_sealed = x'', body_hash = zeroblob(32), idempotency_key = NULL,
             failure = iif(state = 'queued', 'the account was deleted', failure),
             failed_at_ms = iif(state = 'queued', ?1, failed_at_ms), state = iif(state = 'queued', 'failed', state)
         WHERE account_id = ?2",
        "UPDATE sessions SET device_key = NULL, fingerprint = zeroblob(32), ended_at_ms = coalesce(ended_at_ms, ?1)
         WHERE account_id = ?2",
        "DELETE FROM guesses WHERE account_id = ?2 AND ?1 > 0",
    ] {
        sqlx::query(statement).bind(now_ms).bind(account).execute(&mut *write).await?;
    }
    Ok(())
}
