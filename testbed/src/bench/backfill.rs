//! From nothing to the head of three chains: our indexer with one and with four ranges in flight, beside ponder and beside
//! a loop that checks nothing.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tokio::{process::Command, time::timeout};

use super::{
    Bench,
    chains::{CHAIN_ID, Chain, SHAPES},
    indexer::Indexer,
    load_average,
    ponder::{self, Ponder},
    stats::median,
};
use crate::tools;

const BARE_WITHIN: Duration = Duration::from_secs(120);
const SYSTEMS: [&str; 4] =
    ["this indexer, 1 range", "this indexer, 4 ranges", "ponder 0.16.10", "bare loop, no checks"];

/// What one system came to on one chain: medians of the repeats.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    chain: &'static str,
    system: &'static str,
    events: u64,
    blocks: u64,
    seconds: f64,
    events_per_second: f64,
    blocks_per_second: f64,
    /// `None` of the loop, whose memory is Python's.
    peak_memory_mb: Option<f64>,
    repeats: usize,
    load: String,
}

/// The whole measurement.
#[derive(Debug, Serialize)]
pub(super) struct Backfill {
    rows: Vec<Row>,
}

/// Seconds and MB of one run.
type Run = (f64, Option<f64>);

pub(super) async fn run(bench: &Bench) -> Result<Backfill> {
    let folder = bench.scratch("backfill")?;
    let mut rows = Vec::new();
    for shape in SHAPES {
        bench.tell(&format!("making the {} chain", shape.name));
        let chain = Chain::make(shape, &folder).await?;
        let mut measured = SYSTEMS.map(|_| Vec::new());
        for repeat in 1..=bench.repeats {
            bench.tell(&format!("{} chain, {} events, repeat {repeat} of {}", shape.name, chain.events, bench.repeats));
            for (place, runs) in measured.iter_mut().enumerate() {
                let folder = bench.scratch("backfill-run")?;
                runs.push(match place {
                    0 => ours(&chain, &folder, 1).await?,
                    1 => ours(&chain, &folder, 4).await?,
                    2 => theirs(&chain, &folder).await?,
                    _ => bare(&chain, &folder).await?,
                });
            }
        }
        rows.extend(SYSTEMS.into_iter().zip(measured).map(|(system, runs)| row(&chain, system, &runs)));
    }
    Ok(Backfill { rows })
}

fn row(chain: &Chain, system: &'static str, runs: &[Run]) -> Row {
    let seconds = median(runs.iter().map(|(seconds, _)| *seconds).collect());
    let memory: Option<Vec<f64>> = runs.iter().map(|(_, memory)| *memory).collect();
    let blocks = chain.head - chain.deployment_block + 1;
    Row {
        chain: chain.shape.name,
        system,
        events: chain.events,
        blocks,
        seconds,
        events_per_second: chain.events as f64 / seconds,
        blocks_per_second: blocks as f64 / seconds,
        peak_memory_mb: memory.map(median),
        repeats: runs.len(),
        load: load_average(),
    }
}

async fn ours(chain: &Chain, folder: &Path, ranges: usize) -> Result<Run> {
    let mut indexer = Indexer::start(chain, folder, ranges)?;
    let took = indexer.until(chain.head).await?;
    let peak = indexer.peak_mb()?;
    let stored = indexer.stop().await?;
    ensure!(stored == chain.events, "{stored} of {} events are stored", chain.events);
    Ok((took.as_secs_f64(), Some(peak)))
}

async fn theirs(chain: &Chain, folder: &Path) -> Result<Run> {
    let (rpc, verifier, from) = (&chain.url, chain.verifier, chain.deployment_block);
    let setting = ponder::Setting { rpc, ws: None, chain_id: CHAIN_ID, verifier, from, folder, noted: None };
    let mut ponder = Ponder::start(&setting)?;
    let took = ponder.until_ready().await?;
    let peak = ponder.peak_mb()?;
    // It is ready when it has what it holds for final; the blocks above come after that and are not counted against it.
    ponder.until_stored(chain.events).await?;
    ponder.stop().await?;
    Ok((took.as_secs_f64(), Some(peak)))
}

async fn bare(chain: &Chain, folder: &Path) -> Result<Run> {
    let mut command = Command::new("python3");
    command
        .arg(tools::checkout().join("testbed/bench/bare.py"))
        .arg(chain.url.as_str())
        .arg(chain.verifier.to_string());
    command.arg(chain.deployment_block.to_string()).arg(chain.head.to_string()).arg(folder.join("bare.db"));
    command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
    let output = timeout(BARE_WITHIN, command.output()).await.context("the bare loop takes too long")??;
    ensure!(output.status.success(), "the bare loop failed");
    let text = String::from_utf8(output.stdout)?;
    let seconds = text.split_whitespace().nth(1).context("the bare loop says nothing")?;
    Ok((seconds.parse()?, None))
}

impl Backfill {
    /// The table.
    pub(super) fn print(&self, bench: &Bench) {
        bench.heading("backfill, from the start of the process to the head: medians of interleaved repeats; MB");
        bench.row(&["system", "chain", "seconds", "events/s", "blocks/s", "peak", "load"]);
        for row in &self.rows {
            bench.row(&[
                row.system.to_owned(),
                row.chain.to_owned(),
                format!("{:.2}", row.seconds),
                format!("{:.0}", row.events_per_second),
                format!("{:.0}", row.blocks_per_second),
                row.peak_memory_mb.map_or_else(String::new, |peak| format!("{peak:.0}")),
                row.load.clone(),
            ]);
        }
        for shape in SHAPES {
            let find = |system| self.rows.iter().find(|row| row.chain == shape.name && row.system == system);
            if let (Some(one), Some(four), Some(theirs)) = (find(SYSTEMS[0]), find(SYSTEMS[1]), find(SYSTEMS[2])) {
                let (one, four) = (theirs.seconds / one.seconds, theirs.seconds / four.seconds);
                bench.tell(&format!("{}: {one:.1} × ponder with one range, {four:.1} × with four", shape.name));
            }
        }
    }
}
