//! How a waiting change ends before its time: approved by the digits that a confirmed contact got, or cancelled by the
//! link in an announcement. Writer: the relayer.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    APPROVAL_TTL_MS, Store, StoreError, column,
    contacts::CHALLENGE_ATTEMPTS,
    guesses::{self, GuessId, Target, seconds_until},
    notices::{Notice, tell},
    waiting::Waiting,
};

/// Messages with digits for one change, the announcement included: 30 guesses at most in all its time.
const MOST_CHALLENGES: i64 = 10;

/// How the approval of a change stands.
#[derive(Debug, PartialEq, Eq)]
pub enum Approval {
    /// A guess was counted: compare the digits now, then [`Store::approve_change`] if they are right.
    Guess {
        /// To be given back when right.
        guess: GuessId,
        /// The counter that the digits derive from.
        challenge: u64,
        /// Left after this one.
        attempts_left: u64,
    },
    /// The change was made.
    Done,
    /// It would remove the only confirmed contact: another one has to be confirmed first. Nothing was counted.
    LastContact,
    /// No such change of this account, or it was cancelled.
    NotFound,
    /// The digits have expired.
    Expired,
    /// Too many wrong digits for this challenge.
    Locked,
    /// Too many wrong digits for this account.
    TooMany {
        /// When to try again, in seconds.
        retry_after_s: u64,
    },
}

/// What became of a wish for further digits.
#[derive(Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Messages will go out.
    Sent {
        /// Until when the digits live, in Unix milliseconds.
        expires_at_ms: i64,
    },
    /// The last digits still live.
    TooSoon {
        /// When to try again, in seconds.
        retry_after_s: u64,
    },
    /// The change has had all its messages: it waits for its time.
    UsedUp,
    /// No such change of this account, or it does not wait.
    NotFound,
}

/// What a link that cancels is checked against.
#[derive(Debug, Clone)]
pub struct Cancellable {
    /// Whose change.
    pub account_id: Uuid,
    /// The account's sealed seed.
    pub seed_sealed: Vec<u8>,
    /// Whom it was announced to, as far as they are still confirmed.
    pub contacts: Vec<Uuid>,
}

/// What became of a cancellation.
#[derive(Debug, PartialEq, Eq)]
pub enum Cancellation {
    /// Nothing changes.
    Cancelled {
        /// Sessions that this ended; 0 when asked again.
        sessions_ended: u64,
    },
    /// It was made before.
    TooLate,
}

impl Store {
    /// Counts an attempt at a change's digits; it is committed when this returns.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn begin_approval(&self, account_id: Uuid, change_id: Uuid, now_ms: i64) -> Result<Approval, StoreError> {
        let mut write = self.write().await?;
        let Some(change) = Waiting::find(&mut write, change_id).await?.filter(|row| row.account_id == account_id)
        else {
            return self.settled_as(account_id, change_id).await;
        };
        if change.leaves_none(&mut write).await? {
            return Ok(Approval::LastContact);
        }
        if change.challenge_attempts >= CHALLENGE_ATTEMPTS {
            return Ok(Approval::Locked);
        }
        if now_ms > change.challenge_expires_at_ms {
            return Ok(Approval::Expired);
        }
        let guess = match guesses::take(&mut write, account_id, Target::Change(change_id), now_ms).await? {
            Ok(guess) => guess,
            Err(retry_after_s) => return Ok(Approval::TooMany { retry_after_s }),
        };
        sqlx::query("UPDATE contact_changes SET challenge_attempts = challenge_attempts + 1 WHERE id = ?")
            .bind(change_id)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(Approval::Guess {
            guess,
            challenge: column::unsigned(change.challenge, "contact_changes")?,
            attempts_left: column::unsigned(CHALLENGE_ATTEMPTS - change.challenge_attempts - 1, "contact_changes")?,
        })
    }

    async fn settled_as(&self, account_id: Uuid, change_id: Uuid) -> Result<Approval, StoreError> {
        let done = sqlx::query("SELECT 1 FROM contact_changes WHERE id = ? AND account_id = ? AND state = 'done'")
            .bind(change_id)
            .bind(account_id)
            .fetch_optional(&self.readers)
            .await?;
        Ok(if done.is_some() { Approval::Done } else { Approval::NotFound })
    }

    /// The digits were right: makes the change and gives the guess back. It ends every session but the one that approved.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn approve_change(
        &self,
        (account_id, session_id): (Uuid, Uuid),
        change_id: Uuid,
        guess: GuessId,
        now_ms: i64,
    ) -> Result<Approval, StoreError> {
        let mut write = self.write().await?;
        let Some(change) = Waiting::find(&mut write, change_id).await?.filter(|row| row.account_id == account_id)
        else {
            return self.settled_as(account_id, change_id).await;
        };
        guesses::give_back(&mut write, &[guess]).await?;
        let made = change.make(&mut write, Some(session_id), now_ms).await?;
        write.commit().await?;
        Ok(if made { Approval::Done } else { Approval::LastContact })
    }

    /// Sends every confirmed contact further digits, once those before have expired.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn renew_change(&self, account_id: Uuid, change_id: Uuid, now_ms: i64) -> Result<Renewal, StoreError> {
        let mut write = self.write().await?;
        let Some(change) = Waiting::find(&mut write, change_id).await?.filter(|row| row.account_id == account_id)
        else {
            return Ok(Renewal::NotFound);
        };
        if change.challenge_expires_at_ms >= now_ms {
            let retry_after_s = seconds_until(change.challenge_expires_at_ms.saturating_add(1), now_ms);
            return Ok(Renewal::TooSoon { retry_after_s });
        }
        if change.challenge >= MOST_CHALLENGES {
            return Ok(Renewal::UsedUp);
        }
        let (challenge, expires_at_ms) = (change.challenge + 1, now_ms.saturating_add(APPROVAL_TTL_MS));
        sqlx::query(
            "UPDATE contact_changes SET challenge = ?, challenge_attempts = 0, challenge_expires_at_ms = ? WHERE id = ?",
        )
        .bind(challenge)
        .bind(expires_at_ms)
        .bind(change_id)
        .execute(&mut *write)
        .await?;
        tell(&mut write, account_id, Notice::Digits { change_id, challenge }, now_ms, expires_at_ms).await?;
        write.commit().await?;
        Ok(Renewal::Sent { expires_at_ms })
    }

    /// What the token of a link is checked against; `None` where there is no such change, or its account was erased.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn cancellable(&self, change_id: Uuid) -> Result<Option<Cancellable>, StoreError> {
        #[derive(FromRow)]
        struct Row {
            account_id: Uuid,
            seed_sealed: Vec<u8>,
        }
        let row: Option<Row> = sqlx::query_as(
            "SELECT a.id AS account_id, a.seed_sealed FROM contact_changes x JOIN accounts a ON a.id = x.account_id
             WHERE x.id = ? AND a.erased_at_ms IS NULL",
        )
        .bind(change_id)
        .fetch_optional(&self.readers)
        .await?;
        // Asked for in any case, so that an id that is not there takes the same time.
        let contacts = sqlx::query_scalar(
            "SELECT DISTINCT c.id FROM notices n JOIN contacts c ON c.id = n.contact_id
             WHERE n.account_id = ? AND n.change_id = ? AND n.kind = 'change-announced' AND c.removed_at_ms IS NULL",
        )
        .bind(row.as_ref().map_or(Uuid::nil(), |row| row.account_id))
        .bind(change_id)
        .fetch_all(&self.readers)
        .await?;
        Ok(row.map(|row| Cancellable { account_id: row.account_id, seed_sealed: row.seed_sealed, contacts }))
    }

    /// Cancels a change whose link's token was right, and ends the account's sessions: whoever proposed it has the
    /// wallet key, or stole a session.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn cancel_change(&self, change_id: Uuid, now_ms: i64) -> Result<Cancellation, StoreError> {
        let mut write = self.write().await?;
        let Some(change) = Waiting::find(&mut write, change_id).await? else {
            let done = sqlx::query("SELECT 1 FROM contact_changes WHERE id = ? AND state = 'done'").bind(change_id);
            return Ok(match done.fetch_optional(&mut *write).await? {
                Some(_) => Cancellation::TooLate,
                None => Cancellation::Cancelled { sessions_ended: 0 },
            });
        };
        let sessions_ended = change.cancel(&mut write, now_ms).await?;
        write.commit().await?;
        Ok(Cancellation::Cancelled { sessions_ended })
    }
}
