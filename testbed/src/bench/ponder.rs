//! ponder, an indexer that many use: one chain, one contract, a row per event, its database (PGlite) in a folder.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use alloy::primitives::Address;
use anyhow::{Context, Result, bail, ensure};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};
use url::Url;

use super::memory;
use crate::{ports, tools};

const READY_WITHIN: Duration = Duration::from_secs(300);
const STORED_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What it follows, and how.
pub(super) struct Setting<'a> {
    pub(super) rpc: &'a Url,
    /// Heads over a WebSocket; it polls each second where there is none.
    pub(super) ws: Option<&'a str>,
    pub(super) chain_id: u64,
    pub(super) verifier: Address,
    pub(super) from: u64,
    /// An empty folder of its own.
    pub(super) folder: &'a Path,
    /// Where it notes when each event reaches its handler.
    pub(super) noted: Option<PathBuf>,
}

/// A running one; dropped, it is killed.
pub(super) struct Ponder {
    process: Child,
    http: reqwest::Client,
    base: Url,
    started: Instant,
    log: PathBuf,
}

impl Ponder {
    /// Starts it.
    pub(super) fn start(setting: &Setting<'_>) -> Result<Self> {
        let own = tools::checkout().join("testbed/bench/ponder");
        ensure!(own.join("node_modules/ponder").is_dir(), "ponder is not installed: run `make setup-bench`");
        let port = ports::Ports::free()?.relayer();
        let log = setting.folder.join("ponder.log");
        let output = std::fs::File::create(&log)?;
        let mut command = Command::new("node");
        command
            .args(["node_modules/.bin/ponder", "start", "--schema", "bench", "-H", "127.0.0.1", "-p"])
            .arg(port.to_string())
            .current_dir(own)
            .env("PONDER_TELEMETRY_DISABLED", "1")
            .env("BENCH_DATABASE", setting.folder.join("pglite"))
            .env("BENCH_CHAIN_ID", setting.chain_id.to_string())
            .env("BENCH_RPC", setting.rpc.as_str())
            .env("BENCH_VERIFIER", setting.verifier.to_string())
            .env("BENCH_START", setting.from.to_string())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true);
        if let Some(ws) = setting.ws {
            command.env("BENCH_WS", ws);
        }
        if let Some(noted) = &setting.noted {
            command.env("BENCH_NOTED", noted);
        }
        let started = Instant::now();
        let process = command.spawn().context("node does not start")?;
        Ok(Self { process, http: reqwest::Client::new(), base: ports::http(port)?, started, log })
    }

    /// Waits until it has caught up, and says how long that took from its start.
    pub(super) async fn until_ready(&mut self) -> Result<Duration> {
        let url = self.base.join("ready")?;
        loop {
            if let Ok(answer) = self.http.get(url.clone()).send().await
                && answer.status().is_success()
            {
                return Ok(self.started.elapsed());
            }
            if let Some(status) = self.process.try_wait()? {
                bail!("ponder ended with {status}: see {}", self.log.display());
            }
            ensure!(self.started.elapsed() < READY_WITHIN, "ponder is not ready: see {}", self.log.display());
            sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until it has stored so many events.
    pub(super) async fn until_stored(&self, events: u64) -> Result<()> {
        let url = self.base.join("count")?;
        let deadline = Instant::now() + STORED_WITHIN;
        loop {
            let text = self.http.get(url.clone()).send().await?.error_for_status()?.text().await?;
            let stored: u64 = text.trim().parse().with_context(|| format!("ponder counts {text:?}"))?;
            if stored == events {
                return Ok(());
            }
            ensure!(Instant::now() < deadline && stored < events, "ponder stored {stored} of {events} events");
            sleep(LOOK_EVERY * 5).await;
        }
    }

    /// The most memory it has had, in MB.
    pub(super) fn peak_mb(&self) -> Result<f64> {
        memory::peak_mb(self.process.id().context("ponder does not run")?)
    }

    /// Ends it, and waits until it is gone.
    pub(super) async fn stop(mut self) -> Result<()> {
        Ok(self.process.kill().await?)
    }
}
