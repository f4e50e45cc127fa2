//! Accounts. Writer: the relayer.

use alloy::primitives::Address;
use uuid::Uuid;

use super::{Store, StoreError};

/// Wrong digits in a row, over all of an account's requests and contacts, after which it evaluates no more until
/// [`Store::unlock_account`] (NIST SP 800-63B: no more than 100).
pub const MOST_WRONG_IN_A_ROW: i64 = 100;

impl Store {
    /// Whether too many wrong digits in a row have locked the account: none are evaluated any more.
    ///
    /// # Errors
    /// When the store fails or has no such account.
    pub async fn is_account_locked(&self, account_id: Uuid) -> Result<bool, StoreError> {
        let wrong: i64 = sqlx::query_scalar("SELECT wrong_in_row FROM accounts WHERE id = ?")
            .bind(account_id)
            .fetch_one(&self.readers)
            .await?;
        Ok(wrong >= MOST_WRONG_IN_A_ROW)
    }

    /// Lets a wallet's account evaluate digits again, as the operator's decision. Returns the account and whether it was
    /// locked; `None` where the wallet has no account.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn unlock_account(&self, wallet: Address) -> Result<Option<(Uuid, bool)>, StoreError> {
        let mut write = self.write().await?;
        let row: Option<(Uuid, i64)> =
            sqlx::query_as("SELECT id, wrong_in_row FROM accounts WHERE wallet = ? AND closed_at_ms IS NULL")
                .bind(wallet.as_slice())
                .fetch_optional(&mut *write)
                .await?;
        let Some((account, wrong)) = row else { return Ok(None) };
        sqlx::query("UPDATE accounts SET wrong_in_row = 0 WHERE id = ?").bind(account).execute(&mut *write).await?;
        write.commit().await?;
        Ok(Some((account, wrong >= MOST_WRONG_IN_A_ROW)))
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
