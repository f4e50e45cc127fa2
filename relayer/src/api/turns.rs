//! One guess at a time for an account, so that of many answers at once a right one within the budget is not refused
//! because others are still being compared; and none for an account that wrong ones have locked. The limits themselves
//! stand in the store.

use std::time::Duration;

use axum::http::StatusCode;
use otp_core::http::Problem;
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

use super::App;

/// Ids share this many locks by their last byte, which is random in a UUIDv7.
const SHARDS: usize = 256;
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Turns([Mutex<()>; SHARDS]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl Turns {
    /// Waits for the turn; it ends when the guard is dropped.
    pub(super) async fn take(&self, id: Uuid) -> Result<MutexGuard<'_, ()>, Problem> {
        let [.., shard] = *id.as_bytes();
        tokio::time::timeout(PATIENCE, self.0[usize::from(shard)].lock()).await.map_err(|_| {
            let detail = "too many attempts wait for their turn; nothing was counted";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy", detail).retry_after(1)
        })
    }

    /// The turn, where nobody has it and nobody waits for it.
    pub(super) fn take_now(&self, id: Uuid) -> Option<MutexGuard<'_, ()>> {
        let [.., shard] = *id.as_bytes();
        self.0[usize::from(shard)].try_lock().ok()
    }
}

/// No digits of this account are evaluated any more.
pub(super) fn account_locked() -> Problem {
    let detail = "too many wrong digits in a row: this account evaluates none until its operator unlocks it";
    Problem::new(StatusCode::LOCKED, "account-locked", "Account locked", detail)
}

impl App {
    /// Waits until it is the account's turn to guess, unless it may not any more.
    pub(super) async fn turn(&self, account_id: Uuid) -> Result<MutexGuard<'_, ()>, Problem> {
        let turn = self.turns.take(account_id).await?;
        if self.store.is_account_locked(account_id).await? {
            return Err(account_locked());
        }
        Ok(turn)
    }

    /// Tells when wrong digits were the last that the account had. The caller still holds the turn.
    pub(super) async fn tell_if_locked(&self, account_id: Uuid) -> Result<(), Problem> {
        if self.store.is_account_locked(account_id).await? {
            tracing::warn!(
                target: "security", event = "account-locked", %account_id,
                "a hundred wrong digits in a row: an operator has to unlock the account"
            );
        }
        Ok(())
    }
}
