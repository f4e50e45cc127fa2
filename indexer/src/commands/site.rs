//! What a command works on: the configured chain and database.

use std::fs::File;

use anyhow::{Context, ensure};
use otp_core::{
    chain::{self, RpcUrl},
    cli::BadUsage,
    store::{Cursor, Outbox, Store},
};

use super::Target;
use crate::{
    config::{ChainConfig, Config},
    lock,
    source::Source,
};

/// A chain and a database.
pub(super) struct Site {
    pub(super) chain: ChainConfig,
    pub(super) store: Store,
    pub(super) outbox: Outbox,
    pub(super) source: Source,
    /// Held by a command that writes.
    _lock: Option<File>,
}

impl Site {
    /// Opens the database to read it, and asks `node`, or the last of the configured ones.
    pub(super) async fn to_read(target: &Target, node: Option<RpcUrl>) -> anyhow::Result<Self> {
        let mut config = Config::load(target.config.as_deref())?;
        let node = node.or_else(|| config.chain.rpc.urls.last().cloned());
        config.chain.rpc.urls = node.into_iter().collect();
        Self::open(config, None).await
    }

    /// Opens the database to write to it, which no daemon may do meanwhile.
    pub(super) async fn to_write(target: &Target) -> anyhow::Result<Self> {
        let config = Config::load(target.config.as_deref())?;
        let held = lock::only_one(&config.store_path)?;
        Self::open(config, Some(held)).await
    }

    async fn open(config: Config, held: Option<File>) -> anyhow::Result<Self> {
        let (chain, path) = (config.chain, config.store_path);
        let store = if held.is_some() { Store::open(&path).await } else { existing(&path).await? };
        let store = store.with_context(|| path.display().to_string())?;
        let (node, pool) = chain::connect(&chain.rpc, chain.deployment.chain_id)?;
        chain::check(&node, &pool, &chain.deployment).await?;
        ensure!(
            !store.follows_another(&chain.deployment).await?,
            "the database holds another deployment's events: set store.path to a file of its own"
        );
        let source = Source::new(node, pool, chain.deployment.verifier);
        let outbox = Outbox {
            deployment: chain.deployment,
            mail_domain: config.mail.from.email.domain().to_owned(),
            depths: config.delivery.depths,
        };
        Ok(Self { chain, store, outbox, source, _lock: held })
    }

    /// Where the database stands.
    pub(super) async fn cursor(&self) -> anyhow::Result<Option<Cursor>> {
        Ok(self.store.cursor(&self.chain.deployment).await?)
    }

    /// The last block that the node has and that is applied.
    async fn tip(&self) -> anyhow::Result<u64> {
        let head = self.source.head().await?.block.number;
        let (tip, first) = (head.saturating_sub(self.chain.confirmations), self.chain.deployment_block);
        ensure!(
            tip >= first,
            "chain.deployment_block {first} is above block {tip}, the node's last one that is applied"
        );
        Ok(tip)
    }

    /// The last block, once it is sure that the node's chain is the one of which a part is final here: what a node of
    /// another chain says must not take its place.
    pub(super) async fn tip_of_ours(&self) -> anyhow::Result<u64> {
        if let Some(settled) = self.store.final_block(&self.chain.deployment).await? {
            let there = self.source.header(settled.number).await?.block.hash;
            ensure!(
                there == settled.hash,
                "the node's block {} is not the one that is final in the database: check that it serves the right chain, \
                 then start on a new database file",
                settled.number
            );
        }
        self.tip().await
    }

    /// The nodes that are asked, by host and port.
    pub(super) fn hosts(&self) -> String {
        let hosts: Vec<_> = self.chain.rpc.urls.iter().map(RpcUrl::host).collect();
        hosts.join(", ")
    }
}

/// A database that is there; opening one that is not would make it.
pub(super) async fn existing(path: &std::path::Path) -> anyhow::Result<Result<Store, otp_core::store::StoreError>> {
    ensure!(path.exists(), "no database at {}: set store.path, or run the indexer first", path.display());
    Ok(Store::open(path).await)
}

/// What was asked for makes no sense.
pub(super) fn bad_usage(why: String) -> anyhow::Error {
    BadUsage(why).into()
}
