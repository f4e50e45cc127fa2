//! Moving sealed columns to a newer data key, a few rows at a time. Writer: the relayer.
//!
//! How far it came is committed with the rows, so it goes on where a crash left it. What was erased is an empty value and
//! stays one.

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::{Store, StoreError, Write};
use crate::clock::now_ms;

/// A column that holds sealed values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedColumn {
    /// Its table, whose `id` is the owner.
    table: &'static str,
    column: &'static str,
    /// Under which its values are sealed.
    pub domain: &'static str,
}

/// Every sealed column of the schema.
pub const SEALED_COLUMNS: [SealedColumn; 3] = [
    SealedColumn { table: "accounts", column: "seed_sealed", domain: "seed" },
    SealedColumn { table: "contacts", column: "address_sealed", domain: "contact" },
    SealedColumn { table: "requests", column: "authorization_sealed", domain: "authorization" },
];

/// How far a column has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, FromRow)]
pub struct Resealed {
    /// Rows that were sealed anew.
    pub resealed: i64,
    /// Rows that did not open and were left alone.
    pub unopened: i64,
    /// When the last row was passed, in Unix milliseconds.
    pub finished_at_ms: Option<i64>,
}

/// What is to be done with one value.
#[derive(Debug)]
pub enum Resealing {
    /// It stands under the newest key already.
    Keep,
    /// Store this instead.
    Replace(Vec<u8>),
    /// It does not open.
    Unopened,
}

impl SealedColumn {
    /// `table.column`
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.table, self.column)
    }
}

impl Store {
    /// Looks at the next `limit` rows of a column and stores what `reseal` makes of them; returns how far it came.
    ///
    /// # Errors
    /// When the store fails; then nothing was changed.
    pub async fn reseal(
        &self,
        column: SealedColumn,
        version: u32,
        limit: u32,
        mut reseal: impl FnMut(Uuid, &[u8]) -> Resealing + Send,
    ) -> Result<Resealed, StoreError> {
        let mut tx = self.write().await?;
        let (after, mut done) = cursor(&mut tx, column, version).await?;
        if done.finished_at_ms.is_some() {
            return Ok(done);
        }
        let SealedColumn { table, column: name, .. } = column;
        let select = format!("SELECT id, {name} FROM {table} WHERE id > ? ORDER BY id LIMIT ?");
        let rows: Vec<(Vec<u8>, Vec<u8>)> =
            sqlx::query_as(AssertSqlSafe(select)).bind(&after).bind(limit).fetch_all(&mut *tx).await?;
        let update = format!("UPDATE {table} SET {name} = ? WHERE id = ?");
        for (id, sealed) in rows.iter().filter(|(_, sealed)| !sealed.is_empty()) {
            let owner = Uuid::from_slice(id).map_err(|_| StoreError::Damaged { table })?;
            match reseal(owner, sealed) {
                Resealing::Keep => {}
                Resealing::Unopened => done.unopened += 1,
                Resealing::Replace(anew) => {
                    sqlx::query(AssertSqlSafe(update.clone())).bind(anew).bind(id).execute(&mut *tx).await?;
                    done.resealed += 1;
                }
            }
        }
        done.finished_at_ms = (rows.len() < limit as usize).then(now_ms);
        let after = rows.last().map_or(after, |(id, _)| id.clone());
        sqlx::query(
            "UPDATE resealing SET after = ?, resealed = ?, unopened = ?, finished_at_ms = ?
             WHERE version = ? AND place = ?",
        )
        .bind(after)
        .bind(done.resealed)
        .bind(done.unopened)
        .bind(done.finished_at_ms)
        .bind(version)
        .bind(column.name())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done)
    }

    /// How far a column has come towards a data key.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn resealed(&self, column: SealedColumn, version: u32) -> Result<Resealed, StoreError> {
        let row =
            sqlx::query_as("SELECT resealed, unopened, finished_at_ms FROM resealing WHERE version = ? AND place = ?")
                .bind(version)
                .bind(column.name());
        Ok(row.fetch_optional(&self.readers).await?.unwrap_or_default())
    }

    /// How many values of a column stand under another data key than `version`. Looks at every row.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sealed_otherwise(&self, column: SealedColumn, version: u32) -> Result<i64, StoreError> {
        let SealedColumn { table, column, .. } = column;
        let count = format!("SELECT count(*) FROM {table} WHERE length({column}) > 0 AND substr({column}, 1, 4) <> ?");
        let count = sqlx::query_scalar(AssertSqlSafe(count)).bind(version.to_be_bytes().to_vec());
        Ok(count.fetch_one(&self.readers).await?)
    }

    /// Lets [`Store::reseal`] begin anew with a column.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn restart_resealing(&self, column: SealedColumn, version: u32) -> Result<(), StoreError> {
        let restart = sqlx::query("DELETE FROM resealing WHERE version = ? AND place = ?");
        self.alone(restart.bind(version).bind(column.name())).await?;
        Ok(())
    }
}

/// The last row passed, and what was done so far.
async fn cursor(tx: &mut Write, column: SealedColumn, version: u32) -> Result<(Vec<u8>, Resealed), StoreError> {
    sqlx::query("INSERT INTO resealing (version, place) VALUES (?, ?) ON CONFLICT DO NOTHING")
        .bind(version)
        .bind(column.name())
        .execute(&mut **tx)
        .await?;
    let (after, resealed, unopened, finished_at_ms) = sqlx::query_as(
        "SELECT after, resealed, unopened, finished_at_ms FROM resealing WHERE version = ? AND place = ?",
    )
    .bind(version)
    .bind(column.name())
    .fetch_one(&mut **tx)
    .await?;
    Ok((after, Resealed { resealed, unopened, finished_at_ms }))
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Store {
        pub(crate) async fn overwrite_seed(&self, account: Uuid, sealed: &[u8]) {
            let update = sqlx::query("UPDATE accounts SET seed_sealed = ? WHERE id = ?").bind(sealed).bind(account);
            update.execute(self.writer.pool()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn every_sealed_column_of_the_schema_is_moved() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("otp.db")).await.unwrap();
        let mut stored: Vec<String> = sqlx::query_scalar(
            "SELECT t.name || '.' || c.name FROM sqlite_master t, pragma_table_info(t.name) c
             WHERE t.type = 'table' AND c.name LIKE '%sealed' AND t.name <> 'resealing'",
        )
        .fetch_all(&store.readers)
        .await
        .unwrap();
        let mut moved: Vec<String> = SEALED_COLUMNS.iter().map(SealedColumn::name).collect();
        stored.sort();
        moved.sort();
        assert_eq!(stored, moved);
    }
}
