//! Keeping the evidence log: final steps are appended, the log is signed, exported, and cleared of what is to be erased.
//! docs/EVIDENCE.md says what that is worth.
//!
//! One task does all but the upload to a bucket, one thing after the other, and each is committed before the next begins. So a process that dies
//! anywhere leaves a log that the next one continues, and files that it completes.

mod bucket;
mod config;
mod directory;
mod key;
mod s3;
mod upload;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use otp_core::{
    clock::now_ms,
    evidence::{SignedHead, SigningKey},
    failpoint,
    id::Deployment,
    metrics::{EVIDENCE_ENTRIES, EVIDENCE_EXPORT_LAG_HEADS, EVIDENCE_HEAD_AGE_SECONDS},
    seal::Keyring,
    store::{Appended, Segment, Store, StoreError},
};
use tokio_util::sync::CancellationToken;

pub use self::{
    bucket::{Bucket, BucketError},
    config::{BucketConfig, EvidenceConfig},
    directory::{Directory, ExportError, attested_name, entries_name, head_name},
    key::ensure as ensure_key,
    s3::{S3, S3Error},
    upload::{UploadError, Uploader},
};

/// Entries in one write transaction, which others wait for.
const BATCH: u64 = 200;
/// How often the final mark is looked at.
const POLL: Duration = Duration::from_secs(1);
/// How often is looked for what is to be erased, and exported again after a failure.
const UPKEEP: Duration = Duration::from_secs(60);
/// Which keyed hash.
const TAG: &str = "evidence-account";

/// Keeps one deployment's log.
pub struct Notary {
    store: Store,
    deployment: Deployment,
    keyring: Arc<Keyring>,
    key: SigningKey,
    config: EvidenceConfig,
    directory: Option<Directory>,
    next_upkeep: Instant,
    export_from: Instant,
}

impl Notary {
    /// `key` is the one in force in the log.
    #[must_use]
    pub fn new(
        store: Store,
        deployment: Deployment,
        keyring: Arc<Keyring>,
        key: SigningKey,
        config: EvidenceConfig,
    ) -> Self {
        let directory = config.directory.clone().map(Directory::new);
        let now = Instant::now();
        Self { store, deployment, keyring, key, config, directory, next_upkeep: now, export_from: now }
    }

    /// Steps until `shutdown`.
    ///
    /// # Errors
    /// When the store fails. A directory that cannot be written is told of and tried again: codes go out all the same.
    pub async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        loop {
            let more = self.step().await?;
            let pause = if more { Duration::ZERO } else { POLL };
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Appends some entries, signs where a head is due, and exports what was signed. True where there is more to append.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn step(&mut self) -> Result<bool, StoreError> {
        if Instant::now() >= self.next_upkeep {
            self.erase(now_ms()).await?;
            self.next_upkeep = Instant::now() + UPKEEP;
        }
        let appended = self.append().await?;
        if let Some(appended) = appended {
            if appended.entries > 0 {
                failpoint::hit("entries-logged");
            }
            let rule = self.config.heads;
            self.store.sign_evidence(&self.deployment, rule, appended, &self.key, now_ms()).await?;
            if appended.entries > 0 {
                failpoint::hit("entries-signed");
            }
        }
        if Instant::now() >= self.export_from {
            self.export().await?;
        }
        self.measure().await?;
        Ok(appended.is_some_and(|appended| appended.entries > 0 && !appended.complete))
    }

    /// Never beyond what the next head may cover, so that an exported file stays as short.
    async fn append(&self) -> Result<Option<Appended>, StoreError> {
        let signed = self.store.latest_evidence_head(&self.deployment).await?.map_or(0, |last| last.head.index + 1);
        let unsigned = self.store.evidence_tip().await?.next.saturating_sub(signed);
        let limit = BATCH.min(self.config.heads.entries.saturating_sub(unsigned).max(1));
        let keyring = self.keyring.clone();
        let tag = move |account: uuid::Uuid, salt: &[u8; 32]| {
            keyring.tag(TAG, &[account.as_bytes().as_slice(), salt].concat())
        };
        self.store.append_evidence(&self.deployment, u32::try_from(limit).unwrap_or(1), &tag).await
    }

    /// Erases what is due at `now_ms`, here and in the exported files.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn erase(&mut self, now_ms: i64) -> Result<(), StoreError> {
        let retention_ms = i64::try_from(self.config.retention.as_millis()).unwrap_or(i64::MAX);
        loop {
            let erased = self.store.erase_evidence(now_ms.saturating_sub(retention_ms)).await?;
            if erased == Default::default() {
                break;
            }
            tracing::info!(openings = erased.openings, accounts = erased.accounts, "attested evidence was erased");
        }
        while let Some(index) = self.store.evidence_to_take_out(1).await?.pop() {
            let segment = self.store.evidence_segment(index).await?.unwrap_or(Segment { first: index, last: index });
            if let Some(directory) = &self.directory {
                let left = self.store.evidence_attested(segment).await?;
                if let Err(error) = directory.replace_attested(segment, left).await {
                    tracing::error!(%error, "erased evidence is still in the exported files");
                    return Ok(());
                }
            }
            self.store.evidence_taken_out(segment.first, segment.last).await?;
        }
        Ok(())
    }

    async fn export(&mut self) -> Result<(), StoreError> {
        let Some(directory) = &self.directory else { return Ok(()) };
        match export(&self.store, &self.deployment, directory).await {
            Ok(()) => {}
            Err(ExportError::Store(error)) => return Err(error),
            Err(error) => {
                tracing::error!(%error, "the evidence log is not exported");
                self.export_from = Instant::now() + UPKEEP;
            }
        }
        Ok(())
    }

    async fn measure(&self) -> Result<(), StoreError> {
        let count = self.store.evidence_count().await?;
        metrics::gauge!(EVIDENCE_ENTRIES).set(count.entries as f64);
        if let Some(last) = self.store.latest_evidence_head(&self.deployment).await? {
            let age_ms = now_ms().saturating_sub(last.head.time_ms).max(0);
            metrics::gauge!(EVIDENCE_HEAD_AGE_SECONDS).set(age_ms as f64 / 1_000.0);
        }
        if let Some(directory) = &self.directory {
            let lag = count.heads.saturating_sub(directory.next_head());
            metrics::gauge!(EVIDENCE_EXPORT_LAG_HEADS, "target" => "directory").set(lag as f64);
        }
        Ok(())
    }
}

/// Brings a directory up to the last head.
async fn export(store: &Store, deployment: &Deployment, directory: &Directory) -> Result<(), ExportError> {
    let mut before = resume(store, deployment, directory).await?;
    loop {
        let next = before.as_ref().map_or(0, |before| before.head.number + 1);
        let Some(head) = store.evidence_heads(deployment, next, 1).await?.pop() else { return Ok(()) };
        if let Some(segment) = Segment::between(before.as_ref(), &head) {
            let limit = u32::try_from(segment.last - segment.first + 1).unwrap_or(u32::MAX);
            let attested = store.evidence_attested(segment).await?;
            directory.replace_attested(segment, attested).await?;
            directory.write_entries(segment, store.evidence_entries(segment.first, limit).await?).await?;
            failpoint::hit("entries-exported");
        }
        directory.write_head(&head).await?;
        failpoint::hit("head-exported");
        before = Some(head);
    }
}

/// The last head of the directory, which has to be one of ours.
async fn resume(
    store: &Store,
    deployment: &Deployment,
    directory: &Directory,
) -> Result<Option<SignedHead>, ExportError> {
    let Some(last) = directory.resume().await? else { return Ok(None) };
    match store.evidence_heads(deployment, last.head.number, 1).await?.pop() {
        Some(ours) if ours == last => Ok(Some(last)),
        _ => Err(ExportError::Another { number: last.head.number }),
    }
}
