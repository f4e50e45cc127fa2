//! "This was not me": the link in a code's message. Writer: the relayer.

use sqlx::FromRow;
use uuid::Uuid;

use super::{PENDING_MS, Store, StoreError, sessions::end_begun_by};

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
    created_at_ms: i64,
}

impl Reportable {
    /// When the code has expired at the latest, in Unix milliseconds; one that is not on the chain, as if it had got there
    /// at the last moment.
    fn expired_by_ms(&self) -> i64 {
        let expiry_ms = self.expiry_s.map(|expiry| expiry.saturating_mul(1_000));
        expiry_ms.unwrap_or(self.created_at_ms.saturating_add(PENDING_MS / 2))
    }
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
    /// What the token of a link is checked against; `None` where there is no such request, its contact was removed or its
    /// account erased.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn reportable(&self, request_id: Uuid) -> Result<Option<Reportable>, StoreError> {
        let row = sqlx::query_as(
            "SELECT r.account_id, a.seed_sealed, r.created_at_ms,
                    (SELECT max(l.expiry) FROM landings l WHERE l.request_id = r.id) AS expiry_s
             FROM requests r JOIN accounts a ON a.id = r.account_id JOIN contacts c ON c.id = r.contact_id
             WHERE r.id = ? AND a.erased_at_ms IS NULL AND c.removed_at_ms IS NULL",
        )
        .bind(request_id);
        Ok(row.fetch_optional(&self.readers).await?)
    }

    /// Locks a request whose link's token was right, and ends every session of its account. Asked again, or where the code
    /// is `over`, only those that began before the code had expired: no other can have asked for it or use it, and a link
    /// does not keep its account's owner out for ever. The code on the chain is [`Store::owe_revocation`]'s.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn report(
        &self,
        request_id: Uuid,
        row: &Reportable,
        over: bool,
        now_ms: i64,
    ) -> Result<Reported, StoreError> {
        let mut write = self.write().await?;
        let locked = sqlx::query("UPDATE requests SET locked_at_ms = ? WHERE id = ? AND locked_at_ms IS NULL")
            .bind(now_ms)
            .bind(request_id)
            .execute(&mut *write)
            .await?;
        let newly_locked = locked.rows_affected() == 1;
        let begun_by_ms = if newly_locked && !over { i64::MAX } else { row.expired_by_ms() };
        let sessions_ended = end_begun_by(&mut write, row.account_id, begun_by_ms, now_ms).await?;
        write.commit().await?;
        Ok(Reported { newly_locked, sessions_ended })
    }
}
