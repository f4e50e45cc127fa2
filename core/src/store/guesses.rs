//! Guesses at digits, an account's budget of them (protocol.md §7.2). Writer: the relayer.
//!
//! A guess is taken out of the budget and committed before digits are compared, and given back when they were right: a
//! crash or a second process can lose a guess, never win one.

use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use super::{
    MOST_WRONG_IN_A_ROW, StoreError,
    column::{self, json},
};

/// Wrong digits that are evaluated per account in [`WINDOW_MS`].
const BUDGET: i64 = 10;
/// One hour.
const WINDOW_MS: i64 = 3_600_000;

/// What is guessed at.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    Request(Uuid),
    Contact(Uuid),
    Change(Uuid),
}

impl Target {
    /// Its columns: request, contact, change.
    fn columns(self) -> [Option<String>; 3] {
        match self {
            Self::Request(id) => [Some(hex::encode(id)), None, None],
            Self::Contact(id) => [None, Some(hex::encode(id)), None],
            Self::Change(id) => [None, None, Some(hex::encode(id))],
        }
    }
}

/// A guess that was taken out of the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuessId(i64);

/// Of each in the JSON array ?1, `[account, time]`: guesses made in the hour before, the first of them, and those that are
/// past; wrong ones in a row.
pub(super) const BUDGETS: &str = "
    WITH asked AS MATERIALIZED (SELECT key AS n, unhex(value ->> 0) AS account, value ->> 1 AS since_ms FROM json_each(?1))
    SELECT count(g.id) FILTER (WHERE g.made_at_ms > since_ms) AS made,
           min(g.made_at_ms) FILTER (WHERE g.made_at_ms > since_ms) AS oldest,
           count(g.id) FILTER (WHERE g.made_at_ms <= since_ms) AS past,
           (SELECT wrong_in_row FROM accounts WHERE id = asked.account) AS wrong,
           (SELECT coalesce(max(id), 0) FROM guesses) AS last
    FROM asked LEFT JOIN guesses g ON g.account_id = asked.account GROUP BY n ORDER BY n";
/// Takes what is in the JSON array ?1, `[id, account, request, contact, change, time]` each. Two statements in one turn of the
/// connection's thread; sqlx numbers what is bound across both.
const TAKE: &str = "
    UPDATE accounts SET wrong_in_row = wrong_in_row + 1 WHERE id IN (SELECT unhex(value ->> 1) FROM json_each(?1));
    INSERT INTO guesses (id, account_id, request_id, contact_id, change_id, made_at_ms)
    SELECT value ->> 0, unhex(value ->> 1), unhex(value ->> 2), unhex(value ->> 3), unhex(value ->> 4), value ->> 5
    FROM json_each(?1)";
/// Forgets guesses of the accounts in ?1 that are past.
pub(super) const FORGET: &str = "
    DELETE FROM guesses WHERE id IN (
        SELECT g.id FROM json_each(?1) asked CROSS JOIN guesses g
        WHERE g.account_id = unhex(asked.value ->> 0) AND g.made_at_ms <= asked.value ->> 1)";

#[derive(FromRow)]
struct Budget {
    made: i64,
    oldest: Option<i64>,
    past: i64,
    wrong: Option<i64>,
    last: i64,
}

impl Budget {
    /// In how many seconds there is a guess, where there is none now. An account that a whole hundred in a row has locked says
    /// so before ([`super::Store::is_account_locked`]) and here has no guess left either.
    fn wait_s(&self, now_ms: i64) -> Option<u64> {
        match (self.made, self.oldest, self.wrong) {
            (BUDGET.., Some(oldest), _) => Some(seconds_until(oldest.saturating_add(WINDOW_MS), now_ms)),
            (.., Some(..MOST_WRONG_IN_A_ROW)) => None,
            _ => Some(seconds_until(now_ms.saturating_add(WINDOW_MS), now_ms)),
        }
    }
}

/// Takes one guess; when the budget is used up, says in how many seconds the next one is there.
pub(super) async fn take(
    write: &mut SqliteConnection,
    account: Uuid,
    target: Target,
    now_ms: i64,
) -> Result<Result<GuessId, u64>, StoreError> {
    let taken = take_all(write, &[(account, target, now_ms)]).await?;
    taken.into_iter().next().ok_or(StoreError::Damaged { table: "guesses" })
}

/// Takes one guess of each account at what it guesses at, at its time; where the budget is used up, says in how many seconds
/// the next one is there. No account is in there twice.
pub(super) async fn take_all(
    write: &mut SqliteConnection,
    all: &[(Uuid, Target, i64)],
) -> Result<Vec<Result<GuessId, u64>>, StoreError> {
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let asked: Vec<_> =
        all.iter().map(|(account, _, now_ms)| (hex::encode(account), now_ms.saturating_sub(WINDOW_MS))).collect();
    let asked = json(&asked)?;
    let budgets: Vec<Budget> = sqlx::query_as(BUDGETS).bind(&asked).fetch_all(&mut *write).await?;
    if budgets.iter().any(|budget| budget.past > 0) {
        sqlx::query(FORGET).bind(&asked).execute(&mut *write).await?;
    }
    let mut taken = Vec::with_capacity(all.len());
    let mut rows = Vec::with_capacity(all.len());
    for ((account, target, now_ms), budget) in all.iter().zip(&budgets) {
        taken.push(match budget.wait_s(*now_ms) {
            Some(wait_s) => Err(wait_s),
            None => {
                let id = budget.last.saturating_add(1).saturating_add(column::signed(rows.len() as u64));
                let [request, contact, change] = target.columns();
                rows.push((id, hex::encode(account), request, contact, change, now_ms));
                Ok(GuessId(id))
            }
        });
    }
    if !rows.is_empty() {
        sqlx::query(TAKE).bind(json(&rows)?).execute(write).await?;
    }
    Ok(taken)
}

/// Gives guesses back: they were right. At a code or a change it ends the row of wrong ones, for those digits went to a
/// confirmed contact. At a contact it only counts for nothing: whoever has the wallet key can prove addresses of his own.
pub(super) async fn give_back(write: &mut SqliteConnection, guesses: &[GuessId]) -> Result<(), StoreError> {
    let guesses: Vec<_> = guesses.iter().map(|guess| guess.0).collect();
    sqlx::query(
        "UPDATE accounts SET wrong_in_row = iif(g.contact_id IS NULL, 0, max(wrong_in_row - 1, 0))
         FROM guesses g WHERE g.id IN (SELECT value FROM json_each(?1)) AND accounts.id = g.account_id;
         DELETE FROM guesses WHERE id IN (SELECT value FROM json_each(?1))",
    )
    .bind(json(&guesses)?)
    .execute(write)
    .await?;
    Ok(())
}

/// Whole seconds from now until `then_ms`, at least one: what `Retry-After` says.
pub(super) fn seconds_until(then_ms: i64, now_ms: i64) -> u64 {
    u64::try_from(then_ms.saturating_sub(now_ms)).unwrap_or_default().div_ceil(1_000).max(1)
}
