//! Requests as they stand, and the attempts at their digits. Writer: the relayer (accepting them is in `submissions.rs`, the
//! batcher's part in `issuance.rs`).

use alloy::primitives::B256;
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::{
    Store, StoreError, column,
    group::Outcome,
    guesses::{self, GuessId, Target},
};

/// What each policy allows of wrong digits at least (protocol.md §4).
const LEAST_ATTEMPTS: i64 = 1;

/// Counts an attempt that the request still has. Beyond what every policy allows, `max_attempts` has to be the policy's at
/// the block that issued: the batcher sets it when it sees that block, which the indexer may have seen before.
const COUNT: &str = "
    UPDATE requests SET attempts = attempts + 1
    WHERE id = ?1 AND locked_at_ms IS NULL AND attempts < max_attempts AND (attempts < ?2 OR coalesce(
        (SELECT c.state IN ('mined', 'final') FROM issuances i JOIN calls c ON c.id = i.batch_id
         WHERE i.request_id = requests.id AND c.state <> 'dead' ORDER BY i.batch_id DESC LIMIT 1), 0))
    RETURNING max_attempts - attempts";

/// How an attempt at a request's digits stands.
#[derive(Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It was counted: compare the digits now, then [`Store::settle_attempt`].
    Counted {
        /// To be settled.
        guess: GuessId,
        /// Left after this one.
        attempts_left: u8,
    },
    /// No attempt is left.
    Locked,
    /// More than every policy allows, and this one's limit is not known yet: nothing was counted.
    LimitUnknown,
    /// Too many wrong digits for this account.
    TooMany {
        /// When to try again, in seconds.
        retry_after_s: u64,
    },
}

impl Store {
    /// The request that a code on the chain was given to; `None` for a code that is not of this store.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn request_of(&self, on_chain_id: B256) -> Result<Option<Uuid>, StoreError> {
        let row = sqlx::query_scalar("SELECT request_id FROM issuances WHERE on_chain_id = ?");
        Ok(row.bind(on_chain_id.as_slice()).fetch_optional(&self.readers).await?)
    }

    /// Ids of the account's requests, newest first, from before `before`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn request_ids(
        &self,
        account_id: Uuid,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Uuid>, StoreError> {
        let before = before.unwrap_or(Uuid::max());
        let rows =
            sqlx::query_scalar("SELECT id FROM requests WHERE account_id = ? AND id < ? ORDER BY id DESC LIMIT ?")
                .bind(account_id)
                .bind(before)
                .bind(limit);
        Ok(rows.fetch_all(&self.readers).await?)
    }

    /// Requests and calls by state, as `requests.queued` or `batch.mined`; states with none are left out.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn counts(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let rows = sqlx::query_as(
            "SELECT 'requests.' || state, count(*) FROM requests GROUP BY state
             UNION ALL SELECT kind || '.' || state, count(*) FROM calls GROUP BY kind, state",
        );
        Ok(rows.fetch_all(&self.readers).await?)
    }

    /// Counts an attempt at a request's digits; it is committed when this returns.
    ///
    /// # Errors
    /// When the store fails or has no such request.
    pub async fn begin_attempt(&self, account_id: Uuid, request_id: Uuid, now_ms: i64) -> Result<Attempt, StoreError> {
        self.group
            .run(move |write| Box::pin(async move { begin_attempt(write, account_id, request_id, now_ms).await }))
            .await
    }

    /// Records how a counted attempt ended: a right one is given back and unlocks, the last wrong one locks for good.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn settle_attempt(
        &self,
        request_id: Uuid,
        guess: GuessId,
        right: bool,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.group
            .run(move |write| Box::pin(async move { settle_attempt(write, request_id, guess, right, now_ms).await }))
            .await
    }
}

async fn begin_attempt(
    write: &mut SqliteConnection,
    account_id: Uuid,
    request_id: Uuid,
    now_ms: i64,
) -> Result<Outcome<Attempt>, StoreError> {
    let left: Option<i64> =
        sqlx::query_scalar(COUNT).bind(request_id).bind(LEAST_ATTEMPTS).fetch_optional(&mut *write).await?;
    let Some(left) = left else { return refused(write, request_id, now_ms).await };
    Ok(match guesses::take(&mut *write, account_id, Target::Request(request_id), now_ms).await? {
        Ok(guess) => {
            let attempts_left = column::unsigned(left, "requests")?;
            Outcome::Keep(Attempt::Counted { guess, attempts_left })
        }
        Err(retry_after_s) => Outcome::Undo(Attempt::TooMany { retry_after_s }),
    })
}

/// Why no attempt was counted.
async fn refused(write: &mut SqliteConnection, request_id: Uuid, now_ms: i64) -> Result<Outcome<Attempt>, StoreError> {
    let none_left: bool =
        sqlx::query_scalar("SELECT locked_at_ms IS NOT NULL OR attempts >= max_attempts FROM requests WHERE id = ?")
            .bind(request_id)
            .fetch_one(&mut *write)
            .await?;
    if !none_left {
        return Ok(Outcome::Undo(Attempt::LimitUnknown));
    }
    // All attempts counted and no lock: a crash came between. The last one counts as wrong.
    sqlx::query("UPDATE requests SET locked_at_ms = coalesce(locked_at_ms, ?) WHERE id = ?")
        .bind(now_ms)
        .bind(request_id)
        .execute(write)
        .await?;
    Ok(Outcome::Keep(Attempt::Locked))
}

async fn settle_attempt(
    write: &mut SqliteConnection,
    request_id: Uuid,
    guess: GuessId,
    right: bool,
    now_ms: i64,
) -> Result<Outcome<()>, StoreError> {
    let settle = if right {
        guesses::give_back(&mut *write, guess).await?;
        "UPDATE requests SET attempts = attempts - 1, unlocked_at_ms = coalesce(unlocked_at_ms, ?) WHERE id = ?"
    } else {
        "UPDATE requests SET locked_at_ms = coalesce(locked_at_ms, ?) WHERE id = ? AND attempts >= max_attempts"
    };
    sqlx::query(settle).bind(now_ms).bind(request_id).execute(&mut *write).await?;
    Ok(Outcome::Keep(()))
}
