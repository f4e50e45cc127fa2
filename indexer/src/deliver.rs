//! From the outbox to the inbox. A worker claims a row under a lease, derives the code, checks that it is the chain's,
//! and hands the message to its channel outside of any transaction. Whatever fails before the other side's answer leads
//! to the same message again.

use std::{sync::Arc, time::Duration};

use otp_core::{
    clock::now_ms,
    contact::Channel,
    failpoint,
    metrics::{DELIVERIES, DELIVERY_UNANSWERED},
    seal::Keyring,
    store::{Job, NewInapp, Outbox, Store, StoreError},
};
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    channel::{Channels, Failure, HandedOver, Message},
    compose::Composer,
    config::DeliveryConfig,
    progress::Progress,
};

/// How long an idle worker waits before it looks again; news from the tail wakes it earlier.
const POLL: Duration = Duration::from_millis(250);
/// A lease outlives a message's time limit by this.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// How long a message on its way may take once shutdown began.
const DRAIN: Duration = Duration::from_secs(5);
/// How often old in-app messages are looked for.
const PRUNE: Duration = Duration::from_secs(60);
const LONGEST_PROBE_PAUSE: Duration = Duration::from_secs(15);

/// What a worker needs; cheap to clone.
#[derive(Debug, Clone)]
pub struct Worker {
    /// The outbox.
    pub store: Store,
    /// Opens seeds, addresses and authorizations.
    pub keyring: Arc<Keyring>,
    /// Chain, contract and mail domain.
    pub outbox: Outbox,
    /// The senders.
    pub channels: Channels,
    /// What links begin with.
    pub public_url: String,
    /// Retries and concurrency.
    pub config: DeliveryConfig,
    /// Whether mail works.
    pub progress: Progress,
    /// Wakes idle workers.
    pub due: Arc<Notify>,
}

/// Runs the workers and the watch for notices until `shutdown`.
///
/// # Errors
/// When the database fails.
pub async fn run(worker: Worker, shutdown: CancellationToken) -> anyhow::Result<()> {
    tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        () = worker.wait_for_server() => {}
    }
    worker.store.release_deliveries().await?;
    let mut running = JoinSet::new();
    for _ in 0..worker.config.workers {
        running.spawn(worker.clone().work(shutdown.clone()));
    }
    running.spawn(worker.clone().prune(shutdown.clone()));
    running.spawn(worker.watch_notices(shutdown));
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}

impl Worker {
    async fn work(self, shutdown: CancellationToken) -> Result<(), StoreError> {
        while !shutdown.is_cancelled() {
            let mut news = Box::pin(self.due.notified());
            // Registered before the outbox is looked at, so that no news falls in between.
            news.as_mut().enable();
            let overdue = async {
                shutdown.cancelled().await;
                tokio::time::sleep(DRAIN).await;
            };
            let busy = tokio::select! {
                step = self.step() => step?,
                () = overdue => return Ok(()),
            };
            if !busy {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = news => {}
                    () = tokio::time::sleep(POLL) => {}
                }
            }
        }
        Ok(())
    }

    async fn watch_notices(self, shutdown: CancellationToken) -> Result<(), StoreError> {
        loop {
            if self.store.enqueue_notices(&self.outbox).await? > 0 {
                self.due.notify_waiters();
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Forgets in-app messages that are too old. What cannot be forgotten now is the next round's.
    async fn prune(self, shutdown: CancellationToken) -> Result<(), StoreError> {
        loop {
            match self.store.prune_inapp(now_ms()).await {
                Ok(pruned) => tracing::debug!(pruned, "old in-app messages forgotten"),
                Err(error) => tracing::warn!(%error, "old in-app messages could not be forgotten"),
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(PRUNE) => {}
            }
        }
    }

    /// Repeats a probe of the mail server with growing pauses until it answers.
    async fn wait_for_server(&self) {
        let mut pause = self.config.retry_first;
        let email = &self.channels.email;
        while let Err(error) = email.postman.probe().await {
            self.progress.mail_is(false);
            let server = email.postman.server();
            tracing::warn!(server, %error, retry_in_ms = pause.as_millis(), "waiting for the mail server");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PROBE_PAUSE);
        }
        self.progress.mail_is(true);
    }

    /// Takes one due message to its next state; false when none is due.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn step(&self) -> Result<bool, StoreError> {
        let lease = i64::try_from((self.channels.longest() + LEASE_MARGIN).as_millis()).unwrap_or(i64::MAX);
        let head_s = self.progress.snapshot().head.map(|head| head.timestamp);
        let Some(job) = self.store.claim_delivery(lease, head_s).await? else { return Ok(false) };
        failpoint::hit("message-claimed");
        if job.is_resumed {
            metrics::counter!(DELIVERY_UNANSWERED, "channel" => job.channel.clone()).increment(1);
        }
        let mut composed = self.compose(&job);
        if matches!(composed, Err(Failure::KeyNotLoaded)) {
            if let Err(error) = self.keyring.refresh().await {
                tracing::warn!(%error, "a new data key is not loaded yet");
            }
            composed = self.compose(&job);
        }
        let outcome = match composed {
            Ok((channel, message)) => self.channels.hand_over(channel, &message).await,
            Err(failure) => Err(failure),
        };
        failpoint::hit("message-sent");
        self.settle(&job, outcome).await?;
        failpoint::hit("message-settled");
        Ok(true)
    }

    async fn settle(&self, job: &Job, outcome: Result<HandedOver, Failure>) -> Result<(), StoreError> {
        let (message_id, attempts) = (job.message_id.as_str(), job.attempts);
        match outcome {
            Ok(handed_over) => {
                if !self.mark(job, handed_over).await? {
                    tracing::info!(message_id, attempts, "message not kept: it is not to go out any more");
                    return Ok(());
                }
                metrics::counter!(DELIVERIES, "channel" => job.channel.clone(), "state" => "accepted").increment(1);
                tracing::info!(message_id, attempts, "message sent");
            }
            Err(error) if error.is_retryable() => {
                if error.is_without_answer() {
                    metrics::counter!(DELIVERY_UNANSWERED, "channel" => job.channel.clone()).increment(1);
                }
                let pause = pause(&self.config, message_id, attempts).max(error.retry_after().unwrap_or_default());
                metrics::counter!(DELIVERIES, "channel" => job.channel.clone(), "state" => "queued").increment(1);
                tracing::debug!(message_id, attempts, %error, retry_in_ms = pause.as_millis(), "message not taken");
                let due_at_ms = now_ms().saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
                self.store.retry_delivery(message_id, due_at_ms, &error.to_string()).await?;
            }
            Err(failure) => {
                tracing::error!(message_id, attempts, error = %failure, "message given up");
                let fell_back = self.store.mark_failed(&self.outbox, message_id, &failure.to_string()).await?;
                metrics::counter!(DELIVERIES, "channel" => job.channel.clone(), "state" => "failed").increment(1);
                if fell_back {
                    tracing::info!(message_id, "the code goes out over another channel");
                    self.due.notify_waiters();
                }
            }
        }
        Ok(())
    }

    /// Records that a message is out; false where it is not to be.
    async fn mark(&self, job: &Job, handed_over: HandedOver) -> Result<bool, StoreError> {
        let sealed = match handed_over {
            HandedOver::Accepted { provider_id } => {
                self.store.mark_accepted(&job.message_id, provider_id.as_deref()).await?;
                return Ok(true);
            }
            HandedOver::Keep(sealed) => sealed,
        };
        let new = NewInapp {
            message_id: &job.message_id,
            contact_id: job.contact_id,
            sealed: &sealed,
            created_at_ms: job.created_at_ms,
            expires_at_ms: job.expires_at_ms,
            keep_ms: i64::try_from(self.channels.inapp.keep.as_millis()).unwrap_or(i64::MAX),
        };
        self.store.keep_inapp(&new).await
    }

    /// Derives and checks what is to be said, and says over which channel.
    ///
    /// # Errors
    /// [`Failure::Impossible`], [`Failure::KeyNotLoaded`]
    pub fn compose(&self, job: &Job) -> Result<(Channel, Message), Failure> {
        let channel = job.channel.parse().map_err(|_| Failure::Impossible("no such channel"))?;
        let deployment = self.outbox.deployment;
        let composer = Composer { keyring: &self.keyring, deployment, public_url: &self.public_url };
        Ok((channel, composer.compose(job)?))
    }
}

/// Doubles with each attempt up to the longest one; a quarter more or less by the message's own id, so that messages
/// that failed together do not come back together.
fn pause(config: &DeliveryConfig, message_id: &str, attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    let base = config.retry_first.saturating_mul(1 << doublings).min(config.retry_most);
    let jitter = message_id.get(..2).and_then(|hex| u32::from_str_radix(hex, 16).ok()).unwrap_or(128);
    base * (384 + jitter) / 512
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_the_longest_and_differ_between_messages() {
        let config = DeliveryConfig {
            workers: 1,
            retry_first: Duration::from_millis(512),
            retry_most: Duration::from_millis(5_120),
            depths: otp_core::store::Depths::default(),
        };
        assert_eq!(pause(&config, "80", 1), Duration::from_millis(512));
        assert_eq!(pause(&config, "80", 3), Duration::from_millis(2_048));
        assert_eq!(pause(&config, "80", 1_000), Duration::from_millis(5_120));
        assert!(pause(&config, "00", 1) < pause(&config, "ff", 1));
    }
}
