//! Messages that owe nothing to the chain, as the relayer asks for them; the indexer gives each its row in the outbox.
//! Writer: the relayer.

use sqlx::SqliteConnection;
use uuid::Uuid;

use super::StoreError;

/// What a notice says.
#[derive(Debug, Clone, Copy)]
pub(super) enum Notice {
    /// The digits that confirm the contact.
    Confirmation { challenge: i64 },
    /// A change waits: how to cancel it, and the digits that approve it.
    Announced { change_id: Uuid, challenge: i64 },
    /// Further digits that approve a change.
    Digits { change_id: Uuid, challenge: i64 },
    /// A change was made.
    Done { change_id: Uuid },
}

impl Notice {
    /// Kind, change and challenge as the table has them.
    const fn columns(self) -> (&'static str, Option<Uuid>, i64) {
        match self {
            Self::Confirmation { challenge } => ("contact-confirmation", None, challenge),
            Self::Announced { change_id, challenge } => ("change-announced", Some(change_id), challenge),
            Self::Digits { change_id, challenge } => ("change-digits", Some(change_id), challenge),
            Self::Done { change_id } => ("change-done", Some(change_id), 0),
        }
    }
}

/// Asks for one message to one contact.
pub(super) async fn insert(
    write: &mut SqliteConnection,
    account: Uuid,
    contact: Uuid,
    notice: Notice,
    now_ms: i64,
    expires_at_ms: i64,
) -> Result<(), StoreError> {
    let (kind, change_id, challenge) = notice.columns();
    sqlx::query(
        "INSERT INTO notices (id, account_id, contact_id, kind, change_id, challenge, created_at_ms, expires_at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(Uuid::now_v7())
    .bind(account)
    .bind(contact)
    .bind(kind)
    .bind(change_id)
    .bind(challenge)
    .bind(now_ms)
    .bind(expires_at_ms)
    .execute(write)
    .await?;
    Ok(())
}

/// Asks for a message to every confirmed contact of the account.
pub(super) async fn tell(
    write: &mut SqliteConnection,
    account: Uuid,
    notice: Notice,
    now_ms: i64,
    expires_at_ms: i64,
) -> Result<(), StoreError> {
    let contacts: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM contacts
         WHERE account_id = ? AND confirmed_at_ms IS NOT NULL AND removed_at_ms IS NULL ORDER BY id",
    )
    .bind(account)
    .fetch_all(&mut *write)
    .await?;
    for contact in contacts {
        insert(write, account, contact, notice, now_ms, expires_at_ms).await?;
    }
    Ok(())
}

/// Announces every change that waits to a contact that was confirmed a moment ago: whoever was told before may be removed
/// by the time that somebody has to object.
pub(super) async fn announce_waiting(
    write: &mut SqliteConnection,
    account: Uuid,
    contact: Uuid,
    now_ms: i64,
) -> Result<(), StoreError> {
    let waiting: Vec<(Uuid, i64, i64)> = sqlx::query_as(
        "SELECT id, challenge, due_at_ms FROM contact_changes
         WHERE account_id = ? AND state = 'waiting' AND due_at_ms > ? ORDER BY id",
    )
    .bind(account)
    .bind(now_ms)
    .fetch_all(&mut *write)
    .await?;
    for (change_id, challenge, due_at_ms) in waiting {
        let notice = Notice::Announced { change_id, challenge };
        insert(write, account, contact, notice, now_ms, due_at_ms).await?;
    }
    Ok(())
}
