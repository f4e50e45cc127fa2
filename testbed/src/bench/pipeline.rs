//! From accepted to mined on a chain with a block each second, the issuing key in a KMS stand-in that takes 20 ms a call;
//! beside a sender that makes one transaction of each request with the same key.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256},
    providers::Provider,
    rpc::types::Filter,
    sol_types::SolEvent,
};
use anyhow::{Context, Result, ensure};
use otp_core::{chain::Node, contract::OtpVerifier};
use serde::Serialize;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{Bench, load, naive, people, sink::Sink, stats::Summary};
use crate::{
    anvil,
    client::Otp,
    kms::Kms,
    stack::{Daemon, Signing, Stack},
};

const RATES: [usize; 4] = [10, 100, 400, 1_000];
const SECONDS: usize = 20;
const SECONDS_FULL: usize = 60;
const PEOPLE: usize = 64;
pub(super) const KMS_LATENCY_MS: u32 = 20;
const MINED_WITHIN: Duration = Duration::from_secs(120);

/// What one rate came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) system: &'static str,
    pub(super) rate: usize,
    pub(super) accepted: usize,
    pub(super) mined: usize,
    /// Codes mined per second, from the first request to the last block.
    pub(super) sustained_per_second: f64,
    /// From the answer to the block's arrival.
    pub(super) to_mined: Summary,
    pub(super) transactions: u64,
    pub(super) signatures: u64,
}

/// The whole measurement.
#[derive(Debug, Serialize)]
pub(super) struct Pipeline {
    rows: Vec<Row>,
}

pub(super) async fn run(bench: &Bench) -> Result<Pipeline> {
    let seconds = if bench.full { SECONDS_FULL } else { SECONDS };
    let sink = Sink::start().await?;
    let mut options = bench.options("pipeline", Some(sink.port))?;
    options.signing = Signing::Kms { latency_ms: KMS_LATENCY_MS };
    let mut stack = Stack::start(&options).await?;
    let people = people::enter(&stack.description, &sink, PEOPLE).await?;
    let mut rows = Vec::new();
    for rate in RATES {
        bench.tell(&format!("this relayer, {rate} requests a second for {seconds} s"));
        rows.push(relayer(&stack, &people, rate, seconds).await?);
    }
    stack.stop_daemon(Daemon::Relayer).await?;
    let kms = stack.kms().context("the stack has no KMS")?;
    let sender = naive::Sender::new(kms.signer(stack.description.chain_id).await?)?;
    for rate in RATES {
        bench.tell(&format!("one transaction per request, {rate} requests a second for {seconds} s"));
        rows.push(sender.run(&stack, rate, seconds).await?);
    }
    stack.stop().await?;
    Ok(Pipeline { rows })
}

async fn relayer(stack: &Stack, people: &Arc<[people::Person]>, rate: usize, seconds: usize) -> Result<Row> {
    let watch = Watch::start(stack).await?;
    let begun = Instant::now();
    let asking = Arc::clone(people);
    let accepted = load::open(rate, seconds, move |number| {
        let person = asking.get(number % asking.len()).cloned();
        async move {
            let person = person.context("nobody asks")?;
            let otp = person.ask().await?;
            Ok((person, otp, Instant::now()))
        }
    })
    .await?
    .values();
    watch.until(accepted.len()).await?;
    let mut waited = Vec::with_capacity(accepted.len());
    let mut last = begun;
    for (person, otp, answered) in &accepted {
        let mined = watch.mined_at(&issued(person, otp).await?)?;
        waited.push(mined.saturating_duration_since(*answered));
        last = last.max(mined);
    }
    watch.row("this relayer", rate, accepted.len(), waited, last - begun).await
}

/// The request's on-chain id: each is asked for, so that none is lost unseen.
async fn issued(person: &people::Person, otp: &Otp) -> Result<B256> {
    let found = person.find(otp.id).await?;
    found.on_chain_id.with_context(|| format!("request {} has status {}", otp.id, found.status))
}

/// When each code came onto the chain, as somebody sees it who looks every few milliseconds.
pub(super) struct Watch<'a> {
    kms: &'a Kms,
    node: Node,
    issuer: Address,
    nonce_before: u64,
    signatures_before: u64,
    seen: watch::Receiver<BTreeMap<B256, Instant>>,
    task: JoinHandle<()>,
}

impl<'a> Watch<'a> {
    pub(super) async fn start(stack: &'a Stack) -> Result<Self> {
        let (issuer, verifier) = (stack.description.issuer, stack.description.verifier);
        let node = anvil::connect(&stack.description.rpc_url)?;
        let kms = stack.kms().context("the stack has no KMS")?;
        let signatures_before = kms.signatures().await?;
        let nonce_before = node.get_transaction_count(issuer).await?;
        let mut next = node.get_block_number().await? + 1;
        let (tell, seen) = watch::channel(BTreeMap::new());
        let looking = node.clone();
        let task = tokio::spawn(async move {
            loop {
                match codes(&looking, verifier, next).await {
                    Ok(Some(ids)) => {
                        let now = Instant::now();
                        tell.send_modify(|seen| seen.extend(ids.into_iter().map(|id| (id, now))));
                        next += 1;
                    }
                    // Not there yet, or the node is busy: the next look shows it.
                    _ => sleep(Duration::from_millis(5)).await,
                }
            }
        });
        Ok(Self { kms, node, issuer, nonce_before, signatures_before, seen, task })
    }

    /// Waits until `count` codes are on the chain.
    pub(super) async fn until(&self, count: usize) -> Result<()> {
        let mut seen = self.seen.clone();
        let enough = tokio::time::timeout(MINED_WITHIN, seen.wait_for(|seen| seen.len() >= count)).await;
        let landed = self.seen.borrow().len();
        enough.with_context(|| format!("{landed} of {count} codes were mined within {MINED_WITHIN:?}"))??;
        Ok(())
    }

    pub(super) fn mined_at(&self, id: &B256) -> Result<Instant> {
        self.seen.borrow().get(id).copied().with_context(|| format!("code {id} is not on the chain"))
    }

    pub(super) async fn row(
        &self,
        system: &'static str,
        rate: usize,
        accepted: usize,
        waited: Vec<Duration>,
        elapsed: Duration,
    ) -> Result<Row> {
        let mined = self.seen.borrow().len();
        ensure!(mined == accepted, "{accepted} requests were accepted and {mined} codes mined");
        Ok(Row {
            system,
            rate,
            accepted,
            mined,
            sustained_per_second: mined as f64 / elapsed.as_secs_f64(),
            to_mined: Summary::of(waited, elapsed),
            transactions: self.node.get_transaction_count(self.issuer).await? - self.nonce_before,
            signatures: self.kms.signatures().await? - self.signatures_before,
        })
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The codes of a block; `None` where there is no such block yet.
pub(super) async fn codes(node: &Node, verifier: Address, number: u64) -> Result<Option<Vec<B256>>> {
    let Some(block) = node.get_block_by_number(BlockNumberOrTag::Number(number)).await? else { return Ok(None) };
    let filter = Filter::new()
        .at_block_hash(block.header.hash)
        .address(verifier)
        .event_signature(OtpVerifier::OtpSet::SIGNATURE_HASH);
    let logs = node.get_logs(&filter).await?;
    Ok(Some(logs.iter().filter_map(|log| log.topics().get(1).copied()).collect()))
}

impl Pipeline {
    /// The table.
    pub(super) fn print(&self, bench: &Bench) {
        bench.heading(&format!("accepted to mined, blocks of one second, KMS at {KMS_LATENCY_MS} ms; ms"));
        bench.row(&["system", "rate/s", "accepted", "mined", "codes/s", "p50", "p95", "tx", "signed", "per code"]);
        for row in &self.rows {
            bench.row(&[
                row.system.to_owned(),
                row.rate.to_string(),
                row.accepted.to_string(),
                row.mined.to_string(),
                format!("{:.0}", row.sustained_per_second),
                format!("{:.0}", row.to_mined.p50_ms),
                format!("{:.0}", row.to_mined.p95_ms),
                row.transactions.to_string(),
                row.signatures.to_string(),
                format!("{:.4}", row.signatures as f64 / row.mined.max(1) as f64),
            ]);
        }
        bench.tell("signed: signatures that KMS made, those of replacements too");
    }
}
