//! A change that waits: making it, putting it off, and taking it back. Writer: the relayer.

use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use super::{
    ChangeKind, StoreError,
    changes::{discard, latest_time},
    contacts::{allow, has_confirmed},
    erasure,
    notices::{Notice, tell},
    sessions::end_all,
};

/// How long it is worth telling that a change was made.
const DONE_TTL_MS: i64 = 86_400_000;
/// How long a removal is put off that would leave no confirmed contact.
const LAST_CONTACT_MS: i64 = 3_600_000;

/// What became of a change whose time had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueOutcome {
    /// It was made.
    Applied,
    /// No message of it was ever handed over, so nobody could object: it is announced anew, and its delay begins again.
    Unannounced,
    /// It is not yet its time: the delay counts from the first message that was handed over, and the last confirmed
    /// contact stays until there is another one.
    PutOff,
}

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

    /// Makes the change or puts it off, now that its time has come.
    pub(super) async fn fall_due(&self, write: &mut SqliteConnection, now_ms: i64) -> Result<DueOutcome, StoreError> {
        // Nobody was to be told of a change that was proposed while there was no confirmed contact: no row, no delay.
        let (delay_ms, told_due_at_ms): (Option<i64>, Option<i64>) = sqlx::query_as(
            "SELECT max(n.expires_at_ms - n.created_at_ms), min(d.sent_at_ms + n.expires_at_ms - n.created_at_ms)
             FROM notices n LEFT JOIN deliveries d ON d.notice_id = n.id AND d.state IN ('accepted', 'delivered')
             WHERE n.account_id = ? AND n.change_id = ? AND n.kind = 'change-announced'",
        )
        .bind(self.account_id)
        .bind(self.id)
        .fetch_one(&mut *write)
        .await?;
        match (delay_ms, told_due_at_ms) {
            (Some(delay_ms), None) => {
                let due_at_ms = latest_time(write, now_ms).await?.saturating_add(delay_ms);
                self.put_off(write, due_at_ms).await?;
                let notice = Notice::Announced { change_id: self.id, challenge: self.challenge };
                tell(write, self.account_id, notice, now_ms, due_at_ms).await?;
                Ok(DueOutcome::Unannounced)
            }
            (_, Some(due_at_ms)) if due_at_ms > now_ms => {
                self.put_off(write, due_at_ms).await?;
                Ok(DueOutcome::PutOff)
            }
            _ if self.make(write, None, now_ms).await? => Ok(DueOutcome::Applied),
            _ => {
                self.put_off(write, now_ms.saturating_add(LAST_CONTACT_MS)).await?;
                Ok(DueOutcome::PutOff)
            }
        }
    }

    async fn put_off(&self, write: &mut SqliteConnection, due_at_ms: i64) -> Result<(), StoreError> {
        let put_off = sqlx::query("UPDATE contact_changes SET due_at_ms = ? WHERE id = ?");
        put_off.bind(due_at_ms).bind(self.id).execute(write).await?;
        Ok(())
    }

    /// Whether it would take the last confirmed contact, and so give the account to whoever has the wallet key: the next
    /// contact would be taken on trust.
    pub(super) async fn leaves_none(&self, write: &mut SqliteConnection) -> Result<bool, StoreError> {
        Ok(self.kind == ChangeKind::Remove && !has_confirmed(write, self.account_id, self.contact_id).await?)
    }

    /// Makes the change, tells everybody who could have objected, and ends the account's sessions, all but `except`;
    /// `false`, and nothing done, where it would leave no confirmed contact.
    pub(super) async fn make(
        &self,
        write: &mut SqliteConnection,
        except: Option<Uuid>,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        if self.leaves_none(write).await? {
            return Ok(false);
        }
        let done = Notice::Done { change_id: self.id };
        tell(write, self.account_id, done, now_ms, now_ms.saturating_add(DONE_TTL_MS)).await?;
        self.settle(write, "done", now_ms).await?;
        match (self.kind, self.contact_id) {
            (ChangeKind::Add, Some(contact)) => drop(allow(write, self.account_id, contact, now_ms).await?),
            (ChangeKind::Remove, Some(contact)) => {
                sqlx::query("UPDATE contacts SET removed_at_ms = coalesce(removed_at_ms, ?) WHERE id = ?")
                    .bind(now_ms)
                    .bind(contact)
                    .execute(&mut *write)
                    .await?;
            }
            (ChangeKind::DeleteAccount, None) => {
                erasure::close(write, self.account_id, now_ms).await?;
                return Ok(true);
            }
            _ => return Err(StoreError::Damaged { table: "contact_changes" }),
        }
        end_all(write, self.account_id, except, now_ms).await?;
        Ok(true)
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
