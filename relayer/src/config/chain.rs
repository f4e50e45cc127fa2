//! `chain.*`: node and contract.

use std::time::Duration;

use alloy::primitives::Address;
use otp_core::{chain::RpcConfig, config::Reader, id::Deployment};

/// `chain.*`
#[derive(Debug, Clone)]
pub struct ChainConfig {
    /// `chain.id` and `chain.verifier`.
    pub deployment: Deployment,
    /// `chain.rpc_urls` and how they are asked.
    pub rpc: RpcConfig,
    /// `chain.poll_ms`: how often head, policies and receipts are asked for.
    pub poll: Duration,
    /// `chain.fresh_ms`: how old the node's last answer may be while issuance goes on.
    pub fresh_for: Duration,
    /// `chain.max_head_age_ms`: how far the head's timestamp may lie behind this server's clock.
    pub max_head_age: Duration,
}

pub(super) fn read(reader: &mut Reader) -> Option<ChainConfig> {
    let chain_id = reader.required("chain.id");
    let verifier: Option<Address> = reader.required("chain.verifier");
    // Below chain.fresh_ms, so that one node that hangs stops nothing where there is another.
    let rpc = RpcConfig::read(reader, "4000");
    let poll = reader.millis("chain.poll_ms", "500", 10..=60_000);
    let fresh_for = reader.millis("chain.fresh_ms", "5000", 100..=600_000);
    let max_head_age = reader.millis("chain.max_head_age_ms", "60000", 1_000..=86_400_000);
    if let (Some(poll), Some(fresh_for)) = (poll, fresh_for)
        && fresh_for <= poll
    {
        reader.fault("chain.fresh_ms: more than chain.poll_ms is expected");
    }
    Some(ChainConfig {
        deployment: Deployment { chain_id: chain_id?, verifier: verifier? },
        rpc: rpc?,
        poll: poll?,
        fresh_for: fresh_for?,
        max_head_age: max_head_age?,
    })
}
