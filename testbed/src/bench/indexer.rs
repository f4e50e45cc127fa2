//! Our indexer by itself: the release binary, following a chain into a database of its own.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use otp_core::store::{EventFilter, EventKind, Store};
use serde_json::Value;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};
use url::Url;

use super::{chains::Chain, memory};
use crate::{
    ports::{self, Ports},
    tools,
};

const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A running one; dropped, it is killed.
pub(super) struct Indexer {
    process: Child,
    http: reqwest::Client,
    status: Url,
    token: PathBuf,
    database: PathBuf,
    log: PathBuf,
    started: Instant,
}

impl Indexer {
    /// Starts `indexer run` in an empty folder, with so many ranges read at once.
    pub(super) fn start(chain: &Chain, folder: &Path, ranges: usize) -> Result<Self> {
        let free = Ports::free()?;
        let (database, token) = (folder.join("otp.db"), folder.join("admin.token"));
        let (config, log) = (folder.join("indexer.toml"), folder.join("indexer.log"));
        let text = format!(
            "[chain]\nid = {id}\nverifier = '{verifier}'\nrpc_urls = ['{rpc}']\ndeployment_block = {from}\n\
             ranges_in_flight = {ranges}\n[store]\npath = {database:?}\n[keys]\nfile = {keys:?}\n\
             [http]\nlisten = '{listen}'\nadmin_listen = '{admin}'\nadmin_token_file = {token:?}\nlame_duck_ms = 0\n\
             public_url = 'http://127.0.0.1/'\n\
             [mail]\nsmtp_host = '127.0.0.1'\nsecurity = 'none'\nfrom = 'OTP <otp@localhost.test>'\n",
            id = super::chains::CHAIN_ID,
            verifier = chain.verifier,
            rpc = chain.url,
            from = chain.deployment_block,
            keys = folder.join("master.key"),
            listen = ports::loopback(free.indexer()),
            admin = ports::loopback(free.indexer_admin()),
        );
        std::fs::write(&config, text)?;
        let output = std::fs::File::create(&log)?;
        let started = Instant::now();
        let process = Command::new(tools::daemon("indexer")?)
            .args(["run", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .context("the indexer does not start")?;
        let status = ports::http(free.indexer_admin())?.join("v1/status")?;
        Ok(Self { process, http: reqwest::Client::new(), status, token, database, log, started })
    }

    /// Waits until a block is applied, and says how long that took from its start.
    pub(super) async fn until(&mut self, block: u64) -> Result<Duration> {
        loop {
            if self.cursor().await.is_some_and(|cursor| cursor >= block) {
                return Ok(self.started.elapsed());
            }
            if let Some(status) = self.process.try_wait()? {
                bail!("the indexer ended with {status}: see {}", self.log.display());
            }
            ensure!(self.started.elapsed() < CAUGHT_UP_WITHIN, "it does not catch up: see {}", self.log.display());
            sleep(LOOK_EVERY).await;
        }
    }

    /// Where it stands; `None` while it does not say.
    async fn cursor(&self) -> Option<u64> {
        let token = std::fs::read_to_string(&self.token).ok()?;
        let answer = self.http.get(self.status.clone()).bearer_auth(token).send().await.ok()?;
        answer.json::<Value>().await.ok()?["cursor"]["number"].as_u64()
    }

    /// The most memory it has had, in MB.
    pub(super) fn peak_mb(&self) -> Result<f64> {
        memory::peak_mb(self.process.id().context("the indexer does not run")?)
    }

    /// Ends it, and counts what it stored, but for the roles and the upgrade of the deployment itself, which nobody else that
    /// is compared follows.
    pub(super) async fn stop(mut self) -> Result<u64> {
        self.process.kill().await?;
        let store = Store::open(&self.database).await?;
        let of_deployment = [EventKind::RoleGranted, EventKind::Upgraded];
        let events = store.events(&EventFilter::default(), u32::MAX).await?;
        let stored = events.iter().filter(|event| !of_deployment.contains(&event.kind)).count();
        store.close().await;
        Ok(stored as u64)
    }
}
