//! The export to a bucket: the files of [`super::directory`] but for `attested/`, whose lines have to be erasable. It is a
//! task of its own, so that a service that is away holds up neither the log nor anything else.
//!
//! What the store says was uploaded moves on after the bucket has it. So a process that dies anywhere puts a file once more
//! at most, which changes nothing there.

use std::time::Duration;

use anyhow::bail;
use otp_core::{
    evidence::{entry_line, head_line},
    id::Deployment,
    metrics::EVIDENCE_EXPORT_LAG_HEADS,
    store::{Segment, Store, StoreError},
};
use tokio_util::sync::CancellationToken;

use super::{
    bucket::{Bucket, BucketError},
    directory::{entries_name, head_name, text},
};
use crate::progress::{Progress, Upload};

/// How often is looked for a new head.
const POLL: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Why a head is not in the bucket.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The bucket.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Brings a bucket up to the last head.
#[derive(Debug)]
pub struct Uploader {
    /// The log.
    pub store: Store,
    /// Whose log.
    pub deployment: Deployment,
    /// Where it goes.
    pub bucket: Bucket,
    /// Whether it goes there.
    pub progress: Progress,
}

impl Uploader {
    /// Uploads until `shutdown`. A bucket that fails is told of and tried again; codes go out all the same.
    ///
    /// # Errors
    /// When the store fails, or at the start when the bucket is unfit: then it is the configuration that is wrong.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut pause = FIRST_PAUSE;
        let mut first = true;
        let mut checked = false;
        loop {
            let outcome = self.round(&mut checked).await;
            let lag_heads = self.lag().await?;
            self.progress.upload_is(Upload { lag_heads, ok: outcome.is_ok() });
            let wait = match outcome {
                Ok(more) => {
                    pause = FIRST_PAUSE;
                    if more { Duration::ZERO } else { POLL }
                }
                Err(UploadError::Store(error)) => return Err(error.into()),
                Err(UploadError::Bucket(error @ BucketError::Unfit { .. })) if first => bail!(error),
                Err(error) => {
                    tracing::warn!(%error, lag_heads, retry_in_ms = pause.as_millis(), "the evidence log is not uploaded");
                    let wait = pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    wait
                }
            };
            first = false;
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn round(&self, checked: &mut bool) -> Result<bool, UploadError> {
        if !*checked {
            self.bucket.check().await?;
            *checked = true;
        }
        self.step().await
    }

    /// Uploads the next head after the entries that it covers; false where there is none.
    ///
    /// # Errors
    /// When bucket or store fail: the next step begins with the same head.
    pub async fn step(&self) -> Result<bool, UploadError> {
        let name = self.bucket.name();
        let next = self.store.evidence_uploaded(&name).await?;
        let mut heads = self.store.evidence_heads(&self.deployment, next.saturating_sub(1), 2).await?.into_iter();
        let before = if next > 0 { heads.next() } else { None };
        let Some(head) = heads.next() else { return Ok(false) };
        if let Some(segment) = Segment::between(before.as_ref(), &head) {
            let limit = u32::try_from(segment.last - segment.first + 1).unwrap_or(u32::MAX);
            let entries = self.store.evidence_entries(segment.first, limit).await?;
            self.bucket.put(&entries_name(segment.first), text(entries.iter().map(entry_line))).await?;
        }
        self.bucket.put(&head_name(head.head.number), text(std::iter::once(head_line(&head)))).await?;
        self.store.set_evidence_uploaded(&name, next + 1).await?;
        Ok(true)
    }

    async fn lag(&self) -> Result<u64, StoreError> {
        let heads = self.store.evidence_count().await?.heads;
        let lag = heads.saturating_sub(self.store.evidence_uploaded(&self.bucket.name()).await?);
        metrics::gauge!(EVIDENCE_EXPORT_LAG_HEADS, "target" => "s3").set(lag as f64);
        Ok(lag)
    }
}
