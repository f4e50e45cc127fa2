//! The way to a node: a provider with a timeout, and the check that it serves the chain and contract we mean.

use std::time::Duration;

use alloy::{
    eips::BlockNumberOrTag,
    network::Ethereum,
    primitives::Address,
    providers::{Provider, ProviderBuilder, RootProvider},
    rpc::client::RpcClient,
    transports::{RpcError, TransportErrorKind, http::Http},
};
use url::Url;

use crate::{contract::OtpVerifier, id::Deployment};

/// What an RPC call fails with.
pub type RpcFailure = RpcError<TransportErrorKind>;

/// A provider without fillers: nonces, fees and gas are set by whoever sends.
pub type Node = RootProvider<Ethereum>;

/// The URL of a JSON-RPC endpoint over HTTP.
#[derive(Debug, Clone)]
pub struct RpcUrl(pub Url);

impl std::str::FromStr for RpcUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| "a URL such as https://node.example/ is expected")?;
        let usable = matches!(url.scheme(), "http" | "https") && url.has_host();
        if usable { Ok(Self(url)) } else { Err("a URL that begins with http:// or https:// is expected") }
    }
}

/// Why a node cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// It does not answer, or with an error: this can come back.
    #[error("the node at {host} does not answer: {why}")]
    Unreachable {
        /// Host and port; a URL may carry a key.
        host: String,
        /// The transport's word.
        why: String,
    },
    /// It serves another chain: this is a configuration fault.
    #[error("the node at {host} serves chain {found}, chain.id is {expected}: set the right node or chain id")]
    WrongChain {
        /// Host and port.
        host: String,
        /// The configured chain id.
        expected: u64,
        /// The node's chain id.
        found: u64,
    },
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
        matches!(self, Self::Unreachable { .. })
    }
}

/// A provider over HTTP whose every call ends within `timeout`.
///
/// # Errors
/// When no HTTP client can be built on this machine.
pub fn connect(url: &Url, timeout: Duration) -> Result<Node, reqwest::Error> {
    let client = reqwest::Client::builder().timeout(timeout).connect_timeout(timeout).build()?;
    let transport = Http::with_client(client, url.clone());
    let client = RpcClient::new(transport, false);
    Ok(ProviderBuilder::default().connect_client(client))
}

/// Host and port of a node, which is all of its URL that a log may show.
#[must_use]
pub fn host(url: &Url) -> String {
    match (url.host_str(), url.port_or_known_default()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        _ => "unknown host".to_owned(),
    }
}

/// Checks chain id and contract.
///
/// # Errors
/// [`NodeError`], which says what to do.
pub async fn check(node: &Node, url: &Url, deployment: &Deployment) -> Result<(), NodeError> {
    let unreachable = |e: RpcFailure| NodeError::Unreachable { host: host(url), why: brief(&e) };
    let found = node.get_chain_id().await.map_err(unreachable)?;
    if found != deployment.chain_id {
        return Err(NodeError::WrongChain { host: host(url), expected: deployment.chain_id, found });
    }
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

/// Repeats [`check`] with growing pauses while the node cannot be reached; ends at once on what waiting cannot mend.
///
/// # Errors
/// A [`NodeError`] that is not retryable.
pub async fn wait_until_usable(node: &Node, url: &Url, deployment: &Deployment) -> Result<(), NodeError> {
    let mut pause = Duration::from_millis(250);
    loop {
        match check(node, url, deployment).await {
            Err(e) if e.is_retryable() => {
                tracing::warn!(error = %e, retry_in_ms = pause.as_millis(), "waiting for the node");
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
        RpcError::Transport(TransportErrorKind::Custom(e)) => match e.downcast_ref::<reqwest::Error>() {
            Some(e) if e.is_timeout() => "timed out".to_owned(),
            Some(e) if e.is_connect() => "connection refused or no route".to_owned(),
            _ => "transport error".to_owned(),
        },
        RpcError::NullResp => "an empty answer".to_owned(),
        _ => "an answer that makes no sense".to_owned(),
    }
}
