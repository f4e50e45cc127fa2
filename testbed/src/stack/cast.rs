//! Who there is on a stack's chain, each with ether.

use std::path::PathBuf;

use alloy::{primitives::Address, signers::local::PrivateKeySigner};
use anyhow::Result;

use crate::{
    anvil::Anvil,
    deployment::{Deployment, Plan},
    description::{Account, Description},
    ports::{self, Ports, loopback},
};

const ACCOUNTS: usize = 10;
const OWNERS: usize = 3;

/// The people of a stack.
pub(super) struct Cast {
    deployer: PrivateKeySigner,
    pub(super) issuer: PrivateKeySigner,
    /// The issuer's own, or that of its key in KMS.
    pub(super) issuer_address: Address,
    standby: PrivateKeySigner,
    guardian: PrivateKeySigner,
    owners: Vec<PrivateKeySigner>,
    accounts: Vec<PrivateKeySigner>,
}

impl Cast {
    pub(super) async fn new(anvil: &Anvil) -> Result<Self> {
        let issuer = anvil.new_account().await?;
        Ok(Self {
            deployer: anvil.new_account().await?,
            issuer_address: issuer.address(),
            issuer,
            standby: anvil.new_account().await?,
            guardian: anvil.new_account().await?,
            owners: several(anvil, OWNERS).await?,
            accounts: several(anvil, ACCOUNTS).await?,
        })
    }

    pub(super) fn plan(&self, code_ttl_s: u32) -> Plan {
        Plan {
            deployer: self.deployer.clone(),
            owners: self.owners.iter().map(PrivateKeySigner::address).collect(),
            guardian: self.guardian.address(),
            issuers: vec![self.issuer_address, self.standby.address()],
            code_ttl_s,
        }
    }

    /// Without logs and database, which the caller knows.
    pub(super) fn describe(&self, anvil: &Anvil, deployment: &Deployment, ports: Ports) -> Result<Description> {
        Ok(Description {
            rpc_url: anvil.url.clone(),
            chain_id: deployment.chain_id,
            verifier: deployment.verifier,
            proxy_admin: deployment.proxy_admin,
            timelock: deployment.timelock,
            safe: deployment.safe,
            safe_owners: self.owners.iter().map(Account::from).collect(),
            guardian: self.guardian.address(),
            guardian_key: self.guardian.to_bytes(),
            issuer: self.issuer_address,
            vault: deployment.vault,
            deployment_block: deployment.deployment_block,
            relayer_url: ports::http(ports.relayer())?,
            relayer_admin_url: ports::http(ports.relayer_admin())?,
            indexer_url: ports::http(ports.indexer())?,
            indexer_admin_url: ports::http(ports.indexer_admin())?,
            mail_url: ports::http(ports.mail())?,
            smtp_address: loopback(ports.smtp()).to_string(),
            database_path: PathBuf::new(),
            logs: Default::default(),
            accounts: self.accounts.iter().map(Account::from).collect(),
        })
    }
}

async fn several(anvil: &Anvil, count: usize) -> Result<Vec<PrivateKeySigner>> {
    let mut signers = Vec::with_capacity(count);
    for _ in 0..count {
        signers.push(anvil.new_account().await?);
    }
    Ok(signers)
}
