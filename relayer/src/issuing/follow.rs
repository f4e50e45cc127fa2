//! Following what was sent: to its block, through reorgs, to finality; again and dearer where it is stuck.

use std::time::Duration;

use alloy::{
    consensus::{Transaction, TxEnvelope},
    eips::{BlockId, eip2718::Decodable2718},
    primitives::B256,
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

use super::{Head, Issuer, IssuingError, transaction::Fees};

impl Issuer {
    /// Looks at every open batch once; returns how many are still in flight.
    pub(super) async fn follow(&self, open: &[OpenBatch], head: Head) -> Result<usize, IssuingError> {
        let reorged = self.seen.is_none_or(|seen| seen != head && seen.hash != head.parent);
        let mut in_flight = 0;
        for batch in open {
            if let Some(mined) = batch.mined {
                if self.still_mined(batch, mined, head, reorged).await? {
                    continue;
                }
                // Pools take reorged transactions back, but no rule makes them.
                self.publish(batch).await;
            }
            if !self.settle(batch, head).await? {
                in_flight += 1;
            }
        }
        Ok(in_flight)
    }

    /// Whether a mined batch is where it was; makes it final once it is deep enough.
    async fn still_mined(
        &self,
        batch: &OpenBatch,
        mined: MinedAt,
        head: Head,
        reorged: bool,
    ) -> Result<bool, IssuingError> {
        let deep = head.number >= mined.block_number + self.parts.issue.confirmations;
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
        self.send_again(batch, head).await?;
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
        if !receipt.status() {
            tracing::warn!(batch_id = batch.id, %tx_hash, block_number, "a batch reverted");
            let why = "the chain refused it: it was mined after its deadline, or the contract was paused; ask again";
            self.parts.store.fail_batch(self.lease, batch.id, why).await?;
            return Ok(true);
        }
        if !self.has_event(batch, receipt) {
            tracing::error!(batch_id = batch.id, %tx_hash, "the node shows a receipt without the batch's event");
            return Ok(false);
        }
        let contract = OtpVerifier::new(self.parts.chain.deployment.verifier, &self.parts.node);
        let policy = contract.policyOf(batch.purpose.bytes32()).block(BlockId::hash(block_hash)).call().await?;
        let mined = MinedAt { tx_hash, block_number, block_hash };
        self.parts.store.mark_mined(self.lease, batch.id, &mined, policy.maxAttempts).await?;
        tracing::info!(batch_id = batch.id, size = batch.size, %tx_hash, block_number, gas_used = receipt.gas_used, "batch mined");
        Ok(true)
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

    /// Replaces a transaction that is not mined after `issue.replace_after_ms`, up to the fee cap; publishes the last
    /// form again where the cap stops the raise.
    async fn send_again(&self, batch: &OpenBatch, head: Head) -> Result<(), IssuingError> {
        let Some(last) = batch.transactions.last() else { return Ok(()) };
        let age = Duration::from_millis(u64::try_from(now_ms() - last.signed_at_ms).unwrap_or_default());
        if age < self.parts.issue.replace_after {
            return Ok(());
        }
        let fees = Fees { max_fee_wei: last.max_fee_per_gas_wei, priority_fee_wei: last.max_priority_fee_per_gas_wei };
        match (fees.replacement(&self.parts.issue, head.base_fee_wei), decode(last)) {
            (Some(fees), Some(former)) => {
                let draft = self.draft(batch.nonce, former.gas_limit(), former.input().clone());
                let next = draft.sign(&self.parts.signer, fees).await?;
                self.parts.store.add_transaction(self.lease, batch.id, &next).await?;
                let max_fee_wei = fees.max_fee_wei;
                tracing::warn!(batch_id = batch.id, nonce = batch.nonce, max_fee_wei, "replacing a stuck transaction");
                self.send(&next.raw, next.hash).await;
            }
            _ => self.publish(batch).await,
        }
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

/// The node's pool or chain has this very transaction.
fn is_known(error: &RpcFailure) -> bool {
    error.as_error_resp().is_some_and(|answer| {
        let text = answer.message.to_lowercase();
        ["already known", "already imported", "known transaction", "nonce too low"]
            .iter()
            .any(|known| text.contains(known))
    })
}
