//! Time and memory of the relayer with an empty and with a large store.

use std::{path::Path, process::Stdio, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tokio::{process::Command, time::timeout};

use super::{Bench, load, memory, people, settled, sink::Sink, stats::Summary};
use crate::{
    stack::{Daemon, Stack},
    tools,
};

const STORED: usize = 1_000_000;
const STORED_QUICK: usize = 100_000;
const RATE: usize = 100;
const SECONDS: usize = 10;
const PEOPLE: usize = 32;
const FILLED_WITHIN: Duration = Duration::from_secs(1_200);

/// What the relayer needs with so many requests stored.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    stored: usize,
    issue: Summary,
    relayer_memory_mb: f64,
    database_mb: f64,
}

/// The whole measurement.
#[derive(Debug, Serialize)]
pub(super) struct Growth {
    rows: Vec<Row>,
}

pub(super) async fn run(bench: &Bench) -> Result<Growth> {
    let sink = Sink::start().await?;
    let mut stack = Stack::start(&bench.options("growth", Some(sink.port))?).await?;
    let people = people::enter(&stack.description, &sink, PEOPLE).await?;
    let mut rows = vec![measure(bench, &stack, &people, 0).await?];
    settled::settle(&stack).await?;
    let mut sizes = vec![STORED_QUICK];
    sizes.extend(bench.full.then_some(STORED));
    for stored in sizes {
        bench.tell(&format!("storing {stored} requests"));
        stack.stop_daemon(Daemon::Relayer).await?;
        stack.stop_daemon(Daemon::Indexer).await?;
        fill(&stack.description.database_path, stored).await?;
        stack.restart(Daemon::Relayer).await?;
        stack.restart(Daemon::Indexer).await?;
        rows.push(measure(bench, &stack, &people, stored).await?);
    }
    stack.stop().await?;
    Ok(Growth { rows })
}

async fn measure(bench: &Bench, stack: &Stack, people: &Arc<[people::Person]>, stored: usize) -> Result<Row> {
    bench.settle_disk().await?;
    let asking = Arc::clone(people);
    let accepted = load::open(RATE, SECONDS, move |number| {
        let person = asking.get(number % asking.len()).cloned();
        async move { person.context("nobody asks")?.ask().await.map(drop) }
    })
    .await?;
    let database = std::fs::metadata(&stack.description.database_path)?.len();
    Ok(Row {
        stored,
        issue: Summary::of(accepted.latencies(), accepted.elapsed),
        relayer_memory_mb: memory::resident_mb(stack.pid(Daemon::Relayer).context("the relayer does not run")?)?,
        database_mb: database as f64 / 1e6,
    })
}

/// Copies what is there until so many requests are stored, each with its code on the chain and its delivery.
async fn fill(database: &Path, stored: usize) -> Result<()> {
    let script = tools::checkout().join("testbed/bench/fill.py");
    let mut filling = Command::new("python3");
    filling.arg(script).arg(database).arg(stored.to_string()).stdin(Stdio::null()).kill_on_drop(true);
    let status = timeout(FILLED_WITHIN, filling.status()).await.context("filling the store takes too long")??;
    ensure!(status.success(), "the store could not be filled");
    Ok(())
}

impl Growth {
    /// The table.
    pub(super) fn print(&self, bench: &Bench) {
        bench.heading(&format!("a growing store, {RATE} requests a second; ms, MB"));
        bench.row(&["stored requests", "issue p50", "p95", "p99", "memory", "database"]);
        for row in &self.rows {
            bench.row(&[
                row.stored.to_string(),
                format!("{:.1}", row.issue.p50_ms),
                format!("{:.1}", row.issue.p95_ms),
                format!("{:.1}", row.issue.p99_ms),
                format!("{:.1}", row.relayer_memory_mb),
                format!("{:.0}", row.database_mb),
            ]);
        }
    }
}
