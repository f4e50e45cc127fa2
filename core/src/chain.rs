//! The way to the chain: one provider before several nodes, and the check that the contract is there.
//!
//! [`connect`] gives a [`Node`] as alloy has it; behind it is a [`Pool`], which chooses the node of each call.

mod answer;
mod beside;
mod config;
mod endpoint;
mod health;
mod judge;
mod pool;
mod refusal;

use std::time::Duration;

use alloy::{
    eips::BlockNumberOrTag,
    network::Ethereum,
    primitives::Address,
    providers::{Provider, ProviderBuilder, RootProvider},
    rpc::client::RpcClient,
    transports::{RpcError, TransportErrorKind},
};

pub use self::{
    answer::retry_after,
    beside::EndpointPlace,
    config::{RpcConfig, RpcUrl, WsUrl},
    health::{Failure, SeenHead},
    pool::{EndpointState, NoNode, Pool},
    refusal::{is_timeout, is_too_much, is_unknown_tag},
};
use crate::{contract::OtpVerifier, id::Deployment};

/// What an RPC call fails with.
pub type RpcFailure = RpcError<TransportErrorKind>;

/// A provider without fillers: nonces, fees and gas are set by whoever sends.
pub type Node = RootProvider<Ethereum>;

/// Why the chain cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// No node answers, or with an error: this can come back.
    #[error("no node answers: {0}")]
    Unreachable(String),
    /// Every node serves another chain: this is a configuration fault.
    #[error("no node of chain.rpc_urls serves chain {0}: set the right nodes, chain.id or chain.genesis_hash")]
    WrongChain(u64),
    /// No verifier stands at the address.
    #[error(
        "no OtpVerifier contract at {verifier} on chain {chain_id}: set chain.verifier to the address of its proxy"
    )]
    NoContract {
        /// The configured address.
        verifier: Address,
        /// The chain.
        chain_id: u64,
    },
}

impl NodeError {
    /// Whether waiting can help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}

/// A provider before the configured nodes, and the pool behind it. No node is asked yet.
///
/// # Errors
/// When no HTTP client can be built on this machine.
pub fn connect(config: &RpcConfig, chain_id: u64) -> Result<(Node, Pool), reqwest::Error> {
    let pool = Pool::new(config, chain_id)?;
    let client = RpcClient::new(pool.clone(), false);
    Ok((ProviderBuilder::default().connect_client(client), pool))
}

/// Checks that a node answers and that the contract is there.
///
/// # Errors
/// [`NodeError`], which says what to do.
pub async fn check(node: &Node, pool: &Pool, deployment: &Deployment) -> Result<(), NodeError> {
    let unreachable = |e: RpcFailure| {
        if pool.serves_another_chain() {
            NodeError::WrongChain(deployment.chain_id)
        } else {
            NodeError::Unreachable(brief(&e))
        }
    };
    let code = node.get_code_at(deployment.verifier).await.map_err(unreachable)?;
    let none = || NodeError::NoContract { verifier: deployment.verifier, chain_id: deployment.chain_id };
    if code.is_empty() {
        return Err(none());
    }
    // Another contract stands there where the node runs the call and it fails or answers something else.
    match OtpVerifier::new(deployment.verifier, node).eip712Domain().call().await {
        Ok(domain) if domain.name == "OtpVerifier" => Ok(()),
        Err(alloy::contract::Error::TransportError(e)) if e.as_error_resp().is_none() => Err(unreachable(e)),
        _ => Err(none()),
    }
}

/// Repeats [`check`] with growing pauses while no node can be reached; ends at once on what waiting cannot mend.
///
/// # Errors
/// A [`NodeError`] that is not retryable.
pub async fn wait_until_usable(node: &Node, pool: &Pool, deployment: &Deployment) -> Result<(), NodeError> {
    let mut pause = Duration::from_millis(250);
    loop {
        match check(node, pool, deployment).await {
            Err(e) if e.is_retryable() => {
                tracing::warn!(error = %e, retry_in_ms = pause.as_millis(), "waiting for a node");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(15));
            }
            settled => return settled,
        }
    }
}

/// The latest block's number and timestamp (Unix seconds).
///
/// # Errors
/// When the node does not answer.
pub async fn head(node: &Node) -> Result<(u64, u64), RpcFailure> {
    let block = node.get_block_by_number(BlockNumberOrTag::Latest).await?.ok_or(RpcError::NullResp)?;
    Ok((block.header.number, block.header.timestamp))
}

/// A transport error in one line and without its URL, which may carry a provider's key.
#[must_use]
pub fn brief(error: &RpcFailure) -> String {
    match error {
        RpcError::ErrorResp(payload) => format!("error {}: {}", payload.code, payload.message),
        RpcError::Transport(TransportErrorKind::HttpError(answer)) => format!("HTTP status {}", answer.status),
        RpcError::Transport(TransportErrorKind::Custom(e)) => match e.downcast_ref::<NoNode>() {
            Some(none) => none.to_string(),
            None => "transport error".to_owned(),
        },
        RpcError::NullResp => "an empty answer".to_owned(),
        _ => "an answer that makes no sense".to_owned(),
    }
}

/// Whether an error says that no node is left to ask; one that lags by a block will catch up.
#[must_use]
pub fn is_unreachable(error: &RpcFailure) -> bool {
    match error {
        RpcError::Transport(TransportErrorKind::Custom(e)) => {
            e.downcast_ref::<NoNode>().is_none_or(|none| none.failure != Failure::Behind)
        }
        RpcError::Transport(_) => true,
        _ => false,
    }
}
