//! What went straight to the verifier and left no event: calls that reverted, and what issuances cost.
//!
//! A task of its own, behind the last final block and at a pace of its own, so that the tail never waits for it: it rests
//! while the tail catches up and whenever a node has had enough. It reads each final block with its transactions; of
//! those to the verifier the receipts; and runs what reverted again, on the state before its block and, where it does not
//! fail there, after it. That is an approximation: what other transactions of the same block did is seen as a whole or
//! not at all, and a node that has forgotten the state says nothing. Calls through other contracts are not seen.

use std::time::Duration;

use alloy::{
    consensus::Transaction as _,
    eips::BlockId,
    network::{TransactionResponse as _, primitives::BlockTransactions},
    primitives::Bytes,
    providers::Provider,
    rpc::types::{Block, Transaction, TransactionReceipt, TransactionRequest},
    sol_types::SolCall,
    transports::RpcError,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use otp_core::{
    chain::Node,
    contract::OtpVerifier::{self, OtpVerifierCalls, OtpVerifierErrors},
    id::Deployment,
    metrics::CALLS_LAG_BLOCKS,
    store::{ContractCall, Follower, Store, StoreError, UNEXPLAINED},
};
use tokio_util::sync::CancellationToken;

use crate::{config::CallsConfig, progress::Progress, source::ReadError};

/// Blocks of a step, which is one transaction.
const STEP: u64 = 32;
/// Blocks that are asked for at once.
const AT_ONCE: usize = 4;
/// The tail comes first while it is further behind than this, in blocks beyond its confirmations.
const TAIL_LAGS: u64 = 8;
/// How long a step waits for news where there are none, and after a failure the first time.
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// An error that the contract's interface does not have, or none at all.
const OTHER: &str = "other";
const OUT_OF_GAS: &str = "out-of-gas";

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum CallsError {
    /// The node: this passes.
    #[error("node: {0}")]
    Read(#[from] ReadError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The search for calls to one verifier.
#[derive(Debug)]
pub struct Calls {
    node: Node,
    store: Store,
    deployment: Deployment,
    /// The block before the contract's.
    before: u64,
    confirmations: u64,
    config: CallsConfig,
    progress: Progress,
}

impl Calls {
    /// `deployment_block` and `confirmations` as the tail has them.
    #[must_use]
    pub const fn new(
        node: Node,
        store: Store,
        deployment: Deployment,
        (deployment_block, confirmations): (u64, u64),
        config: CallsConfig,
        progress: Progress,
    ) -> Self {
        Self { node, store, deployment, before: deployment_block.saturating_sub(1), confirmations, config, progress }
    }

    /// Steps until `shutdown`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut pause = PAUSE;
        loop {
            let stepped = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                stepped = self.turn() => stepped,
            };
            let wait = match stepped {
                Ok(0) => PAUSE,
                Ok(blocks) => {
                    pause = PAUSE;
                    Duration::from_secs_f64(blocks as f64 / f64::from(self.config.blocks_per_second))
                }
                Err(CallsError::Read(error)) => {
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    tracing::info!(%error, retry_in_ms = pause.as_millis(), "final blocks cannot be searched for calls");
                    pause
                }
                Err(CallsError::Store(error)) => return Err(error.into()),
            };
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// A step, unless the tail has more need of the nodes.
    async fn turn(&self) -> Result<u64, CallsError> {
        let lag = self.progress.snapshot().lag_blocks();
        if lag.is_none_or(|lag| lag > self.confirmations + TAIL_LAGS) {
            return Ok(0);
        }
        self.step().await
    }

    /// Searches the next final blocks. Returns how many they were.
    ///
    /// # Errors
    /// [`CallsError`]; nothing was written then.
    pub async fn step(&self) -> Result<u64, CallsError> {
        let Some(last) = self.store.final_block(&self.deployment).await? else { return Ok(0) };
        let held = self.store.follower(&self.deployment, Follower::Calls).await?;
        let done = held.unwrap_or(self.before);
        let lag = last.number.saturating_sub(done);
        metrics::gauge!(CALLS_LAG_BLOCKS).set(lag as f64);
        let to = last.number.min(done + STEP);
        if to <= done {
            return Ok(0);
        }
        let found = stream::iter(done + 1..=to).map(|number| self.search(number)).buffered(AT_ONCE);
        let calls: Vec<Vec<ContractCall>> = found.try_collect().await?;
        if !self.store.record_calls(&self.deployment, held, to, &calls.concat()).await? {
            return Ok(0);
        }
        Ok(to - done)
    }

    async fn search(&self, number: u64) -> Result<Vec<ContractCall>, ReadError> {
        let block = self.node.get_block_by_number(number.into()).full().await?;
        let block = block.ok_or(ReadError::Inconsistent("the node does not know a block below its head"))?;
        let BlockTransactions::Full(transactions) = &block.transactions else {
            return Err(ReadError::Inconsistent("the node answered without the block's transactions"));
        };
        if block.header.number != number {
            return Err(ReadError::Inconsistent("the node answered with another block"));
        }
        let mut calls = Vec::new();
        for transaction in transactions.iter().filter(|t| t.inner.to() == Some(self.deployment.verifier)) {
            calls.extend(self.judge(&block, transaction).await?);
        }
        Ok(calls)
    }

    /// `None` for what succeeded and is no issuance: its events say enough.
    async fn judge(&self, block: &Block, transaction: &Transaction) -> Result<Option<ContractCall>, ReadError> {
        let tx_hash = transaction.tx_hash();
        let receipt = self.node.get_transaction_receipt(tx_hash).await?.ok_or(RpcError::NullResp)?;
        let TransactionReceipt { block_hash: Some(block_hash), transaction_index: Some(tx_index), gas_used, .. } =
            receipt
        else {
            return Err(ReadError::Inconsistent("the node answered with a receipt without a place"));
        };
        if block_hash != block.header.hash {
            return Err(ReadError::Inconsistent("the node's receipt is of another block"));
        }
        let succeeded = receipt.inner.status();
        let input = transaction.inner.input();
        let codes = if succeeded { codes(input) } else { 0 };
        if succeeded && codes == 0 {
            return Ok(None);
        }
        let error = match succeeded {
            true => None,
            false => Some(self.explain(block.header.number, transaction).await?),
        };
        // The proxy keeps a 64th back, and then reverts without a word.
        let limit = transaction.inner.gas_limit();
        let exhausted = gas_used >= limit - limit / 32;
        let error = error.map(|name| if exhausted && [OTHER, UNEXPLAINED].contains(&name) { OUT_OF_GAS } else { name });
        Ok(Some(ContractCall {
            block_hash,
            block_number: block.header.number,
            timestamp: block.header.timestamp,
            tx_index,
            tx_hash,
            function: function(input),
            error,
            gas_used,
            codes,
        }))
    }

    /// Runs a call that reverted again: on the state before its block, which all nodes keep for a while, and where it
    /// does not fail there, after it, in which the block's other transactions and its time are.
    async fn explain(&self, number: u64, transaction: &Transaction) -> Result<&'static str, ReadError> {
        let request = TransactionRequest {
            from: Some(transaction.from()),
            to: transaction.inner.kind().into(),
            gas: Some(transaction.inner.gas_limit()),
            value: Some(transaction.inner.value()),
            input: transaction.inner.input().clone().into(),
            ..TransactionRequest::default()
        };
        for block in [number - 1, number] {
            match self.node.call(request.clone()).block(BlockId::number(block)).await {
                Err(RpcError::ErrorResp(refusal)) if refusal.message.contains("revert") => {
                    return Ok(refusal.as_revert_data().map_or(OTHER, |data| error_name(&data)));
                }
                // The state is gone, or it runs: then after the block.
                Ok(_) | Err(RpcError::ErrorResp(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(UNEXPLAINED)
    }
}

fn selector(data: &[u8]) -> Option<[u8; 4]> {
    data.first_chunk().copied()
}

/// A function's name, one of few.
fn function(input: &Bytes) -> &'static str {
    selector(input).and_then(OtpVerifierCalls::name_by_selector).unwrap_or(OTHER)
}

/// An error's name, one of few.
fn error_name(data: &[u8]) -> &'static str {
    selector(data).and_then(OtpVerifierErrors::name_by_selector).unwrap_or(OTHER)
}

/// How many codes an issuance carries; 0 for every other call.
fn codes(input: &Bytes) -> u64 {
    match selector(input) {
        Some(OtpVerifier::setOtpCall::SELECTOR) => 1,
        Some(OtpVerifier::setOtpsCall::SELECTOR) => {
            OtpVerifier::setOtpsCall::abi_decode(input).map_or(0, |call| call.ids.len() as u64)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use alloy::{primitives::B256, sol_types::SolError};

    use super::*;

    #[test]
    fn calls_and_errors_have_the_names_of_the_interface_and_strangers_one_for_all() {
        let (purpose, first, deadline) = (B256::ZERO, Default::default(), u64::MAX);
        let set = OtpVerifier::setOtpsCall { purpose, first, ids: vec![B256::ZERO; 7], deadline };
        let input = Bytes::from(set.abi_encode());
        assert_eq!((function(&input), codes(&input)), ("setOtps", 7));
        assert_eq!(codes(&input.slice(..input.len() - 1)), 0, "cut off");
        assert_eq!(function(&Bytes::from_static(&[1, 2, 3, 4, 5])), OTHER);
        assert_eq!(function(&Bytes::from_static(&[1])), OTHER);
        assert_eq!(error_name(&OtpVerifier::OtpUsed { id: B256::ZERO }.abi_encode()), "OtpUsed");
        assert_eq!(error_name(b"\x08\xc3\x79\xa0"), OTHER, "Error(string)");
    }
}
