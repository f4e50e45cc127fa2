//! Questions to a node on behalf of whoever asks the interface: few at once, few in a second, and none for long, so that
//! nobody can use up what the tail needs.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use alloy::contract;
use otp_core::chain::{self, Node, RpcFailure};
use tokio::sync::Semaphore;

/// Questions at once.
const AT_ONCE: usize = 4;
/// Questions a second for whoever has the admin token.
const OPERATORS: u32 = 20;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// Why there is no answer; in words, without a URL.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Unanswered(String);

impl Unanswered {
    /// No answer in time.
    #[must_use]
    pub fn late() -> Self {
        Self("the node did not answer in time".to_owned())
    }

    /// An answer without what was asked for.
    #[must_use]
    pub fn lacking() -> Self {
        Self("the node does not have what was asked for".to_owned())
    }
}

impl From<contract::Error> for Unanswered {
    fn from(error: contract::Error) -> Self {
        match error {
            contract::Error::TransportError(error) => error.into(),
            _ => Self("the node answered what makes no sense".to_owned()),
        }
    }
}

impl From<RpcFailure> for Unanswered {
    fn from(error: RpcFailure) -> Self {
        Self(format!("the node failed: {}", chain::brief(&error)))
    }
}

/// A node, to be asked within bounds; cheap to clone.
#[derive(Debug, Clone)]
pub struct Inquiry {
    node: Node,
    permits: Arc<Semaphore>,
    per_second: f64,
    /// What is left, and since when.
    left: Arc<Mutex<(f64, Instant)>>,
}

impl Inquiry {
    /// Over a node, or a pool of them, for the operator.
    #[must_use]
    pub fn new(node: Node) -> Self {
        Self::within(node, OPERATORS)
    }

    /// For others: `per_second` questions, twice as many in a row.
    #[must_use]
    pub fn within(node: Node, per_second: u32) -> Self {
        let per_second = f64::from(per_second);
        let left = Arc::new(Mutex::new((2.0 * per_second, Instant::now())));
        Self { node, permits: Arc::new(Semaphore::new(AT_ONCE)), per_second, left }
    }

    /// The node, for a question that [`Inquiry::ask`] asks.
    #[must_use]
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// Asks, unless too much was asked already.
    ///
    /// # Errors
    /// [`Unanswered`], which says why.
    pub async fn ask<T, E: Into<Unanswered>>(
        &self,
        question: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Unanswered> {
        let busy = || Unanswered("too much is asked at once: ask again in a while".to_owned());
        let _permit = self.permits.try_acquire().map_err(|_| busy())?;
        if !self.take() {
            return Err(busy());
        }
        match tokio::time::timeout(PATIENCE, question).await {
            Ok(answer) => answer.map_err(Into::into),
            Err(_) => Err(Unanswered::late()),
        }
    }

    fn take(&self) -> bool {
        let mut held = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, since) = *held;
        let left = since.elapsed().as_secs_f64().mul_add(self.per_second, left).min(2.0 * self.per_second);
        let is_one = left >= 1.0;
        *held = (if is_one { left - 1.0 } else { left }, Instant::now());
        is_one
    }
}
