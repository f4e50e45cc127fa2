//! The relayer's configuration. Keys, defaults and meanings: `relayer/config.example.toml`, which a test compares with
//! these files; one file per section. The environment prefix is `OTP_RELAYER`.

mod chain;
mod contacts;
mod http;
mod issue;
mod keys;
mod limits;
mod otp;
mod session;
mod sponsor;
mod warn;

use std::path::{Path, PathBuf};

use alloy::primitives::U256;
use otp_core::{
    config::{Faults, KnownKey, Reader},
    consumer::{self, ConsumerAction},
    http::Listening,
    seal::KeysConfig,
};

pub use self::{
    chain::ChainConfig,
    contacts::ContactsConfig,
    http::{Domain, HttpConfig},
    issue::IssueConfig,
    keys::SignerConfig,
    limits::{Limit, LimitsConfig, PurposeLimit, Quota, RequestScope},
    otp::OtpConfig,
    session::SessionConfig,
    sponsor::SponsorConfig,
    warn::WarnConfig,
};

const PREFIX: &str = "OTP_RELAYER";

/// Everything that `relayer serve` needs.
#[derive(Debug)]
pub struct Config {
    /// Node and contract.
    pub chain: ChainConfig,
    /// The database file, shared with the indexer.
    pub store_path: PathBuf,
    /// Where data keys are wrapped.
    pub keys: KeysConfig,
    /// The issuing key.
    pub signer: SignerConfig,
    /// `signer.min_balance_wei`: below it, issuance stops.
    pub min_balance_wei: U256,
    /// Ports, origins, admin token.
    pub http: HttpConfig,
    /// Sessions.
    pub session: SessionConfig,
    /// Requests.
    pub otp: OtpConfig,
    /// Contacts and their changes.
    pub contacts: ContactsConfig,
    /// How much of what anybody may ask for.
    pub limits: LimitsConfig,
    /// Batching, fees, deadlines.
    pub issue: IssueConfig,
    /// Who pays for verifications, if anybody.
    pub sponsor: Option<SponsorConfig>,
    /// When to say that issuance may stop soon.
    pub warn: WarnConfig,
    /// `page.actions`: what the page knows of contracts that spend codes.
    pub actions: Vec<ConsumerAction>,
    /// `tracing` filter.
    pub log_filter: String,
}

impl Config {
    /// Reads file and environment.
    ///
    /// # Errors
    /// Every fault together.
    pub fn load(path: Option<&Path>) -> Result<Self, Faults> {
        let mut reader = Reader::load(path, PREFIX);
        let config = read(&mut reader);
        reader.finish(config)
    }

    /// Reads the ports alone: what a command needs to talk to a running relayer.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn listening(path: Option<&Path>) -> Result<Listening, Faults> {
        let mut reader = Reader::load(path, PREFIX);
        let listening = http::listening(&mut reader);
        reader.finish_part(listening)
    }

    /// The keys that [`Config::load`] knows.
    #[must_use]
    pub fn known_keys() -> Vec<KnownKey> {
        let mut reader = Reader::new("", [], PREFIX);
        let _ = read(&mut reader);
        reader.known().to_vec()
    }
}

fn read(reader: &mut Reader) -> Option<Config> {
    let chain = chain::read(reader);
    let store_path = reader.or("store.path", "data/otp.db");
    let keys = KeysConfig::read(reader);
    let signer = keys::read_signer(reader);
    let min_balance_wei = reader.or("signer.min_balance_wei", "10000000000000000");
    let http = http::read(reader);
    let session = session::read(reader, http.as_ref().map(|http| &http.listening));
    let otp = otp::read(reader);
    let contacts = contacts::read(reader);
    let limits = limits::read(reader);
    let issue = issue::read(reader);
    let sponsor = sponsor::read(reader);
    let warn = warn::read(reader);
    let actions = consumer::read(reader);
    let log_filter = reader.or("log.filter", "info");
    Some(Config {
        chain: chain?,
        store_path: store_path?,
        keys: keys?,
        signer: signer?,
        min_balance_wei: min_balance_wei?,
        http: http?,
        session: session?,
        otp: otp?,
        contacts: contacts?,
        limits: limits?,
        issue: issue?,
        sponsor: sponsor?,
        warn: warn?,
        actions: actions?,
        log_filter: log_filter?,
    })
}

#[cfg(test)]
mod tests {
    use otp_core::config::differences_from_example;

    use super::*;

    #[test]
    fn the_example_shows_every_key_with_its_default() {
        let differences = differences_from_example(include_str!("../../config.example.toml"), &Config::known_keys());
        assert_eq!(differences, Vec::<String>::new());
    }

    #[test]
    fn the_example_is_complete_but_for_the_secret() {
        let password = ("OTP_RELAYER_SIGNER_KEYSTORE_PASSWORD".to_owned(), "secret".to_owned());
        let mut reader = Reader::new(include_str!("../../config.example.toml"), [password], PREFIX);
        let config = read(&mut reader);
        let config = reader.finish(config).unwrap();
        assert!(!format!("{config:?}").contains("secret"));

        let mut reader = Reader::new(include_str!("../../config.example.toml"), [], PREFIX);
        let config = read(&mut reader);
        let faults = reader.finish(config).unwrap_err().0;
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains("OTP_RELAYER_SIGNER_KEYSTORE_PASSWORD"));
    }
}
