//! What the relayer knows of the chain at this moment: reachability, head, pause and policies.
//!
//! One task asks the node; everything else reads the last answer. While the last answer is old, issuance is refused
//! rather than queued (protocol.md §7.5).

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use otp_core::{
    chain::{self, Node, RpcFailure},
    contract::OtpVerifier,
    id::{Deployment, Purpose},
};
use tokio_util::sync::CancellationToken;

/// A purpose's policy as the contract has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyView {
    /// How long a code lives, in seconds of chain time.
    pub ttl_s: u32,
    /// How long after expiry a verified code can be consumed, in seconds.
    pub grace_s: u16,
    /// Wrong digits per request.
    pub max_attempts: u8,
    /// Whether the contract issues for it.
    pub enabled: bool,
}

/// Why nothing can be issued right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// The node has not answered for too long.
    Chain,
    /// The contract is paused.
    Paused,
}

#[derive(Debug, Default, Clone)]
struct Snapshot {
    answered: Option<Instant>,
    head_number: u64,
    head_timestamp_s: u64,
    paused: bool,
    policies: HashMap<Purpose, PolicyView>,
}

/// The shared view; cheap to clone.
#[derive(Debug, Clone)]
pub struct ChainView {
    snapshot: Arc<RwLock<Snapshot>>,
    fresh_for: Duration,
}

impl ChainView {
    /// A view that counts as unavailable until its first answer, and again `fresh_for` after its last one.
    #[must_use]
    pub fn new(fresh_for: Duration) -> Self {
        Self { snapshot: Arc::default(), fresh_for }
    }

    /// Whether codes can be issued now.
    ///
    /// # Errors
    /// Why not.
    pub fn available(&self) -> Result<(), Unavailable> {
        let snapshot = self.read();
        match snapshot.answered {
            Some(at) if at.elapsed() <= self.fresh_for && snapshot.paused => Err(Unavailable::Paused),
            Some(at) if at.elapsed() <= self.fresh_for => Ok(()),
            _ => Err(Unavailable::Chain),
        }
    }

    /// The policy of a purpose that this relayer serves.
    #[must_use]
    pub fn policy(&self, purpose: Purpose) -> Option<PolicyView> {
        self.read().policies.get(&purpose).copied()
    }

    /// Number and timestamp (Unix seconds) of the last head seen.
    #[must_use]
    pub fn head(&self) -> (u64, u64) {
        let snapshot = self.read();
        (snapshot.head_number, snapshot.head_timestamp_s)
    }

    /// How long ago the node last answered.
    #[must_use]
    pub fn answered_ago(&self) -> Option<Duration> {
        self.read().answered.map(|at| at.elapsed())
    }

    /// Asks the node once and takes over its answer.
    ///
    /// # Errors
    /// When any of the calls fails; the view keeps its last answer and grows old.
    pub async fn refresh(
        &self,
        node: &Node,
        deployment: &Deployment,
        purposes: &[Purpose],
    ) -> Result<(), RefreshError> {
        let contract = OtpVerifier::new(deployment.verifier, node);
        let (head_number, head_timestamp_s) = chain::head(node).await?;
        let paused = contract.paused().call().await?;
        let mut policies = HashMap::new();
        for purpose in purposes {
            let policy = contract.policyOf(purpose.bytes32()).call().await?;
            let view = PolicyView {
                ttl_s: policy.ttl,
                grace_s: policy.grace,
                max_attempts: policy.maxAttempts,
                enabled: policy.enabled,
            };
            policies.insert(*purpose, view);
        }
        let snapshot = Snapshot { answered: Some(Instant::now()), head_number, head_timestamp_s, paused, policies };
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = snapshot;
        Ok(())
    }

    /// Refreshes every `period` until `shutdown`.
    pub async fn follow(
        self,
        node: Node,
        deployment: Deployment,
        purposes: Vec<Purpose>,
        period: Duration,
        shutdown: CancellationToken,
    ) {
        loop {
            if let Err(error) = self.refresh(&node, &deployment, &purposes).await {
                tracing::warn!(%error, "the node did not answer");
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(period) => {}
            }
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Snapshot> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A refresh failed.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// A plain call.
    #[error("{}", chain::brief(.0))]
    Rpc(#[from] RpcFailure),
    /// A contract call.
    #[error("contract call failed")]
    Contract(#[from] alloy::contract::Error),
}
