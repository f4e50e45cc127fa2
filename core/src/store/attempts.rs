//! Attempts at the digits of requests (protocol.md §7.2). Writer: the relayer.
//!
//! Those that come together are counted by the same few statements, and so are those whose digits were compared.

use std::collections::HashSet;

use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use super::{
    Store, StoreError, Take, Taken,
    buckets::Buckets,
    column::{self, json},
    guesses::{self, GuessId, Target},
};
use crate::clock::now_us;

/// What each policy allows of wrong digits at least (protocol.md §4).
const LEAST_ATTEMPTS: i64 = 1;

/// How each request in the JSON array ?1 stands. Beyond what every policy allows, the limit is known where `max_attempts` is the
/// policy's at the block that issued: the batcher sets it when it sees that block, which the indexer may have seen before.
pub(super) const STANDING: &str = "
    SELECT r.locked_at_ms IS NOT NULL AS is_locked, r.max_attempts - r.attempts AS left,
           r.attempts < ?2 OR coalesce(
               (SELECT c.state IN ('mined', 'final') FROM issuances i JOIN calls c ON c.id = i.batch_id
                WHERE i.request_id = r.id AND c.state <> 'dead' ORDER BY i.batch_id DESC LIMIT 1), 0) AS is_limit_known
    FROM json_each(?1) asked CROSS JOIN requests r ON r.id = unhex(asked.value) ORDER BY asked.key";
/// Counts an attempt of each request in ?1.
pub(super) const COUNT: &str =
    "UPDATE requests SET attempts = attempts + 1 WHERE id IN (SELECT unhex(value) FROM json_each(?1))";
/// Unlocks each request in ?1, `[request, time]`, and gives as many attempts back as it is in there.
pub(super) const UNLOCK: &str = "
    UPDATE requests SET
        attempts = attempts - (SELECT count(*) FROM json_each(?1) WHERE unhex(value ->> 0) = requests.id),
        unlocked_at_ms = coalesce(unlocked_at_ms,
            (SELECT min(value ->> 1) FROM json_each(?1) WHERE unhex(value ->> 0) = requests.id))
    WHERE id IN (SELECT unhex(value ->> 0) FROM json_each(?1))";
/// Locks those of the requests in ?1, `[request, time]`, that have no attempt left.
pub(super) const LOCK: &str = "
    UPDATE requests SET locked_at_ms = coalesce(locked_at_ms,
        (SELECT min(value ->> 1) FROM json_each(?1) WHERE unhex(value ->> 0) = requests.id))
    WHERE attempts >= max_attempts AND id IN (SELECT unhex(value ->> 0) FROM json_each(?1))";

/// An attempt at a request's digits.
#[derive(Debug, Clone)]
pub struct NewAttempt {
    /// Whose request.
    pub account_id: Uuid,
    /// Which one; there is one.
    pub request_id: Uuid,
    /// Buckets to take from, whatever becomes of it.
    pub takes: Vec<Take>,
    /// Now, in Unix milliseconds.
    pub now_ms: i64,
}

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
    /// One of the buckets is empty: nothing was counted.
    Limited,
}

/// How a counted attempt ended.
#[derive(Debug, Clone, Copy)]
pub struct Settlement {
    /// Which request.
    pub request_id: Uuid,
    /// As it was counted.
    pub guess: GuessId,
    /// Whether the digits were right.
    pub right: bool,
    /// Now, in Unix milliseconds.
    pub now_ms: i64,
}

#[derive(FromRow)]
struct Standing {
    is_locked: bool,
    left: i64,
    is_limit_known: bool,
}

impl Standing {
    /// Whether an attempt can be counted, as far as the account has a guess left.
    const fn is_open(&self) -> bool {
        !self.is_locked && self.left > 0 && self.is_limit_known
    }
}

impl Store {
    /// Counts an attempt at a request's digits; it is committed when this returns.
    ///
    /// # Errors
    /// When the store fails or has no such request.
    pub async fn begin_attempt(&self, new: NewAttempt) -> Result<(Attempt, Taken), StoreError> {
        self.attempts.run(new).await
    }

    /// Records how a counted attempt ended: a right one is given back and unlocks, the last wrong one locks for good.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn settle_attempt(&self, settlement: Settlement) -> Result<(), StoreError> {
        self.settlements.run(settlement).await
    }
}

/// Counts all that may be counted, as if one came after another: of an account's several, each but the first is looked at once
/// the one before is counted.
pub(super) async fn begin_all(
    write: &mut SqliteConnection,
    all: &[NewAttempt],
) -> Result<Vec<(Attempt, Taken)>, StoreError> {
    let mut buckets = Buckets::read(write, all.iter().flat_map(|new| &new.takes)).await?;
    let now_us = now_us();
    let taken: Vec<_> = all.iter().map(|new| buckets.take(&new.takes, now_us)).collect();
    buckets.write(write).await?;
    let mut attempts: Vec<_> = all.iter().map(|_| Attempt::Limited).collect();
    let mut rest: Vec<usize> = (0..all.len()).filter(|n| matches!(taken[*n], Taken::All(_))).collect();
    while !rest.is_empty() {
        let mut accounts = HashSet::new();
        let (round, later) = rest.iter().partition::<Vec<_>, _>(|n| accounts.insert(all[**n].account_id));
        let news: Vec<_> = round.iter().map(|n| &all[*n]).collect();
        for (n, attempt) in round.iter().zip(begin(write, &news).await?) {
            attempts[*n] = attempt;
        }
        rest = later;
    }
    Ok(attempts.into_iter().zip(taken).collect())
}

/// The same for attempts of different accounts.
async fn begin(write: &mut SqliteConnection, all: &[&NewAttempt]) -> Result<Vec<Attempt>, StoreError> {
    let asked: Vec<_> = all.iter().map(|new| hex::encode(new.request_id)).collect();
    let standings: Vec<Standing> =
        sqlx::query_as(STANDING).bind(json(&asked)?).bind(LEAST_ATTEMPTS).fetch_all(&mut *write).await?;
    if standings.len() != all.len() {
        return Err(StoreError::Damaged { table: "requests" });
    }
    let open = all.iter().zip(&standings).filter(|(_, standing)| standing.is_open());
    let takers: Vec<_> = open.map(|(new, _)| (new.account_id, Target::Request(new.request_id), new.now_ms)).collect();
    let mut guesses = guesses::take_all(&mut *write, &takers).await?.into_iter();
    let (mut counted, mut locked) = (Vec::new(), Vec::new());
    let mut attempts = Vec::with_capacity(all.len());
    for (new, standing) in all.iter().zip(standings) {
        let guess = standing.is_open().then(|| guesses.next()).flatten();
        attempts.push(match guess {
            Some(Ok(guess)) => {
                counted.push(hex::encode(new.request_id));
                let attempts_left = column::unsigned(standing.left.saturating_sub(1), "requests")?;
                Attempt::Counted { guess, attempts_left }
            }
            Some(Err(retry_after_s)) => Attempt::TooMany { retry_after_s },
            None if standing.is_locked || standing.left <= 0 => {
                locked.push((hex::encode(new.request_id), new.now_ms));
                Attempt::Locked
            }
            None => Attempt::LimitUnknown,
        });
    }
    if !counted.is_empty() {
        sqlx::query(COUNT).bind(json(&counted)?).execute(&mut *write).await?;
    }
    // All attempts counted and no lock: a crash came between. The last one counts as wrong.
    lock(write, &locked).await?;
    Ok(attempts)
}

/// Records how all of them ended: what was right is given back first, so it is never in the way of a wrong one's lock.
pub(super) async fn settle_all(write: &mut SqliteConnection, all: &[Settlement]) -> Result<Vec<()>, StoreError> {
    let row = |ended: &Settlement| (hex::encode(ended.request_id), ended.now_ms);
    let (right, wrong): (Vec<&Settlement>, Vec<&Settlement>) = all.iter().partition(|ended| ended.right);
    if !right.is_empty() {
        let guesses: Vec<_> = right.iter().map(|ended| ended.guess).collect();
        guesses::give_back(&mut *write, &guesses).await?;
        let rows: Vec<_> = right.into_iter().map(row).collect();
        sqlx::query(UNLOCK).bind(json(&rows)?).execute(&mut *write).await?;
    }
    lock(write, &wrong.into_iter().map(row).collect::<Vec<_>>()).await?;
    Ok(vec![(); all.len()])
}

/// Locks those of the requests, each with the time, that have no attempt left.
async fn lock(write: &mut SqliteConnection, requests: &[(String, i64)]) -> Result<(), StoreError> {
    if !requests.is_empty() {
        sqlx::query(LOCK).bind(json(requests)?).execute(write).await?;
    }
    Ok(())
}
