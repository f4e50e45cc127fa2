//! A change that waits: making it, and taking it back. Writer: the relayer.

use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use super::{
    ChangeKind, StoreError,
    changes::discard,
    contacts::allow,
    erasure,
    notices::{Notice, tell},
    sessions::end_all,
};

/// How long it is worth telling that a change was made.
const DONE_TTL_MS: i64 = 86_400_000;

/// A change that is still to be made.
#[derive(Debug, FromRow)]
pub(super) struct Waiting {
    pub(super) id: Uuid,
    pub(super) account_id: Uuid,
    #[sqlx(try_from = "String")]
    pub(super) kind: ChangeKind,
    contact_id: Option<Uuid>,
    pub(super) due_at_ms: i64,
    pub(super) challenge: i64,
    pub(super) challenge_attempts: i64,
    pub(super) challenge_expires_at_ms: i64,
}

impl Waiting {
    /// The change with this id, where it still waits.
    pub(super) async fn find(write: &mut SqliteConnection, id: Uuid) -> Result<Option<Self>, StoreError> {
        let row = sqlx::query_as(
            "SELECT id, account_id, kind, contact_id, due_at_ms, challenge, challenge_attempts, challenge_expires_at_ms
             FROM contact_changes WHERE id = ? AND state = 'waiting'",
        )
        .bind(id);
        Ok(row.fetch_optional(write).await?)
    }

    /// Makes the change, tells everybody who could have objected, and ends the account's sessions, all but `except`.
    pub(super) async fn make(
        &self,
        write: &mut SqliteConnection,
        except: Option<Uuid>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let done = Notice::Done { change_id: self.id };
        tell(write, self.account_id, done, now_ms, now_ms.saturating_add(DONE_TTL_MS)).await?;
        self.settle(write, "done", now_ms).await?;
        match (self.kind, self.contact_id) {
            (ChangeKind::Add, Some(contact)) => drop(allow(write, contact, now_ms).await?),
            (ChangeKind::Remove, Some(contact)) => {
                sqlx::query("UPDATE contacts SET removed_at_ms = coalesce(removed_at_ms, ?) WHERE id = ?")
                    .bind(now_ms)
                    .bind(contact)
                    .execute(&mut *write)
                    .await?;
            }
            (ChangeKind::DeleteAccount, None) => return erasure::close(write, self.account_id, now_ms).await,
            _ => return Err(StoreError::Damaged { table: "contact_changes" }),
        }
        end_all(write, self.account_id, except, now_ms).await?;
        Ok(())
    }

    /// Takes the change back, with a contact that was to come by it, and ends every session of the account.
    pub(super) async fn cancel(&self, write: &mut SqliteConnection, now_ms: i64) -> Result<u64, StoreError> {
        self.settle(write, "cancelled", now_ms).await?;
        if let (ChangeKind::Add, Some(contact)) = (self.kind, self.contact_id) {
            discard(write, contact, now_ms).await?;
        }
        end_all(write, self.account_id, None, now_ms).await
    }

    async fn settle(&self, write: &mut SqliteConnection, state: &str, now_ms: i64) -> Result<(), StoreError> {
        sqlx::query("UPDATE contact_changes SET state = ?, settled_at_ms = ? WHERE id = ?")
            .bind(state)
            .bind(now_ms)
            .bind(self.id)
            .execute(write)
            .await?;
        Ok(())
    }
}
