//! From waiting requests to a batch that is stored and sent.

use alloy::{
    primitives::{B256, Bytes, aliases::U40},
    sol_types::SolCall,
};
use otp_core::{
    code::Seed,
    contract::{MAX_BATCH, OtpVerifier, OtpVerifier::OtpVerifierErrors},
    failpoint,
    id::{Purpose, Slot, leaf},
    merkle::Tree,
    metrics::{BATCH_CODES, REQUESTS_QUEUED},
    store::{NewBatch, QueuedRequest},
};
use uuid::Uuid;

use super::{Head, Issuer, IssuingError, Refusal, follow::Standing};
use crate::chain_view::Unavailable;

/// The most calls that wait in the pool at once: real pools hold 16 of one account and up. So a block takes 1,280 codes.
const MAX_IN_FLIGHT: usize = 16;

impl Issuer {
    /// Issues per purpose: at once where nothing is in flight, else as soon as a full batch waits.
    pub(super) async fn compose(&self, standing: Standing, head: Head) -> Result<(), IssuingError> {
        let store = &self.parts.store;
        if self.parts.view.available() == Err(Unavailable::Paused) {
            return Ok(());
        }
        let mut sent = standing.in_flight;
        let lengths = store.queue_lengths().await?;
        for purpose in &self.parts.view.watched().purposes {
            let waiting = lengths.iter().find(|(queued, _)| queued == purpose).map_or(0, |(_, waiting)| *waiting);
            let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
            metrics::gauge!(REQUESTS_QUEUED, "purpose" => purpose.to_string()).set(waiting);
        }
        for (purpose, mut waiting) in lengths {
            let full = MAX_BATCH as u64;
            while sent < MAX_IN_FLIGHT && (waiting >= full || (waiting > 0 && standing.in_flight == 0)) {
                let issued = self.issue(purpose, standing.nonce, head).await?;
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
    async fn issue(&self, purpose: Purpose, chain_nonce: u64, head: Head) -> Result<u64, IssuingError> {
        let (store, sender) = (&self.parts.store, &self.sender);
        let requests = store.claim_queued(sender.lease, purpose, MAX_BATCH).await?;
        failpoint::hit("batch-claimed");
        let (next_nonce, first) = store.next_numbers(sender.lease.sender, purpose).await?;
        // Somebody may have used the key by hand, to cancel for instance: what the chain counted is gone.
        let nonce = next_nonce.max(chain_nonce);
        let mut codes = Vec::with_capacity(requests.len());
        for (serial, request) in (first..).zip(&requests) {
            codes.push((request.id, self.id_of(request, purpose, serial)?));
        }
        let leaves: Vec<B256> =
            (first..).zip(&codes).map(|(serial, (_, id))| leaf(purpose.bytes32(), serial, *id)).collect();
        let Some(root) = Tree::new(&leaves).map(|tree| tree.root()) else { return Ok(0) };
        let deadline = head.timestamp_s + self.parts.issue.deadline_s;
        let input = call_data(purpose, first, &codes, deadline);
        let Some(gas_limit) = self.gas_limit(purpose, &input).await? else { return Ok(requests.len() as u64) };
        let fees = sender.first_fees(head)?;
        let transaction = sender.sign(&sender.draft(nonce, gas_limit, input), fees, "batch").await?;
        failpoint::hit("batch-signed");
        let raw = transaction.raw.clone();
        let tx_hash = transaction.hash;
        let batch = NewBatch { purpose, first, root, nonce, deadline, codes: &codes, transaction };
        let Some(call_id) = store.commit_batch(sender.lease, &batch).await? else { return Ok(0) };
        failpoint::hit("batch-stored");
        metrics::histogram!(BATCH_CODES).record(u32::try_from(codes.len()).unwrap_or(u32::MAX));
        tracing::info!(call_id, %purpose, first, size = codes.len(), nonce, %tx_hash, "batch stored");
        let _ = sender.send(&raw, tx_hash).await;
        failpoint::hit("batch-sent");
        Ok(codes.len() as u64)
    }

    /// The code is derived, hashed into its id, and gone: nothing of it is kept.
    fn id_of(&self, request: &QueuedRequest, purpose: Purpose, serial: u64) -> Result<B256, IssuingError> {
        let opened = self.parts.keyring.open_sealed("seed", request.account_id, &request.seed_sealed)?;
        let seed = Seed::from_bytes(&opened).ok_or(IssuingError::DamagedSeed)?;
        let slot = Slot {
            deployment: self.parts.chain.deployment,
            issuer: self.sender.lease.sender,
            purpose,
            serial,
            subject: request.subject,
            action: request.action,
        };
        Ok(slot.id(seed.code(&slot, request.id).hash()))
    }

    /// The gas limit; `None` where the contract refuses this issuance for good and the requests were told.
    async fn gas_limit(&self, purpose: Purpose, input: &Bytes) -> Result<Option<u64>, IssuingError> {
        let error = match self.sender.estimate(input).await {
            Ok(gas_limit) => return Ok(Some(gas_limit)),
            Err(error) => error,
        };
        match Refusal::from(&error) {
            Refusal::Reverted(Some(OtpVerifierErrors::PurposeDisabled(_))) => {
                let failed = self.parts.store.fail_queued(Some(purpose), i64::MAX, "the purpose was disabled").await?;
                tracing::warn!(%purpose, requests = failed, "requests failed: the contract has the purpose disabled");
                Ok(None)
            }
            Refusal::Reverted(Some(OtpVerifierErrors::SerialUsed(used))) => {
                // Somebody else issues with this key, or the store is older than the chain.
                tracing::error!(%purpose, first = %used.first, next = %used.next, "serials differ from the chain's");
                let (lease, next) = (self.sender.lease, used.next.saturating_to::<u64>());
                let nonce = self.sender.latest_nonce().await?;
                self.parts.store.align_sender(lease, nonce, &[(purpose, next)]).await?;
                Err(error.into())
            }
            _ => Err(error.into()),
        }
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
