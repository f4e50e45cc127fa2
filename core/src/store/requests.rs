//! Requests for codes: accepted durably and once, and the attempts at their digits. Writer: the relayer (the batcher's
//! part is in `issuance.rs`).

use alloy::primitives::{Address, B256};
use sqlx::{FromRow, SqliteConnection, SqliteExecutor};
use uuid::Uuid;

use super::{
    Level, Refusal, Rules, Store, StoreError, column,
    group::Outcome,
    guesses::{self, GuessId, Target},
    rules::{self, QueueBound},
};
use crate::id::Purpose;

/// What each policy allows of wrong digits at least (protocol.md §4).
const LEAST_ATTEMPTS: i64 = 1;
/// How long an Idempotency-Key is remembered: 24 h.
const IDEMPOTENCY_MS: i64 = 86_400_000;

/// A request to be accepted.
#[derive(Debug, Clone)]
pub struct NewRequest {
    /// UUIDv7.
    pub id: Uuid,
    /// Who asks.
    pub account_id: Uuid,
    /// The session that asks, the only one that can unlock.
    pub session_id: Uuid,
    /// Where the digits go.
    pub contact_id: Uuid,
    /// The client's Idempotency-Key.
    pub idempotency_key: String,
    /// A hash of what was asked for.
    pub body_hash: B256,
    /// The short name printed in the message.
    pub reference: String,
    /// Which policy applies.
    pub purpose: Purpose,
    /// What the code authorises.
    pub action: B256,
    /// EIP-712 `hashStruct` of the payload; `None` for a blind action.
    pub payload_hash: Option<B256>,
    /// The `Authorization` as JSON, sealed for `id`.
    pub authorization_sealed: Vec<u8>,
    /// Wrong digits that are evaluated, 1 to 5.
    pub max_attempts: u8,
    /// Whether the code may go out over another channel where this one fails for good.
    pub fallback: bool,
    /// Now, in Unix milliseconds.
    pub now_ms: i64,
    /// The account that would issue.
    pub issuer: Address,
    /// The limits that it has to keep to.
    pub rules: Rules,
}

/// What an accepted request is answered with, now and whenever it is sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The request.
    pub id: Uuid,
    /// The short name printed in the message.
    pub reference: String,
    /// Which policy applies.
    pub purpose: Purpose,
    /// What the code authorises.
    pub action: B256,
    /// Unix milliseconds.
    pub created_at_ms: i64,
    /// What the buckets hold that it took from; of a repetition nothing, since it takes nothing.
    pub levels: Vec<Level>,
}

/// What became of a [`NewRequest`].
#[derive(Debug, PartialEq, Eq)]
pub enum Submission {
    /// Stored now.
    Accepted(Accepted),
    /// Stored earlier, under the same key and with the same contents.
    Replayed(Accepted),
    /// The key was used for other contents.
    Mismatch,
    /// Switched off, blocked, or over a limit: nothing was stored and nothing taken.
    Refused(Refusal),
    /// Another request of the account has this reference: draw again.
    ReferenceTaken,
}

/// How a request's attempts stand, and whether `max_attempts` is the policy's at the block that issued: the batcher sets it
/// when it sees that block, which the indexer may have seen before.
const ATTEMPTS: &str = "
    SELECT attempts, max_attempts, locked_at_ms,
           coalesce((SELECT c.state IN ('mined', 'final') FROM issuances i JOIN calls c ON c.id = i.batch_id
                     WHERE i.request_id = requests.id AND c.state <> 'dead' ORDER BY i.batch_id DESC LIMIT 1), 0)
    FROM requests WHERE id = ?";

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

#[derive(FromRow)]
struct KnownKey {
    id: Uuid,
    reference: String,
    purpose: Vec<u8>,
    action: Vec<u8>,
    created_at_ms: i64,
    body_hash: Vec<u8>,
}

impl KnownKey {
    async fn find(executor: impl SqliteExecutor<'_>, account: Uuid, key: &str) -> Result<Option<Self>, StoreError> {
        let row = sqlx::query_as(
            "SELECT id, reference, purpose, action, created_at_ms, body_hash FROM requests
             WHERE account_id = ? AND idempotency_key = ?",
        )
        .bind(account)
        .bind(key)
        .fetch_optional(executor)
        .await?;
        Ok(row)
    }

    /// Whether the key is taken still.
    const fn counts_at(&self, now_ms: i64) -> bool {
        self.created_at_ms > now_ms.saturating_sub(IDEMPOTENCY_MS)
    }

    fn against(self, body_hash: B256) -> Result<Submission, StoreError> {
        if self.body_hash != body_hash.as_slice() {
            return Ok(Submission::Mismatch);
        }
        let purpose = column::word(&self.purpose, "requests")?;
        Ok(Submission::Replayed(Accepted {
            id: self.id,
            reference: self.reference,
            purpose: purpose.try_into().map_err(|_| StoreError::Damaged { table: "requests" })?,
            action: column::word(&self.action, "requests")?,
            created_at_ms: self.created_at_ms,
            levels: Vec::new(),
        }))
    }
}

impl Store {
    /// What an Idempotency-Key was used for in the last 24 h: `Replayed` or `Mismatch`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn find_submission(
        &self,
        account_id: Uuid,
        key: &str,
        body_hash: B256,
        now_ms: i64,
    ) -> Result<Option<Submission>, StoreError> {
        let known = KnownKey::find(&self.readers, account_id, key).await?;
        known.filter(|known| known.counts_at(now_ms)).map(|known| known.against(body_hash)).transpose()
    }

    /// Stores a request once per Idempotency-Key; it is on the disk when this returns.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn submit(&self, new: NewRequest) -> Result<Submission, StoreError> {
        let queue = self.queue.clone();
        self.group.run(move |write| Box::pin(async move { submit(write, &queue, new).await })).await
    }

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

/// Every statement here is a turn of the thread that all writes wait for, so there are few.
async fn submit(
    write: &mut SqliteConnection,
    queue: &QueueBound,
    new: NewRequest,
) -> Result<Outcome<Submission>, StoreError> {
    let standing = rules::look(&mut *write, &new).await?;
    let is_key_known = standing.is_key_known;
    if is_key_known
        && let Some(known) = KnownKey::find(&mut *write, new.account_id, &new.idempotency_key).await?
        && known.counts_at(new.now_ms)
    {
        return known.against(new.body_hash).map(Outcome::Undo);
    }
    let levels = match rules::check(&mut *write, queue, standing, &new).await? {
        Outcome::Keep(Ok(levels)) | Outcome::Undo(Ok(levels)) => levels,
        Outcome::Keep(Err(refusal)) => return Ok(Outcome::Keep(Submission::Refused(refusal))),
        Outcome::Undo(Err(refusal)) => return Ok(Outcome::Undo(Submission::Refused(refusal))),
    };
    if is_key_known {
        // It is older than a key is remembered.
        sqlx::query("UPDATE requests SET idempotency_key = NULL WHERE account_id = ? AND idempotency_key = ?")
            .bind(new.account_id)
            .bind(&new.idempotency_key)
            .execute(&mut *write)
            .await?;
    }
    if !insert(&mut *write, &new).await? {
        return Ok(Outcome::Undo(Submission::ReferenceTaken));
    }
    Ok(Outcome::Keep(Submission::Accepted(Accepted {
        id: new.id,
        reference: new.reference,
        purpose: new.purpose,
        action: new.action,
        created_at_ms: new.now_ms,
        levels,
    })))
}

async fn begin_attempt(
    write: &mut SqliteConnection,
    account_id: Uuid,
    request_id: Uuid,
    now_ms: i64,
) -> Result<Outcome<Attempt>, StoreError> {
    let (attempts, max, locked, is_limit_settled): (i64, i64, Option<i64>, bool) =
        sqlx::query_as(ATTEMPTS).bind(request_id).fetch_one(&mut *write).await?;
    if locked.is_some() || attempts >= max {
        // All attempts counted and no lock: a crash came between. The last one counts as wrong.
        sqlx::query("UPDATE requests SET locked_at_ms = coalesce(locked_at_ms, ?) WHERE id = ?")
            .bind(now_ms)
            .bind(request_id)
            .execute(&mut *write)
            .await?;
        return Ok(Outcome::Keep(Attempt::Locked));
    }
    if attempts >= LEAST_ATTEMPTS && !is_limit_settled {
        return Ok(Outcome::Undo(Attempt::LimitUnknown));
    }
    let guess = match guesses::take(&mut *write, account_id, Target::Request(request_id), now_ms).await? {
        Ok(guess) => guess,
        Err(retry_after_s) => return Ok(Outcome::Undo(Attempt::TooMany { retry_after_s })),
    };
    sqlx::query("UPDATE requests SET attempts = attempts + 1 WHERE id = ?")
        .bind(request_id)
        .execute(&mut *write)
        .await?;
    let attempts_left = column::unsigned(max - attempts - 1, "requests")?;
    Ok(Outcome::Keep(Attempt::Counted { guess, attempts_left }))
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

/// False where another request of the account has the reference.
async fn insert(write: impl SqliteExecutor<'_>, new: &NewRequest) -> Result<bool, StoreError> {
    let inserted = sqlx::query(
        "INSERT INTO requests (id, account_id, session_id, contact_id, idempotency_key, body_hash, reference, purpose,
                               action, payload_hash, authorization_sealed, created_at_ms, queued_at_ms, max_attempts,
                               fallback)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12, ?13, ?14
         WHERE NOT EXISTS (SELECT 1 FROM requests WHERE account_id = ?2 AND reference = ?7)",
    )
    .bind(new.id)
    .bind(new.account_id)
    .bind(new.session_id)
    .bind(new.contact_id)
    .bind(&new.idempotency_key)
    .bind(new.body_hash.as_slice())
    .bind(&new.reference)
    .bind(new.purpose.bytes32().to_vec())
    .bind(new.action.as_slice())
    .bind(new.payload_hash.as_ref().map(|hash| hash.as_slice()))
    .bind(&new.authorization_sealed)
    .bind(new.now_ms)
    .bind(new.max_attempts)
    .bind(new.fallback)
    .execute(write)
    .await?;
    Ok(inserted.rows_affected() == 1)
}
