//! From waiting requests to a batch that is stored and sent.

use alloy::{
    eips::BlockId,
    primitives::{B256, Bytes, aliases::U40},
    providers::Provider,
    rpc::types::TransactionRequest,
    sol_types::{SolCall, SolInterface},
};
use otp_core::{
    chain::RpcFailure,
    code::Seed,
    contract::{MAX_BATCH, OtpVerifier, OtpVerifier::OtpVerifierErrors},
    id::{Purpose, Slot, leaf},
    merkle::Tree,
    store::{NewBatch, QueuedRequest},
};
use uuid::Uuid;

use super::{
    Head, Issuer, IssuingError,
    transaction::{Draft, Fees},
};
use crate::chain_view::Unavailable;

/// The most batches that wait in the pool at once: real pools hold 16 of one account and up.
const MAX_IN_FLIGHT: usize = 12;
/// Headroom over the node's estimate: a policy or a storage slot may change between estimate and block.
const GAS_MARGIN_PERCENT: u64 = 20;

impl Issuer {
    /// Issues per purpose: at once where nothing is in flight, else as soon as a full batch waits.
    pub(super) async fn compose(&self, in_flight: usize, head: Head) -> Result<(), IssuingError> {
        let store = &self.parts.store;
        if self.parts.view.available() == Err(Unavailable::Paused) {
            return Ok(());
        }
        let mut sent = in_flight;
        for (purpose, mut waiting) in store.queue_lengths().await? {
            let full = MAX_BATCH as u64;
            while sent < MAX_IN_FLIGHT && (waiting >= full || (waiting > 0 && in_flight == 0)) {
                let issued = self.issue(purpose, head).await?;
                if issued == 0 {
                    break;
                }
                sent += 1;
                waiting = waiting.saturating_sub(issued);
            }
        }
        Ok(())
    }

    /// Composes, stores and sends one batch; returns how many requests left the queue.
    async fn issue(&self, purpose: Purpose, head: Head) -> Result<u64, IssuingError> {
        let store = &self.parts.store;
        let requests = store.queued(purpose, MAX_BATCH).await?;
        let (next_nonce, first) = store.next_numbers(self.lease.issuer, purpose).await?;
        // Somebody may have used the key by hand, to cancel for instance: what the chain counted is gone.
        let nonce = next_nonce.max(self.latest_nonce().await?);
        let mut codes = Vec::with_capacity(requests.len());
        for (serial, request) in (first..).zip(&requests) {
            codes.push((request.id, self.id_of(request, purpose, serial)?));
        }
        let leaves: Vec<B256> =
            (first..).zip(&codes).map(|(serial, (_, id))| leaf(purpose.bytes32(), serial, *id)).collect();
        let Some(root) = Tree::new(&leaves).map(|tree| tree.root()) else { return Ok(0) };
        let deadline = head.timestamp_s + self.parts.issue.deadline_s;
        let input = call_data(purpose, first, &codes, deadline);
        let Some(gas_limit) = self.estimate(purpose, &input).await? else { return Ok(requests.len() as u64) };
        let fees = Fees::first(&self.parts.issue, head.base_fee_wei)
            .ok_or(IssuingError::FeeCap { base_fee_wei: head.base_fee_wei })?;
        let transaction = self.draft(nonce, gas_limit, input).sign(&self.parts.signer, fees).await?;
        let raw = transaction.raw.clone();
        let tx_hash = transaction.hash;
        let batch = NewBatch { purpose, first, root, nonce, deadline, codes: &codes, transaction };
        let Some(batch_id) = store.commit_batch(self.lease, &batch).await? else { return Ok(0) };
        tracing::info!(batch_id, %purpose, first, size = codes.len(), nonce, %tx_hash, "batch stored");
        self.send(&raw, tx_hash).await;
        Ok(codes.len() as u64)
    }

    /// The code is derived, hashed into its id, and gone: nothing of it is kept.
    fn id_of(&self, request: &QueuedRequest, purpose: Purpose, serial: u64) -> Result<B256, IssuingError> {
        let opened = self.parts.keyring.open_sealed("seed", request.account_id, &request.seed_sealed)?;
        let seed = Seed::from_bytes(&opened).ok_or(IssuingError::DamagedSeed)?;
        let slot = Slot {
            deployment: self.parts.chain.deployment,
            issuer: self.lease.issuer,
            purpose,
            serial,
            subject: request.subject,
            action: request.action,
        };
        Ok(slot.id(seed.code(&slot, request.id).hash()))
    }

    pub(super) fn draft(&self, nonce: u64, gas_limit: u64, input: Bytes) -> Draft {
        let deployment = self.parts.chain.deployment;
        Draft { chain_id: deployment.chain_id, nonce, gas_limit, to: deployment.verifier, input }
    }

    /// The gas limit, from a run on top of what is pending; `None` where the contract refuses this issuance for good
    /// and the requests were told.
    async fn estimate(&self, purpose: Purpose, input: &Bytes) -> Result<Option<u64>, IssuingError> {
        let call = TransactionRequest::default()
            .from(self.lease.issuer)
            .to(self.parts.chain.deployment.verifier)
            .input(input.clone().into());
        match self.parts.node.estimate_gas(call).block(BlockId::pending()).await {
            Ok(gas) => Ok(Some(gas + gas * GAS_MARGIN_PERCENT / 100)),
            Err(error) => match refusal(&error) {
                Some(OtpVerifierErrors::PurposeDisabled(_)) => {
                    let failed =
                        self.parts.store.fail_queued(Some(purpose), i64::MAX, "the purpose was disabled").await?;
                    tracing::warn!(%purpose, requests = failed, "requests failed: the contract has the purpose disabled");
                    Ok(None)
                }
                Some(OtpVerifierErrors::SerialUsed(used)) => {
                    // Somebody else issues with this key, or the store is older than the chain.
                    tracing::error!(%purpose, first = %used.first, next = %used.next, "serials differ from the chain's");
                    let next = used.next.saturating_to::<u64>();
                    self.parts.store.align_issuer(self.lease, self.latest_nonce().await?, &[(purpose, next)]).await?;
                    Err(error.into())
                }
                _ => Err(error.into()),
            },
        }
    }

    async fn latest_nonce(&self) -> Result<u64, RpcFailure> {
        self.parts.node.get_transaction_count(self.lease.issuer).await
    }
}

fn call_data(purpose: Purpose, first: u64, codes: &[(Uuid, B256)], deadline: u64) -> Bytes {
    let call = OtpVerifier::setOtpsCall {
        purpose: purpose.bytes32(),
        first: U40::saturating_from(first),
        ids: codes.iter().map(|(_, id)| *id).collect(),
        deadline,
    };
    call.abi_encode().into()
}

/// The contract's named error in a node's answer, where there is one.
fn refusal(error: &RpcFailure) -> Option<OtpVerifierErrors> {
    let data = error.as_error_resp()?.as_revert_data()?;
    OtpVerifierErrors::abi_decode(&data).ok()
}
