//! Erasing what we attest: on schedule, and with the account. Entries and their hashes stay.

use uuid::Uuid;

use std::sync::atomic::Ordering;

use crate::store::{Store, StoreError, Write, column};

/// Rows in one transaction.
const AT_ONCE: u32 = 200;

/// What a round of erasing did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErasedEvidence {
    /// Openings that are gone.
    pub openings: u64,
    /// Accounts whose keyed hash means nothing any more.
    pub accounts: u64,
}

impl Store {
    /// Erases what is attested of accounts that were erased, and what was written before `before_ms`, from the file and
    /// its log; at most a few hundred rows. What was erased has to be taken out of exported files as well.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn erase_evidence(&self, before_ms: i64) -> Result<ErasedEvidence, StoreError> {
        let accounts: Vec<Uuid> = sqlx::query_scalar(
            "SELECT a.id FROM accounts a JOIN evidence_accounts e ON e.account_id = a.id
             WHERE a.erased_at_ms IS NOT NULL LIMIT ?",
        )
        .bind(AT_ONCE)
        .fetch_all(&self.readers)
        .await?;
        // The oldest rows come first: where these are too young, all are.
        let oldest: Vec<(i64, i64)> =
            sqlx::query_as("SELECT idx, written_at_ms FROM evidence_attested ORDER BY idx LIMIT ?")
                .bind(AT_ONCE)
                .fetch_all(&self.readers)
                .await?;
        let old: Vec<i64> = oldest.into_iter().filter(|(_, at_ms)| *at_ms < before_ms).map(|(idx, _)| idx).collect();
        if accounts.is_empty() && old.is_empty() {
            self.empty_log().await?;
            return Ok(ErasedEvidence::default());
        }
        self.log_holds_erased.store(true, Ordering::Release);
        let mut erased = ErasedEvidence { openings: 0, accounts: accounts.len() as u64 };
        for account in accounts {
            let mut tx = self.write().await?;
            erased.openings += erase_account(&mut tx, account).await?;
            tx.commit().await?;
        }
        let mut tx = self.write().await?;
        for idx in old {
            erased.openings += erase_one(&mut tx, idx).await?;
        }
        tx.commit().await?;
        self.empty_log().await?;
        Ok(erased)
    }

    /// Entries whose opening was erased and may still stand in exported files, ascending.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn evidence_to_take_out(&self, limit: u32) -> Result<Vec<u64>, StoreError> {
        let rows: Vec<i64> = sqlx::query_scalar("SELECT idx FROM evidence_erased ORDER BY idx LIMIT ?")
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(|idx| column::unsigned(idx, "evidence_erased")).collect()
    }

    /// The openings of these entries stand in no file any more.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn evidence_taken_out(&self, first: u64, last: u64) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM evidence_erased WHERE idx BETWEEN ? AND ?")
            .bind(column::signed(first))
            .bind(column::signed(last))
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }
}

async fn erase_account(tx: &mut Write, account: Uuid) -> Result<u64, StoreError> {
    sqlx::query("INSERT INTO evidence_erased (idx) SELECT idx FROM evidence_attested WHERE account_id = ?")
        .bind(account)
        .execute(&mut **tx)
        .await?;
    let openings = sqlx::query("DELETE FROM evidence_attested WHERE account_id = ?")
        .bind(account)
        .execute(&mut **tx)
        .await?
        .rows_affected();
    sqlx::query("DELETE FROM evidence_accounts WHERE account_id = ?").bind(account).execute(&mut **tx).await?;
    Ok(openings)
}

/// An account's random bytes go with the last opening that was made with them.
async fn erase_one(tx: &mut Write, idx: i64) -> Result<u64, StoreError> {
    let account: Option<Uuid> = sqlx::query_scalar("DELETE FROM evidence_attested WHERE idx = ? RETURNING account_id")
        .bind(idx)
        .fetch_optional(&mut **tx)
        .await?;
    let Some(account) = account else { return Ok(0) };
    sqlx::query("INSERT INTO evidence_erased (idx) VALUES (?)").bind(idx).execute(&mut **tx).await?;
    sqlx::query(
        "DELETE FROM evidence_accounts WHERE account_id = ?1
         AND NOT EXISTS (SELECT 1 FROM evidence_attested WHERE account_id = ?1)",
    )
    .bind(account)
    .execute(&mut **tx)
    .await?;
    Ok(1)
}
