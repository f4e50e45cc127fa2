//! What the batcher and the indexer do between an acceptance and an unlocking: the batcher itself, step by step, and the
//! indexer's writes from the contract's real logs.

use std::{sync::Arc, time::Duration};

use alloy::{
    eips::BlockNumberOrTag,
    providers::{Provider, ext::AnvilApi},
    rpc::types::{Filter, Log},
    sol_types::SolEventInterface,
};
use otp_core::{
    chain::RpcConfig,
    contract::OtpVerifier::OtpVerifierEvents as Logged,
    store::{Block, ChainEvent, EventKind, Facts, Outbox, Place},
};
use relayer::{
    config::{ChainConfig, IssueConfig},
    issuing::{Issuer, Parts},
};
use tokio_util::sync::CancellationToken;

use crate::app::TestApp;

impl TestApp {
    /// What the daemon gives its issuing task.
    pub(crate) fn parts(&self) -> Parts {
        Parts {
            store: self.store.clone(),
            store_path: self.folder.path().join("otp.db"),
            keyring: self.keyring.clone(),
            node: self.anvil.node.clone(),
            chain: ChainConfig {
                deployment: self.deployment,
                rpc: RpcConfig::one(self.anvil.url.clone()),
                poll: Duration::from_millis(50),
                fresh_for: Duration::from_secs(10),
                max_head_age: Duration::from_secs(86_400),
            },
            issue: IssueConfig {
                deadline_s: 300,
                replace_after: Duration::from_secs(3_600),
                max_fee_cap_wei: 500_000_000_000,
                priority_fee_wei: 1_000_000_000,
                confirmations: 4,
                sign_timeout: Duration::from_secs(10),
            },
            view: self.view.clone(),
            signer: Arc::new(self.issuer.clone()),
            wake: self.wake.clone(),
        }
    }

    /// Issues what waits and follows the chain to its head.
    pub(crate) async fn issue(&self) {
        self.issue_in(3).await;
    }

    /// As [`TestApp::issue`], in so many turns of the batcher. With one, it has sent and not seen what became of it, and
    /// the indexer has.
    pub(crate) async fn issue_in(&self, turns: usize) {
        let parts = self.parts();
        // Finality looks at blocks that a loaded state does not have.
        self.anvil.node.anvil_mine(Some(6), None).await.unwrap();
        self.follow().await;
        let mut issuer = Issuer::start(parts, &CancellationToken::new()).await.unwrap().unwrap();
        for _ in 0..turns {
            issuer.turn().await.unwrap();
            self.anvil.node.anvil_mine(Some(1), None).await.unwrap();
        }
        self.follow().await;
    }

    /// Applies every block since the last time, as the indexer does.
    pub(crate) async fn follow(&self) {
        self.view.refresh(&self.anvil.node).await.unwrap();
        let latest = self.block(BlockNumberOrTag::Latest).await;
        let Some(from) = self.store.cursor(&self.deployment).await.unwrap() else {
            return self.store.start_cursor(&self.deployment, &latest).await.unwrap();
        };
        if from.number >= latest.number {
            return;
        }
        let filter =
            Filter::new().address(self.deployment.verifier).from_block(from.number + 1).to_block(latest.number);
        let logs = self.anvil.node.get_logs(&filter).await.unwrap();
        let mut blocks: Vec<Block> = Vec::new();
        for log in &logs {
            let number = log.block_number.unwrap();
            if blocks.last().is_none_or(|block| block.number < number) {
                blocks.push(self.block(number.into()).await);
            }
        }
        if blocks.last().is_none_or(|block| block.number < latest.number) {
            blocks.push(latest);
        }
        let events = read(&logs, &blocks);
        let outbox = Outbox {
            deployment: self.deployment,
            mail_domain: "otp.example".to_owned(),
            depths: otp_core::store::Depths::default(),
        };
        assert!(self.store.apply(&outbox, from, &blocks, &events).await.unwrap().is_some());
    }

    async fn block(&self, number: BlockNumberOrTag) -> Block {
        let header = self.anvil.node.get_block_by_number(number).await.unwrap().unwrap().header;
        Block { hash: header.hash, number: header.number, parent_hash: header.parent_hash, timestamp: header.timestamp }
    }
}

fn read(logs: &[Log], blocks: &[Block]) -> Vec<ChainEvent> {
    let mut batch = Facts::default();
    logs.iter()
        .filter_map(|log| {
            let (kind, facts) = facts(log, &mut batch)?;
            let block = blocks.iter().find(|block| Some(block.number) == log.block_number).unwrap();
            let place = Place {
                block_hash: block.hash,
                block_number: block.number,
                timestamp: block.timestamp,
                tx_hash: log.transaction_hash.unwrap(),
                log_index: log.log_index.unwrap(),
            };
            Some(ChainEvent { place, kind, facts })
        })
        .collect()
}

fn facts(log: &Log, batch: &mut Facts) -> Option<(EventKind, Facts)> {
    Some(match Logged::decode_log(&log.inner).ok()?.data {
        Logged::OtpBatchSet(event) => {
            *batch = Facts {
                root: Some(event.root),
                issuer: Some(event.issuer),
                purpose: Some(event.purpose),
                first: Some(event.first.to()),
                size: Some(event.size.to()),
                expiry: Some(event.expiry),
                ..Facts::default()
            };
            (EventKind::BatchSet, batch.clone())
        }
        Logged::OtpSet(event) => {
            (EventKind::Set, Facts { on_chain_id: Some(event.id), serial: Some(event.serial.to()), ..batch.clone() })
        }
        Logged::OtpVerified(event) => {
            let facts = Facts { on_chain_id: Some(event.id), issuer: Some(event.issuer), ..Facts::default() };
            (EventKind::Verified, Facts { subject: Some(event.subject), ..facts })
        }
        Logged::OtpRevoked(event) => {
            let facts = Facts { on_chain_id: Some(event.id), issuer: Some(event.issuer), ..Facts::default() };
            (EventKind::Revoked, facts)
        }
        Logged::OtpBatchRevoked(event) => {
            let facts = Facts { root: Some(event.root), issuer: Some(event.issuer), ..Facts::default() };
            (EventKind::BatchRevoked, facts)
        }
        _ => return None,
    })
}
