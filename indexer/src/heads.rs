//! Announcements of new heads by WebSocket (`eth_subscribe`, `newHeads`): a wake-up for the tail and nothing else.

use alloy::primitives::B256;
use tokio::sync::watch;

/// The head that was announced last.
#[derive(Debug)]
pub struct Heads(watch::Receiver<B256>);

impl Heads {
    /// Where no socket is configured: never announces anything.
    #[must_use]
    pub fn none() -> Self {
        Self(watch::channel(B256::ZERO).1)
    }

    /// The next announcement; of several since the last one, the newest.
    pub async fn next(&mut self) -> B256 {
        match self.0.changed().await {
            Ok(()) => *self.0.borrow_and_update(),
            // Nobody announces any more.
            Err(_) => std::future::pending().await,
        }
    }
}
