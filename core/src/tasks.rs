//! The tasks of a daemon: when one ends, whatever its reason, all end, and the first failure is the process's.

use std::{future::Future, time::Duration};

use anyhow::{Context, anyhow};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::http;

/// How long tasks may take to end once shutdown began.
const DRAIN: Duration = Duration::from_secs(8);

/// A daemon's tasks.
#[derive(Debug)]
pub struct Tasks {
    running: JoinSet<anyhow::Result<&'static str>>,
    shutdown: CancellationToken,
}

impl Tasks {
    /// Starts with one task: SIGINT and SIGTERM cancel `shutdown`.
    #[must_use]
    pub fn new(shutdown: CancellationToken) -> Self {
        let mut tasks = Self { running: JoinSet::new(), shutdown: shutdown.clone() };
        tasks.spawn("signals", async move {
            tokio::select! {
                stopped = http::stop_signal() => {
                    shutdown.cancel();
                    stopped.context("cannot listen for signals")
                }
                () = shutdown.cancelled() => Ok(()),
            }
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
