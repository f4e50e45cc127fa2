//! Changes of contacts, and an account's deletion, that wait (protocol.md §5.1). Writer: the relayer.
//!
//! Where an account has a confirmed contact, nothing is added or removed by the wallet key alone: the change is announced
//! to every confirmed contact and made when one of them approves it by its digits, or when its time has come and none
//! has cancelled it. A change is made once: each step begins with the row still waiting, inside the write.

use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use super::{
    Store, StoreError,
    contacts::has_confirmed,
    guesses::seconds_until,
    notices::{Notice, tell},
    waiting::{DueOutcome, Waiting},
};
use crate::contact::Channel;

/// How long the digits of an approval live, in milliseconds (protocol.md §6).
pub const APPROVAL_TTL_MS: i64 = 600_000;
/// Changes of an account that wait at once.
const MOST_WAITING: i64 = 3;
/// Changes that an account proposes in [`DAY_MS`]: each one is a message to every contact.
const MOST_A_DAY: i64 = 10;
const DAY_MS: i64 = 86_400_000;

/// What changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// A contact comes to receive codes.
    Add,
    /// A contact receives none any more.
    Remove,
    /// The account is erased.
    DeleteAccount,
}

impl ChangeKind {
    /// The word of the interface and of the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::DeleteAccount => "delete-account",
        }
    }
}

impl TryFrom<String> for ChangeKind {
    type Error = StoreError;

    fn try_from(word: String) -> Result<Self, StoreError> {
        [Self::Add, Self::Remove, Self::DeleteAccount]
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or(StoreError::Damaged { table: "contact_changes" })
    }
}

/// Now, and how long a change waits from now on.
#[derive(Debug, Clone, Copy)]
pub struct Delay {
    /// Now, in Unix milliseconds.
    pub now_ms: i64,
    /// `contacts.change_delay_seconds`, in milliseconds.
    pub delay_ms: i64,
}

/// A change as the account's sessions see it.
#[derive(Debug, Clone, FromRow)]
pub struct ChangeRow {
    /// Its id.
    pub id: Uuid,
    /// What changes.
    #[sqlx(try_from = "String")]
    pub kind: ChangeKind,
    /// Which contact; `None` for a deletion.
    pub contact_id: Option<Uuid>,
    /// The contact's channel.
    pub channel: Option<String>,
    /// The contact's address, sealed for `contact_id`.
    pub address_sealed: Option<Vec<u8>>,
    /// `waiting`, `done` or `cancelled`.
    pub state: String,
    /// Unix milliseconds.
    pub created_at_ms: i64,
    /// When it is made unless it is cancelled, in Unix milliseconds.
    pub due_at_ms: i64,
    /// Until when the digits that were sent last can approve it, in Unix milliseconds.
    pub challenge_expires_at_ms: i64,
}

impl ChangeRow {
    /// The contact's channel.
    #[must_use]
    pub fn channel(&self) -> Option<Channel> {
        self.channel.as_deref().and_then(|word| word.parse().ok())
    }
}

/// What became of a wish to remove a contact or the account.
#[derive(Debug)]
pub enum Removal {
    /// It was never confirmed and is gone.
    Removed,
    /// It waits; asked again, the same change.
    Waits(ChangeRow),
    /// No such contact of this account.
    NotFound,
    /// The account ends: nothing of it changes any more.
    Closed,
    /// Too many changes.
    TooMany {
        /// When to try again, in seconds.
        retry_after_s: u64,
    },
}

/// A change whose time had come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FallenDue {
    /// Which.
    pub change_id: Uuid,
    /// Whose.
    pub account_id: Uuid,
    /// What.
    pub kind: ChangeKind,
    /// What became of it.
    pub outcome: DueOutcome,
}

const COLUMNS: &str =
    "SELECT x.id, x.kind, x.contact_id, c.channel, c.address_sealed, x.state, x.created_at_ms, x.due_at_ms,
                              x.challenge_expires_at_ms
                       FROM contact_changes x LEFT JOIN contacts c ON c.id = x.contact_id";

impl Store {
    /// The account's changes that wait, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn changes(&self, account_id: Uuid) -> Result<Vec<ChangeRow>, StoreError> {
        let rows = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{COLUMNS} WHERE x.account_id = ? AND x.state = 'waiting' ORDER BY x.id"
        )))
        .bind(account_id);
        Ok(rows.fetch_all(&self.readers).await?)
    }

    /// Whether this is a change of this account, waiting or not.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn is_change_of(&self, account_id: Uuid, change_id: Uuid) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT 1 FROM contact_changes WHERE id = ? AND account_id = ?");
        Ok(row.bind(change_id).bind(account_id).fetch_optional(&self.readers).await?.is_some())
    }

    /// Removes a contact that was never confirmed at once, with the change that waits for it; proposes the removal of
    /// another one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn remove_contact(
        &self,
        account_id: Uuid,
        contact_id: Uuid,
        delay: Delay,
    ) -> Result<Removal, StoreError> {
        let mut write = self.write().await?;
        if is_closed(&mut write, account_id).await? {
            return Ok(Removal::Closed);
        }
        let confirmed: Option<(Option<i64>,)> = sqlx::query_as(
            "SELECT confirmed_at_ms FROM contacts WHERE id = ? AND account_id = ? AND removed_at_ms IS NULL",
        )
        .bind(contact_id)
        .bind(account_id)
        .fetch_optional(&mut *write)
        .await?;
        let removal = match confirmed {
            None => return Ok(Removal::NotFound),
            Some((None,)) => {
                discard(&mut write, contact_id, delay.now_ms).await?;
                Removal::Removed
            }
            Some((Some(_),)) => {
                let wish = Wish { account: account_id, kind: ChangeKind::Remove, contact: Some(contact_id) };
                match wish.propose(&mut write, delay).await? {
                    Ok(change) => Removal::Waits(change),
                    Err(retry_after_s) => return Ok(Removal::TooMany { retry_after_s }),
                }
            }
        };
        write.commit().await?;
        Ok(removal)
    }

    /// Proposes that the account be deleted. Without a confirmed contact there is nobody to ask, and it is due at once.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete_account(&self, account_id: Uuid, delay: Delay) -> Result<Removal, StoreError> {
        let mut write = self.write().await?;
        if is_closed(&mut write, account_id).await? {
            return Ok(Removal::Closed);
        }
        let asked = has_confirmed(&mut write, account_id, None).await?;
        let delay = Delay { delay_ms: if asked { delay.delay_ms } else { 0 }, ..delay };
        let wish = Wish { account: account_id, kind: ChangeKind::DeleteAccount, contact: None };
        match wish.propose(&mut write, delay).await? {
            Ok(change) => {
                write.commit().await?;
                Ok(Removal::Waits(change))
            }
            Err(retry_after_s) => Ok(Removal::TooMany { retry_after_s }),
        }
    }

    /// Makes every change whose time has come, each in a transaction of its own; what nobody was told of is announced anew
    /// and waits as long again.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn apply_due_changes(&self, now_ms: i64) -> Result<Vec<FallenDue>, StoreError> {
        let due: Vec<Uuid> = sqlx::query_scalar(
            "SELECT id FROM contact_changes WHERE state = 'waiting' AND due_at_ms <= ? ORDER BY due_at_ms LIMIT 100",
        )
        .bind(now_ms)
        .fetch_all(&self.readers)
        .await?;
        let mut fallen = Vec::with_capacity(due.len());
        for id in due {
            let mut write = self.write().await?;
            if let Some(change) = Waiting::find(&mut write, id).await?.filter(|change| change.due_at_ms <= now_ms) {
                let outcome = change.fall_due(&mut write, now_ms).await?;
                write.commit().await?;
                fallen.push(FallenDue { change_id: id, account_id: change.account_id, kind: change.kind, outcome });
            }
        }
        Ok(fallen)
    }

    /// Remembers the time, so that a delay that begins after the clock was set back counts from here.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn note_time(&self, now_ms: i64) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        latest_time(&mut write, now_ms).await?;
        Ok(write.commit().await?)
    }
}

/// The later of now and the latest time that was ever seen.
pub(super) async fn latest_time(write: &mut SqliteConnection, now_ms: i64) -> Result<i64, StoreError> {
    let seen = sqlx::query_scalar(
        "INSERT INTO latest_time (id, seen_ms) VALUES (1, ?)
         ON CONFLICT (id) DO UPDATE SET seen_ms = MAX(seen_ms, excluded.seen_ms) RETURNING seen_ms",
    );
    Ok(seen.bind(now_ms).fetch_one(write).await?)
}

/// Whether the account is closed: nothing of it changes any more.
pub(super) async fn is_closed(write: &mut SqliteConnection, account: Uuid) -> Result<bool, StoreError> {
    let closed: Option<i64> =
        sqlx::query_scalar("SELECT closed_at_ms FROM accounts WHERE id = ?").bind(account).fetch_one(write).await?;
    Ok(closed.is_some())
}

/// Whether a change waits that would allow this contact.
pub(super) async fn waits_for(write: &mut SqliteConnection, contact: Uuid) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT 1 FROM contact_changes WHERE contact_id = ? AND state = 'waiting' AND kind = 'add'")
        .bind(contact)
        .fetch_optional(write)
        .await?;
    Ok(row.is_some())
}

/// Proposes that a contact come to receive codes. The inner error: in how many seconds another change may be proposed.
pub(super) async fn propose_addition(
    write: &mut SqliteConnection,
    account: Uuid,
    contact: Uuid,
    delay: Delay,
) -> Result<Result<ChangeRow, u64>, StoreError> {
    Wish { account, kind: ChangeKind::Add, contact: Some(contact) }.propose(write, delay).await
}

/// A contact that was never confirmed goes, and the change that waits for it.
pub(super) async fn discard(write: &mut SqliteConnection, contact: Uuid, now_ms: i64) -> Result<(), StoreError> {
    for statement in [
        "UPDATE contacts SET removed_at_ms = ? WHERE id = ? AND removed_at_ms IS NULL",
        "UPDATE contact_changes SET state = 'cancelled', settled_at_ms = ? WHERE contact_id = ? AND state = 'waiting'",
    ] {
        sqlx::query(statement).bind(now_ms).bind(contact).execute(&mut *write).await?;
    }
    Ok(())
}

/// A change that somebody with a session wants.
struct Wish {
    account: Uuid,
    kind: ChangeKind,
    contact: Option<Uuid>,
}

impl Wish {
    /// Stores the change and announces it to every confirmed contact; the one that waits already where there is one.
    async fn propose(&self, write: &mut SqliteConnection, delay: Delay) -> Result<Result<ChangeRow, u64>, StoreError> {
        if let Some(change) = self.find(write).await? {
            return Ok(Ok(change));
        }
        if let Some(retry_after_s) = change_wait(write, self.account, delay.now_ms).await? {
            return Ok(Err(retry_after_s));
        }
        let (id, now_ms) = (Uuid::now_v7(), delay.now_ms);
        let due_at_ms = latest_time(write, now_ms).await?.saturating_add(delay.delay_ms);
        sqlx::query(
            "INSERT INTO contact_changes (id, account_id, kind, contact_id, created_at_ms, due_at_ms,
                                          challenge_expires_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(id)
        .bind(self.account)
        .bind(self.kind.as_str())
        .bind(self.contact)
        .bind(now_ms)
        .bind(due_at_ms)
        .bind(now_ms.saturating_add(APPROVAL_TTL_MS))
        .execute(&mut *write)
        .await?;
        tell(write, self.account, Notice::Announced { change_id: id, challenge: 1 }, now_ms, due_at_ms).await?;
        self.find(write).await?.map(Ok).ok_or(StoreError::Damaged { table: "contact_changes" })
    }

    async fn find(&self, write: &mut SqliteConnection) -> Result<Option<ChangeRow>, StoreError> {
        let row = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{COLUMNS} WHERE x.account_id = ? AND x.kind = ? AND x.contact_id IS ? AND x.state = 'waiting'"
        )))
        .bind(self.account)
        .bind(self.kind.as_str())
        .bind(self.contact);
        Ok(row.fetch_optional(write).await?)
    }
}

/// How long until another change may be proposed, in seconds.
async fn change_wait(write: &mut SqliteConnection, account: Uuid, now_ms: i64) -> Result<Option<u64>, StoreError> {
    let (waiting, first_due): (i64, Option<i64>) = sqlx::query_as(
        "SELECT count(*), min(due_at_ms) FROM contact_changes WHERE account_id = ? AND state = 'waiting'",
    )
    .bind(account)
    .fetch_one(&mut *write)
    .await?;
    let oldest: Option<i64> = sqlx::query_scalar(
        "SELECT created_at_ms FROM contact_changes WHERE account_id = ? ORDER BY created_at_ms DESC LIMIT 1 OFFSET ?",
    )
    .bind(account)
    .bind(MOST_A_DAY - 1)
    .fetch_optional(write)
    .await?;
    let room_at = first_due.filter(|_| waiting >= MOST_WAITING);
    let day_over_at = oldest.map(|at| at.saturating_add(DAY_MS)).filter(|at| *at > now_ms);
    Ok(room_at.max(day_over_at).map(|at| seconds_until(at, now_ms)))
}
