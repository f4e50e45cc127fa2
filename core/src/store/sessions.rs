//! Used sign-in nonces, sessions, and the proofs of device keys. Writer: the relayer.

use alloy::primitives::Address;
use sqlx::{FromRow, SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::{
    Store, StoreError,
    column::{json, placed},
    group::Outcome,
};

/// Used nonces are kept a day longer than they live, so that a clock that is set back makes none good again.
const NONCE_MARGIN_MS: i64 = 86_400_000;

/// How long after a session's end it is known where and by which device it was used.
const KNOWN_MS: i64 = 7 * 86_400_000;
/// So many sessions are forgotten at once: others wait for the commit.
const FORGOTTEN_AT_ONCE: i64 = 1_000;

/// The zeros are those of the index, which serves nothing else.
pub(super) const FORGET: &str = "
    UPDATE sessions SET device_key = NULL, fingerprint = zeroblob(32) WHERE id IN (
        SELECT id FROM sessions WHERE expires_at_ms <= ?1
            AND fingerprint <> x'0000000000000000000000000000000000000000000000000000000000000000' LIMIT ?2)";

/// The sessions in the JSON array ?1, `[session, time]` each, that run at that time; with the place in it.
pub(super) const RUNNING: &str = "
    SELECT asked.key AS n, s.account_id, s.domain, s.expires_at_ms, s.key_version, s.device_key, s.fingerprint
    FROM json_each(?1) asked CROSS JOIN sessions s ON s.id = unhex(asked.value ->> 0)
    WHERE s.ended_at_ms IS NULL AND s.expires_at_ms > asked.value ->> 1";

/// A keyed hash of the program and, behind it, one of the network that a session was used from, 16 bytes each.
pub type Fingerprint = [u8; 32];

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
    /// What else it is bound to.
    pub binding: Binding,
    /// Now, in Unix milliseconds.
    pub now_ms: i64,
    /// When it ends, in Unix milliseconds.
    pub expires_at_ms: i64,
}

/// What a session is bound to beside its page.
#[derive(Debug, Clone, Default)]
pub struct Binding {
    /// The data key whose sub-key signs its tokens.
    pub key_version: u32,
    /// RFC 7638 thumbprint of the device's key, where the client offered one.
    pub device_key: Option<[u8; 32]>,
    /// Where it began.
    pub fingerprint: Fingerprint,
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
    /// The data key whose sub-key signs its tokens.
    pub key_version: u32,
    /// RFC 7638 thumbprint of the device's key.
    pub device_key: Option<Vec<u8>>,
    /// Where it was last used.
    pub fingerprint: Vec<u8>,
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
        insert(&mut write, account, new).await?;
        write.commit().await?;
        Ok(Some(account))
    }

    /// The session, `None` where there is none, it was ended, or it has expired.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn session(&self, id: Uuid, now_ms: i64) -> Result<Option<SessionRow>, StoreError> {
        let question = (id, now_ms);
        if let Some(row) = self.sessions.ask(question).await {
            return Ok(row);
        }
        Ok(find_all(&self.readers, &[question]).await?.pop().flatten())
    }

    /// Ends a session at once.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn end_session(&self, id: Uuid, now_ms: i64) -> Result<(), StoreError> {
        let end = sqlx::query("UPDATE sessions SET ended_at_ms = ? WHERE id = ? AND ended_at_ms IS NULL");
        self.alone(end.bind(now_ms).bind(id)).await?;
        Ok(())
    }

    /// Takes a session's new fingerprint in place of the one that was seen. Returns whether it was still that one, so
    /// that of several calls at once one tells of the change.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn move_session(&self, id: Uuid, seen: &[u8], now: &Fingerprint) -> Result<bool, StoreError> {
        let to = sqlx::query("UPDATE sessions SET fingerprint = ? WHERE id = ? AND fingerprint = ?");
        let moved = self.alone(to.bind(now.as_slice()).bind(id).bind(seen)).await?;
        Ok(moved.rows_affected() == 1)
    }

    /// Forgets of sessions that ended a week ago where and by which device they were used. Returns of how many; a thousand at
    /// most, so that there may be more.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget_sessions(&self, now_ms: i64) -> Result<u64, StoreError> {
        let forget = sqlx::query(FORGET);
        let forgotten = self.alone(forget.bind(now_ms.saturating_sub(KNOWN_MS)).bind(FORGOTTEN_AT_ONCE)).await?;
        Ok(forgotten.rows_affected())
    }

    /// Uses up a device key's proof, given by a hash of key and proof id. Returns whether it was new. It is kept until
    /// `keep_until_ms`, past which nobody takes the proof any more.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn use_proof(&self, proof: [u8; 32], keep_until_ms: i64, now_ms: i64) -> Result<bool, StoreError> {
        self.group.run(move |write| Box::pin(async move { use_proof(write, proof, keep_until_ms, now_ms).await })).await
    }
}

async fn use_proof(
    write: &mut SqliteConnection,
    proof: [u8; 32],
    keep_until_ms: i64,
    now_ms: i64,
) -> Result<Outcome<bool>, StoreError> {
    sqlx::query("DELETE FROM used_proofs WHERE keep_until_ms <= ?").bind(now_ms).execute(&mut *write).await?;
    let used = sqlx::query("INSERT INTO used_proofs (proof, keep_until_ms) VALUES (?, ?) ON CONFLICT DO NOTHING")
        .bind(proof.as_slice())
        .bind(keep_until_ms)
        .execute(write)
        .await?;
    Ok(if used.rows_affected() == 1 { Outcome::Keep(true) } else { Outcome::Undo(false) })
}

/// Those of the sessions, each at a time in Unix milliseconds, that run.
pub(super) async fn find_all(
    readers: &SqlitePool,
    asked: &[(Uuid, i64)],
) -> Result<Vec<Option<SessionRow>>, StoreError> {
    let rows: Vec<_> = asked.iter().map(|(id, at_ms)| (hex::encode(id), at_ms)).collect();
    let found: Vec<PlacedSession> = sqlx::query_as(RUNNING).bind(json(&rows)?).fetch_all(readers).await?;
    Ok(placed(asked.len(), found.into_iter().map(|row| (row.n, row.session))))
}

#[derive(FromRow)]
struct PlacedSession {
    n: i64,
    #[sqlx(flatten)]
    session: SessionRow,
}

async fn insert(write: &mut SqliteConnection, account: Uuid, new: &NewSession<'_>) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO sessions (id, account_id, domain, key_version, device_key, fingerprint, created_at_ms,
                               expires_at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(new.session_id)
    .bind(account)
    .bind(new.domain)
    .bind(new.binding.key_version)
    .bind(new.binding.device_key.as_ref().map(<[u8; 32]>::as_slice))
    .bind(new.binding.fingerprint.as_slice())
    .bind(new.now_ms)
    .bind(new.expires_at_ms)
    .execute(write)
    .await?;
    Ok(())
}

/// Ends the account's sessions at once, all but `except`; part of whatever changes what a session may do.
pub(super) async fn end_all(
    write: &mut SqliteConnection,
    account: Uuid,
    except: Option<Uuid>,
    now_ms: i64,
) -> Result<u64, StoreError> {
    let ended = sqlx::query(
        "UPDATE sessions SET ended_at_ms = ?
         WHERE account_id = ? AND id IS NOT ? AND ended_at_ms IS NULL AND expires_at_ms > ?",
    )
    .bind(now_ms)
    .bind(account)
    .bind(except)
    .bind(now_ms)
    .execute(write)
    .await?;
    Ok(ended.rows_affected())
}

/// Ends the account's sessions that began no later than `begun_by_ms`; returns how many.
pub(super) async fn end_begun_by(
    write: &mut SqliteConnection,
    account: Uuid,
    begun_by_ms: i64,
    now_ms: i64,
) -> Result<u64, StoreError> {
    let ended = sqlx::query(
        "UPDATE sessions SET ended_at_ms = ?1
         WHERE account_id = ?2 AND created_at_ms <= ?3 AND ended_at_ms IS NULL AND expires_at_ms > ?1",
    )
    .bind(now_ms)
    .bind(account)
    .bind(begun_by_ms)
    .execute(write)
    .await?;
    Ok(ended.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn begin(store: &Store, expires_at_ms: i64) -> Uuid {
        let id = Uuid::now_v7();
        let new = NewSession {
            nonce: &id.to_string(),
            nonce_expires_at_ms: i64::MAX,
            wallet: Address::ZERO,
            new_account_id: id,
            new_seed_sealed: &[0; 48],
            session_id: id,
            domain: "app.example",
            binding: Binding { key_version: 1, device_key: Some([7; 32]), fingerprint: [9; 32] },
            now_ms: 0,
            expires_at_ms,
        };
        store.start_session(&new).await.unwrap().unwrap();
        id
    }

    #[tokio::test]
    async fn of_a_session_that_is_long_over_nobody_knows_where_it_was_used() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("otp.db")).await.unwrap();
        let (past, recent) = (begin(&store, 1_000).await, begin(&store, 2_000).await);
        assert_eq!(store.forget_sessions(KNOWN_MS + 999).await.unwrap(), 0);
        assert_eq!(store.forget_sessions(KNOWN_MS + 1_000).await.unwrap(), 1);
        assert_eq!(store.forget_sessions(KNOWN_MS + 1_000).await.unwrap(), 0, "it was forgotten already");
        // As they were while they ran.
        let (past, recent) =
            (store.session(past, 0).await.unwrap().unwrap(), store.session(recent, 0).await.unwrap().unwrap());
        assert_eq!((past.device_key, past.fingerprint), (None, vec![0; 32]));
        assert_eq!((recent.device_key, recent.fingerprint), (Some(vec![7; 32]), vec![9; 32]));
    }
}
