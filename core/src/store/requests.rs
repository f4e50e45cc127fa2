//! Requests as they stand. Writer: the relayer (accepting them is in `submissions.rs`, attempts at their digits are in
//! `attempts.rs`, the batcher's part is in `issuance`).

use alloy::primitives::B256;
use uuid::Uuid;

use super::{Store, StoreError};

impl Store {
    /// The request that a code on the chain was given to; `None` for a code that is not of this store.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn request_of(&self, on_chain_id: B256) -> Result<Option<Uuid>, StoreError> {
        let row = sqlx::query_scalar("SELECT request_id FROM issuances WHERE on_chain_id = ?");
        Ok(row.bind(on_chain_id.as_slice()).fetch_optional(&self.readers).await?)
    }

    /// Ids of the account's requests, newest first, from before `before`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn request_ids(
        &self,
        account_id: Uuid,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Uuid>, StoreError> {
        let before = before.unwrap_or(Uuid::max());
        let rows =
            sqlx::query_scalar("SELECT id FROM requests WHERE account_id = ? AND id < ? ORDER BY id DESC LIMIT ?")
                .bind(account_id)
                .bind(before)
                .bind(limit);
        Ok(rows.fetch_all(&self.readers).await?)
    }

    /// Requests and calls by state, as `requests.queued` or `batch.mined`; states with none are left out.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn counts(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let rows = sqlx::query_as(
            "SELECT 'requests.' || state, count(*) FROM requests GROUP BY state
             UNION ALL SELECT kind || '.' || state, count(*) FROM calls GROUP BY kind, state",
        );
        Ok(rows.fetch_all(&self.readers).await?)
    }
}
