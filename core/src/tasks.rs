//! The tasks of a daemon: when one ends, whatever its reason, all end, and the first failure is the process's.

use std::{future::Future, io, time::Duration};

use anyhow::{Context, anyhow};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::http;

/// How long tasks may take to end once shutdown began.
const DRAIN: Duration = Duration::from_secs(8);

/// What a daemon that was told to end does first: it says that it is not ready, and serves on until whoever sends it
/// requests has seen that.
#[derive(Debug, Clone)]
pub struct Notice {
    /// Cancelled when the notice begins.
    pub leaving: CancellationToken,
    /// How long it lasts.
    pub lasts: Duration,
}

impl Notice {
    async fn serve(&self) -> io::Result<()> {
        http::stop_signal().await?;
        tracing::info!(lasts_ms = self.lasts.as_millis(), "told to end: no longer ready");
        self.leaving.cancel();
        tokio::select! {
            () = tokio::time::sleep(self.lasts) => Ok(()),
            again = http::stop_signal() => again,
        }
    }
}

/// A daemon's tasks.
#[derive(Debug)]
pub struct Tasks {
    running: JoinSet<anyhow::Result<&'static str>>,
    shutdown: CancellationToken,
}

impl Tasks {
    /// Starts with one task: SIGINT and SIGTERM cancel `notice.leaving`, and `shutdown` once its time has passed or the
    /// signal comes again.
    #[must_use]
    pub fn new(shutdown: CancellationToken, notice: Notice) -> Self {
        let mut tasks = Self { running: JoinSet::new(), shutdown: shutdown.clone() };
        tasks.spawn("signals", async move {
            let stopped = tokio::select! {
                stopped = notice.serve() => stopped.context("cannot listen for signals"),
                () = shutdown.cancelled() => Ok(()),
            };
            shutdown.cancel();
            stopped
        });
        tasks
    }

    /// Adds a task, which is to end when shutdown is cancelled and not before.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        let run = async move { task.await.with_context(|| format!("{name} failed")).map(|()| name) };
        self.running.spawn(run);
    }

    /// Waits for the first task to end, ends the others, and gives them a moment.
    ///
    /// # Errors
    /// The first failure; a task that ended, or panicked, without being asked to is one.
    pub async fn join(mut self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        if let Some(first) = self.running.join_next().await {
            let unasked = !self.shutdown.is_cancelled();
            outcome = match first.context("a task panicked").flatten() {
                Ok(name) if unasked => Err(anyhow!("{name} ended by itself")),
                ended => ended.map(drop),
            };
        }
        self.shutdown.cancel();
        let drained = tokio::time::timeout(DRAIN, async {
            while let Some(ended) = self.running.join_next().await {
                let ended = ended.context("a task panicked").flatten().map(drop);
                outcome = std::mem::replace(&mut outcome, Ok(())).and(ended);
            }
            outcome
        });
        drained.await.unwrap_or_else(|_| Err(anyhow!("some tasks did not end within {} s", DRAIN.as_secs())))
    }
}
