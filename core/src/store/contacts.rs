//! Contacts and their confirmation. Writer: the relayer.
//!
//! A contact receives codes once its digits were right (it is *proved*) and it was *allowed*: the account's first one is
//! taken on trust, every later one by a change (`changes.rs`), since the wallet key alone must never decide where codes
//! go (protocol.md §7.8). That is decided inside the write transaction, so of two confirmations at once only the first
//! one counts.

mod pacing;

use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use super::{
    ChangeRow, Store, StoreError, Take,
    changes::{self, Delay},
    column,
    guesses::{self, GuessId, Target},
    notices::{self, Notice},
    sessions::end_all,
};
use crate::{contact::Channel, language::Language};

/// Wrong digits per challenge, of a contact or of a change.
pub(super) const CHALLENGE_ATTEMPTS: i64 = 3;
/// Contacts of an account that were not removed; each of them is told of every change.
pub const MOST_CONTACTS: i64 = 10;

/// A contact to be added, or asked to confirm again.
#[derive(Debug)]
pub struct NewContact<'a> {
    /// The contact's id, should the address be new.
    pub id: Uuid,
    /// Whose it is.
    pub account_id: Uuid,
    /// Over which channel.
    pub channel: Channel,
    /// The address, sealed for `id`.
    pub address_sealed: &'a [u8],
    /// Keyed hash of channel and normalised address.
    pub address_tag: [u8; 32],
    /// What it is to be written to in; `None` leaves what was asked for earlier, and else the default.
    pub language: Option<Language>,
    /// What a contact is written to in that never asked for anything.
    pub default_language: Language,
    /// When the digits expire, in Unix milliseconds.
    pub expires_at_ms: i64,
    /// Now, and how long a change waits.
    pub delay: Delay,
    /// The address's own bucket, whoever asks. Where it is empty nothing is sent and nobody told: the answer would say what
    /// others asked for.
    pub mail: Option<Take>,
}

/// What became of a [`NewContact`].
#[derive(Debug)]
pub enum Challenge {
    /// A confirmation message will go out, unless the address was proved before.
    Started {
        /// The contact: the earlier one where the address waits already.
        contact_id: Uuid,
        /// What its first code waits for; `None` where it is the account's first contact.
        change: Option<ChangeRow>,
    },
    /// Too many messages or changes.
    TooMany {
        /// Of what.
        what: &'static str,
        /// When to try again, in seconds.
        retry_after_s: u64,
    },
    /// The account has as many contacts as it may have.
    Full,
    /// The account is being deleted.
    Closed,
}

/// A contact as its owner sees it.
#[derive(Debug, Clone, FromRow)]
pub struct ContactRow {
    /// Its id.
    pub id: Uuid,
    /// Over which channel.
    #[sqlx(try_from = "String")]
    pub channel: Channel,
    /// The address, sealed for `id`.
    pub address_sealed: Vec<u8>,
    /// What it is written to in.
    #[sqlx(try_from = "String")]
    pub language: Language,
    /// Unix milliseconds.
    pub created_at_ms: i64,
    /// When its digits were right, in Unix milliseconds.
    pub proved_at_ms: Option<i64>,
    /// Unix milliseconds; `None` while it receives no codes.
    pub confirmed_at_ms: Option<i64>,
}

/// How the confirmation of a contact stands.
#[derive(Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// A guess was counted: compare the digits now, then [`Store::confirm_contact`] if they are right.
    Guess {
        /// To be given back when right.
        guess: GuessId,
        /// The counter that the digits derive from.
        challenge: u64,
        /// Left after this one.
        attempts_left: u64,
    },
    /// The digits were right. It receives codes, or will once its change is approved or due.
    Proved {
        /// The contact; another one where the same address was confirmed before.
        contact_id: Uuid,
    },
    /// No such contact of this account.
    NotFound,
    /// Another contact of the account was confirmed first: add the address again, as a change.
    NeedsChange,
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

impl Store {
    /// Adds an unconfirmed contact, or starts a new challenge for one that is there, and queues the messages, all in one
    /// transaction. Where the account has a confirmed contact, this proposes a change, too.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn challenge_contact(&self, new: &NewContact<'_>) -> Result<Challenge, StoreError> {
        let mut write = self.write().await?;
        if changes::is_closed(&mut write, new.account_id).await? {
            return Ok(Challenge::Closed);
        }
        if let Some(retry_after_s) = pacing::wait_s(&mut write, new).await? {
            return Ok(Challenge::TooMany { what: "confirmation messages", retry_after_s });
        }
        let held = insert(&mut write, new).await?;
        if contact_count(&mut write, new.account_id).await? > MOST_CONTACTS {
            return Ok(Challenge::Full);
        }
        let mut change = None;
        // Also for an address that is confirmed already: another answer would let a thief try which one it is.
        if held.allowed_at_ms.is_none() && has_confirmed(&mut write, new.account_id, Some(held.id)).await? {
            match changes::propose_addition(&mut write, new.account_id, held.id, new.delay).await? {
                Ok(row) => change = Some(row),
                Err(retry_after_s) => return Ok(Challenge::TooMany { what: "changes", retry_after_s }),
            }
        }
        if held.proved_at_ms.is_none() && pacing::may_be_written_to(&mut write, new).await? {
            let notice = Notice::Confirmation { challenge: held.challenge };
            let (now_ms, until_ms) = (new.delay.now_ms, new.expires_at_ms);
            notices::insert(&mut write, new.account_id, held.id, notice, now_ms, until_ms).await?;
        }
        write.commit().await?;
        Ok(Challenge::Started { contact_id: held.id, change })
    }

    /// The account's contacts, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn contacts(&self, account_id: Uuid) -> Result<Vec<ContactRow>, StoreError> {
        let rows = sqlx::query_as(
            "SELECT id, channel, address_sealed, language, created_at_ms, proved_at_ms, confirmed_at_ms FROM contacts
             WHERE account_id = ? AND removed_at_ms IS NULL ORDER BY id",
        )
        .bind(account_id);
        Ok(rows.fetch_all(&self.readers).await?)
    }

    /// How long after its wallet's first sign-in an account was bound to its first contact, in milliseconds, where
    /// `contact_id` is that contact and was confirmed at `now_ms`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn bound_after_ms(&self, contact_id: Uuid, now_ms: i64) -> Result<Option<i64>, StoreError> {
        let row = sqlx::query_scalar(
            "SELECT c.confirmed_at_ms - a.created_at_ms FROM contacts c JOIN accounts a ON a.id = c.account_id
             WHERE c.id = ?1 AND c.confirmed_at_ms = ?2 AND NOT EXISTS (SELECT 1 FROM contacts o
                 WHERE o.account_id = c.account_id AND o.id <> c.id AND o.confirmed_at_ms IS NOT NULL)",
        );
        Ok(row.bind(contact_id).bind(now_ms).fetch_optional(&self.readers).await?)
    }

    /// Counts an attempt at a contact's digits; it is committed when this returns.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn begin_confirmation(
        &self,
        account_id: Uuid,
        contact_id: Uuid,
        now_ms: i64,
    ) -> Result<Confirmation, StoreError> {
        let mut write = self.write().await?;
        let Some(held) = Held::find(&mut write, account_id, contact_id).await? else {
            return Ok(Confirmation::NotFound);
        };
        if held.proved_at_ms.is_some() {
            return Ok(Confirmation::Proved { contact_id });
        }
        if !held.may_be_proved(&mut write, account_id).await? {
            return Ok(Confirmation::NeedsChange);
        }
        if held.challenge_attempts >= CHALLENGE_ATTEMPTS {
            return Ok(Confirmation::Locked);
        }
        if now_ms > held.challenge_expires_at_ms {
            return Ok(Confirmation::Expired);
        }
        let guess = match guesses::take(&mut write, account_id, Target::Contact(contact_id), now_ms).await? {
            Ok(guess) => guess,
            Err(retry_after_s) => return Ok(Confirmation::TooMany { retry_after_s }),
        };
        sqlx::query("UPDATE contacts SET challenge_attempts = challenge_attempts + 1 WHERE id = ?")
            .bind(contact_id)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(Confirmation::Guess {
            guess,
            challenge: column::unsigned(held.challenge, "contacts")?,
            attempts_left: column::unsigned(CHALLENGE_ATTEMPTS - held.challenge_attempts - 1, "contacts")?,
        })
    }

    /// The digits were right: proves the contact and gives the guess back, unless another one was first. The account's
    /// first contact is confirmed by that, and ends every session but the one that confirmed it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn confirm_contact(
        &self,
        (account_id, session_id): (Uuid, Uuid),
        contact_id: Uuid,
        guess: GuessId,
        now_ms: i64,
    ) -> Result<Confirmation, StoreError> {
        let mut write = self.write().await?;
        let Some(held) = Held::find(&mut write, account_id, contact_id).await? else {
            return Ok(Confirmation::NotFound);
        };
        if !held.may_be_proved(&mut write, account_id).await? {
            return Ok(Confirmation::NeedsChange);
        }
        sqlx::query(
            "UPDATE contacts SET proved_at_ms = coalesce(proved_at_ms, ?), challenge_attempts = 0 WHERE id = ?",
        )
        .bind(now_ms)
        .bind(contact_id)
        .execute(&mut *write)
        .await?;
        guesses::give_back(&mut write, &[guess]).await?;
        let first = !has_confirmed(&mut write, account_id, Some(contact_id)).await?;
        let mut stands = contact_id;
        if first || held.allowed_at_ms.is_some() {
            stands = allow(&mut write, account_id, contact_id, now_ms).await?;
            end_all(&mut write, account_id, Some(session_id), now_ms).await?;
        }
        write.commit().await?;
        Ok(Confirmation::Proved { contact_id: stands })
    }
}

/// Where a contact that was not removed stands.
#[derive(FromRow)]
struct Held {
    id: Uuid,
    proved_at_ms: Option<i64>,
    allowed_at_ms: Option<i64>,
    challenge: i64,
    challenge_attempts: i64,
    challenge_expires_at_ms: i64,
}

impl Held {
    async fn find(write: &mut SqliteConnection, account: Uuid, contact: Uuid) -> Result<Option<Self>, StoreError> {
        let row = sqlx::query_as(
            "SELECT id, proved_at_ms, allowed_at_ms, challenge, challenge_attempts, challenge_expires_at_ms
             FROM contacts WHERE id = ? AND account_id = ? AND removed_at_ms IS NULL",
        )
        .bind(contact)
        .bind(account);
        Ok(row.fetch_optional(write).await?)
    }

    /// Its digits count while it is the first contact, was allowed, or a change waits that will.
    async fn may_be_proved(&self, write: &mut SqliteConnection, account: Uuid) -> Result<bool, StoreError> {
        Ok(self.allowed_at_ms.is_some()
            || !has_confirmed(write, account, Some(self.id)).await?
            || changes::waits_for(write, self.id).await?)
    }
}

async fn insert(write: &mut SqliteConnection, new: &NewContact<'_>) -> Result<Held, StoreError> {
    let row = sqlx::query_as(
        "INSERT INTO contacts (id, account_id, channel, address_sealed, address_tag, created_at_ms, challenge,
                               challenge_expires_at_ms, language)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, coalesce(?8, ?9))
         ON CONFLICT (account_id, channel, address_tag) WHERE removed_at_ms IS NULL AND confirmed_at_ms IS NULL
         DO UPDATE SET challenge = challenge + 1, challenge_attempts = 0,
             challenge_expires_at_ms = excluded.challenge_expires_at_ms, language = coalesce(?8, language)
         RETURNING id, proved_at_ms, allowed_at_ms, challenge, challenge_attempts, challenge_expires_at_ms",
    )
    .bind(new.id)
    .bind(new.account_id)
    .bind(new.channel.as_str())
    .bind(new.address_sealed)
    .bind(new.address_tag.as_slice())
    .bind(new.delay.now_ms)
    .bind(new.expires_at_ms)
    .bind(new.language.map(Language::tag))
    .bind(new.default_language.tag());
    Ok(row.fetch_one(write).await?)
}

/// Allows a contact; one that was proved receives codes from now on. Returns the contact that does: where the same
/// address was confirmed before, that one stays and this one goes.
pub(super) async fn allow(
    write: &mut SqliteConnection,
    account: Uuid,
    contact: Uuid,
    now_ms: i64,
) -> Result<Uuid, StoreError> {
    let twin: Option<Uuid> = sqlx::query_scalar(
        "SELECT t.id FROM contacts c JOIN contacts t ON t.account_id = c.account_id AND t.channel = c.channel
             AND t.address_tag = c.address_tag AND t.id <> c.id
         WHERE c.id = ? AND t.confirmed_at_ms IS NOT NULL AND t.removed_at_ms IS NULL",
    )
    .bind(contact)
    .fetch_optional(&mut *write)
    .await?;
    let settle = match twin {
        None => {
            "UPDATE contacts SET allowed_at_ms = coalesce(allowed_at_ms, ?1),
                 confirmed_at_ms = iif(proved_at_ms IS NULL, NULL, ?1)
             WHERE id = ?2 AND confirmed_at_ms IS NULL AND removed_at_ms IS NULL
             RETURNING confirmed_at_ms"
        }
        Some(_) => "UPDATE contacts SET removed_at_ms = ?1 WHERE id = ?2 AND removed_at_ms IS NULL RETURNING NULL",
    };
    let settled: Option<Option<i64>> =
        sqlx::query_scalar(settle).bind(now_ms).bind(contact).fetch_optional(&mut *write).await?;
    if settled.flatten().is_some() {
        notices::announce_waiting(write, account, contact, now_ms).await?;
    }
    Ok(twin.unwrap_or(contact))
}

/// Whether the account has a confirmed contact besides `except`.
pub(super) async fn has_confirmed(
    write: &mut SqliteConnection,
    account: Uuid,
    except: Option<Uuid>,
) -> Result<bool, StoreError> {
    let row = sqlx::query(
        "SELECT 1 FROM contacts
         WHERE account_id = ? AND id IS NOT ? AND confirmed_at_ms IS NOT NULL AND removed_at_ms IS NULL",
    )
    .bind(account)
    .bind(except)
    .fetch_optional(write)
    .await?;
    Ok(row.is_some())
}

async fn contact_count(write: &mut SqliteConnection, account: Uuid) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar("SELECT count(*) FROM contacts WHERE account_id = ? AND removed_at_ms IS NULL");
    Ok(count.bind(account).fetch_one(write).await?)
}
