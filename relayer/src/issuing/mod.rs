//! The way to the chain (protocol.md §5.3): one task that holds the issuer key, gathers what waits, and follows what it
//! sent until it is final.
//!
//! Each turn first follows the open batches ([`follow`]) and then, where the rule allows, commits new ones
//! ([`compose`]). A turn is one call, so that tests drive the pipeline step by step.

mod adopt;
mod blank;
mod compose;
mod failure;
mod follow;
mod lease;
mod reopen;
mod revoke;
mod sender;
mod sponsor;
mod transaction;
mod watch;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::{eips::BlockId, primitives::B256};
use otp_core::{
    chain::{self, Node, RpcFailure},
    clock::now_ms,
    contract::OtpVerifier,
    failpoint,
    seal::{Keyring, SealError},
    store::{Store, StoreError},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use self::{
    failure::Refusal,
    sponsor::{NotSponsored, Sponsor, SponsorDesk, Sponsored},
};
use self::{
    follow::TOO_LATE,
    sender::{Ground, Sender},
};
use crate::{
    chain_view::ChainView,
    config::{ChainConfig, IssueConfig},
    signer::IssuerSigner,
};

/// So many turns in a row may fail before issuance answers 503.
const FORGIVEN_FAILURES: u32 = 3;

/// How often the calls of senders that no process holds are looked at.
const ORPHANS_EVERY: Duration = Duration::from_secs(2);

/// Why a turn ended early.
#[derive(Debug, thiserror::Error)]
pub enum IssuingError {
    /// The node: the next turn tries again.
    #[error("node: {}", chain::brief(.0))]
    Rpc(#[from] RpcFailure),
    /// A contract call; the same.
    #[error("contract call failed: {0}")]
    Contract(#[from] alloy::contract::Error),
    /// The signer; the same.
    #[error("signer: {0}")]
    Signer(#[from] alloy::signers::Error),
    /// The signer took too long; the same.
    #[error("the signer did not answer in time")]
    SignerTimeout,
    /// The key is not this process's.
    #[error("nothing can be signed with a key that is not held")]
    NoSigner,
    /// A code cannot be derived: its account was erased, or the row is damaged.
    #[error("the code of a call cannot be derived")]
    NoCode,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A seed does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A seed has another length than 32 bytes.
    #[error("the seed of an account is damaged")]
    DamagedSeed,
    /// The lock file of the issuer key.
    #[error("the lock of the issuer key beside the database: {0}")]
    Lock(std::io::Error),
    /// The pool holds transactions of the issuer that the store does not know: they have to be mined first.
    #[error("the pool knows nonces up to {pending}, the store up to {known}: waiting until they are mined")]
    UnknownPending {
        /// The node's pending nonce.
        pending: u64,
        /// The nonce that comes next by chain and store.
        known: u64,
    },
    /// A batch under this key is on the chain that is not in the store.
    #[error("somebody else issues with this key: nothing is issued until this relayer is started anew")]
    ForeignBatch,
    /// The fees that the chain asks for are above `issue.max_fee_per_gas_wei`.
    #[error("the base fee of {base_fee_wei} wei is above issue.max_fee_per_gas_wei")]
    FeeCap {
        /// Base fee of the latest block.
        base_fee_wei: u128,
    },
}

impl IssuingError {
    /// Whether the next turn may succeed; a lost lease and a key that opens nothing stay so.
    const fn is_retryable(&self) -> bool {
        match self {
            // A data key that another relayer made is loaded within seconds.
            Self::Seal(SealError::UnknownKey { .. }) => true,
            Self::Store(StoreError::Fenced { .. }) | Self::Seal(_) | Self::DamagedSeed | Self::Lock(_) => false,
            _ => true,
        }
    }
}

/// The latest block, as far as issuing needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    number: u64,
    hash: B256,
    parent: B256,
    timestamp_s: u64,
    base_fee_wei: u128,
}

/// The parts of an issuing task.
pub struct Parts {
    /// The database.
    pub store: Store,
    /// Its file, beside which the lock of the issuer key lies.
    pub store_path: PathBuf,
    /// Opens seeds.
    pub keyring: Arc<Keyring>,
    /// The node.
    pub node: Node,
    /// Chain and polling.
    pub chain: ChainConfig,
    /// Deadlines and fees.
    pub issue: IssueConfig,
    /// Pause, role, balance.
    pub view: ChainView,
    /// Signs as the issuer.
    pub signer: IssuerSigner,
    /// Rung when a request was committed.
    pub wake: Arc<Notify>,
}

/// The issuing task, holding its key.
pub struct Issuer {
    parts: Parts,
    sender: Sender,
    orphans_at: Option<Instant>,
    watch: watch::Watch,
}

impl Issuer {
    /// Waits for the key, then aligns nonce and serials with the chain and sends every stored transaction again.
    ///
    /// # Errors
    /// When the store fails or the lock file cannot be made; a node that does not answer is waited for.
    pub async fn start(parts: Parts, shutdown: &CancellationToken) -> Result<Option<Self>, IssuingError> {
        parts.view.set_stalled(true);
        let sender = tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            sender = Sender::take(Ground::from(&parts), parts.signer.clone()) => sender?,
        };
        let issuer = Self { parts, sender, orphans_at: None, watch: watch::Watch::default() };
        loop {
            issuer.fail_late_requests().await?;
            match issuer.align().await {
                Ok(()) => {
                    issuer.parts.view.set_stalled(false);
                    return Ok(Some(issuer));
                }
                Err(e) if !e.is_retryable() => return Err(e),
                Err(error) => tracing::warn!(%error, "cannot align with the chain yet"),
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(None),
                () = tokio::time::sleep(issuer.parts.chain.poll) => {}
            }
        }
    }

    /// Runs turns until `shutdown`.
    ///
    /// # Errors
    /// When another process took the key, or a seed does not open.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), IssuingError> {
        let mut failures = 0u32;
        while !shutdown.is_cancelled() {
            let pause = match self.turn().await {
                Ok(()) => {
                    failures = 0;
                    self.parts.chain.poll
                }
                Err(error) if error.is_retryable() => {
                    tracing::warn!(%error, "issuing pauses");
                    failures = failures.saturating_add(1);
                    self.parts.chain.poll.max(Duration::from_secs(1))
                }
                Err(e) => return Err(e),
            };
            self.parts.view.set_stalled(failures > FORGIVEN_FAILURES || self.watch.is_foreign);
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.parts.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        Ok(())
    }

    /// One step: follow what is open, revoke what is owed, then issue what waits.
    ///
    /// # Errors
    /// [`IssuingError`]; what was stored before stays and is taken up by the next turn.
    pub async fn turn(&mut self) -> Result<(), IssuingError> {
        self.fail_late_requests().await?;
        let head = self.sender.head().await?;
        let mut standing = self.sender.follow(head).await?;
        if self.orphans_at.is_none_or(|at| at.elapsed() >= ORPHANS_EVERY) {
            self.follow_orphans(head).await?;
            self.orphans_at = Some(Instant::now());
        }
        // A node that serves no logs takes the alarms away and not the codes.
        if let Err(error) = self.watch(head).await {
            tracing::warn!(%error, "the contract's events cannot be watched");
        }
        standing.in_flight += self.revoke(standing.nonce, head).await?;
        if self.watch.is_foreign { Err(IssuingError::ForeignBatch) } else { self.compose(standing, head).await }
    }

    /// Whoever waited too long is told, also while nothing can be issued.
    async fn fail_late_requests(&self) -> Result<(), IssuingError> {
        let patience_ms = i64::try_from(self.parts.issue.deadline_s.saturating_mul(1_000)).unwrap_or(i64::MAX);
        let late = self.parts.store.fail_queued(None, now_ms().saturating_sub(patience_ms), TOO_LATE).await?;
        if late > 0 {
            tracing::warn!(requests = late, "requests failed: they waited longer than issue.deadline_seconds");
        }
        Ok(())
    }

    /// After a restore the pool may hold transactions of ours that the store does not know: nothing is sent until they
    /// are mined. Serials begin above every one that the store, the chain or the pool has seen. What the store knows is
    /// sent again.
    async fn align(&self) -> Result<(), IssuingError> {
        let Parts { store, node, chain, view, .. } = &self.parts;
        let issuer = self.sender.lease.sender;
        let open = store.open_calls(issuer).await?;
        let nonce = self.sender.settled_nonce(&open).await?;
        let contract = OtpVerifier::new(chain.deployment.verifier, node);
        let mut serials = Vec::new();
        for purpose in &view.watched().purposes {
            let next = contract.nextSerial(issuer, purpose.bytes32());
            let (mined, pending) = (next.call().await?, next.block(BlockId::pending()).call().await?);
            serials.push((*purpose, mined.max(pending).to::<u64>()));
        }
        store.align_sender(self.sender.lease, nonce, &serials).await?;
        failpoint::hit("aligned");
        self.sender.publish_all(&open).await
    }
}
