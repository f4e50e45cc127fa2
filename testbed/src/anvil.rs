//! A chain of our own: anvil with a block each second, as a real chain has them; automatic mining would hide every wait.

use std::{path::Path, time::Duration};

use alloy::{
    primitives::{Address, U256, utils::parse_ether},
    providers::{Provider, ProviderBuilder},
    rpc::client::RpcClient,
    signers::local::PrivateKeySigner,
    transports::http::Http,
};
use anyhow::{Context, Result};
use otp_core::chain::Node;
use url::Url;

use crate::{
    ports,
    service::{Probe, Service, Spec},
    tools,
};

const CALL_WITHIN: Duration = Duration::from_secs(10);
/// What each account is given, in ether.
const FUNDS: &str = "10000";

/// A running anvil.
pub struct Anvil {
    /// The process.
    pub service: Service,
    /// Its JSON-RPC.
    pub url: Url,
    /// A provider of it.
    pub node: Node,
}

/// A provider of this one node, whose calls end in time; without what the daemons put between themselves and a node.
///
/// # Errors
/// When no HTTP client can be built on this machine.
pub fn connect(url: &Url) -> Result<Node> {
    let http = reqwest::Client::builder().timeout(CALL_WITHIN).build()?;
    let client = RpcClient::new(Http::with_client(http, url.clone()), true);
    Ok(ProviderBuilder::default().connect_client(client))
}

impl Anvil {
    /// Starts it without accounts of its own: keys that the whole world knows are no keys.
    ///
    /// # Errors
    /// When it is not installed or not ready in time.
    pub async fn start(port: u16, logs: &Path) -> Result<Self> {
        let url = ports::http(port)?;
        let port = port.to_string();
        let args = ["--host", "127.0.0.1", "--port", &port, "--block-time", "1", "--gas-limit", "300000000"];
        let mut service = Service::new(Spec {
            name: "anvil",
            program: tools::foundry("anvil")?,
            args: args.into_iter().chain(["--accounts", "0"]).map(Into::into).collect(),
            env: Vec::new(),
            log: logs.join("anvil.log"),
            probe: Probe::Rpc(url.clone()),
        });
        service.start().await?;
        let node = connect(&url)?;
        Ok(Self { service, url, node })
    }

    /// Makes a key and gives its account ether.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn new_account(&self) -> Result<PrivateKeySigner> {
        let signer = PrivateKeySigner::random();
        fund(&self.node, signer.address()).await?;
        Ok(signer)
    }
}

/// Gives an account ether, out of nothing.
///
/// # Errors
/// When the node does not answer or is no anvil.
pub async fn fund(node: &Node, account: Address) -> Result<()> {
    let funds: U256 = parse_ether(FUNDS)?;
    let parameters = (account, funds);
    let set: Result<(), _> = node.raw_request("anvil_setBalance".into(), parameters).await;
    set.with_context(|| format!("funding {account}"))
}
