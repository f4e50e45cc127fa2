//! Used sign-in nonces, accounts and sessions. Writer: the relayer.

use alloy::primitives::Address;
use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, StoreError};

/// Used nonces are kept a day longer than they live, so that a clock that is set back makes none good again.
const NONCE_MARGIN_MS: i64 = 86_400_000;

/// A sign-in whose signature was right.
#[derive(Debug)]
pub struct NewSession<'a> {
    /// The nonce in the message, used up by this.
    pub nonce: &'a str,
    /// When the nonce expires, in Unix milliseconds.
    pub nonce_expires_at_ms: i64,
    /// Who signed.
    pub wallet: Address,
    /// The account's id, should this be the wallet's first sign-in.
    pub new_account_id: Uuid,
    /// Its seed, sealed for that id.
    pub new_seed_sealed: &'a [u8],
    /// The session's id.
    pub session_id: Uuid,
    /// The authority of the page that it is bound to.
    pub domain: &'a str,
    /// Now, in Unix milliseconds.
    pub now_ms: i64,
    /// When it ends, in Unix milliseconds.
    pub expires_at_ms: i64,
}

/// A session that runs.
#[derive(Debug, Clone, FromRow)]
pub struct SessionRow {
    /// Whose it is.
    pub account_id: Uuid,
    /// The authority of the page that it is bound to.
    pub domain: String,
    /// When it ends, in Unix milliseconds.
    pub expires_at_ms: i64,
}

impl Store {
    /// Uses up the nonce, makes the wallet's account where it has none, and starts a session: all or nothing. Returns
    /// the account's id, `None` when the nonce was used.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn start_session(&self, new: &NewSession<'_>) -> Result<Option<Uuid>, StoreError> {
        let mut write = self.write().await?;
        sqlx::query("DELETE FROM used_nonces WHERE expires_at_ms <= ?")
            .bind(new.now_ms.saturating_sub(NONCE_MARGIN_MS))
            .execute(&mut *write)
            .await?;
        let used = sqlx::query("INSERT INTO used_nonces (nonce, expires_at_ms) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(new.nonce)
            .bind(new.nonce_expires_at_ms)
            .execute(&mut *write)
            .await?;
        if used.rows_affected() == 0 {
            return Ok(None);
        }
        sqlx::query(
            "INSERT INTO accounts (id, wallet, seed_sealed, created_at_ms) VALUES (?, ?, ?, ?)
             ON CONFLICT (wallet) WHERE closed_at_ms IS NULL DO NOTHING",
        )
        .bind(new.new_account_id)
        .bind(new.wallet.as_slice())
        .bind(new.new_seed_sealed)
        .bind(new.now_ms)
        .execute(&mut *write)
        .await?;
        let account: Uuid = sqlx::query_scalar("SELECT id FROM accounts WHERE wallet = ? AND closed_at_ms IS NULL")
            .bind(new.wallet.as_slice())
            .fetch_one(&mut *write)
            .await?;
        sqlx::query(
            "INSERT INTO sessions (id, account_id, domain, created_at_ms, expires_at_ms) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(new.session_id)
        .bind(account)
        .bind(new.domain)
        .bind(new.now_ms)
        .bind(new.expires_at_ms)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(Some(account))
    }

    /// The session, `None` where there is none, it was ended, or it has expired.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn session(&self, id: Uuid, now_ms: i64) -> Result<Option<SessionRow>, StoreError> {
        let row = sqlx::query_as(
            "SELECT account_id, domain, expires_at_ms FROM sessions
             WHERE id = ? AND ended_at_ms IS NULL AND expires_at_ms > ?",
        )
        .bind(id)
        .bind(now_ms);
        Ok(row.fetch_optional(&self.readers).await?)
    }

    /// Ends a session at once.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn end_session(&self, id: Uuid, now_ms: i64) -> Result<(), StoreError> {
        sqlx::query("UPDATE sessions SET ended_at_ms = ? WHERE id = ? AND ended_at_ms IS NULL")
            .bind(now_ms)
            .bind(id)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// The account's sealed seed.
    ///
    /// # Errors
    /// When the store fails or has no such account.
    pub async fn sealed_seed(&self, account_id: Uuid) -> Result<Vec<u8>, StoreError> {
        let seed = sqlx::query_scalar("SELECT seed_sealed FROM accounts WHERE id = ?").bind(account_id);
        Ok(seed.fetch_one(&self.readers).await?)
    }
}
