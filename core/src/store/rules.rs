//! What a request has to keep to before it is stored, checked in the transaction that stores it. Writer: the relayer.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use super::{
    Level, NewRequest, Store, StoreError, Switch, Take, Taken, buckets::Buckets, column::json, guesses::seconds_until,
    switches::Barred,
};
use crate::{clock::now_us, contact::Channel};

/// For how long a count of what waits is believed, so that other relayers on this store are seen too.
const COUNT_HOLDS: Duration = Duration::from_secs(1);
/// More refused or unused requests in a row than this make the pause no longer.
const LONGEST_ROW: i64 = 16;

/// [`Standing`] of each request in the JSON array ?1 ([`asked`]), where of an account's requests that wait ?2 are counted
/// at most, and ?3 of the contact's are looked at. A switch is told before a block, the widest first. An index is named, since
/// SQLite takes one over all that the account ever asked for instead. A limit that is a parameter by itself would have the
/// statement prepared anew each time it is bound.
const STANDING: &str = "
    WITH asked AS MATERIALIZED (
        SELECT key AS n, unhex(value ->> 0) AS account, value ->> 1 AS idempotency_key, value ->> 2 AS reference,
               value ->> 3 AS purpose, unhex(value ->> 4) AS contact, unhex(value ->> 5) AS issuer, value ->> 6 AS now_ms
        FROM json_each(?1))
    SELECT EXISTS (SELECT 1 FROM requests WHERE account_id = asked.account AND idempotency_key = asked.idempotency_key)
               AS is_key_known,
           EXISTS (SELECT 1 FROM requests WHERE account_id = asked.account AND reference = asked.reference)
               AS is_reference_taken,
           (SELECT c.channel FROM contacts c JOIN accounts a ON a.id = c.account_id
            WHERE c.id = asked.contact AND c.account_id = asked.account AND c.confirmed_at_ms IS NOT NULL
              AND c.removed_at_ms IS NULL AND a.closed_at_ms IS NULL) AS channel,
           (SELECT json_array(rank, scope, name) FROM (
               SELECT 0 AS rank, scope, name FROM switched_off
               WHERE scope = 'all' OR (scope = 'purpose' AND name = asked.purpose)
                  OR (scope = 'channel' AND name = (SELECT channel FROM contacts WHERE id = asked.contact))
               UNION ALL SELECT 1, '', '' FROM blocked WHERE kind = 'issuer' AND address = asked.issuer
               UNION ALL SELECT 2, '', '' FROM accounts a JOIN blocked b ON b.kind = 'wallet' AND b.address = a.wallet
                         WHERE a.id = asked.account
               ORDER BY rank, scope LIMIT 1)) AS barred,
           (SELECT count(*) FROM (
               SELECT 1 FROM requests INDEXED BY requests_waiting WHERE state = 'queued' AND account_id = asked.account
               LIMIT 0 + ?2)) AS queued,
           (SELECT json_group_array(json_array(created_at_ms, unlocked_at_ms)) FROM (
               SELECT created_at_ms, unlocked_at_ms FROM requests
               WHERE contact_id = asked.contact AND created_at_ms <= asked.now_ms AND state <> 'failed'
               ORDER BY created_at_ms DESC LIMIT 0 + ?3)) AS made
    FROM asked ORDER BY n";

/// The limits of a request.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Whether the contact has to be a confirmed one of the account.
    pub confirmed: bool,
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
    /// Whether `most` requests wait already, `unwritten` of which have no row yet; if not, one more is noted.
    async fn is_full(&self, write: &mut SqliteConnection, most: u32, unwritten: usize) -> Result<bool, StoreError> {
        if most == u32::MAX || self.has_room(most) {
            return Ok(false);
        }
        let counted: i64 =
            sqlx::query_scalar("SELECT count(*) FROM (SELECT 1 FROM requests WHERE state = 'queued' LIMIT ?)")
                .bind(most)
                .fetch_one(write)
                .await?;
        let waiting = counted.saturating_add(i64::try_from(unwritten).unwrap_or(i64::MAX));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((waiting, Instant::now()));
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
        Self {
            confirmed: false,
            takes: Vec::new(),
            cooldown: Cooldown::default(),
            queued_per_account: u32::MAX,
            queued: u32::MAX,
        }
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
#[derive(FromRow)]
pub(super) struct Standing {
    /// Whether a request of the account has its Idempotency-Key.
    pub(super) is_key_known: bool,
    /// Whether a request of the account has its reference.
    pub(super) is_reference_taken: bool,
    channel: Option<String>,
    /// What keeps it back, as [`Barred::read`] takes it.
    barred: Option<String>,
    /// Requests of the account that wait, as far as they were counted.
    queued: u32,
    /// The contact's latest requests: when each was made and unlocked, newest first.
    made: String,
}

/// What is asked of a request: the place of each in here is the one in [`STANDING`].
fn asked(new: &NewRequest) -> impl Serialize {
    let (account, contact) = (hex::encode(new.account_id), hex::encode(new.contact_id));
    let (key, purpose) = (new.idempotency_key.as_str(), new.purpose.to_string());
    (account, key, new.reference.as_str(), purpose, contact, hex::encode(new.issuer), new.now_ms)
}

/// Looks at all that of all of them in one statement: each is a turn of the thread that every write waits for.
pub(super) async fn look(write: &mut SqliteConnection, all: &[&NewRequest]) -> Result<Vec<Standing>, StoreError> {
    // What is not limited is not counted either.
    let most = all.iter().map(|new| new.rules.queued_per_account).filter(|most| *most < u32::MAX).max();
    let row = if all.iter().any(|new| new.rules.cooldown.first_ms > 0) { LONGEST_ROW } else { 0 };
    let rows: Vec<Standing> = sqlx::query_as(STANDING)
        .bind(json(&all.iter().map(|new| asked(new)).collect::<Vec<_>>())?)
        .bind(most.unwrap_or_default())
        .bind(row)
        .fetch_all(write)
        .await?;
    if rows.len() == all.len() { Ok(rows) } else { Err(StoreError::Damaged { table: "requests" }) }
}

/// Takes what the request costs, or says why it may not be stored.
pub(super) async fn check(
    write: &mut SqliteConnection,
    (queue, unwritten): (&QueueBound, usize),
    buckets: &mut Buckets,
    standing: &Standing,
    new: &NewRequest,
) -> Result<Result<Vec<Level>, Refusal>, StoreError> {
    if let Some(barred) = standing.barred()? {
        return Ok(Err(barred.into()));
    }
    if queue.is_full(write, new.rules.queued, unwritten).await? {
        return Ok(Err(Refusal::QueueFull));
    }
    // Both pass when the chain or the contact's owner moves, which no bucket knows of.
    let too_many = |scope, retry_after_s| Ok(Err(Refusal::TooMany { scope, retry_after_s, levels: Vec::new() }));
    if standing.queued >= new.rules.queued_per_account {
        return too_many("queued", 5);
    }
    if let Some(retry_after_s) = pause(&standing.made()?, new) {
        return too_many("contact", retry_after_s);
    }
    Ok(match buckets.take(&new.rules.takes, now_us()) {
        Taken::All(levels) => Ok(levels),
        Taken::Refused { scope, retry_after_s, levels } => Err(Refusal::TooMany { scope, retry_after_s, levels }),
    })
}

impl Standing {
    /// The contact's channel, where it is a confirmed contact of the account.
    pub(super) fn channel(&self) -> Result<Option<Channel>, StoreError> {
        let channel = self.channel.as_deref().map(str::parse).transpose();
        channel.map_err(|_| StoreError::Damaged { table: "contacts" })
    }

    fn barred(&self) -> Result<Option<Barred>, StoreError> {
        let Some(barred) = &self.barred else { return Ok(None) };
        let (rank, scope, name): (i64, String, String) =
            serde_json::from_str(barred).map_err(|_| StoreError::Damaged { table: "switched_off" })?;
        Barred::read(rank, &scope, &name).map(Some)
    }

    fn made(&self) -> Result<Vec<(i64, Option<i64>)>, StoreError> {
        serde_json::from_str(&self.made).map_err(|_| StoreError::Damaged { table: "requests" })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::plan;

    #[tokio::test]
    async fn whatever_grows_is_searched_by_an_index() {
        let plan = plan::of(STANDING).await;
        let is_bounded =
            |step: &str| ["SCAN asked", "SCAN json_each", "SCAN (subquery"].iter().any(|s| step.starts_with(s));
        let scans: Vec<_> = plan.lines().filter(|step| step.starts_with("SCAN") && !is_bounded(step)).collect();
        assert!(scans.is_empty(), "{scans:?}");
        assert!(plan.contains("requests_waiting (account_id=?)"), "{plan}");
    }
}
