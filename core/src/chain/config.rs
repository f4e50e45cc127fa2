//! `chain.rpc_*`: the nodes of both daemons, read by one function.

use std::{fmt, time::Duration};

use alloy::primitives::B256;
use url::Url;

use crate::config::Reader;

/// The URL of a JSON-RPC endpoint over HTTP. It may carry a provider's key, and shows host and port alone.
#[derive(Clone, PartialEq, Eq)]
pub struct RpcUrl(pub Url);

impl RpcUrl {
    /// Host and port, which is all that a log may show.
    #[must_use]
    pub fn host(&self) -> String {
        match (self.0.host_str(), self.0.port_or_known_default()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            _ => "unknown host".to_owned(),
        }
    }
}

impl fmt::Debug for RpcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host())
    }
}

impl std::str::FromStr for RpcUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| "a URL such as https://node.example/ is expected")?;
        let usable = matches!(url.scheme(), "http" | "https") && url.has_host();
        if usable { Ok(Self(url)) } else { Err("a URL that begins with http:// or https:// is expected") }
    }
}

/// The URL of a node's WebSocket. It may carry a provider's key, and shows host and port alone.
#[derive(Clone, PartialEq, Eq)]
pub struct WsUrl(pub Url);

impl WsUrl {
    /// Host and port, which is all that a log may show.
    #[must_use]
    pub fn host(&self) -> String {
        RpcUrl(self.0.clone()).host()
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.0.scheme() == "wss"
    }
}

impl fmt::Debug for WsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host())
    }
}

impl std::str::FromStr for WsUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| "a URL such as wss://node.example/ is expected")?;
        let usable = matches!(url.scheme(), "ws" | "wss") && url.has_host();
        if usable { Ok(Self(url)) } else { Err("a URL that begins with ws:// or wss:// is expected") }
    }
}

/// Which nodes are asked, and how.
#[derive(Debug, Clone)]
pub struct RpcConfig {
    /// `chain.rpc_urls`: the first one that works is asked, until it fails.
    pub urls: Vec<RpcUrl>,
    /// `chain.rpc_timeout_ms`: for one call to one node.
    pub timeout: Duration,
    /// `chain.max_lag_blocks`: how far a node may be behind the best one.
    pub max_lag_blocks: u64,
    /// `chain.genesis_hash`: of block 0; learned from the first node that has the right chain id where it is not given.
    pub genesis_hash: Option<B256>,
}

impl RpcConfig {
    /// One node and the defaults, for tests and tools.
    #[must_use]
    pub fn one(url: Url) -> Self {
        Self { urls: vec![RpcUrl(url)], timeout: Duration::from_secs(10), max_lag_blocks: 5, genesis_hash: None }
    }

    /// Reads it; each daemon has a default timeout of its own.
    pub fn read(reader: &mut Reader, timeout_ms: &str) -> Option<Self> {
        let urls = reader.list("chain.rpc_urls", None);
        let timeout = reader.millis("chain.rpc_timeout_ms", timeout_ms, 1..=120_000);
        let max_lag_blocks = reader.within("chain.max_lag_blocks", "5", 1..=10_000);
        let genesis_hash = reader.optional("chain.genesis_hash");
        Some(Self { urls: urls?, timeout: timeout?, max_lag_blocks: max_lag_blocks?, genesis_hash: genesis_hash? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_providers_key_is_not_shown() {
        let url: RpcUrl = "https://node.example/v3/0123456789abcdef".parse().unwrap();
        assert_eq!(format!("{url:?}"), "node.example:443");
        let url: WsUrl = "wss://node.example/v3/0123456789abcdef".parse().unwrap();
        assert_eq!(format!("{url:?}"), "node.example:443");
        assert!("https://node.example/".parse::<WsUrl>().is_err());
        assert!("ftp://node.example/".parse::<RpcUrl>().is_err());
        assert!("node.example:8545".parse::<RpcUrl>().is_err());
    }
}
