//! What a request has to keep to before it is stored, checked in the transaction that stores it. Writer: the relayer.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::SqliteConnection;
use uuid::Uuid;

use super::{
    Level, NewRequest, Store, StoreError, Switch, Take, Taken, buckets, group::Outcome, guesses::seconds_until,
    switches::Barred,
};

/// For how long a count of what waits is believed, so that other relayers on this store are seen too.
const COUNT_HOLDS: Duration = Duration::from_secs(1);
/// More refused or unused requests in a row than this make the pause no longer.
const LONGEST_ROW: i64 = 16;

/// [`Standing`] of account 1, Idempotency-Key 2, purpose 3, contact 4 and issuer 5, where 6 requests of the account may wait,
/// now 7, with 8 requests of the contact. A switch is told before a block, the widest first. The index is named, since SQLite
/// takes one over all that the account ever asked for instead.
const STANDING: &str = "
    SELECT EXISTS (SELECT 1 FROM requests WHERE account_id = ?1 AND idempotency_key = ?2),
           b.rank, b.scope, b.name,
           ?6 IS NOT NULL AND (SELECT count(*) FROM (
               SELECT 1 FROM requests INDEXED BY requests_waiting WHERE state = 'queued' AND account_id = ?1
               LIMIT coalesce(?6, 0))) >= ?6,
           (SELECT json_group_array(json_array(created_at_ms, unlocked_at_ms)) FROM (
               SELECT created_at_ms, unlocked_at_ms FROM requests
               WHERE contact_id = ?4 AND created_at_ms <= ?7 AND state <> 'failed' ORDER BY created_at_ms DESC LIMIT ?8))
    FROM (SELECT 1) LEFT JOIN (
        SELECT 0 AS rank, scope, name FROM switched_off
        WHERE scope = 'all' OR (scope = 'purpose' AND name = ?3)
           OR (scope = 'channel' AND name = (SELECT channel FROM contacts WHERE id = ?4))
        UNION ALL SELECT 1, '', '' FROM blocked WHERE kind = 'issuer' AND address = ?5
        UNION ALL SELECT 2, '', '' FROM accounts a JOIN blocked b ON b.kind = 'wallet' AND b.address = a.wallet
                  WHERE a.id = ?1
        ORDER BY rank, scope LIMIT 1) b";

/// The limits of a request.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Buckets to take from.
    pub takes: Vec<Take>,
    /// The pause between two requests to one contact.
    pub cooldown: Cooldown,
    /// Requests of one account that may wait for the chain.
    pub queued_per_account: u32,
    /// Requests that may wait for the chain.
    pub queued: u32,
}

/// An upper bound of how many requests wait: what was counted last, and every request that this process let in since. Counting
/// takes longer the more wait, so it is done anew only where the bound alone does not say that there is room.
#[derive(Debug, Clone, Default)]
pub(super) struct QueueBound(Arc<Mutex<Option<(i64, Instant)>>>);

impl QueueBound {
    /// Whether `most` requests wait already; if not, one more is noted.
    async fn is_full(&self, write: &mut SqliteConnection, most: u32) -> Result<bool, StoreError> {
        if most == u32::MAX || self.has_room(most) {
            return Ok(false);
        }
        let counted: i64 =
            sqlx::query_scalar("SELECT count(*) FROM (SELECT 1 FROM requests WHERE state = 'queued' LIMIT ?)")
                .bind(most)
                .fetch_one(write)
                .await?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((counted, Instant::now()));
        Ok(!self.has_room(most))
    }

    fn has_room(&self, most: u32) -> bool {
        let mut bound = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *bound {
            Some((waiting, at)) if *waiting < i64::from(most) && at.elapsed() < COUNT_HOLDS => {
                *waiting += 1;
                true
            }
            _ => false,
        }
    }
}

impl Default for Rules {
    /// Everything goes.
    fn default() -> Self {
        Self { takes: Vec::new(), cooldown: Cooldown::default(), queued_per_account: u32::MAX, queued: u32::MAX }
    }
}

/// A pause that doubles with each request to a contact that was not unlocked, and ends with one that was.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cooldown {
    /// After the first, in milliseconds; 0 is none at all.
    pub first_ms: i64,
    /// The longest, in milliseconds; after so long without a request it begins anew.
    pub longest_ms: i64,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Issuance is switched off.
    SwitchedOff(Switch),
    /// Nothing may be issued under this relayer's key.
    IssuerBlocked,
    /// The account's wallet is blocked.
    WalletBlocked,
    /// The chain takes less than is asked for.
    QueueFull,
    /// A limit.
    TooMany {
        /// Which one.
        scope: &'static str,
        /// When to try again, in seconds.
        retry_after_s: u64,
        /// What its buckets hold.
        levels: Vec<Level>,
    },
}

impl From<Barred> for Refusal {
    fn from(barred: Barred) -> Self {
        match barred {
            Barred::Off(switch) => Self::SwitchedOff(switch),
            Barred::Wallet => Self::WalletBlocked,
            Barred::Issuer => Self::IssuerBlocked,
        }
    }
}

/// Everything about a request that one look shows.
pub(super) struct Standing {
    /// Whether a request of the account has its Idempotency-Key.
    pub(super) is_key_known: bool,
    barred: Option<Barred>,
    is_account_full: bool,
    /// The contact's latest requests: when each was made and unlocked, newest first.
    made: Vec<(i64, Option<i64>)>,
}

/// Looks at all that in one statement: each is a turn of the thread that every write waits for.
pub(super) async fn look(write: &mut SqliteConnection, new: &NewRequest) -> Result<Standing, StoreError> {
    // What is not limited is not counted either.
    let most = Some(new.rules.queued_per_account).filter(|most| *most < u32::MAX);
    let row = if new.rules.cooldown.first_ms == 0 { 0 } else { LONGEST_ROW };
    let look: (bool, Option<i64>, Option<String>, Option<String>, bool, String) = sqlx::query_as(STANDING)
        .bind(new.account_id)
        .bind(&new.idempotency_key)
        .bind(new.purpose.to_string())
        .bind(new.contact_id)
        .bind(new.issuer.as_slice())
        .bind(most)
        .bind(new.now_ms)
        .bind(row)
        .fetch_one(write)
        .await?;
    let (is_key_known, rank, scope, name, is_account_full, made) = look;
    let barred =
        rank.map(|rank| Barred::read(rank, &scope.unwrap_or_default(), &name.unwrap_or_default())).transpose()?;
    let made = serde_json::from_str(&made).map_err(|_| StoreError::Damaged { table: "requests" })?;
    Ok(Standing { is_key_known, barred, is_account_full, made })
}

/// Takes what the request costs, or says why it may not be stored.
pub(super) async fn check(
    write: &mut SqliteConnection,
    queue: &QueueBound,
    standing: Standing,
    new: &NewRequest,
) -> Result<Outcome<Result<Vec<Level>, Refusal>>, StoreError> {
    let refuse = |refusal| Ok(Outcome::Undo(Err(refusal)));
    if let Some(barred) = standing.barred {
        return refuse(barred.into());
    }
    if queue.is_full(write, new.rules.queued).await? {
        return refuse(Refusal::QueueFull);
    }
    // Both pass when the chain or the contact's owner moves, which no bucket knows of.
    let too_many = |scope, retry_after_s| Refusal::TooMany { scope, retry_after_s, levels: Vec::new() };
    if standing.is_account_full {
        return refuse(too_many("queued", 5));
    }
    if let Some(retry_after_s) = pause(&standing.made, new) {
        return refuse(too_many("contact", retry_after_s));
    }
    Ok(match buckets::take(write, &new.rules.takes).await? {
        Outcome::Keep(taken) => Outcome::Keep(outcome(taken)),
        Outcome::Undo(taken) => Outcome::Undo(outcome(taken)),
    })
}

fn outcome(taken: Taken) -> Result<Vec<Level>, Refusal> {
    match taken {
        Taken::All(levels) => Ok(levels),
        Taken::Refused { scope, retry_after_s, levels } => Err(Refusal::TooMany { scope, retry_after_s, levels }),
    }
}

impl Store {
    /// The phone that a request can end at, as contact and sealed number: the contact itself, or where the request may fall
    /// back the one that it would fall back on. `None` where neither is a phone.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn phone(
        &self,
        account_id: Uuid,
        contact_id: Uuid,
        fallback: bool,
    ) -> Result<Option<(Uuid, Vec<u8>)>, StoreError> {
        let row = sqlx::query_as(
            "SELECT id, address_sealed FROM contacts WHERE account_id = ?1 AND channel = 'sms'
             AND (id = ?2 OR (?3 AND confirmed_at_ms IS NOT NULL AND removed_at_ms IS NULL))
             ORDER BY id = ?2 DESC, confirmed_at_ms, id LIMIT 1",
        );
        Ok(row.bind(account_id).bind(contact_id).bind(fallback).fetch_optional(&self.readers).await?)
    }
}

/// How long until the contact may be written to again, in seconds. Requests that failed wrote nothing. One from the future
/// was made before the clock was set back and holds nobody up: the buckets do.
fn pause(made: &[(i64, Option<i64>)], new: &NewRequest) -> Option<u64> {
    let Cooldown { first_ms, longest_ms } = new.rules.cooldown;
    let longest_ms = longest_ms.max(first_ms);
    let mut pause_ms = 0;
    let mut next_ms = new.now_ms;
    for (created_at_ms, unlocked_at_ms) in made {
        if unlocked_at_ms.is_some() || next_ms - created_at_ms > longest_ms {
            break;
        }
        pause_ms = if pause_ms == 0 { first_ms } else { longest_ms.min(pause_ms * 2) };
        next_ms = *created_at_ms;
    }
    let free_at = made.first().map(|(created_at_ms, _)| created_at_ms.saturating_add(pause_ms));
    free_at.filter(|at| *at > new.now_ms).map(|at| seconds_until(at, new.now_ms))
}
