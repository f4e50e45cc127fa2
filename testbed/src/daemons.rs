//! The configuration of relayer and indexer in a stack.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use url::Url;

use crate::{
    deployment::Deployment,
    ports::{self, Ports, loopback},
    service::{Probe, Service, Spec},
    tools,
};

/// A stack is used by few accounts from one address, and hard: only what a request pays for everywhere is limited.
const LIMITS: &str = "[limits]\nrequests_per_account = \"1000000/1m\"\nrequests_per_ip = \"1000000/1m\"\n\
    requests_per_device = \"1000000/1m\"\nrequests_global = \"1000000/1m\"\ncontact_cooldown_seconds = 0\n\
    queued_per_account = 1000000\nqueued = 1000000\nnonces_per_ip = \"1000000/1m\"\nlogins_per_ip = \"1000000/1m\"\n\
    contact_mails_per_account = \"off\"\ncontact_mails_per_ip = \"off\"\ncontact_mails_per_destination = \"off\"\n\
    unlocks_per_ip = \"1000000/1m\"\ntighten_above_percent = 100\n";

/// What the page is told of the example vault.
pub(crate) const VAULT_FILE: &str = "vault.json";
const VAULT_ACTION: &str = include_str!("../../src-sol/examples/GatedVault.action.json");

/// What both daemons are configured from.
pub(crate) struct Setting<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) logs: &'a Path,
    pub(crate) ports: Ports,
    pub(crate) smtp_port: u16,
    pub(crate) rpc_url: &'a Url,
    pub(crate) deployment: &'a Deployment,
}

impl Setting<'_> {
    /// The relayer; the keystore's password goes by environment, as an operator would do it.
    pub(crate) fn relayer(
        &self,
        keystore: &Path,
        password: String,
        mut env: Vec<(&'static str, String)>,
    ) -> Result<Service> {
        let text = format!(
            "{shared}[signer]\nkeystore = {keystore:?}\n\
             [http]\nlisten = \"{listen}\"\nadmin_listen = \"{admin}\"\nlame_duck_ms = 0\n\
             admin_token_file = {token:?}\ndomains = [\"{domain}\"]\n\
             [contacts]\nchannels = [\"email\", \"inapp\"]\n{LIMITS}",
            shared = self.shared(""),
            token = self.data("relayer-admin.token"),
            listen = loopback(self.ports.relayer()),
            admin = loopback(self.ports.relayer_admin()),
            domain = ports::http(self.ports.relayer())?,
        );
        env.push(("OTP_RELAYER_SIGNER_KEYSTORE_PASSWORD", password));
        self.service("relayer", "serve", &text, env, self.ports.relayer())
    }

    /// Tells the page of the vault: the example's file with this deployment's address.
    pub(crate) fn write_vault_action(&self) -> Result<()> {
        let mut action: serde_json::Value = serde_json::from_str(VAULT_ACTION)?;
        action["consumer"] = self.deployment.vault.to_checksum(None).into();
        Ok(fs::write(self.folder.join(VAULT_FILE), serde_json::to_vec_pretty(&action)?)?)
    }

    /// The indexer, with the mailbox as its SMTP server.
    pub(crate) fn indexer(&self, env: Vec<(&'static str, String)>) -> Result<Service> {
        let text = format!(
            "{shared}[http]\nlisten = \"{listen}\"\nadmin_listen = \"{admin}\"\nlame_duck_ms = 0\n\
             admin_token_file = {token:?}\npublic_url = \"{public}\"\n\
             [mail]\nsmtp_host = \"127.0.0.1\"\nsmtp_port = {smtp}\nsecurity = \"none\"\nfrom = \"OTP <otp@localhost.test>\"\n\
             [evidence]\nkey_file = {key:?}\ndirectory = {evidence:?}\nhead_seconds = 1\n\
             [calls]\ntimelock = \"{timelock}\"\n",
            timelock = self.deployment.timelock,
            key = self.data("evidence.key"),
            evidence = self.data("evidence"),
            shared = self.shared(&format!("deployment_block = {}\n", self.deployment.deployment_block)),
            token = self.data("indexer-admin.token"),
            listen = loopback(self.ports.indexer()),
            admin = loopback(self.ports.indexer_admin()),
            // Where the pages behind links are, and what they call.
            public = ports::http(self.ports.relayer())?,
            smtp = self.smtp_port,
        );
        self.service("indexer", "run", &text, env, self.ports.indexer())
    }

    /// Debug's escapes are those of a TOML string, quotes included, for any path that is text without control characters.
    fn data(&self, name: &str) -> PathBuf {
        self.folder.join("data").join(name)
    }

    fn shared(&self, more_of_chain: &str) -> String {
        format!(
            "[chain]\nid = {id}\nverifier = \"{verifier}\"\nrpc_urls = [\"{rpc_url}\"]\npoll_ms = 100\n{more_of_chain}\
             [store]\npath = {database:?}\n[keys]\nfile = {master:?}\n[page]\nactions = [{vault:?}]\n",
            id = self.deployment.chain_id,
            verifier = self.deployment.verifier,
            rpc_url = self.rpc_url,
            database = self.data("otp.db"),
            master = self.data("master.key"),
            vault = self.folder.join(VAULT_FILE),
        )
    }

    fn service(
        &self,
        name: &'static str,
        command: &str,
        config: &str,
        env: Vec<(&'static str, String)>,
        port: u16,
    ) -> Result<Service> {
        let path = self.folder.join(format!("{name}.toml"));
        fs::write(&path, config)?;
        Ok(Service::new(Spec {
            name,
            program: tools::daemon(name)?,
            args: vec![command.into(), "--config".into(), path.into()],
            env,
            log: self.logs.join(format!("{name}.log")),
            probe: Probe::Get(ports::http(port)?.join("readyz")?),
        }))
    }
}
