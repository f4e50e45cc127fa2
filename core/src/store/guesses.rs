//! Guesses at digits, an account's budget of them (protocol.md §7.2). Writer: the relayer.
//!
//! A guess is taken out of the budget and committed before digits are compared, and given back when they were right: a
//! crash or a second process can lose a guess, never win one.

use sqlx::SqliteConnection;
use uuid::Uuid;

use super::{MOST_WRONG_IN_A_ROW, StoreError};

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

/// A guess that was taken out of the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuessId(i64);

/// Takes one guess; when the budget is used up, says in how many seconds the next one is there. An account that a whole
/// hundred in a row has locked says so before ([`super::Store::is_account_locked`]) and here has no guess left either.
pub(super) async fn take(
    write: &mut SqliteConnection,
    account: Uuid,
    target: Target,
    now_ms: i64,
) -> Result<Result<GuessId, u64>, StoreError> {
    let since = now_ms.saturating_sub(WINDOW_MS);
    let (made, oldest, past, wrong): (i64, Option<i64>, i64, Option<i64>) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE made_at_ms > ?2), min(made_at_ms) FILTER (WHERE made_at_ms > ?2),
                count(*) FILTER (WHERE made_at_ms <= ?2), (SELECT wrong_in_row FROM accounts WHERE id = ?1)
         FROM guesses WHERE account_id = ?1",
    )
    .bind(account)
    .bind(since)
    .fetch_one(&mut *write)
    .await?;
    if past > 0 {
        let delete = sqlx::query("DELETE FROM guesses WHERE account_id = ? AND made_at_ms <= ?");
        delete.bind(account).bind(since).execute(&mut *write).await?;
    }
    if let (BUDGET.., Some(oldest)) = (made, oldest) {
        return Ok(Err(seconds_until(oldest.saturating_add(WINDOW_MS), now_ms)));
    }
    if wrong.is_none_or(|wrong| wrong >= MOST_WRONG_IN_A_ROW) {
        return Ok(Err(seconds_until(now_ms.saturating_add(WINDOW_MS), now_ms)));
    }
    let (request, contact, change) = match target {
        Target::Request(id) => (Some(id), None, None),
        Target::Contact(id) => (None, Some(id), None),
        Target::Change(id) => (None, None, Some(id)),
    };
    // Two statements in one turn of the connection's thread; sqlx numbers what is bound across both.
    let taken = sqlx::query(
        "UPDATE accounts SET wrong_in_row = wrong_in_row + 1 WHERE id = ?1;
         INSERT INTO guesses (account_id, request_id, contact_id, change_id, made_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
    )
    .bind(account)
    .bind(request)
    .bind(contact)
    .bind(change)
    .bind(now_ms)
    .execute(&mut *write)
    .await?;
    Ok(Ok(GuessId(taken.last_insert_rowid())))
}

/// Gives a guess back: it was right. At a code or a change it ends the row of wrong ones, for those digits went to a
/// confirmed contact. At a contact it only counts for nothing: whoever has the wallet key can prove addresses of his own.
pub(super) async fn give_back(write: &mut SqliteConnection, guess: GuessId) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE accounts SET wrong_in_row = iif(g.contact_id IS NULL, 0, max(wrong_in_row - 1, 0))
         FROM guesses g WHERE g.id = ?1 AND accounts.id = g.account_id;
         DELETE FROM guesses WHERE id = ?1",
    )
    .bind(guess.0)
    .execute(write)
    .await?;
    Ok(())
}

/// Whole seconds from now until `then_ms`, at least one: what `Retry-After` says.
pub(super) fn seconds_until(then_ms: i64, now_ms: i64) -> u64 {
    u64::try_from(then_ms.saturating_sub(now_ms)).unwrap_or_default().div_ceil(1_000).max(1)
}
