//! Contacts, their confirmation, and the notices that ask for it. Writer: the relayer.
//!
//! The wallet key alone must never decide where codes go (protocol.md §7.8): an account's first contact is taken on
//! trust, and from then on nothing here adds, confirms or removes one. That is decided inside the write transaction, so
//! of two confirmations at once only the first one counts.

use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use super::{
    Store, StoreError, column,
    guesses::{self, GuessId, Target, seconds_until},
};

/// Wrong digits per challenge.
const CHALLENGE_ATTEMPTS: i64 = 3;
/// The least time between two messages to one address.
const RESEND_AFTER_MS: i64 = 30_000;
/// Confirmation messages per account in [`NOTICE_WINDOW_MS`].
const NOTICES: i64 = 5;
/// One hour.
const NOTICE_WINDOW_MS: i64 = 3_600_000;

/// A contact to be added, or asked to confirm again.
#[derive(Debug)]
pub struct NewContact<'a> {
    /// The contact's id, should the address be new.
    pub id: Uuid,
    /// Whose it is.
    pub account_id: Uuid,
    /// `email`.
    pub channel: &'a str,
    /// The address, sealed for `id`.
    pub address_sealed: &'a [u8],
    /// Keyed hash of channel and normalised address.
    pub address_tag: [u8; 32],
    /// Now, in Unix milliseconds.
    pub now_ms: i64,
    /// When the digits expire, in Unix milliseconds.
    pub expires_at_ms: i64,
}

/// What became of a [`NewContact`].
#[derive(Debug, PartialEq, Eq)]
pub enum Challenge {
    /// A confirmation message will go out.
    Started {
        /// The contact: the earlier one where the address was there already.
        contact_id: Uuid,
    },
    /// The account has a confirmed contact, which would have to agree.
    NeedsApproval,
    /// Too many messages.
    TooSoon {
        /// When to try again, in seconds.
        retry_after_s: u64,
    },
}

/// A contact as its owner sees it.
#[derive(Debug, Clone, FromRow)]
pub struct ContactRow {
    /// Its id.
    pub id: Uuid,
    /// `email`, `sms`, `webhook` or `inapp`.
    pub channel: String,
    /// The address, sealed for `id`.
    pub address_sealed: Vec<u8>,
    /// Unix milliseconds.
    pub created_at_ms: i64,
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
    /// The contact is confirmed.
    Confirmed,
    /// No such contact of this account.
    NotFound,
    /// Another contact of the account was confirmed first.
    NeedsApproval,
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

/// What became of a contact's removal.
#[derive(Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Removed,
    /// No such contact of this account.
    NotFound,
    /// It is confirmed.
    NeedsApproval,
}

impl Store {
    /// Adds an unconfirmed contact, or starts a new challenge for one that is there, and queues the message, all in one
    /// transaction.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn challenge_contact(&self, new: &NewContact<'_>) -> Result<Challenge, StoreError> {
        let mut write = self.write().await?;
        // Also for an address that is confirmed already: another answer would let a thief try which one it is.
        if has_confirmed(&mut write, new.account_id, None).await? {
            return Ok(Challenge::NeedsApproval);
        }
        if let Some(retry_after_s) = notice_wait(&mut write, new).await? {
            return Ok(Challenge::TooSoon { retry_after_s });
        }
        let (contact_id, challenge): (Uuid, i64) = sqlx::query_as(
            "INSERT INTO contacts (id, account_id, channel, address_sealed, address_tag, created_at_ms, challenge,
                                   challenge_expires_at_ms)
             VALUES (?, ?, ?, ?, ?, ?, 1, ?)
             ON CONFLICT (account_id, channel, address_tag) WHERE removed_at_ms IS NULL AND confirmed_at_ms IS NULL
             DO UPDATE
             SET challenge = challenge + 1, challenge_attempts = 0,
                 challenge_expires_at_ms = excluded.challenge_expires_at_ms
             RETURNING id, challenge",
        )
        .bind(new.id)
        .bind(new.account_id)
        .bind(new.channel)
        .bind(new.address_sealed)
        .bind(new.address_tag.as_slice())
        .bind(new.now_ms)
        .bind(new.expires_at_ms)
        .fetch_one(&mut *write)
        .await?;
        sqlx::query(
            "INSERT INTO notices (id, account_id, contact_id, kind, challenge, created_at_ms, expires_at_ms)
             VALUES (?, ?, ?, 'contact-confirmation', ?, ?, ?)",
        )
        .bind(Uuid::now_v7())
        .bind(new.account_id)
        .bind(contact_id)
        .bind(challenge)
        .bind(new.now_ms)
        .bind(new.expires_at_ms)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(Challenge::Started { contact_id })
    }

    /// The account's contacts, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn contacts(&self, account_id: Uuid) -> Result<Vec<ContactRow>, StoreError> {
        let rows = sqlx::query_as(
            "SELECT id, channel, address_sealed, created_at_ms, confirmed_at_ms FROM contacts
             WHERE account_id = ? AND removed_at_ms IS NULL ORDER BY id",
        )
        .bind(account_id);
        Ok(rows.fetch_all(&self.readers).await?)
    }

    /// Whether this is a contact of this account that may receive codes.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn is_confirmed(&self, account_id: Uuid, contact_id: Uuid) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "SELECT 1 FROM contacts
             WHERE id = ? AND account_id = ? AND confirmed_at_ms IS NOT NULL AND removed_at_ms IS NULL",
        )
        .bind(contact_id)
        .bind(account_id)
        .fetch_optional(&self.readers)
        .await?;
        Ok(row.is_some())
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
        let row: Option<(Option<i64>, i64, i64, i64)> = sqlx::query_as(
            "SELECT confirmed_at_ms, challenge, challenge_attempts, challenge_expires_at_ms FROM contacts
             WHERE id = ? AND account_id = ? AND removed_at_ms IS NULL",
        )
        .bind(contact_id)
        .bind(account_id)
        .fetch_optional(&mut *write)
        .await?;
        let Some((confirmed, challenge, attempts, expires_at_ms)) = row else { return Ok(Confirmation::NotFound) };
        if confirmed.is_some() {
            return Ok(Confirmation::Confirmed);
        }
        if has_confirmed(&mut write, account_id, Some(contact_id)).await? {
            return Ok(Confirmation::NeedsApproval);
        }
        if attempts >= CHALLENGE_ATTEMPTS {
            return Ok(Confirmation::Locked);
        }
        if now_ms > expires_at_ms {
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
            challenge: column::unsigned(challenge, "contacts")?,
            attempts_left: column::unsigned(CHALLENGE_ATTEMPTS - attempts - 1, "contacts")?,
        })
    }

    /// The digits were right: confirms the contact and gives the guess back, unless another one was first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn confirm_contact(
        &self,
        account_id: Uuid,
        contact_id: Uuid,
        guess: GuessId,
        now_ms: i64,
    ) -> Result<Confirmation, StoreError> {
        let mut write = self.write().await?;
        if has_confirmed(&mut write, account_id, Some(contact_id)).await? {
            return Ok(Confirmation::NeedsApproval);
        }
        let confirmed = sqlx::query(
            "UPDATE contacts SET confirmed_at_ms = coalesce(confirmed_at_ms, ?), challenge_attempts = 0
             WHERE id = ? AND account_id = ? AND removed_at_ms IS NULL",
        )
        .bind(now_ms)
        .bind(contact_id)
        .bind(account_id)
        .execute(&mut *write)
        .await?;
        if confirmed.rows_affected() == 0 {
            return Ok(Confirmation::NotFound);
        }
        guesses::give_back(&mut write, guess).await?;
        write.commit().await?;
        Ok(Confirmation::Confirmed)
    }

    /// Removes a contact that was never confirmed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn remove_contact(&self, account_id: Uuid, contact_id: Uuid, now_ms: i64) -> Result<Removal, StoreError> {
        let mut write = self.write().await?;
        let row: Option<(Option<i64>,)> = sqlx::query_as(
            "UPDATE contacts SET removed_at_ms = iif(confirmed_at_ms IS NULL, ?, NULL)
             WHERE id = ? AND account_id = ? AND removed_at_ms IS NULL RETURNING removed_at_ms",
        )
        .bind(now_ms)
        .bind(contact_id)
        .bind(account_id)
        .fetch_optional(&mut *write)
        .await?;
        write.commit().await?;
        Ok(match row {
            None => Removal::NotFound,
            Some((None,)) => Removal::NeedsApproval,
            Some((Some(_),)) => Removal::Removed,
        })
    }
}

/// Whether the account has a confirmed contact besides `except`.
async fn has_confirmed(write: &mut SqliteConnection, account: Uuid, except: Option<Uuid>) -> Result<bool, StoreError> {
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

/// How long until another confirmation message may go out, in seconds. Removed contacts count: removing and adding an
/// address again sends no more mail to it.
async fn notice_wait(write: &mut SqliteConnection, new: &NewContact<'_>) -> Result<Option<u64>, StoreError> {
    let last: Option<i64> = sqlx::query_scalar(
        "SELECT max(n.created_at_ms) FROM notices n JOIN contacts c ON c.id = n.contact_id
         WHERE n.account_id = ? AND c.channel = ? AND c.address_tag = ?",
    )
    .bind(new.account_id)
    .bind(new.channel)
    .bind(new.address_tag.as_slice())
    .fetch_one(&mut *write)
    .await?;
    if let Some(free_at) = last.map(|at| at.saturating_add(RESEND_AFTER_MS)).filter(|at| *at > new.now_ms) {
        return Ok(Some(seconds_until(free_at, new.now_ms)));
    }
    // The fifth last one: once it has left the window, there is room again.
    let oldest: Option<i64> = sqlx::query_scalar(
        "SELECT created_at_ms FROM notices WHERE account_id = ? ORDER BY created_at_ms DESC LIMIT 1 OFFSET ?",
    )
    .bind(new.account_id)
    .bind(NOTICES - 1)
    .fetch_optional(write)
    .await?;
    let free_at = oldest.map(|at| at.saturating_add(NOTICE_WINDOW_MS));
    Ok(free_at.filter(|at| *at > new.now_ms).map(|at| seconds_until(at, new.now_ms)))
}
