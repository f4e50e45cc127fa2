//! A sign-in message, right or spoiled.

use alloy::primitives::Address;
use otp_core::clock::{now_ms, rfc3339_ms};

pub(crate) const DOMAIN: &str = "localhost:3000";
pub(crate) const URI: &str = "http://localhost:3000/";

/// A sign-in message, field by field.
pub(crate) struct Message {
    pub(crate) domain: String,
    pub(crate) wallet: Address,
    pub(crate) statement: String,
    pub(crate) uri: String,
    pub(crate) version: u32,
    pub(crate) chain_id: u64,
    pub(crate) nonce: String,
    pub(crate) issued_at: String,
    /// Whole lines after Issued At.
    pub(crate) more: Vec<String>,
}

impl Message {
    pub(crate) fn new(wallet: Address, chain_id: u64, nonce: String) -> Self {
        let (domain, uri) = (DOMAIN.to_owned(), URI.to_owned());
        let statement = "Sign in to the test".to_owned();
        Self {
            domain,
            wallet,
            statement,
            uri,
            version: 1,
            chain_id,
            nonce,
            issued_at: seconds_from_now(0),
            more: Vec::new(),
        }
    }

    pub(crate) fn text(&self) -> String {
        let Self { domain, wallet, statement, uri, version, chain_id, nonce, issued_at, more } = self;
        let mut lines = vec![
            format!("{domain} wants you to sign in with your Ethereum account:"),
            wallet.to_checksum(None),
            String::new(),
            statement.clone(),
            String::new(),
            format!("URI: {uri}"),
            format!("Version: {version}"),
            format!("Chain ID: {chain_id}"),
            format!("Nonce: {nonce}"),
            format!("Issued At: {issued_at}"),
        ];
        lines.extend(more.iter().cloned());
        lines.join("\n")
    }
}

pub(crate) fn seconds_from_now(seconds: i64) -> String {
    rfc3339_ms(now_ms() + seconds * 1_000)
}
