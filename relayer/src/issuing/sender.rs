//! An account of ours that sends transactions: one process holds it, one sequence of nonces, every signed byte stored
//! before it is sent.

use std::path::PathBuf;
use std::sync::Arc;

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    primitives::{B256, Bytes},
    providers::Provider,
    rpc::types::TransactionRequest,
};
use otp_core::{
    chain::{Node, RpcFailure, brief},
    failpoint,
    metrics::TRANSACTIONS_SIGNED,
    seal::Keyring,
    store::{Lease, NewCall, NewContents, OpenCall, Store},
};

use super::{
    Head, IssuingError, Parts, Refusal,
    lease::KeyLock,
    transaction::{Draft, Fees},
};
use crate::{
    config::{ChainConfig, IssueConfig},
    signer::IssuerSigner,
};

/// Headroom over the node's estimate: a policy or a storage slot may change between estimate and block.
const GAS_MARGIN_PERCENT: u64 = 20;
/// What a plain transfer costs (EIP-2718 type 2, no data).
pub(super) const TRANSFER_GAS: u64 = 21_000;

/// What every sender works with; cheap to clone.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(super) store: Store,
    pub(super) store_path: PathBuf,
    pub(super) keyring: Arc<Keyring>,
    pub(super) node: Node,
    pub(super) chain: ChainConfig,
    pub(super) issue: IssueConfig,
}

impl From<&Parts> for Ground {
    fn from(parts: &Parts) -> Self {
        Self {
            store: parts.store.clone(),
            store_path: parts.store_path.clone(),
            keyring: parts.keyring.clone(),
            node: parts.node.clone(),
            chain: parts.chain.clone(),
            issue: parts.issue.clone(),
        }
    }
}

/// The account, held.
pub(crate) struct Sender {
    pub(super) ground: Ground,
    pub(super) lease: Lease,
    /// `None` where the key is another process's that is gone: what was signed is followed, and nothing new is signed.
    pub(super) signer: Option<IssuerSigner>,
    /// The head of the last turn: where the next one builds on it, no mined call can have been taken out.
    pub(super) seen: Option<Head>,
    _lock: KeyLock,
}

impl Sender {
    /// Waits until no other process holds the key, then takes it.
    pub(super) async fn take(ground: Ground, signer: IssuerSigner) -> Result<Self, IssuingError> {
        let lock = KeyLock::wait(&ground.store_path, signer.address()).await.map_err(IssuingError::Lock)?;
        let lease = ground.store.take_sender(signer.address()).await?;
        tracing::info!(sender = %lease.sender, fence = lease.fence, "holding the key");
        Ok(Self { ground, lease, signer: Some(signer), seen: None, _lock: lock })
    }

    /// Takes over what a process has left that is gone; `None` where it is not.
    pub(super) async fn adopt(
        ground: Ground,
        sender: alloy::primitives::Address,
    ) -> Result<Option<Self>, IssuingError> {
        let Some(lock) = KeyLock::try_take(&ground.store_path, sender).map_err(IssuingError::Lock)? else {
            return Ok(None);
        };
        let lease = ground.store.take_sender(sender).await?;
        Ok(Some(Self { ground, lease, signer: None, seen: None, _lock: lock }))
    }

    /// The chain's count of this account's transactions.
    pub(super) async fn latest_nonce(&self) -> Result<u64, RpcFailure> {
        self.ground.node.get_transaction_count(self.lease.sender).await
    }

    pub(super) async fn head(&self) -> Result<Head, RpcFailure> {
        let block = self.ground.node.get_block_by_number(BlockNumberOrTag::Latest).await?;
        let header = block.ok_or(RpcFailure::NullResp)?.header;
        Ok(Head {
            number: header.number,
            hash: header.hash,
            parent: header.parent_hash,
            timestamp_s: header.timestamp,
            base_fee_wei: u128::from(header.base_fee_per_gas.unwrap_or_default()),
        })
    }

    /// Refuses to go on while the pool holds transactions of this account that the store does not know, as after a
    /// restore: they have to be mined first. Returns the chain's nonce.
    pub(super) async fn settled_nonce(&self, open: &[OpenCall]) -> Result<u64, IssuingError> {
        let latest = self.latest_nonce().await?;
        let pending = self.ground.node.get_transaction_count(self.lease.sender).pending().await?;
        let known = open.last().map_or(0, |call| call.nonce + 1).max(latest);
        if pending > known { Err(IssuingError::UnknownPending { pending, known }) } else { Ok(latest) }
    }

    pub(super) fn draft(&self, nonce: u64, gas_limit: u64, input: Bytes) -> Draft {
        let deployment = self.ground.chain.deployment;
        Draft { chain_id: deployment.chain_id, nonce, gas_limit, to: deployment.verifier, input }
    }

    /// The gas limit of a call to the contract, from a run on top of what is pending.
    pub(super) async fn estimate(&self, input: &Bytes) -> Result<u64, RpcFailure> {
        let call = TransactionRequest::default()
            .from(self.lease.sender)
            .to(self.ground.chain.deployment.verifier)
            .input(input.clone().into());
        let gas = self.ground.node.estimate_gas(call).block(BlockId::pending()).await?;
        Ok(gas + gas * GAS_MARGIN_PERCENT / 100)
    }

    /// The fees of a first form.
    pub(super) fn first_fees(&self, head: Head) -> Result<Fees, IssuingError> {
        Fees::first(&self.ground.issue, head.base_fee_wei)
            .ok_or(IssuingError::FeeCap { base_fee_wei: head.base_fee_wei })
    }

    /// Signs a call with the next free nonce, stores it, and sends it.
    pub(super) async fn call(
        &self,
        contents: NewContents<'_>,
        draft: Draft,
        deadline: Option<u64>,
        head: Head,
    ) -> Result<i64, IssuingError> {
        let nonce = draft.nonce;
        let transaction = self.sign(&draft, self.first_fees(head)?, kind(contents)).await?;
        let (raw, tx_hash) = (transaction.raw.clone(), transaction.hash);
        let call = NewCall { contents, nonce, deadline, transaction };
        failpoint::hit("call-signed");
        let call_id = self.ground.store.commit_call(self.lease, &call).await?;
        failpoint::hit("call-stored");
        tracing::info!(call_id, kind = kind(contents), nonce, %tx_hash, "call stored");
        let _ = self.send(&raw, tx_hash).await;
        failpoint::hit("call-sent");
        Ok(call_id)
    }

    pub(super) async fn sign(
        &self,
        draft: &Draft,
        fees: Fees,
        kind: &'static str,
    ) -> Result<otp_core::store::SignedTransaction, IssuingError> {
        let signer = self.signer.as_ref().ok_or(IssuingError::NoSigner)?;
        let limit = self.ground.issue.sign_timeout;
        let signed = tokio::time::timeout(limit, draft.sign(signer, fees)).await;
        let signed = signed.map_err(|_| IssuingError::SignerTimeout)??;
        metrics::counter!(TRANSACTIONS_SIGNED, "kind" => kind).increment(1);
        Ok(signed)
    }

    /// Hands signed bytes to the node. What goes wrong here is mended by following: the bytes are stored.
    pub(super) async fn send(&self, raw: &[u8], tx_hash: B256) -> Result<(), Refusal> {
        let Err(error) = self.ground.node.send_raw_transaction(raw).await else {
            tracing::debug!(%tx_hash, "sent");
            return Ok(());
        };
        let refusal = Refusal::from(&error);
        match refusal {
            Refusal::AlreadyKnown => tracing::debug!(%tx_hash, "the node has it already"),
            // Told by following, which knows whether it is ours.
            Refusal::NonceTooLow => tracing::debug!(%tx_hash, "its nonce is mined"),
            Refusal::InsufficientFunds => tracing::error!(sender = %self.lease.sender, %tx_hash, "fund the sender"),
            _ => tracing::warn!(%tx_hash, %refusal, error = brief(&error), "sending failed; it will be sent again"),
        }
        if refusal == Refusal::AlreadyKnown { Ok(()) } else { Err(refusal) }
    }
}

/// The word for a call in metrics and logs.
fn kind(contents: NewContents<'_>) -> &'static str {
    match contents {
        NewContents::Revocation(_) => "revocation",
        NewContents::Verification(_) => "verification",
        NewContents::Filler => "filler",
    }
}
