//! Following what was sent: to its block, through reorgs, to finality; again and dearer where it is stuck.

use std::{collections::BTreeSet, time::Duration};

use alloy::{
    consensus::{Transaction, TxEnvelope},
    eips::{BlockId, BlockNumberOrTag, eip2718::Decodable2718},
    primitives::{B256, Bytes},
    providers::Provider,
    rpc::types::TransactionReceipt,
    sol_types::SolEvent,
};
use otp_core::{
    chain::RpcFailure,
    clock::now_ms,
    contract::OtpVerifier,
    failpoint,
    id::Purpose,
    metrics::{
        TRANSACTION_OLDEST_SECONDS, TRANSACTIONS_MINED, TRANSACTIONS_OPEN, TRANSACTIONS_REORGED, TRANSACTIONS_REPLACED,
    },
    store::{Contents, MinedAt, NewContents, OpenCall, SignedTransaction},
};

use super::{
    Head, IssuingError, Refusal,
    blank::{full_input, with_code, without_code},
    reopen::Reopened,
    sender::{Sender, TRANSFER_GAS},
    transaction::{Draft, Fees, RAISES_PERCENT},
};

/// Why requests fail whose batch was not mined in time.
pub(super) const TOO_LATE: &str = "the chain did not take it in time; ask again";
/// Why requests fail whose batch was mined without effect.
const REFUSED: &str =
    "the chain refused it: it was mined after its deadline, or the contract was paused meanwhile; ask again";
/// The most gaps that are closed in one turn.
const MAX_FILLERS: usize = 16;

/// How a sender stands after a look at all of its open calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// Calls that are in no block.
    pub(super) in_flight: usize,
    /// The chain's nonce.
    pub(super) nonce: u64,
}

impl Sender {
    /// Looks at every open call once. A call that cannot be looked at holds up no other; the head then counts as seen only
    /// once all were, or a reorg would be missed.
    pub(super) async fn follow(&mut self, head: Head) -> Result<Standing, IssuingError> {
        let kept = match self.seen {
            Some(seen) if self.builds_on(head, seen).await? => Some(seen.number),
            _ => None,
        };
        let Reopened { calls: reopened, nonce, more } = self.reopen(self.latest_nonce().await?).await?;
        let open = self.ground.store.open_calls(self.lease.sender).await?;
        if reopened > 0 {
            tracing::error!(reopened, "a reorg went deeper than issue.confirmations: following final calls again");
            self.publish_all(&open).await?;
        }
        let (mut in_flight, mut missed, mut oldest_ms) = (0, false, now_ms());
        for call in &open {
            match self.follow_one(call, head, nonce, kept).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) if error.is_retryable() => {
                    tracing::warn!(call_id = call.id, %error, "a call cannot be followed now");
                    missed = true;
                }
                Err(error) => return Err(error),
            }
            in_flight += 1;
            oldest_ms = oldest_ms.min(call.created_at_ms);
        }
        if !more {
            self.close_gaps(&open, head, nonce).await?;
        }
        self.seen = (!missed).then_some(head);
        self.measure(in_flight, oldest_ms);
        Ok(Standing { in_flight, nonce })
    }

    /// Whether a head that was seen is still on the chain: then no call that was mined by then can have been taken out.
    async fn builds_on(&self, head: Head, seen: Head) -> Result<bool, RpcFailure> {
        if seen == head || seen.hash == head.parent {
            return Ok(true);
        }
        let block = self.ground.node.get_block_by_number(BlockNumberOrTag::Number(seen.number)).await?;
        Ok(block.is_some_and(|block| block.header.hash == seen.hash))
    }

    /// Whether the call's nonce is used, as far as the chain can be trusted today.
    async fn follow_one(
        &self,
        call: &OpenCall,
        head: Head,
        nonce: u64,
        kept: Option<u64>,
    ) -> Result<bool, IssuingError> {
        match call.mined {
            Some(mined) => self.still_mined(call, mined, head, kept).await,
            None => self.settle(call, head, nonce).await,
        }
    }

    /// Whether a call is in the block where it was; settles it for good once that is deep enough. It is, without asking,
    /// where the chain up to `kept` is as it was: a receipt can be of a block above the head that its turn had.
    async fn still_mined(
        &self,
        call: &OpenCall,
        mined: MinedAt,
        head: Head,
        kept: Option<u64>,
    ) -> Result<bool, IssuingError> {
        let store = &self.ground.store;
        if call.awaited && is_past(call, head) {
            // It took too long to become final: whoever waits is told before.
            store.fail_batch(self.lease, call.id, REFUSED).await?;
        }
        let deep = head.number >= mined.block_number.saturating_add(self.ground.issue.confirmations);
        if !deep && kept.is_some_and(|number| mined.block_number <= number) {
            return Ok(true);
        }
        let receipt = self.ground.node.get_transaction_receipt(mined.tx_hash).await?;
        if receipt.and_then(|receipt| receipt.block_hash) != Some(mined.block_hash) {
            tracing::warn!(call_id = call.id, tx_hash = %mined.tx_hash, "a reorg took a call out of its block");
            metrics::counter!(TRANSACTIONS_REORGED).increment(1);
            store.mark_unmined(self.lease, call.id).await?;
            self.follow_unmined(call.id).await?;
            return Ok(false);
        }
        if deep {
            store.mark_final(self.lease, call.id).await?;
            failpoint::hit("final-stored");
        }
        Ok(true)
    }

    /// Pools take reorged transactions back, but no rule makes them: its forms are sent again.
    async fn follow_unmined(&self, call_id: i64) -> Result<(), IssuingError> {
        let open = self.ground.store.open_calls(self.lease.sender).await?;
        if let Some(call) = open.iter().find(|call| call.id == call_id) {
            self.publish(call).await?;
        }
        Ok(())
    }

    /// Looks for a call in a block, and sends it again where it is not in one. Returns whether it left the pool.
    async fn settle(&self, call: &OpenCall, head: Head, nonce: u64) -> Result<bool, IssuingError> {
        let useless = !call.late && (is_past(call, head) || self.is_codeless(call).await?);
        // A count may be behind the receipts: nothing is given up before these were looked for.
        if nonce > call.nonce || useless {
            for transaction in &call.transactions {
                if let Some(receipt) = self.ground.node.get_transaction_receipt(transaction.hash).await? {
                    return self.landed(call, &receipt, head).await;
                }
            }
        }
        if nonce > call.nonce && self.nonce_is_gone(call, head).await? {
            if self.is_in_a_block(call, head).await? {
                tracing::error!(
                    call_id = call.id,
                    nonce = call.nonce,
                    "the node hides the receipt of a call that landed"
                );
                return Ok(false);
            }
            // Another transaction used the nonce and is final: these bytes can never land.
            tracing::error!(call_id = call.id, nonce = call.nonce, "the nonce was used by a transaction not ours");
            self.ground.store.requeue(self.lease, call.id).await?;
            return Ok(true);
        }
        if useless {
            tracing::warn!(call_id = call.id, nonce = call.nonce, "a call can have no effect now: freeing its nonce");
            self.ground.store.mark_late(self.lease, call.id, TOO_LATE).await?;
            self.replace(call, head, true).await?;
        } else {
            self.send_again(call, head).await?;
        }
        Ok(false)
    }

    /// Whether the nonce is used as of a block that is final.
    async fn nonce_is_gone(&self, call: &OpenCall, head: Head) -> Result<bool, RpcFailure> {
        let used = self.ground.node.get_transaction_count(self.lease.sender).block_id(self.settled(head)).await?;
        Ok(used > call.nonce)
    }

    /// Whether the chain shows a call's effect, or its node one of its forms in a block, though no receipt: a request is
    /// never issued anew because a node has no receipt to show.
    async fn is_in_a_block(&self, call: &OpenCall, head: Head) -> Result<bool, IssuingError> {
        if let Contents::Batch { root, .. } = call.contents {
            let contract = OtpVerifier::new(self.ground.chain.deployment.verifier, &self.ground.node);
            let batch = contract.batchOf(self.lease.sender, root).block(self.settled(head)).call().await?;
            return Ok(!batch.expiry.is_zero());
        }
        for form in &call.transactions {
            let found = self.ground.node.get_transaction_by_hash(form.hash).await?;
            if found.is_some_and(|transaction| transaction.block_number.is_some()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The newest block that is final.
    const fn settled(&self, head: Head) -> BlockId {
        BlockId::number(head.number.saturating_sub(self.ground.issue.confirmations))
    }

    /// Whether a verification's code is gone: its account was erased, or its request has another number by now.
    async fn is_codeless(&self, call: &OpenCall) -> Result<bool, IssuingError> {
        match self.ground.code_of(call).await {
            Err(IssuingError::NoCode) => Ok(true),
            code => code.map(|_| false),
        }
    }

    /// A receipt was found. A node could lie or mix things up, so a batch's own event must be in it.
    async fn landed(&self, call: &OpenCall, receipt: &TransactionReceipt, head: Head) -> Result<bool, IssuingError> {
        let (Some(block_number), Some(block_hash)) = (receipt.block_number, receipt.block_hash) else {
            return Ok(false);
        };
        let tx_hash = receipt.transaction_hash;
        let mined = MinedAt { tx_hash, block_number, block_hash };
        let kind = call.contents.name();
        let cancelled = receipt.to == Some(self.lease.sender) && call.contents != Contents::Filler;
        if !receipt.status() || cancelled {
            tracing::warn!(call_id = call.id, kind, %tx_hash, block_number, cancelled, "a call had no effect");
            metrics::counter!(TRANSACTIONS_MINED, "kind" => kind, "outcome" => "reverted").increment(1);
            // In time and refused: the requests get new numbers once this is final (protocol.md §5.3).
            let why = if cancelled { Some(TOO_LATE) } else { is_past(call, head).then_some(REFUSED) };
            self.ground.store.mark_void(self.lease, call.id, &mined, why).await?;
            return Ok(true);
        }
        failpoint::hit("receipt-found");
        let mut max_attempts = None;
        if let Contents::Batch { purpose, root, .. } = call.contents {
            if !self.has_event(root, receipt) {
                tracing::error!(call_id = call.id, %tx_hash, "the node shows a receipt without the batch's event");
                return Ok(false);
            }
            max_attempts = self.max_attempts_at(purpose, block_hash).await;
        }
        self.ground.store.mark_mined(self.lease, call.id, &mined, max_attempts).await?;
        failpoint::hit("mined-stored");
        metrics::counter!(TRANSACTIONS_MINED, "kind" => kind, "outcome" => "succeeded").increment(1);
        tracing::info!(call_id = call.id, kind, %tx_hash, block_number, gas_used = receipt.gas_used, "call mined");
        Ok(true)
    }

    /// The policy's limit at the block that issued. A node that pruned that state leaves the limit as it was accepted.
    async fn max_attempts_at(&self, purpose: Purpose, block_hash: B256) -> Option<u8> {
        let contract = OtpVerifier::new(self.ground.chain.deployment.verifier, &self.ground.node);
        match contract.policyOf(purpose.bytes32()).block(BlockId::hash(block_hash)).call().await {
            Ok(policy) => Some(policy.maxAttempts).filter(|attempts| *attempts > 0),
            Err(error) => {
                tracing::warn!(%purpose, %error, "the policy at the issuing block is not to be had");
                None
            }
        }
    }

    fn has_event(&self, root: B256, receipt: &TransactionReceipt) -> bool {
        let verifier = self.ground.chain.deployment.verifier;
        let ours = |event: OtpVerifier::OtpBatchSet| event.root == root && event.issuer == self.lease.sender;
        receipt
            .logs()
            .iter()
            .filter(|log| log.address() == verifier)
            .any(|log| OtpVerifier::OtpBatchSet::decode_log(&log.inner).is_ok_and(|log| ours(log.data)))
    }

    /// Replaces a transaction that is not mined after `issue.replace_after_ms`.
    async fn send_again(&self, call: &OpenCall, head: Head) -> Result<(), IssuingError> {
        let Some(last) = call.transactions.last() else { return Ok(()) };
        // A form from the future was signed before the clock was set back: nobody knows its age.
        let age = u64::try_from(now_ms() - last.signed_at_ms).map_or(Duration::MAX, Duration::from_millis);
        if age < self.ground.issue.replace_after { Ok(()) } else { self.replace(call, head, call.late).await }
    }

    /// Signs and sends the next form with higher fees, up to the fee cap, and with more where the pool says that it is
    /// underpriced; at the cap the last form is published again. The contents stay, unless the call is too late to have
    /// its effect: then nothing is sent to ourselves, which frees the nonce at the least cost.
    async fn replace(&self, call: &OpenCall, head: Head, cancel: bool) -> Result<(), IssuingError> {
        let Some(last) = call.transactions.last() else { return Ok(()) };
        let Some(former) = decode(last).filter(|_| self.signer.is_some()) else { return self.publish(call).await };
        let cancel = cancel || (former.input().is_empty() && call.contents != Contents::Filler);
        // A cancellation has no code, and has to be possible where there is none.
        let code = if cancel { None } else { self.ground.code_of(call).await? };
        let draft = if cancel {
            Draft { to: self.lease.sender, ..self.draft(call.nonce, TRANSFER_GAS, Bytes::new()) }
        } else if let Some(to) = former.to() {
            let input =
                code.as_ref().map_or_else(|| Ok(former.input().clone()), |code| full_input(former.input(), code))?;
            Draft { to, ..self.draft(call.nonce, former.gas_limit(), input) }
        } else {
            return Ok(());
        };
        let mut offered =
            Fees { max_fee_wei: last.max_fee_per_gas_wei, priority_fee_wei: last.max_priority_fee_per_gas_wei };
        // A verification whose code is gone cannot be published again at the cap: its cancellation offers the same.
        let mut same = (code.is_none() && is_verification(call) && !former.input().is_empty()).then_some(offered);
        for percent in RAISES_PERCENT {
            let raised = offered.raised(percent, &self.ground.issue, head.base_fee_wei);
            let Some(fees) = raised.or(same.take()) else {
                return self.publish(call).await;
            };
            let kind = if cancel { "cancellation" } else { call.contents.name() };
            let next = self.sign(&draft, fees, kind).await?;
            let raw = code.as_ref().map_or_else(|| next.raw.clone(), |code| without_code(&next.raw, code));
            let stored = SignedTransaction { raw, ..next.clone() };
            failpoint::hit("replacement-signed");
            self.ground.store.add_transaction(self.lease, call.id, &stored).await?;
            failpoint::hit("replacement-stored");
            metrics::counter!(TRANSACTIONS_REPLACED, "kind" => kind).increment(1);
            let max_fee_wei = fees.max_fee_wei;
            tracing::warn!(call_id = call.id, nonce = call.nonce, max_fee_wei, cancel, "replacing a stuck transaction");
            if self.send(&next.raw, next.hash).await != Err(Refusal::Underpriced) {
                break;
            }
            offered = fees;
        }
        Ok(())
    }

    /// Sends every form of a call, oldest first: which of them a pool has kept is its own business.
    /// Forms whose code is gone are left out.
    pub(super) async fn publish(&self, call: &OpenCall) -> Result<(), IssuingError> {
        let code = match self.ground.code_of(call).await {
            Err(IssuingError::NoCode) => None,
            code => code?,
        };
        for form in &call.transactions {
            let raw = if is_verification(call) { with_code(form, code.as_ref()) } else { Some(form.raw.clone()) };
            match raw {
                Some(raw) => drop(self.send(&raw, form.hash).await),
                None => tracing::warn!(call_id = call.id, tx_hash = %form.hash, "not sent: its code is gone"),
            }
        }
        Ok(())
    }

    /// Sends what is in no block. A call that cannot be sent holds up no other.
    pub(super) async fn publish_all(&self, open: &[OpenCall]) -> Result<(), IssuingError> {
        for call in open.iter().filter(|call| call.mined.is_none()) {
            match self.publish(call).await {
                Err(error) if error.is_retryable() => {
                    tracing::warn!(call_id = call.id, %error, "a call cannot be sent now")
                }
                done => done?,
            }
        }
        Ok(())
    }

    /// Nonces below an open call that no call of ours and no transaction in the pool has, as after a reorg that removed a
    /// transaction sent by hand: everything behind them waits until they are used.
    async fn close_gaps(&self, open: &[OpenCall], head: Head, nonce: u64) -> Result<(), IssuingError> {
        let Some(last) = open.iter().filter(|call| call.mined.is_none()).map(|call| call.nonce).max() else {
            return Ok(());
        };
        let known: BTreeSet<u64> = open.iter().map(|call| call.nonce).collect();
        let gaps: Vec<u64> = (nonce..last).filter(|nonce| !known.contains(nonce)).take(MAX_FILLERS).collect();
        if gaps.is_empty() || self.signer.is_none() {
            return Ok(());
        }
        let pending = self.ground.node.get_transaction_count(self.lease.sender).pending().await?;
        for gap in gaps.into_iter().filter(|gap| *gap >= pending) {
            tracing::warn!(nonce = gap, "closing a gap in the nonces");
            let draft = Draft { to: self.lease.sender, ..self.draft(gap, TRANSFER_GAS, Bytes::new()) };
            self.call(NewContents::Filler, draft, None, head).await?;
        }
        Ok(())
    }

    fn measure(&self, in_flight: usize, oldest_ms: i64) {
        if self.signer.is_some() {
            let age_ms = u64::try_from(now_ms().saturating_sub(oldest_ms)).unwrap_or_default();
            metrics::gauge!(TRANSACTIONS_OPEN).set(u32::try_from(in_flight).unwrap_or(u32::MAX));
            metrics::gauge!(TRANSACTION_OLDEST_SECONDS).set(Duration::from_millis(age_ms).as_secs_f64());
        }
    }
}

fn is_past(call: &OpenCall, head: Head) -> bool {
    call.deadline.is_some_and(|deadline| head.timestamp_s > deadline)
}

const fn is_verification(call: &OpenCall) -> bool {
    matches!(call.contents, Contents::Verification { .. })
}

fn decode(transaction: &SignedTransaction) -> Option<TxEnvelope> {
    TxEnvelope::decode_2718(&mut transaction.raw.as_slice()).ok()
}
