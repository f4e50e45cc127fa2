//! Signs on the chain that somebody else acts with our rights: a batch under our key that we did not send, a role that was
//! granted, another implementation behind the proxy.

use std::collections::HashSet;

use alloy::{
    primitives::B256,
    providers::Provider,
    rpc::types::{Filter, Log},
    sol_types::SolEvent,
};
use otp_core::{
    contract::{OtpVerifier, proxy},
    metrics::CHAIN_ALARMS,
};

use super::{Head, Issuer, IssuingError};

/// So many blocks are asked for at once.
const CHUNK: u64 = 1_000;
/// So many blocks are looked at again, since a reorg may have changed them.
const OVERLAP: u64 = 12;
/// So many alarms are remembered, so that none is told twice.
const MEMORY: usize = 1_024;

/// How far the chain was looked at.
#[derive(Debug, Default)]
pub(super) struct Watch {
    started: Option<u64>,
    seen: Option<u64>,
    told: HashSet<(B256, u64)>,
    /// A batch under our key is not ours: nothing more is issued until an operator has looked and starts this anew.
    pub(super) is_foreign: bool,
}

impl Issuer {
    /// Looks at the blocks since the last time. From its first head on: what was before belongs to whoever started this.
    pub(super) async fn watch(&mut self, head: Head) -> Result<(), IssuingError> {
        let started = *self.watch.started.get_or_insert(head.number);
        if self.watch.seen == Some(head.number) {
            return Ok(());
        }
        let seen = self.watch.seen.unwrap_or(head.number);
        let from = seen.saturating_sub(OVERLAP).max(started + 1);
        let to = head.number.min(from.saturating_add(CHUNK));
        if from <= to {
            let filter = Filter::new()
                .address(self.parts.chain.deployment.verifier)
                .event_signature(vec![
                    OtpVerifier::OtpBatchSet::SIGNATURE_HASH,
                    OtpVerifier::RoleGranted::SIGNATURE_HASH,
                    proxy::Upgraded::SIGNATURE_HASH,
                ])
                .from_block(from)
                .to_block(to);
            for log in self.parts.node.get_logs(&filter).await? {
                self.judge(&log).await?;
            }
        }
        self.watch.seen = Some(to);
        Ok(())
    }

    async fn judge(&mut self, log: &Log) -> Result<(), IssuingError> {
        let tx_hash = log.transaction_hash.unwrap_or_default();
        let key = (tx_hash, log.log_index.unwrap_or_default());
        let alarm = match log.topic0() {
            Some(&OtpVerifier::OtpBatchSet::SIGNATURE_HASH) => {
                let Ok(batch) = OtpVerifier::OtpBatchSet::decode_log(&log.inner) else { return Ok(()) };
                let ours = batch.issuer == self.sender.lease.sender;
                if !ours || self.parts.store.has_batch(batch.issuer, batch.root).await? {
                    return Ok(());
                }
                self.watch.is_foreign = true;
                "foreign-batch"
            }
            Some(&OtpVerifier::RoleGranted::SIGNATURE_HASH) => "role-granted",
            Some(&proxy::Upgraded::SIGNATURE_HASH) => "upgraded",
            _ => return Ok(()),
        };
        if self.watch.told.len() < MEMORY && self.watch.told.insert(key) {
            metrics::counter!(CHAIN_ALARMS, "alarm" => alarm).increment(1);
            let block_number = log.block_number;
            match alarm {
                "foreign-batch" => tracing::error!(
                    target: "security", event = "chain-alarm", alarm, %tx_hash, block_number,
                    "somebody else issues with this key: issuance stops; pause the contract and remove the issuer"
                ),
                _ => tracing::warn!(
                    target: "security", event = "chain-alarm", alarm, %tx_hash, block_number,
                    "the contract's governance acted: check that this was meant"
                ),
            }
        }
        Ok(())
    }
}
