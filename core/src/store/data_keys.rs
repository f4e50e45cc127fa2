//! The wrapped data keys. Writer: the relayer.

use super::{Store, StoreError};
use crate::clock::now_ms;

impl Store {
    /// Versions and wrapped keys, ascending by version.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn data_keys(&self) -> Result<Vec<(u32, Vec<u8>)>, StoreError> {
        let rows = sqlx::query_as("SELECT version, wrapped FROM data_keys ORDER BY version");
        Ok(rows.fetch_all(&self.readers).await?)
    }

    /// Adds a version; leaves the table alone where the version is there already.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn insert_data_key(&self, version: u32, wrapped: &[u8]) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO data_keys (version, wrapped, created_at_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
            .bind(version)
            .bind(wrapped)
            .bind(now_ms())
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}
