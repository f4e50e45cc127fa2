//! What the relayer knows of the chain at this moment: reachability, head, pause and policies.
//!
//! One task asks the node; everything else reads the last answer. While the last answer is old, issuance is refused
//! rather than queued (protocol.md §7.5).

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, U256},
    providers::Provider,
};
use otp_core::{
    chain::{self, Node, RpcFailure},
    clock::now_ms,
    contract::{OtpVerifier, role},
    id::{Deployment, Purpose},
    metrics::ISSUANCE_STOPPED,
};
use tokio_util::sync::CancellationToken;

use crate::warnings::Warnings;

/// One answer may be an error, as near a reorg; that no node answers needs no second time.
const FORGIVEN_FAILURES: u32 = 1;

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
    /// The signer lacks ISSUER_ROLE.
    NoRole,
    /// The signer's balance is below `signer.min_balance_wei`.
    Unfunded,
    /// The issuing task cannot work: it waits for its key or its turns fail.
    Stalled,
}

impl Unavailable {
    const ALL: [Self; 5] = [Self::Chain, Self::Paused, Self::NoRole, Self::Unfunded, Self::Stalled];

    /// The label in the metrics.
    const fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Paused => "paused",
            Self::NoRole => "no-role",
            Self::Unfunded => "unfunded",
            Self::Stalled => "stalled",
        }
    }
}

#[derive(Debug, Default, Clone)]
struct Snapshot {
    answered: Option<Instant>,
    failures: u32,
    head_number: u64,
    head_timestamp_s: u64,
    paused: bool,
    has_role: bool,
    balance_wei: U256,
    policies: HashMap<Purpose, PolicyView>,
}

/// What the view is of: the contract, the signer, and the purposes that this relayer serves.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Chain and contract.
    pub deployment: Deployment,
    /// The issuing account.
    pub issuer: Address,
    /// The least balance with which it counts as funded.
    pub min_balance_wei: U256,
    /// Whose policies are read.
    pub purposes: Vec<Purpose>,
    /// How old the node's last answer may be.
    pub fresh_for: Duration,
    /// How far the head's timestamp may lie behind this server's clock: a node that stands still answers, too.
    pub max_head_age: Duration,
}

/// The shared view; cheap to clone.
#[derive(Debug, Clone)]
pub struct ChainView {
    snapshot: Arc<RwLock<Snapshot>>,
    watched: Arc<Watched>,
    stalled: Arc<AtomicBool>,
    warnings: Warnings,
}

impl ChainView {
    /// A view that counts as unavailable until its first answer, and again where no node is left, after two failures in a row or `fresh_for`
    /// after its last answer, whichever comes first.
    #[must_use]
    pub fn new(watched: Watched) -> Self {
        Self {
            snapshot: Arc::default(),
            watched: Arc::new(watched),
            stalled: Arc::default(),
            warnings: Warnings::default(),
        }
    }

    /// The issuing task tells whether it works.
    pub fn set_stalled(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::Relaxed);
    }

    /// What the view is of.
    #[must_use]
    pub fn watched(&self) -> &Watched {
        &self.watched
    }

    /// What may stop issuance soon.
    #[must_use]
    pub fn warnings(&self) -> &Warnings {
        &self.warnings
    }

    /// Whether codes can be issued now.
    ///
    /// # Errors
    /// The first reason why not.
    pub fn available(&self) -> Result<(), Unavailable> {
        let snapshot = self.read();
        let old = snapshot.answered.is_none_or(|at| at.elapsed() > self.watched.fresh_for);
        let still = head_age(snapshot.head_timestamp_s) > self.watched.max_head_age;
        if old || still || snapshot.failures > FORGIVEN_FAILURES {
            Err(Unavailable::Chain)
        } else if snapshot.paused {
            Err(Unavailable::Paused)
        } else if !snapshot.has_role {
            Err(Unavailable::NoRole)
        } else if snapshot.balance_wei < self.watched.min_balance_wei {
            Err(Unavailable::Unfunded)
        } else if self.stalled.load(Ordering::Relaxed) {
            Err(Unavailable::Stalled)
        } else {
            Ok(())
        }
    }

    /// The signer's balance when the node was last asked.
    #[must_use]
    pub fn balance_wei(&self) -> U256 {
        self.read().balance_wei
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
    pub async fn refresh(&self, node: &Node) -> Result<(), RefreshError> {
        let Watched { deployment, issuer, purposes, .. } = &*self.watched;
        let contract = OtpVerifier::new(deployment.verifier, node);
        let (head_number, head_timestamp_s) = chain::head(node).await?;
        let paused = contract.paused().call().await?;
        let has_role = contract.hasRole(role::ISSUER, *issuer).call().await?;
        let balance_wei = node.get_balance(*issuer).await?;
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
        let answered = Some(Instant::now());
        let failures = 0;
        let snapshot =
            Snapshot { answered, failures, head_number, head_timestamp_s, paused, has_role, balance_wei, policies };
        *self.write() = snapshot;
        Ok(())
    }

    /// Asks for the head, and for the rest where there is a new one: between blocks nothing changes.
    async fn look(&self, node: &Node) -> Result<(), RefreshError> {
        let head = chain::head(node).await?;
        if self.head() != head {
            return self.refresh(node).await;
        }
        let mut snapshot = self.write();
        snapshot.answered = Some(Instant::now());
        snapshot.failures = 0;
        Ok(())
    }

    /// Refreshes every `period` until `shutdown`, and says each time that availability changes.
    pub async fn follow(self, node: Node, period: Duration, shutdown: CancellationToken) {
        let mut told = None;
        loop {
            if let Err(error) = self.look(&node).await {
                self.write().failures += if error.is_unreachable() { FORGIVEN_FAILURES + 1 } else { 1 };
                tracing::warn!(%error, "no node gave a good answer");
            }
            let now = self.available();
            for reason in Unavailable::ALL {
                metrics::gauge!(ISSUANCE_STOPPED, "reason" => reason.name()).set(u8::from(now == Err(reason)));
            }
            if told != Some(now) {
                self.tell(now);
                told = Some(now);
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(period) => {}
            }
        }
    }

    fn tell(&self, now: Result<(), Unavailable>) {
        let Watched { deployment, issuer, min_balance_wei, .. } = &*self.watched;
        match now {
            Ok(()) => tracing::info!(%issuer, "issuance is possible"),
            Err(Unavailable::Chain) => {
                tracing::warn!(
                    "issuance stops: no node can be reached, or the chain stands still; check chain.rpc_urls"
                )
            }
            Err(Unavailable::Paused) => {
                tracing::warn!(verifier = %deployment.verifier, "issuance stops: the contract is paused")
            }
            Err(Unavailable::NoRole) => {
                tracing::warn!(%issuer, "issuance stops: the signer lacks ISSUER_ROLE; grant it through the timelock");
            }
            Err(Unavailable::Stalled) => {
                tracing::warn!("issuance stops: the issuing task does not get on; its own lines say why");
            }
            Err(Unavailable::Unfunded) => {
                let balance_wei = self.balance_wei();
                tracing::warn!(%issuer, %balance_wei, %min_balance_wei, "issuance stops: fund the signer");
            }
        }
    }

    fn write(&self) -> RwLockWriteGuard<'_, Snapshot> {
        self.snapshot.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, Snapshot> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a head lies behind this server's clock; nothing where chain time runs ahead of it.
fn head_age(timestamp_s: u64) -> Duration {
    let now_s = u64::try_from(now_ms() / 1_000).unwrap_or_default();
    Duration::from_secs(now_s.saturating_sub(timestamp_s))
}

/// A refresh failed.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// A plain call.
    #[error("{}", chain::brief(.0))]
    Rpc(#[from] RpcFailure),
    /// A contract call.
    #[error("contract call failed: {0}")]
    Contract(#[from] alloy::contract::Error),
}

impl RefreshError {
    /// Whether no node is left to ask.
    fn is_unreachable(&self) -> bool {
        match self {
            Self::Rpc(error) | Self::Contract(alloy::contract::Error::TransportError(error)) => {
                chain::is_unreachable(error)
            }
            Self::Contract(_) => false,
        }
    }
}
