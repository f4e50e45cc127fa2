//! `stack.json`: what a running stack is made of, for people, pages and tests.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use alloy::{
    primitives::{Address, B256},
    signers::local::PrivateKeySigner,
};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize, Serializer};
use url::Url;

/// An account with its key: for a chain that lives on this machine alone.
#[derive(Clone, Serialize, Deserialize)]
pub struct Account {
    /// Where its ether is.
    pub address: Address,
    /// Its private key.
    pub key: B256,
}

/// A URL without the slash of its root, so that what is appended may begin with one.
pub fn text(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

fn bare<S: Serializer>(url: &Url, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text(url))
}

/// Everything that somebody needs to use a stack.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// anvil's JSON-RPC.
    #[serde(serialize_with = "bare")]
    pub rpc_url: Url,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The `OtpVerifier` proxy.
    pub verifier: Address,
    /// The proxy's admin.
    pub proxy_admin: Address,
    /// The governor.
    pub timelock: Address,
    /// The timelock's proposer, two of three.
    pub safe: Address,
    /// The Safe's owners, with keys and ether.
    pub safe_owners: Vec<Account>,
    /// The faster guardian, with ether.
    pub guardian: Address,
    /// Its private key.
    pub guardian_key: B256,
    /// The relayer's account.
    pub issuer: Address,
    /// The example vault.
    pub vault: Address,
    /// No log of the verifier is older.
    pub deployment_block: u64,
    /// The relayer's public port.
    #[serde(serialize_with = "bare")]
    pub relayer_url: Url,
    /// The relayer's admin port.
    #[serde(serialize_with = "bare")]
    pub relayer_admin_url: Url,
    /// The indexer's public port.
    #[serde(serialize_with = "bare")]
    pub indexer_url: Url,
    /// The indexer's admin port.
    #[serde(serialize_with = "bare")]
    pub indexer_admin_url: Url,
    /// The mailbox's page.
    #[serde(serialize_with = "bare")]
    pub mail_url: Url,
    /// The mailbox's SMTP, as host:port.
    pub smtp_address: String,
    /// The daemons' database.
    pub database_path: PathBuf,
    /// The log of each process by its name.
    pub logs: BTreeMap<String, PathBuf>,
    /// Wallets with ether.
    pub accounts: Vec<Account>,
}

impl From<&PrivateKeySigner> for Account {
    fn from(signer: &PrivateKeySigner) -> Self {
        Self { address: signer.address(), key: signer.to_bytes() }
    }
}

impl Account {
    /// The key, ready to sign.
    ///
    /// # Errors
    /// When it is none.
    pub fn signer(&self) -> Result<PrivateKeySigner> {
        PrivateKeySigner::from_bytes(&self.key).with_context(|| format!("the key of {}", self.address))
    }
}

impl Description {
    /// Writes it in one step, for nobody else to read: it appears whole or not at all.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let draft = path.with_extension("json.draft");
        let _ = fs::remove_file(&draft);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.write_all(b"\n")?;
        Ok(fs::rename(&draft, path)?)
    }
}
