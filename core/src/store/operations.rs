//! What an operator looks at of the relayer's tables. Nothing is written here.

use alloy::primitives::Address;

use super::{Store, StoreError, column};
use crate::clock::now_us;

impl Store {
    /// Transactions that are signed and not mined, by what they do.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn unmined_calls(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT kind, count(*) FROM calls WHERE state NOT IN ('final', 'dead') AND state IN ('signed', 'late')
             GROUP BY kind",
        )
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(|(kind, count)| Ok((kind, column::unsigned(count, "calls")?))).collect()
    }

    /// Buckets that are not full, by their limit: who was limited lately, or is on the way to it. How often a limit
    /// refused is the relayer's to count.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn buckets_in_use(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT scope, count(*) FROM buckets WHERE full_at_us > ? GROUP BY scope")
                .bind(now_us())
                .fetch_all(&self.readers)
                .await?;
        rows.into_iter().map(|(scope, count)| Ok((scope, column::unsigned(count, "buckets")?))).collect()
    }

    /// Accounts of ours that send transactions, and the nonce of the next one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn senders(&self) -> Result<Vec<(Address, u64)>, StoreError> {
        let rows: Vec<(Vec<u8>, i64)> =
            sqlx::query_as("SELECT address, next_nonce FROM senders ORDER BY address").fetch_all(&self.readers).await?;
        rows.into_iter()
            .map(|(address, nonce)| Ok((column::address(&address, "senders")?, column::unsigned(nonce, "senders")?)))
            .collect()
    }
}
