//! How long the outbox is.

use super::{Store, StoreError, column};
use crate::clock::now_ms;

/// Messages that are not settled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Queue {
    /// To be sent now.
    pub due: u64,
    /// On their way.
    pub sending: u64,
    /// Tried without success, to be tried again later.
    pub waiting: u64,
    /// Given up.
    pub dead: u64,
    /// How long the oldest that is due has been, in milliseconds.
    pub oldest_due_ms: u64,
}

impl Store {
    /// The outbox as it stands.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn outbox(&self) -> Result<Queue, StoreError> {
        let now = now_ms();
        let (due, sending, waiting, oldest): (i64, i64, i64, Option<i64>) = sqlx::query_as(
            "SELECT coalesce(sum(due_at_ms <= ?1 AND lease_until_ms <= ?1), 0), coalesce(sum(lease_until_ms > ?1), 0),
                    coalesce(sum(due_at_ms > ?1 AND lease_until_ms <= ?1), 0),
                    min(due_at_ms) FILTER (WHERE lease_until_ms <= ?1)
             FROM deliveries WHERE state IN ('queued', 'sending')",
        )
        .bind(now)
        .fetch_one(&self.readers)
        .await?;
        let dead: i64 = sqlx::query_scalar("SELECT count(*) FROM deliveries WHERE state = 'failed'")
            .fetch_one(&self.readers)
            .await?;
        let count = |number| column::unsigned(number, "deliveries");
        let oldest_due_ms = oldest.map_or(0, |at_ms| u64::try_from(now.saturating_sub(at_ms)).unwrap_or_default());
        Ok(Queue {
            due: count(due)?,
            sending: count(sending)?,
            waiting: count(waiting)?,
            dead: count(dead)?,
            oldest_due_ms,
        })
    }
}
