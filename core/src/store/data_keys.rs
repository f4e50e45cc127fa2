//! The wrapped data keys. Writer: the relayer.

use sqlx::FromRow;

use super::{Store, StoreError};
use crate::clock::now_ms;

/// A data key as it is stored.
#[derive(Debug, Clone, FromRow)]
pub struct DataKeyRow {
    /// Rises from 1; every sealed value names it.
    pub version: u32,
    /// The key under the wrapping key.
    pub wrapped: Vec<u8>,
    /// Unix milliseconds.
    pub created_at_ms: i64,
}

impl Store {
    /// The wrapped keys, ascending by version.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn data_keys(&self) -> Result<Vec<DataKeyRow>, StoreError> {
        let rows = sqlx::query_as("SELECT version, wrapped, created_at_ms FROM data_keys ORDER BY version");
        Ok(rows.fetch_all(&self.readers).await?)
    }

    /// The newest version; 0 where there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn latest_data_key(&self) -> Result<u32, StoreError> {
        let version = sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM data_keys");
        Ok(version.fetch_one(&self.readers).await?)
    }

    /// Adds a version; `false` where it is there already, which leaves the table alone.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn insert_data_key(&self, version: u32, wrapped: &[u8]) -> Result<bool, StoreError> {
        let insert = sqlx::query(
            "INSERT INTO data_keys (version, wrapped, created_at_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        );
        let inserted = self.alone(insert.bind(version).bind(wrapped).bind(now_ms())).await?;
        Ok(inserted.rows_affected() == 1)
    }

    /// Replaces a key's wrapping, unless another process was first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn replace_wrapped_data_key(&self, version: u32, old: &[u8], new: &[u8]) -> Result<(), StoreError> {
        let replace = sqlx::query("UPDATE data_keys SET wrapped = ? WHERE version = ? AND wrapped = ?");
        self.alone(replace.bind(new).bind(version).bind(old)).await?;
        Ok(())
    }
}
