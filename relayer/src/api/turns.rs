//! One guess at a time for an account, so that of many answers at once a right one within the budget is not refused
//! because others are still being compared. The limits themselves stand in the store.

use std::time::Duration;

use axum::http::StatusCode;
use otp_core::http::Problem;
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

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
}
