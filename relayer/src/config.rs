//! The relayer's configuration. Keys, defaults and meanings: `relayer/config.example.toml`, which a test compares with
//! this file. The environment prefix is `OTP_RELAYER`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use alloy::primitives::{Address, U256};
use otp_core::{
    chain::RpcUrl,
    config::{Faults, KnownKey, Reader},
    id::{Deployment, Purpose},
    secret::Secret,
};
use url::Url;

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
    /// How long a session lives.
    pub session_ttl: Duration,
    /// Requests and contacts.
    pub otp: OtpConfig,
    /// Batching, fees, deadlines.
    pub issue: IssueConfig,
    /// `tracing` filter.
    pub log_filter: String,
}

/// `chain.*`
#[derive(Debug, Clone)]
pub struct ChainConfig {
    /// `chain.id` and `chain.verifier`.
    pub deployment: Deployment,
    /// `chain.rpc_url`
    pub rpc_url: Url,
    /// `chain.rpc_timeout_ms`
    pub rpc_timeout: Duration,
    /// `chain.poll_ms`: how often head, policies and receipts are asked for.
    pub poll: Duration,
    /// `chain.fresh_ms`: how old the node's last answer may be while issuance goes on.
    pub fresh_for: Duration,
    /// `chain.max_head_age_ms`: how far the head's timestamp may lie behind this server's clock.
    pub max_head_age: Duration,
}

/// `keys.*`
#[derive(Debug)]
pub enum KeysConfig {
    /// `keys.file`
    File(PathBuf),
    /// `keys.kms_key_id`
    Kms(String),
}

/// `signer.*`
#[derive(Debug)]
pub enum SignerConfig {
    /// `signer.keystore` and `signer.keystore_password`.
    Keystore {
        /// An encrypted JSON keystore (Web3 Secret Storage).
        path: PathBuf,
        /// Its password.
        password: Secret<String>,
    },
    /// `signer.kms_key_id`: an ECC_SECG_P256K1 key.
    Kms(String),
}

/// `http.*`
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// `http.listen`
    pub listen: SocketAddr,
    /// `http.admin_listen`
    pub admin_listen: SocketAddr,
    /// `http.admin_token_file`
    pub admin_token_file: PathBuf,
    /// `http.domains`: where people sign in.
    pub domains: Vec<Domain>,
}

/// A page that signs people in, given as its URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// RFC 3986 authority, as EIP-4361 has it in its first line.
    pub authority: String,
    /// The URI that a sign-in message must name.
    pub uri: String,
    /// The CORS origin.
    pub origin: String,
}

/// `otp.*`
#[derive(Debug, Clone)]
pub struct OtpConfig {
    /// `otp.purposes`: those that this relayer issues for.
    pub purposes: Vec<Purpose>,
    /// `otp.allow_blind_actions`: whether a bare bytes32 is accepted as action.
    pub allow_blind_actions: bool,
    /// `otp.confirmation_ttl_seconds`: how long the digits that confirm a contact live.
    pub confirmation_ttl: Duration,
    /// `otp.cooldown_seconds`: the least time between two requests to one contact.
    pub cooldown: Duration,
}

/// `issue.*`
#[derive(Debug, Clone)]
pub struct IssueConfig {
    /// `issue.deadline_seconds`: how late, in chain time, a batch may still be mined.
    pub deadline_s: u64,
    /// `issue.replace_after_ms`: when a transaction that is not mined is sent again with higher fees.
    pub replace_after: Duration,
    /// `issue.max_fee_per_gas_wei`: the most that is ever offered.
    pub max_fee_cap_wei: u128,
    /// `issue.priority_fee_per_gas_wei`: the first offer's tip.
    pub priority_fee_wei: u128,
    /// `issue.confirmations`: blocks on top after which a batch counts as final.
    pub confirmations: u64,
}

impl FromStr for Domain {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri = Url::parse(text).map_err(|e| format!("a URI such as https://app.example/ is expected ({e})"))?;
        let local = matches!(uri.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        match uri.scheme() {
            "https" => {}
            "http" if local => {}
            _ => return Err("https is expected; http is for localhost alone".to_owned()),
        }
        let authority = uri.authority().to_owned();
        if authority.is_empty() || authority.contains('@') || uri.fragment().is_some() {
            return Err("a URI with a host and without user or fragment is expected".to_owned());
        }
        Ok(Self { authority, uri: text.to_owned(), origin: uri.origin().ascii_serialization() })
    }
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

    /// The keys that [`Config::load`] knows.
    #[must_use]
    pub fn known_keys() -> Vec<KnownKey> {
        let mut reader = Reader::new("", [], PREFIX);
        let _ = read(&mut reader);
        reader.known().to_vec()
    }
}

fn read(reader: &mut Reader) -> Option<Config> {
    let chain = read_chain(reader);
    let store_path = reader.or("store.path", "data/otp.db");
    let keys = read_keys(reader);
    let signer = read_signer(reader);
    let min_balance_wei = reader.or("signer.min_balance_wei", "10000000000000000");
    let http = read_http(reader);
    let session_ttl = seconds(reader, "session.ttl_seconds", "900", 1..=86_400);
    let otp = read_otp(reader);
    let issue = read_issue(reader);
    let log_filter = reader.or("log.filter", "info");
    Some(Config {
        chain: chain?,
        store_path: store_path?,
        keys: keys?,
        signer: signer?,
        min_balance_wei: min_balance_wei?,
        http: http?,
        session_ttl: session_ttl?,
        otp: otp?,
        issue: issue?,
        log_filter: log_filter?,
    })
}

fn read_chain(reader: &mut Reader) -> Option<ChainConfig> {
    let chain_id = reader.required("chain.id");
    let verifier: Option<Address> = reader.required("chain.verifier");
    let rpc_url: Option<RpcUrl> = reader.required("chain.rpc_url");
    let rpc_timeout = millis(reader, "chain.rpc_timeout_ms", "10000", 1..=120_000);
    let poll = millis(reader, "chain.poll_ms", "500", 10..=60_000);
    let fresh_for = millis(reader, "chain.fresh_ms", "5000", 100..=600_000);
    let max_head_age = millis(reader, "chain.max_head_age_ms", "60000", 1_000..=86_400_000);
    if let (Some(poll), Some(fresh_for)) = (poll, fresh_for)
        && fresh_for <= poll
    {
        reader.fault("chain.fresh_ms: more than chain.poll_ms is expected");
    }
    Some(ChainConfig {
        deployment: Deployment { chain_id: chain_id?, verifier: verifier? },
        rpc_url: rpc_url?.0,
        rpc_timeout: rpc_timeout?,
        poll: poll?,
        fresh_for: fresh_for?,
        max_head_age: max_head_age?,
    })
}

fn read_keys(reader: &mut Reader) -> Option<KeysConfig> {
    let file = reader.or("keys.file", "data/master.key");
    match reader.optional("keys.kms_key_id")? {
        Some(key_id) => Some(KeysConfig::Kms(key_id)),
        None => file.map(KeysConfig::File),
    }
}

fn read_signer(reader: &mut Reader) -> Option<SignerConfig> {
    let path = reader.or("signer.keystore", "data/issuer.json");
    let password = reader.optional("signer.keystore_password")?;
    match (reader.optional("signer.kms_key_id")?, password) {
        (Some(key_id), _) => Some(SignerConfig::Kms(key_id)),
        (None, Some(password)) => Some(SignerConfig::Keystore { path: path?, password }),
        (None, None) => {
            reader.fault("signer.keystore_password is missing: set it as OTP_RELAYER_SIGNER_KEYSTORE_PASSWORD, or set signer.kms_key_id");
            None
        }
    }
}

fn read_http(reader: &mut Reader) -> Option<HttpConfig> {
    let listen = reader.or("http.listen", "127.0.0.1:8080");
    let admin_listen = reader.or("http.admin_listen", "127.0.0.1:8081");
    let admin_token_file = reader.or("http.admin_token_file", "data/relayer-admin.token");
    let domains = reader.list("http.domains", None);
    Some(HttpConfig {
        listen: listen?,
        admin_listen: admin_listen?,
        admin_token_file: admin_token_file?,
        domains: domains?,
    })
}

fn read_otp(reader: &mut Reader) -> Option<OtpConfig> {
    let purposes = reader.list("otp.purposes", Some("login,withdraw,keys,roles"));
    let allow_blind_actions = reader.or("otp.allow_blind_actions", "false");
    let confirmation_ttl = seconds(reader, "otp.confirmation_ttl_seconds", "600", 30..=3_600);
    let cooldown = seconds(reader, "otp.cooldown_seconds", "0", 0..=3_600);
    Some(OtpConfig {
        purposes: purposes?,
        allow_blind_actions: allow_blind_actions?,
        confirmation_ttl: confirmation_ttl?,
        cooldown: cooldown?,
    })
}

fn read_issue(reader: &mut Reader) -> Option<IssueConfig> {
    let deadline = seconds(reader, "issue.deadline_seconds", "300", 10..=3_600);
    let replace_after = millis(reader, "issue.replace_after_ms", "15000", 100..=600_000);
    let max_fee_cap_wei = reader.or("issue.max_fee_per_gas_wei", "500000000000");
    let priority_fee_wei = reader.or("issue.priority_fee_per_gas_wei", "1000000000");
    let confirmations = bounded(reader, "issue.confirmations", "64", 1..=10_000);
    Some(IssueConfig {
        deadline_s: deadline?.as_secs(),
        replace_after: replace_after?,
        max_fee_cap_wei: max_fee_cap_wei?,
        priority_fee_wei: priority_fee_wei?,
        confirmations: confirmations?,
    })
}

fn bounded(
    reader: &mut Reader,
    name: &'static str,
    default: &str,
    bounds: std::ops::RangeInclusive<u64>,
) -> Option<u64> {
    let value: u64 = reader.or(name, default)?;
    if bounds.contains(&value) {
        return Some(value);
    }
    reader.fault(format!("{name}: {} to {} is expected", bounds.start(), bounds.end()));
    None
}

fn seconds(
    reader: &mut Reader,
    name: &'static str,
    default: &str,
    bounds: std::ops::RangeInclusive<u64>,
) -> Option<Duration> {
    bounded(reader, name, default, bounds).map(Duration::from_secs)
}

fn millis(
    reader: &mut Reader,
    name: &'static str,
    default: &str,
    bounds: std::ops::RangeInclusive<u64>,
) -> Option<Duration> {
    bounded(reader, name, default, bounds).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use otp_core::config::differences_from_example;

    use super::*;

    #[test]
    fn the_example_shows_every_key_with_its_default() {
        let differences = differences_from_example(include_str!("../config.example.toml"), &Config::known_keys());
        assert_eq!(differences, Vec::<String>::new());
    }

    #[test]
    fn the_example_is_complete_but_for_the_secret() {
        let password = ("OTP_RELAYER_SIGNER_KEYSTORE_PASSWORD".to_owned(), "secret".to_owned());
        let mut reader = Reader::new(include_str!("../config.example.toml"), [password], PREFIX);
        let config = read(&mut reader);
        let config = reader.finish(config).unwrap();
        assert!(!format!("{config:?}").contains("secret"));

        let mut reader = Reader::new(include_str!("../config.example.toml"), [], PREFIX);
        let config = read(&mut reader);
        let faults = reader.finish(config).unwrap_err().0;
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains("OTP_RELAYER_SIGNER_KEYSTORE_PASSWORD"));
    }

    #[test]
    fn a_domain_is_https_or_local_and_names_no_user() {
        let domain: Domain = "https://app.example:8443/sign-in".parse().unwrap();
        assert_eq!(
            (domain.authority.as_str(), domain.origin.as_str()),
            ("app.example:8443", "https://app.example:8443")
        );
        assert!("http://localhost:8080/".parse::<Domain>().is_ok());
        for bad in ["app.example", "http://app.example/", "https://user@app.example/", "ftp://app.example/"] {
            assert!(bad.parse::<Domain>().is_err(), "{bad}");
        }
    }
}
