//! Following what was sent: to its block, through reorgs, to finality; again and dearer where it is stuck.

use std::time::Duration;

use alloy::{
    consensus::{Transaction, TxEnvelope},
    eips::{BlockId, eip2718::Decodable2718},
    primitives::{B256, Bytes},
    providers::Provider,
    rpc::types::TransactionReceipt,
    sol_types::SolEvent,
};
use otp_core::{
    chain::{RpcFailure, brief},
    clock::now_ms,
    contract::OtpVerifier,
    store::{MinedAt, OpenBatch, SignedTransaction},
};

use super::{
    Head, Issuer, IssuingError,
    transaction::{Draft, Fees},
};

/// What a plain transfer costs (EIP-2718 type 2, no data).
const TRANSFER_GAS: u64 = 21_000;

/// Why requests fail whose batch was not mined in time.
const TOO_LATE: &str = "the chain did not take it in time; ask again";
/// Why requests fail whose batch was mined without effect.
const REFUSED: &str =
    "the chain refused it: it was mined after its deadline, or the contract was paused meanwhile; ask again";

impl Issuer {
    /// Looks at every open batch once; returns how many are still in flight. A batch that cannot be looked at holds up no
    /// other; the head then counts as seen only once all were, or a reorg would be missed.
    pub(super) async fn follow(&mut self, open: &[OpenBatch], head: Head) -> Result<usize, IssuingError> {
        let reorged = self.seen.is_none_or(|seen| seen != head && seen.hash != head.parent);
        let (mut in_flight, mut missed) = (0, false);
        for batch in open {
            match self.follow_one(batch, head, reorged).await {
                Ok(true) => {}
                Ok(false) => in_flight += 1,
                Err(error) if error.is_retryable() => {
                    tracing::warn!(batch_id = batch.id, %error, "a batch cannot be followed now");
                    in_flight += 1;
                    missed = true;
                }
                Err(error) => return Err(error),
            }
        }
        self.seen = (!missed).then_some(head);
        Ok(in_flight)
    }

    /// Whether the batch's nonce is used, as far as the chain can be trusted today.
    async fn follow_one(&self, batch: &OpenBatch, head: Head, reorged: bool) -> Result<bool, IssuingError> {
        if let Some(mined) = batch.mined {
            if self.still_mined(batch, mined, head, reorged).await? {
                return Ok(true);
            }
            // Pools take reorged transactions back, but no rule makes them.
            self.publish(batch).await;
        }
        self.settle(batch, head).await
    }

    /// Whether a batch is in the block where it was; settles it for good once that is deep enough.
    async fn still_mined(
        &self,
        batch: &OpenBatch,
        mined: MinedAt,
        head: Head,
        reorged: bool,
    ) -> Result<bool, IssuingError> {
        let deep = head.number >= mined.block_number.saturating_add(self.parts.issue.confirmations);
        if !reorged && !deep {
            return Ok(true);
        }
        let receipt = self.parts.node.get_transaction_receipt(mined.tx_hash).await?;
        if receipt.and_then(|receipt| receipt.block_hash) != Some(mined.block_hash) {
            tracing::warn!(batch_id = batch.id, tx_hash = %mined.tx_hash, "a reorg took a batch out of its block");
            self.parts.store.mark_unmined(self.lease, batch.id).await?;
            return Ok(false);
        }
        if deep {
            self.parts.store.mark_final(self.lease, batch.id).await?;
        }
        Ok(true)
    }

    /// Looks for a batch in a block, and sends it again where it is not in one. Returns whether it left the pool.
    async fn settle(&self, batch: &OpenBatch, head: Head) -> Result<bool, IssuingError> {
        for transaction in &batch.transactions {
            if let Some(receipt) = self.parts.node.get_transaction_receipt(transaction.hash).await? {
                return self.landed(batch, &receipt).await;
            }
        }
        if self.nonce_is_gone(batch, head).await? {
            // Another transaction used the nonce and is final: these bytes can never land.
            tracing::error!(batch_id = batch.id, nonce = batch.nonce, "the nonce was used by a transaction not ours");
            self.parts.store.requeue_batch(self.lease, batch.id).await?;
            return Ok(true);
        }
        if head.timestamp_s > batch.deadline && !batch.late {
            tracing::warn!(batch_id = batch.id, nonce = batch.nonce, "a batch is past its deadline: freeing its nonce");
            self.parts.store.mark_late(self.lease, batch.id, TOO_LATE).await?;
            self.replace(batch, head, true).await?;
        } else {
            self.send_again(batch, head).await?;
        }
        Ok(false)
    }

    /// Whether the nonce is used as of a block that is final. Asked twice, since the first answer costs no old state.
    async fn nonce_is_gone(&self, batch: &OpenBatch, head: Head) -> Result<bool, RpcFailure> {
        let used = |block: BlockId| self.parts.node.get_transaction_count(self.lease.issuer).block_id(block);
        let settled = head.number.saturating_sub(self.parts.issue.confirmations);
        Ok(used(BlockId::latest()).await? > batch.nonce && used(BlockId::number(settled)).await? > batch.nonce)
    }

    /// A receipt was found. A node could lie or mix things up, so the batch's own event must be in it.
    async fn landed(&self, batch: &OpenBatch, receipt: &TransactionReceipt) -> Result<bool, IssuingError> {
        let (Some(block_number), Some(block_hash)) = (receipt.block_number, receipt.block_hash) else {
            return Ok(false);
        };
        let tx_hash = receipt.transaction_hash;
        let mined = MinedAt { tx_hash, block_number, block_hash };
        let cancelled = receipt.to == Some(self.lease.issuer);
        if !receipt.status() || cancelled {
            tracing::warn!(batch_id = batch.id, %tx_hash, block_number, cancelled, "a batch issued nothing");
            let why = if cancelled { TOO_LATE } else { REFUSED };
            self.parts.store.mark_void(self.lease, batch.id, &mined, why).await?;
            return Ok(true);
        }
        if !self.has_event(batch, receipt) {
            tracing::error!(batch_id = batch.id, %tx_hash, "the node shows a receipt without the batch's event");
            return Ok(false);
        }
        let max_attempts = self.max_attempts_at(batch, block_hash).await;
        self.parts.store.mark_mined(self.lease, batch.id, &mined, max_attempts).await?;
        let (size, gas_used) = (batch.size, receipt.gas_used);
        tracing::info!(batch_id = batch.id, size, %tx_hash, block_number, gas_used, "batch mined");
        Ok(true)
    }

    /// The policy's limit at the block that issued. A node that pruned that state leaves the limit as it was accepted.
    async fn max_attempts_at(&self, batch: &OpenBatch, block_hash: B256) -> Option<u8> {
        let contract = OtpVerifier::new(self.parts.chain.deployment.verifier, &self.parts.node);
        match contract.policyOf(batch.purpose.bytes32()).block(BlockId::hash(block_hash)).call().await {
            Ok(policy) => Some(policy.maxAttempts).filter(|attempts| *attempts > 0),
            Err(error) => {
                tracing::warn!(batch_id = batch.id, %error, "the policy at the issuing block is not to be had");
                None
            }
        }
    }

    fn has_event(&self, batch: &OpenBatch, receipt: &TransactionReceipt) -> bool {
        let verifier = self.parts.chain.deployment.verifier;
        let ours = |event: OtpVerifier::OtpBatchSet| event.root == batch.root && event.issuer == self.lease.issuer;
        receipt
            .logs()
            .iter()
            .filter(|log| log.address() == verifier)
            .any(|log| OtpVerifier::OtpBatchSet::decode_log(&log.inner).is_ok_and(|log| ours(log.data)))
    }

    /// Replaces a transaction that is not mined after `issue.replace_after_ms`.
    async fn send_again(&self, batch: &OpenBatch, head: Head) -> Result<(), IssuingError> {
        let Some(last) = batch.transactions.last() else { return Ok(()) };
        let age = Duration::from_millis(u64::try_from(now_ms() - last.signed_at_ms).unwrap_or_default());
        if age < self.parts.issue.replace_after { Ok(()) } else { self.replace(batch, head, batch.late).await }
    }

    /// Signs and sends the next form with higher fees, up to the fee cap; at the cap the last form is published again.
    /// The contents stay, unless the batch is too late to issue anything: then nothing is sent to ourselves, which frees
    /// the nonce at the least cost.
    async fn replace(&self, batch: &OpenBatch, head: Head, cancel: bool) -> Result<(), IssuingError> {
        let Some(last) = batch.transactions.last() else { return Ok(()) };
        let fees = Fees { max_fee_wei: last.max_fee_per_gas_wei, priority_fee_wei: last.max_priority_fee_per_gas_wei };
        let (Some(fees), Some(former)) = (fees.replacement(&self.parts.issue, head.base_fee_wei), decode(last)) else {
            self.publish(batch).await;
            return Ok(());
        };
        let draft = if cancel {
            Draft { to: self.lease.issuer, ..self.draft(batch.nonce, TRANSFER_GAS, Bytes::new()) }
        } else {
            self.draft(batch.nonce, former.gas_limit(), former.input().clone())
        };
        let next = draft.sign(&self.parts.signer, fees).await?;
        self.parts.store.add_transaction(self.lease, batch.id, &next).await?;
        let max_fee_wei = fees.max_fee_wei;
        tracing::warn!(batch_id = batch.id, nonce = batch.nonce, max_fee_wei, cancel, "replacing a stuck transaction");
        self.send(&next.raw, next.hash).await;
        Ok(())
    }

    /// Sends a batch's newest form.
    pub(super) async fn publish(&self, batch: &OpenBatch) {
        if let Some(last) = batch.transactions.last() {
            self.send(&last.raw, last.hash).await;
        }
    }

    /// Hands signed bytes to the node. What goes wrong here is mended by following: the bytes are stored.
    pub(super) async fn send(&self, raw: &[u8], tx_hash: B256) {
        match self.parts.node.send_raw_transaction(raw).await {
            Ok(_) => tracing::debug!(%tx_hash, "sent"),
            Err(error) if is_known(&error) => tracing::debug!(%tx_hash, "the node has it already"),
            Err(error) => tracing::warn!(%tx_hash, error = brief(&error), "sending failed; it will be sent again"),
        }
    }
}

fn decode(transaction: &SignedTransaction) -> Option<TxEnvelope> {
    TxEnvelope::decode_2718(&mut transaction.raw.as_slice()).ok()
}

/// The node's pool has this very transaction.
fn is_known(error: &RpcFailure) -> bool {
    error.as_error_resp().is_some_and(|answer| {
        let text = answer.message.to_lowercase();
        ["already known", "already imported", "known transaction"].iter().any(|known| text.contains(known))
    })
}
