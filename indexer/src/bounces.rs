//! What mail servers and providers report of messages that they took. Mail servers write to a mailbox, of which we read the
//! Maildir; providers are heard through the admin port (`api.rs`), whose token their adapter has.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use otp_core::{
    metrics::DELIVERY_REPORTS,
    store::{Outbox, ProviderWord, Store, StoreError, Teller},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::mail::bounce;

const POLL: Duration = Duration::from_secs(2);
/// How long a mailbox that cannot be read is left alone.
const PAUSE: Duration = Duration::from_secs(60);
/// The most reports in one round, so that the rest of the world goes on in a flood.
const ROUND: usize = 100;

/// Takes reports down; cheap to clone.
#[derive(Debug, Clone)]
pub struct Reports {
    /// The outbox.
    pub store: Store,
    /// What message ids are made from.
    pub outbox: Outbox,
    /// Wakes workers for a code that goes over another channel now.
    pub due: Arc<Notify>,
}

impl Reports {
    /// Takes a report down; false where it is about no message of ours, or is known already. `status` is for the log, and
    /// carries no address.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take(
        &self,
        message_id: &str,
        word: ProviderWord,
        teller: Teller,
        status: &str,
    ) -> Result<bool, StoreError> {
        let Some(fell_back) = self.store.report_delivery(&self.outbox, message_id, word, teller).await? else {
            metrics::counter!(DELIVERY_REPORTS, "result" => "unknown").increment(1);
            return Ok(false);
        };
        let result = match word {
            ProviderWord::Delivered => "delivered",
            ProviderWord::Bounced => "bounced",
        };
        metrics::counter!(DELIVERY_REPORTS, "result" => result).increment(1);
        tracing::info!(message_id, result, status, fell_back, "message reported on");
        if fell_back {
            self.due.notify_waiters();
        }
        Ok(true)
    }

    /// Watches a Maildir until `shutdown`. A mailbox that cannot be read is tried again: nothing else depends on it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn watch(self, maildir: PathBuf, shutdown: CancellationToken) -> anyhow::Result<()> {
        loop {
            let pause = match self.round(&maildir).await? {
                Ok(ROUND) => Duration::ZERO,
                Ok(_) => POLL,
                Err(error) => {
                    tracing::warn!(maildir = %maildir.display(), %error, "the mailbox for bounces cannot be read");
                    PAUSE
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Reads what is new in a Maildir, once, and moves it to what was seen. A report that was taken down and not moved is
    /// read again, which changes nothing. Returns how many files there were.
    ///
    /// # Errors
    /// The outer one when the database fails, the inner one when the mailbox does.
    pub async fn round(&self, maildir: &Path) -> Result<io::Result<usize>, StoreError> {
        let listed = maildir.join("new");
        let files = match blocking(move || list(&listed)).await {
            Ok(files) => files,
            Err(error) => return Ok(Err(error)),
        };
        for file in &files {
            let path = file.clone();
            let report = match blocking(move || read(&path)).await {
                Ok(raw) => raw.as_deref().and_then(bounce::read),
                Err(error) => return Ok(Err(error)),
            };
            match report {
                Some(report) => {
                    self.take(&report.message_id, report.word, Teller::Anybody, &report.status).await?;
                }
                None => metrics::counter!(DELIVERY_REPORTS, "result" => "unreadable").increment(1),
            }
            let (from, seen) = (file.clone(), maildir.join("cur"));
            if let Err(error) = blocking(move || put_away(&from, &seen)).await {
                return Ok(Err(error));
            }
        }
        Ok(Ok(files.len()))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.take(ROUND).map(|entry| Ok(entry?.path())).collect()
}

/// `None` where it is too long, or no file.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let facts = fs::symlink_metadata(path)?;
    let fits = facts.is_file() && facts.len() <= u64::try_from(bounce::MOST_BYTES).unwrap_or(u64::MAX);
    fits.then(|| fs::read(path)).transpose()
}

/// As a mail reader does: to `cur`, with the flag for seen.
fn put_away(file: &Path, seen: &Path) -> io::Result<()> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = name.split(":2,").next().unwrap_or_default();
    fs::rename(file, seen.join(format!("{name}:2,S")))
}
