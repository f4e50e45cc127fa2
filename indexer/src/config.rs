//! The indexer's configuration. Keys, defaults and meanings: `indexer/config.example.toml`, which a test compares with
//! this file. The environment prefix is `OTP_INDEXER`.

mod dkim;
mod mail;

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use alloy::primitives::Address;
use otp_core::{
    chain::{RpcConfig, WsUrl},
    config::{Faults, KnownKey, Reader},
    consumer::{self, ConsumerAction},
    http::{Listening, Ports},
    id::Deployment,
    seal::KeysConfig,
    store::Depths,
};
use url::{Host, Url};

pub use self::{
    dkim::DkimConfig,
    mail::{MailConfig, MailSecurity},
};
use crate::{
    channel::{
        inapp::Inapp,
        sms::{self, SmsConfig},
    },
    evidence::EvidenceConfig,
    mail::plain,
};

const PREFIX: &str = "OTP_INDEXER";
const PORTS: Ports =
    Ports { listen: "127.0.0.1:8090", admin_listen: "127.0.0.1:8091", admin_token_file: "data/indexer-admin.token" };

/// Everything that `indexer run` needs.
#[derive(Debug)]
pub struct Config {
    /// Node and contract.
    pub chain: ChainConfig,
    /// The database file, shared with the relayer.
    pub store_path: PathBuf,
    /// Where data keys are wrapped.
    pub keys: KeysConfig,
    /// Ports, admin token, the base of links.
    pub http: HttpConfig,
    /// The SMTP server and the sender.
    pub mail: MailConfig,
    /// Text messages, where a provider is set.
    pub sms: Option<SmsConfig>,
    /// `webhook.enabled` and `webhook.timeout_ms`: for one message; `None` where webhooks are off.
    pub webhook: Option<Duration>,
    /// Messages that are kept here.
    pub inapp: Inapp,
    /// How final blocks are searched for calls.
    pub calls: CallsConfig,
    /// How messages are worked off.
    pub delivery: DeliveryConfig,
    /// The evidence log.
    pub evidence: EvidenceConfig,
    /// `page.actions`: what the page knows of contracts that spend codes.
    pub actions: Vec<ConsumerAction>,
    /// `tracing` filter.
    pub log_filter: String,
}

/// `chain.*`
#[derive(Debug, Clone)]
pub struct ChainConfig {
    /// `chain.id` and `chain.verifier`.
    pub deployment: Deployment,
    /// `chain.rpc_urls` and how they are asked.
    pub rpc: RpcConfig,
    /// `chain.deployment_block`: the verifier's first block, from which its logs are read.
    pub deployment_block: u64,
    /// `chain.poll_ms`: how often a new head is asked for.
    pub poll: Duration,
    /// `chain.max_head_age_ms`: how far the head's timestamp may lie behind this server's clock.
    pub max_head_age: Duration,
    /// `chain.range_blocks`: the most blocks in one `eth_getLogs` while catching up.
    pub range_blocks: u64,
    /// `chain.ranges_in_flight`: ranges that are read at once while catching up.
    pub ranges_in_flight: usize,
    /// `chain.ws_urls`: sockets that announce heads, beside the poll.
    pub ws_urls: Vec<WsUrl>,
    /// `chain.finality_blocks`: blocks on top after which a block is final, where the node does not say it itself.
    pub finality_blocks: u64,
    /// `chain.confirmations`: blocks on top before a block is applied.
    pub confirmations: u64,
}

/// `http.*`
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Ports, TLS, the admin token.
    pub listening: Listening,
    /// `http.public_url`: what links in messages begin with; without a slash at its end.
    pub public_url: String,
    /// `http.node_questions_per_second`: what the public port asks of a node in checks, whoever wants them.
    pub node_questions_per_second: u32,
}

/// `calls.*`
#[derive(Debug, Clone, Copy)]
pub struct CallsConfig {
    /// `calls.search`: whether final blocks are searched for calls to the verifier that reverted.
    pub search: bool,
    /// `calls.blocks_per_second`: the most blocks that are searched in a second.
    pub blocks_per_second: u32,
    /// `calls.timelock`: the timelock that governs the verifier, whose logs are read where it is set.
    pub timelock: Option<Address>,
}

/// `delivery.*`
#[derive(Debug, Clone)]
pub struct DeliveryConfig {
    /// `delivery.workers`: messages on their way at once.
    pub workers: u32,
    /// `delivery.retry_first_ms`: the first pause after a failure; it doubles from there.
    pub retry_first: Duration,
    /// `delivery.retry_most_ms`: the longest pause.
    pub retry_most: Duration,
    /// `delivery.depth.*`: what the messages of each channel wait for.
    pub depths: Depths,
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

    /// Reads the ports alone: what a command needs to talk to a running indexer.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn listening(path: Option<&Path>) -> Result<Listening, Faults> {
        let mut reader = Reader::load(path, PREFIX);
        let listening = Listening::read(&mut reader, PORTS);
        reader.finish_part(listening)
    }

    /// Reads TOML text alone, without the environment.
    ///
    /// # Errors
    /// Every fault together.
    pub fn parse(text: &str) -> Result<Self, Faults> {
        let mut reader = Reader::new(text, [], PREFIX);
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
    let keys = KeysConfig::read(reader);
    let http = read_http(reader);
    let mail = mail::read(reader);
    let sms = sms::config::read(reader, http.as_ref().map(|http| http.public_url.as_str()));
    let webhook = read_webhook(reader);
    let inapp = reader.seconds("inapp.keep_seconds", "86400", 0..=2_592_000).map(|keep| Inapp { keep });
    let calls = read_calls(reader);
    let delivery = read_delivery(reader);
    let evidence = EvidenceConfig::read(reader);
    let actions = consumer::read(reader);
    let log_filter = reader.or("log.filter", "info");
    Some(Config {
        chain: chain?,
        store_path: store_path?,
        keys: keys?,
        http: http?,
        mail: mail?,
        sms: sms?,
        webhook: webhook?,
        inapp: inapp?,
        calls: calls?,
        delivery: delivery?,
        evidence: evidence?,
        actions: actions?,
        log_filter: log_filter?,
    })
}

fn read_chain(reader: &mut Reader) -> Option<ChainConfig> {
    let chain_id = reader.required("chain.id");
    let verifier: Option<Address> = reader.required("chain.verifier");
    let rpc = RpcConfig::read(reader, "10000");
    let deployment_block = reader.required("chain.deployment_block");
    let deployment_block = reader.bounded("chain.deployment_block", deployment_block, 1..=u64::from(u32::MAX));
    let poll = reader.millis("chain.poll_ms", "500", 10..=60_000);
    let max_head_age = reader.millis("chain.max_head_age_ms", "60000", 1_000..=86_400_000);
    let range_blocks = reader.within("chain.range_blocks", "2000", 1..=100_000);
    let ws_urls = reader.list("chain.ws_urls", Some(""));
    let finality_blocks = reader.within("chain.finality_blocks", "64", 1..=100_000);
    let ranges_in_flight = reader.within("chain.ranges_in_flight", "4", 1..=32);
    let confirmations = reader.within("chain.confirmations", "0", 0..=10_000);
    Some(ChainConfig {
        deployment: Deployment { chain_id: chain_id?, verifier: verifier? },
        rpc: rpc?,
        deployment_block: deployment_block?,
        poll: poll?,
        max_head_age: max_head_age?,
        range_blocks: range_blocks?,
        ws_urls: ws_urls?,
        finality_blocks: finality_blocks?,
        ranges_in_flight: usize::try_from(ranges_in_flight?).ok()?,
        confirmations: confirmations?,
    })
}

fn read_http(reader: &mut Reader) -> Option<HttpConfig> {
    let listening = Listening::read(reader, PORTS);
    let public_url: Option<PublicUrl> = reader.required("http.public_url");
    let node_questions_per_second = reader.within("http.node_questions_per_second", "4", 0..=1_000);
    Some(HttpConfig {
        listening: listening?,
        public_url: public_url?.0,
        node_questions_per_second: u32::try_from(node_questions_per_second?).ok()?,
    })
}

fn read_webhook(reader: &mut Reader) -> Option<Option<Duration>> {
    let enabled: Option<bool> = reader.or("webhook.enabled", "false");
    let timeout = reader.millis("webhook.timeout_ms", "5000", 100..=60_000);
    Some(enabled?.then_some(timeout?))
}

fn read_calls(reader: &mut Reader) -> Option<CallsConfig> {
    let search = reader.or("calls.search", "true");
    let blocks_per_second = reader.within("calls.blocks_per_second", "20", 1..=1_000);
    let timelock = reader.optional("calls.timelock");
    Some(CallsConfig { search: search?, blocks_per_second: blocks_per_second?, timelock: timelock? })
}

fn read_delivery(reader: &mut Reader) -> Option<DeliveryConfig> {
    let workers = reader.within("delivery.workers", "8", 1..=64);
    let retry_first = reader.millis("delivery.retry_first_ms", "500", 10..=60_000);
    let retry_most = reader.millis("delivery.retry_most_ms", "10000", 10..=600_000);
    let depths = read_depths(reader);
    let (retry_first, retry_most) = (retry_first?, retry_most?);
    if retry_first > retry_most {
        reader.fault("delivery.retry_first_ms is above delivery.retry_most_ms");
    }
    Some(DeliveryConfig { workers: u32::try_from(workers?).ok()?, retry_first, retry_most, depths: depths? })
}

fn read_depths(reader: &mut Reader) -> Option<Depths> {
    let email = reader.or("delivery.depth.email", "latest");
    let sms = reader.or("delivery.depth.sms", "latest");
    let webhook = reader.or("delivery.depth.webhook", "latest");
    let inapp = reader.or("delivery.depth.inapp", "latest");
    Some(Depths { email: email?, sms: sms?, webhook: webhook?, inapp: inapp? })
}

pub(crate) fn is_loopback(host: &str) -> bool {
    match Host::parse(host) {
        Ok(Host::Domain(name)) => name == "localhost",
        Ok(Host::Ipv4(address)) => address.is_loopback(),
        Ok(Host::Ipv6(address)) => address.is_loopback(),
        Err(_) => host == "::1",
    }
}

/// `https` (or `http` on loopback), and nothing in it that a message may not show.
struct PublicUrl(String);

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|e| format!("a URL such as https://otp.example is expected ({e})"))?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(host) => {}
            _ => return Err("https is expected; http is for loopback alone".to_owned()),
        }
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
            return Err("a URL without user, query and fragment is expected".to_owned());
        }
        let base = url.as_str().trim_end_matches('/');
        if plain::has_six_digits(base) {
            return Err("six digits in a row would pass for a code in the message".to_owned());
        }
        Ok(Self(base.to_owned()))
    }
}

/// A configuration with nothing in it that has a default.
#[cfg(test)]
const LEAST: &str = "[chain]\nid = 31337\nverifier = '0x0000000000000000000000000000000000000001'\n\
    rpc_urls = ['http://127.0.0.1:8545']\ndeployment_block = 1\n\
    [http]\npublic_url = 'http://127.0.0.1:8090/'\n\
    [mail]\nsmtp_host = '127.0.0.1'\nsecurity = 'none'\nfrom = 'Codes <codes@otp.example>'\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_configuration_is_enough() {
        let config = Config::parse(LEAST).unwrap();
        assert_eq!(config.http.public_url, "http://127.0.0.1:8090");
        assert_eq!(config.mail.port, 587);
        assert_eq!(config.delivery.workers, 8);
    }

    #[test]
    fn the_example_shows_every_key_with_its_default() {
        let example = include_str!("../config.example.toml");
        assert_eq!(otp_core::config::differences_from_example(example, &Config::known_keys()), [""; 0]);
        Config::parse(example).unwrap();
    }

    #[test]
    fn all_faults_are_told_in_one_line() {
        let text = Config::parse("[mail]\nsecurity = 'ssl'\npassword = 'hunter2'").unwrap_err().to_string();
        for part in ["chain.id", "chain.verifier", "http.public_url", "mail.smtp_host", "mail.security", "mail.from"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains('\n') && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_link_base_that_is_no_plain_https_url_is_refused() {
        for bad in
            ["http://otp.example", "https://a:b@otp.example", "https://otp.example/?x=1", "https://o123456.example"]
        {
            let text = LEAST.replace("http://127.0.0.1:8090/", bad);
            assert!(Config::parse(&text).unwrap_err().to_string().contains("http.public_url"), "{bad}");
        }
    }
}
