//! From the outbox to the inbox. A worker claims a row under a lease, derives the code, checks that it is the chain's,
//! and hands the message to the mail server outside of any transaction. Whatever fails before the server's answer leads
//! to the same message again.

use std::{sync::Arc, time::Duration};

use lettre::{Address as MailAddress, Message, message::Mailbox};
use otp_core::{
    authorization::Authorization,
    clock::now_ms,
    code::Seed,
    contact,
    id::{Deployment, Slot},
    metrics::DELIVERIES,
    seal::{Keyring, SealError},
    store::{ChangeContent, CodeContent, Content, Job, Outbox, Stage, Store, StoreError},
};
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    config::DeliveryConfig,
    mail::{
        letter::{
            self, CodeLetter, Letter,
            change::{Approval, Change},
        },
        link::{Linked, Page, link, token_link},
        mime::{self, Envelope},
        smtp::{Postman, SendError},
    },
    progress::Progress,
};

/// How long an idle worker waits before it looks again; news from the tail wakes it earlier.
const POLL: Duration = Duration::from_millis(250);
/// A lease outlives a message's time limit by this.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// How long a message on its way may take once shutdown began.
const DRAIN: Duration = Duration::from_secs(5);
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
    /// The mail server.
    pub postman: Postman,
    /// The sender.
    pub from: Mailbox,
    /// What links begin with.
    pub public_url: String,
    /// The time limit of one message.
    pub timeout: Duration,
    /// Retries and concurrency.
    pub config: DeliveryConfig,
    /// Whether mail works.
    pub progress: Progress,
    /// Wakes idle workers.
    pub due: Arc<Notify>,
}

/// Why a message did not go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It never can: this is told to operators, not to the requester.
    #[error("{0}")]
    Impossible(&'static str),
    /// A value is sealed with a data key that was made a moment ago and is not to be had yet.
    #[error("a data key is not loaded yet")]
    KeyNotLoaded,
    /// The mail server's doing.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl Failure {
    /// Whether the same message may go out later.
    const fn is_retryable(self) -> bool {
        match self {
            Self::Impossible(_) => false,
            Self::KeyNotLoaded => true,
            Self::Send(error) => error.is_retryable(),
        }
    }
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

    /// Repeats a probe of the mail server with growing pauses until it answers.
    async fn wait_for_server(&self) {
        let mut pause = self.config.retry_first;
        while let Err(error) = self.postman.probe().await {
            self.progress.mail_is(false);
            let server = self.postman.server();
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
        let lease = i64::try_from((self.timeout + LEASE_MARGIN).as_millis()).unwrap_or(i64::MAX);
        let head_s = self.progress.snapshot().head.map(|head| head.timestamp);
        let Some(job) = self.store.claim_delivery(lease, head_s).await? else { return Ok(false) };
        let mut composed = self.compose(&job);
        if matches!(composed, Err(Failure::KeyNotLoaded)) {
            if let Err(error) = self.keyring.refresh().await {
                tracing::warn!(%error, "a new data key is not loaded yet");
            }
            composed = self.compose(&job);
        }
        let outcome = match composed {
            Ok(message) => self.hand_over(message).await,
            Err(failure) => Err(failure),
        };
        self.settle(&job, outcome).await?;
        Ok(true)
    }

    async fn settle(&self, job: &Job, outcome: Result<(), Failure>) -> Result<(), StoreError> {
        let (message_id, attempts) = (job.message_id.as_str(), job.attempts);
        match outcome {
            Ok(()) => {
                self.store.mark_sent(message_id).await?;
                metrics::counter!(DELIVERIES, "outcome" => "sent").increment(1);
                tracing::info!(message_id, attempts, "message sent");
            }
            Err(error) if error.is_retryable() => {
                let pause = pause(&self.config, message_id, attempts);
                metrics::counter!(DELIVERIES, "outcome" => "failed").increment(1);
                tracing::debug!(message_id, attempts, %error, retry_in_ms = pause.as_millis(), "message not taken");
                let due_at_ms = now_ms().saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
                self.store.retry_delivery(message_id, due_at_ms, &error.to_string()).await?;
            }
            Err(failure) => {
                tracing::error!(message_id, attempts, error = %failure, "message given up");
                self.store.mark_dead(message_id, &failure.to_string()).await?;
                metrics::counter!(DELIVERIES, "outcome" => "dead").increment(1);
            }
        }
        Ok(())
    }

    async fn hand_over(&self, message: Message) -> Result<(), Failure> {
        let sent = self.postman.send(message).await;
        let up = !matches!(sent, Err(error) if error.is_about_server());
        match (self.progress.mail_is(up), sent) {
            (true, _) if up => tracing::info!("the mail server works again"),
            (true, Err(error)) => {
                let server = self.postman.server();
                tracing::warn!(server, %error, "the mail server fails: messages are tried again until they expire");
            }
            _ => {}
        }
        Ok(sent?)
    }

    /// Derives, checks and writes the message.
    ///
    /// # Errors
    /// [`Failure::Impossible`]
    pub fn compose(&self, job: &Job) -> Result<Message, Failure> {
        if job.channel != "email" {
            return Err(Failure::Impossible("there is no sender for this channel"));
        }
        let opened = |domain, owner, sealed: &[u8]| {
            self.keyring.open_sealed(domain, owner, sealed).map_err(|error| match error {
                SealError::UnknownKey { .. } => Failure::KeyNotLoaded,
                _ => Failure::Impossible("a sealed value does not open"),
            })
        };
        let seed = opened("seed", job.account_id, &job.seed_sealed)?;
        let seed = Seed::from_bytes(&seed).ok_or(Failure::Impossible("the seed has a wrong length"))?;
        let address = opened("contact", job.contact_id, &job.address_sealed)?;
        let letter = match &job.content {
            Content::Code(content) => {
                let authorization = opened("authorization", content.request_id, &content.authorization_sealed)?;
                let authorization: Authorization = serde_json::from_slice(&authorization)
                    .map_err(|_| Failure::Impossible("the authorization cannot be read"))?;
                code_letter(&self.outbox.deployment, &self.public_url, &seed, job, content, &authorization)?
            }
            Content::Confirmation { challenge } => {
                let digits = seed.contact_digits(job.contact_id, *challenge);
                letter::confirmation(&digits, job.created_at_ms, job.expires_at_ms)
            }
            Content::Change(content) => {
                let address =
                    content.about.as_ref().map(|(id, _, sealed)| opened("contact", *id, sealed)).transpose()?;
                let masked = content.about.as_ref().zip(address).and_then(|((_, channel, _), address)| {
                    let masked = contact::mask(channel.parse().ok()?, std::str::from_utf8(&address).ok()?);
                    Some((channel.as_str(), masked))
                });
                change_letter(&self.public_url, &seed, job, content, masked.as_ref().map(|(c, m)| (*c, m.as_str())))
            }
        };
        let to: MailAddress = std::str::from_utf8(&address)
            .ok()
            .and_then(|address| address.parse().ok())
            .ok_or(Failure::Impossible("the contact is no mail address"))?;
        let envelope = Envelope {
            from: self.from.clone(),
            to: Mailbox::new(None, to),
            message_id: &job.message_id,
            date_ms: job.created_at_ms,
        };
        mime::message(&letter, &envelope).map_err(|_| Failure::Impossible("the message cannot be built"))
    }
}

/// A code that the chain does not have under this id must never go out, nor words that the action does not mean.
fn code_letter(
    deployment: &Deployment,
    public_url: &str,
    seed: &Seed,
    job: &Job,
    content: &CodeContent,
    authorization: &Authorization,
) -> Result<Letter, Failure> {
    let slot = Slot {
        deployment: *deployment,
        issuer: content.issuer,
        purpose: content.purpose,
        serial: content.serial,
        subject: job.wallet,
        action: content.action,
    };
    let code = seed.code(&slot, content.request_id);
    if slot.id(code.hash()) != content.on_chain_id {
        return Err(Failure::Impossible("the derived code is not the one on the chain"));
    }
    if authorization.action != content.action {
        return Err(Failure::Impossible("the stored authorization is not the one on the chain"));
    }
    let linked = Linked { on_chain_id: content.on_chain_id, issuer: content.issuer, code: &code, authorization };
    Ok(letter::code(&CodeLetter {
        digits: code.digits(),
        reference: &content.reference,
        purpose: &content.purpose.to_string(),
        wallet: job.wallet,
        authorization,
        expiry: content.expiry,
        link: &link(public_url, &linked),
        report_link: &token_link(public_url, Page::Report, content.request_id, &seed.report_token(content.request_id)),
    }))
}

fn change_letter(
    public_url: &str,
    seed: &Seed,
    job: &Job,
    content: &ChangeContent,
    about: Option<(&str, &str)>,
) -> Letter {
    let change = Change { kind: content.kind, about, wallet: job.wallet };
    let digits = seed.change_digits(content.change_id, content.challenge);
    let approval = Approval { digits: &digits, until_ms: content.digits_until_ms };
    match content.stage {
        Stage::Announced => {
            let token = seed.cancel_token(content.change_id, job.contact_id);
            let link = token_link(public_url, Page::Cancel, content.change_id, &token);
            change.announcement(content.due_at_ms, approval, &link)
        }
        Stage::Digits => change.digits(content.due_at_ms, approval),
        Stage::Done => change.done(),
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
        };
        assert_eq!(pause(&config, "80", 1), Duration::from_millis(512));
        assert_eq!(pause(&config, "80", 3), Duration::from_millis(2_048));
        assert_eq!(pause(&config, "80", 1_000), Duration::from_millis(5_120));
        assert!(pause(&config, "00", 1) < pause(&config, "ff", 1));
    }
}
