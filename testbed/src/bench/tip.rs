//! At the tip, a block each second: from the announcement of the head with a code to its outbox row on the disk, and to
//! the mail server. ponder beside it, up to where an event reaches its handler, which is before it stores anything.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use alloy::primitives::B256;
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;
use tokio::{task::JoinSet, time::sleep};

use super::{
    Bench, heads,
    heads::Heads,
    load_average,
    people::{self, Person},
    pipeline::codes,
    ponder::{self, Ponder},
    sink::Sink,
    stats::Summary,
};
use crate::{
    anvil,
    client::Otp,
    stack::{Daemon, Stack},
};

const PER_BLOCK: [usize; 3] = [1, 10, 80];
const PONDER_PER_BLOCK: usize = 10;
const SECONDS: usize = 25;
const SECONDS_FULL: usize = 120;
/// When in a block's second the next one's codes are asked for: late enough that its batch waits for no other one.
const AFTER_HEAD: Duration = Duration::from_millis(250);
/// What the clock of a log line and ours may differ by.
const ROUNDING_MS: f64 = 1.0;

/// One system at one number of codes a block.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    system: &'static str,
    asked_per_block: usize,
    codes: usize,
    blocks: usize,
    /// From the announcement to the commit; with ponder, to the handler.
    to_stored: Summary,
    /// From the announcement to the mail server's having the message.
    to_smtp: Option<Summary>,
    load: String,
}

/// The whole measurement.
#[derive(Debug, Serialize)]
pub(super) struct Tip {
    rows: Vec<Row>,
}

pub(super) async fn run(bench: &Bench) -> Result<Tip> {
    let seconds = if bench.full { SECONDS_FULL } else { SECONDS };
    let sink = Sink::start().await?;
    let mut options = bench.options("tip", Some(sink.port))?;
    options.indexer_env = debug_log();
    options.indexer_by_socket = true;
    let mut stack = Stack::start(&options).await?;
    let most = PER_BLOCK.into_iter().max().unwrap_or(1);
    bench.tell(&format!("{most} people sign in and confirm an address"));
    let people = people::enter(&stack.description, &sink, most).await?;
    let mut rows = Vec::new();
    for codes in PER_BLOCK {
        bench.tell(&format!("this indexer, {codes} codes a block, {seconds} blocks"));
        rows.push(ours(&stack, &sink, &people, codes, seconds).await?);
    }
    stack.stop_daemon(Daemon::Indexer).await?;
    for (system, by_socket) in [("ponder, WebSocket", true), ("ponder, polling", false)] {
        bench.tell(&format!("{system}, {PONDER_PER_BLOCK} codes a block, {seconds} blocks"));
        let folder = bench.scratch("tip-ponder")?;
        rows.push(theirs(&stack, &folder, &people, system, by_socket, seconds).await?);
    }
    stack.stop().await?;
    Ok(Tip { rows })
}

/// With this in its environment the indexer tells of each block once it is committed.
pub(super) fn debug_log() -> Vec<(&'static str, String)> {
    vec![("OTP_INDEXER_LOG_FILTER", "info,indexer=debug".to_owned())]
}

/// Codes on the chain by the block that has them, and when that was announced, in Unix milliseconds.
pub(super) struct Landed {
    pub(super) otps: Vec<Otp>,
    pub(super) blocks: BTreeMap<u64, (f64, Vec<B256>)>,
}

/// Asks for `codes` codes in each of `seconds` blocks and waits until all have landed.
pub(super) async fn ask(stack: &Stack, people: &Arc<[Person]>, codes: usize, seconds: usize) -> Result<Landed> {
    let mut heads = Heads::listen(&stack.description.rpc_url).await?;
    let first = heads.next().await?;
    let mut otps: Vec<(usize, Otp)> = Vec::with_capacity(codes * seconds);
    for _ in 0..seconds {
        heads.next().await?;
        sleep(AFTER_HEAD).await;
        let mut asking = JoinSet::new();
        for number in 0..codes {
            let person = people.get(number % people.len()).cloned().context("nobody asks")?;
            asking.spawn(async move { anyhow::Ok((number, person.ask().await?)) });
        }
        while let Some(asked) = asking.join_next().await {
            otps.push(asked??);
        }
    }
    // What was asked for last waits for what is in flight, and then for its own block.
    for _ in 0..4 {
        heads.next().await?;
    }
    let last = heads.next().await?;
    let node = anvil::connect(&stack.description.rpc_url)?;
    let mut blocks = BTreeMap::new();
    for number in first..last {
        let landed = codes_of(&node, stack, number).await?;
        if !landed.is_empty() {
            let at_ms = heads.announced(number).with_context(|| format!("block {number} was not announced"))?;
            blocks.insert(number, (at_ms, landed));
        }
    }
    let mut found = Vec::with_capacity(otps.len());
    for (number, otp) in otps {
        let person = people.get(number % people.len()).context("nobody asked")?;
        found.push(person.find(otp.id).await?);
    }
    let landed: usize = blocks.values().map(|(_, ids)| ids.len()).sum();
    ensure!(landed == found.len(), "{} codes were asked for and {landed} landed", found.len());
    Ok(Landed { otps: found, blocks })
}

async fn codes_of(node: &otp_core::chain::Node, stack: &Stack, number: u64) -> Result<Vec<B256>> {
    codes(node, stack.description.verifier, number).await?.with_context(|| format!("there is no block {number}"))
}

async fn ours(stack: &Stack, sink: &Sink, people: &Arc<[Person]>, codes: usize, seconds: usize) -> Result<Row> {
    let landed = ask(stack, people, codes, seconds).await?;
    let mut sent = Vec::with_capacity(landed.otps.len());
    for otp in &landed.otps {
        people::mailed(sink, &otp.reference).await?;
        let taken = sink.taken_ms(&otp.reference).context("a mail without its time")?;
        let id = otp.on_chain_id.context("a code that landed has no id")?;
        let block = landed.blocks.values().find(|(_, ids)| ids.contains(&id));
        sent.push((block.with_context(|| format!("code {id} is in no block"))?.0, taken));
    }
    let stored = stored(stack, &landed)?;
    Ok(row("this indexer", codes, &landed, &stored, Some(&sent)))
}

/// When each block with codes was committed, beside its announcement.
pub(super) fn stored(stack: &Stack, landed: &Landed) -> Result<Vec<(f64, f64)>> {
    let log = stack.description.logs.get("indexer").context("the indexer has no log")?;
    let applied = applied(log)?;
    let blocks = landed.blocks.iter();
    let times = blocks.map(|(number, (announced, _))| {
        let at_ms =
            applied.get(number).with_context(|| format!("the log does not say that block {number} was applied"))?;
        Ok((*announced, *at_ms))
    });
    times.collect()
}

/// The blocks that the log tells of, with the time of the line in Unix milliseconds. A block that came late was applied
/// together with later ones, whose line then tells of it.
fn applied(log: &Path) -> Result<BTreeMap<u64, f64>> {
    let mut told = BTreeMap::new();
    for line in std::fs::read_to_string(log)?.lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        if let ("applied", Some(block), Some(at)) =
            (line["message"].as_str().unwrap_or_default(), line["block"].as_u64(), line["timestamp"].as_str())
        {
            told.entry(block).or_insert(unix_ms(at)?);
        }
    }
    Ok(told)
}

fn unix_ms(text: &str) -> Result<f64> {
    let at = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339)?;
    Ok(at.unix_timestamp_nanos() as f64 / 1e6)
}

fn row(
    system: &'static str,
    asked_per_block: usize,
    landed: &Landed,
    stored: &[(f64, f64)],
    sent: Option<&[(f64, f64)]>,
) -> Row {
    Row {
        system,
        asked_per_block,
        codes: landed.otps.len(),
        blocks: landed.blocks.len(),
        to_stored: between(stored),
        to_smtp: sent.map(between),
        load: load_average(),
    }
}

/// What lies between two times each. One that came before the other by less than a clock's rounding came with it.
pub(super) fn between(times: &[(f64, f64)]) -> Summary {
    let took = times.iter().map(|(from, to)| Duration::from_secs_f64((to - from + ROUNDING_MS).max(ROUNDING_MS) / 1e3));
    let rounding = Duration::from_secs_f64(ROUNDING_MS / 1e3);
    Summary::of(took.map(|took| took.saturating_sub(rounding)).collect(), Duration::from_secs(1))
}

async fn theirs(
    stack: &Stack,
    folder: &Path,
    people: &Arc<[Person]>,
    system: &'static str,
    by_socket: bool,
    seconds: usize,
) -> Result<Row> {
    let (rpc, verifier) = (&stack.description.rpc_url, stack.description.verifier);
    let (ws, noted) = (heads::socket(rpc), folder.join("noted"));
    let mut ponder = Ponder::start(&ponder::Setting {
        rpc,
        ws: by_socket.then_some(ws.as_str()),
        chain_id: stack.description.chain_id,
        verifier,
        from: stack.description.deployment_block,
        folder,
        noted: Some(noted.clone()),
    })?;
    ponder.until_ready().await?;
    let landed = ask(stack, people, PONDER_PER_BLOCK, seconds).await?;
    ponder.stop().await?;
    let mut first = BTreeMap::new();
    for line in std::fs::read_to_string(&noted)?.lines() {
        let (block, at_ms) = line.split_once(' ').context("a note that is none")?;
        first.entry(block.parse::<u64>()?).or_insert(at_ms.parse::<f64>()?);
    }
    let times: Vec<(f64, f64)> =
        landed.blocks.iter().filter_map(|(number, (announced, _))| Some((*announced, *first.get(number)?))).collect();
    ensure!(!times.is_empty(), "ponder handled none of the blocks");
    Ok(row(system, PONDER_PER_BLOCK, &landed, &times, None))
}

impl Tip {
    /// The table.
    pub(super) fn print(&self, bench: &Bench) {
        bench.heading("at the tip, blocks of one second, from the announcement of the head; ms");
        bench.row(&["system", "codes", "blocks", "row p50", "p95", "SMTP p50", "p95", "load"]);
        for row in &self.rows {
            let smtp =
                |of: fn(&Summary) -> f64| row.to_smtp.as_ref().map_or_else(String::new, |s| format!("{:.1}", of(s)));
            bench.row(&[
                row.system.to_owned(),
                row.asked_per_block.to_string(),
                row.blocks.to_string(),
                format!("{:.1}", row.to_stored.p50_ms),
                format!("{:.1}", row.to_stored.p95_ms),
                smtp(|s| s.p50_ms),
                smtp(|s| s.p95_ms),
                row.load.clone(),
            ]);
        }
        bench.tell(
            "row: the outbox row is committed; with ponder, the event is at its handler, before anything is stored",
        );
    }
}
