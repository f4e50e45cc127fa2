//! "This was not me": the link in a code's message. Writer: the relayer.

use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, StoreError, sessions::end_all};

/// What a link that reports is checked against.
#[derive(Debug, Clone, FromRow)]
pub struct Reportable {
    /// Whose request.
    pub account_id: Uuid,
    /// The account's sealed seed.
    pub seed_sealed: Vec<u8>,
    /// The last second in which the code can be verified, in Unix seconds of chain time; `None` while it is not on the
    /// chain.
    pub expiry_s: Option<i64>,
}

/// What a report did at the relayer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reported {
    /// Whether the request was not locked before.
    pub newly_locked: bool,
    /// Sessions that this ended.
    pub sessions_ended: u64,
}

impl Store {
    /// What the token of a link is checked against; `None` where there is no such request, or its account was erased.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn reportable(&self, request_id: Uuid) -> Result<Option<Reportable>, StoreError> {
        let row = sqlx::query_as(
            "SELECT r.account_id, a.seed_sealed,
                    (SELECT max(l.expiry) FROM landings l WHERE l.request_id = r.id) AS expiry_s
             FROM requests r JOIN accounts a ON a.id = r.account_id WHERE r.id = ? AND a.erased_at_ms IS NULL",
        )
        .bind(request_id);
        Ok(row.fetch_optional(&self.readers).await?)
    }

    /// Locks a request whose link's token was right, and ends every session of its account; asked again, it ends those
    /// that began since. The code on the chain is [`Store::owe_revocation`]'s.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn report(&self, account_id: Uuid, request_id: Uuid, now_ms: i64) -> Result<Reported, StoreError> {
        let mut write = self.write().await?;
        let locked = sqlx::query("UPDATE requests SET locked_at_ms = ? WHERE id = ? AND locked_at_ms IS NULL")
            .bind(now_ms)
            .bind(request_id)
            .execute(&mut *write)
            .await?;
        let sessions_ended = end_all(&mut write, account_id, None, now_ms).await?;
        write.commit().await?;
        Ok(Reported { newly_locked: locked.rows_affected() == 1, sessions_ended })
    }
}
