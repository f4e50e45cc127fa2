//! Time per applied block and memory of the indexer with a large store.

use std::{path::Path, process::Stdio, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tokio::{process::Command, time::timeout};

use super::{
    Bench, load_average, memory,
    people::{self, Person},
    settled,
    sink::Sink,
    stats::Summary,
    tip,
};
use crate::{
    stack::{Daemon, Stack},
    tools,
};

const STORED: [usize; 3] = [10_000, 100_000, 1_000_000];
const STORED_FULL: usize = 10_000_000;
const PER_BLOCK: usize = 10;
const SECONDS: usize = 15;
const FILLED_WITHIN: Duration = Duration::from_secs(3_600);

/// What the indexer needs with so many events and as many deliveries stored.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    stored: usize,
    to_stored: Summary,
    indexer_memory_mb: f64,
    database_mb: f64,
    load: String,
}

/// The whole measurement.
#[derive(Debug, Serialize)]
pub(super) struct StoreGrowth {
    rows: Vec<Row>,
}

pub(super) async fn run(bench: &Bench) -> Result<StoreGrowth> {
    let sink = Sink::start().await?;
    let mut options = bench.options("store-growth", Some(sink.port))?;
    options.indexer_env = tip::debug_log();
    options.indexer_by_socket = true;
    let mut stack = Stack::start(&options).await?;
    let people = people::enter(&stack.description, &sink, PER_BLOCK).await?;
    // Rows to be copied, once they are there.
    for otp in tip::ask(&stack, &people, 1, 1).await?.otps {
        people::mailed(&sink, &otp.reference).await?;
    }
    settled::settle(&stack).await?;
    let mut rows = Vec::new();
    for stored in STORED.into_iter().chain(bench.full.then_some(STORED_FULL)) {
        bench.tell(&format!("storing {stored} events and deliveries"));
        stack.stop_daemon(Daemon::Relayer).await?;
        stack.stop_daemon(Daemon::Indexer).await?;
        fill(&stack.description.database_path, stored).await?;
        stack.restart(Daemon::Relayer).await?;
        stack.restart(Daemon::Indexer).await?;
        rows.push(measure(&stack, &people, stored).await?);
    }
    stack.stop().await?;
    Ok(StoreGrowth { rows })
}

async fn measure(stack: &Stack, people: &Arc<[Person]>, stored: usize) -> Result<Row> {
    let landed = tip::ask(stack, people, PER_BLOCK, SECONDS).await?;
    let times = tip::stored(stack, &landed)?;
    let database = std::fs::metadata(&stack.description.database_path)?.len();
    let pid = stack.pid(Daemon::Indexer).context("the indexer does not run")?;
    Ok(Row {
        stored,
        to_stored: tip::between(&times),
        indexer_memory_mb: memory::peak_mb(pid)?,
        database_mb: database as f64 / 1e6,
        load: load_average(),
    })
}

/// Copies what is there until so many events and deliveries are stored.
async fn fill(database: &Path, stored: usize) -> Result<()> {
    let script = tools::checkout().join("testbed/bench/fill.py");
    let mut filling = Command::new("python3");
    filling.arg(script).arg(database).arg(stored.to_string()).arg("chain").stdin(Stdio::null()).kill_on_drop(true);
    let status = timeout(FILLED_WITHIN, filling.status()).await.context("filling the store takes too long")??;
    ensure!(status.success(), "the store could not be filled");
    Ok(())
}

impl StoreGrowth {
    /// The table.
    pub(super) fn print(&self, bench: &Bench) {
        bench.heading(&format!("a growing store, {PER_BLOCK} codes a block, announced to committed; ms, MB"));
        bench.row(&["stored events", "block p50", "p95", "peak", "database", "load"]);
        for row in &self.rows {
            bench.row(&[
                row.stored.to_string(),
                format!("{:.1}", row.to_stored.p50_ms),
                format!("{:.1}", row.to_stored.p95_ms),
                format!("{:.1}", row.indexer_memory_mb),
                format!("{:.0}", row.database_mb),
                row.load.clone(),
            ]);
        }
    }
}
