//! Moving what is stored to the newest data key, while everything goes on.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Keyring, SealError, version_of};
use crate::store::{Resealed, Resealing as Verdict, SEALED_COLUMNS, SealedColumn, Store, StoreError};

/// Rows of one transaction: a few milliseconds of the writer.
const STEP: u32 = 200;
/// Between two of them, so that requests come in between.
const BREATH: Duration = Duration::from_millis(20);
/// How often it is looked whether there is something to do.
const WATCH: Duration = Duration::from_secs(1);

/// How far the columns have come towards the newest data key.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The data key that seals now.
    pub version: u32,
    /// Every loaded version.
    pub versions: Vec<u32>,
    /// By column, as `table.column`.
    pub columns: Vec<(String, Resealed)>,
}

impl Progress {
    /// Whether nothing stands under an older key, but for what did not open.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.versions.last() == Some(&self.version)
            && (self.versions.len() == 1 || self.columns.iter().all(|(_, done)| done.finished_at_ms.is_some()))
    }
}

/// The task that seals anew what stands under an older data key.
#[derive(Debug, Clone)]
pub struct Resealing {
    store: Store,
    keyring: Arc<Keyring>,
}

impl Resealing {
    /// For a store and its keys.
    #[must_use]
    pub const fn new(store: Store, keyring: Arc<Keyring>) -> Self {
        Self { store, keyring }
    }

    /// Runs until `shutdown`. What a crash interrupts goes on at the next start.
    pub async fn run(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let pause = match self.step().await {
                Ok(true) => BREATH,
                Ok(false) => WATCH,
                Err(error) => {
                    tracing::warn!(%error, "sealing anew pauses");
                    WATCH
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Seals the next few values anew; `false` when nothing is left to do.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn step(&self) -> Result<bool, StoreError> {
        let version = self.keyring.version();
        if self.keyring.versions().first() == Some(&version) {
            return Ok(false);
        }
        for column in SEALED_COLUMNS {
            if self.store.resealed(column, version).await?.finished_at_ms.is_some() {
                continue;
            }
            let reseal = |owner: Uuid, sealed: &[u8]| self.reseal(column, version, owner, sealed);
            let done = self.store.reseal(column, version, STEP, reseal).await?;
            if done.finished_at_ms.is_some() {
                self.check(column, version, &done).await?;
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// How far it came.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn progress(&self) -> Result<Progress, StoreError> {
        let version = self.keyring.version();
        let mut columns = Vec::with_capacity(SEALED_COLUMNS.len());
        for column in SEALED_COLUMNS {
            columns.push((column.name(), self.store.resealed(column, version).await?));
        }
        Ok(Progress { version, versions: self.keyring.versions(), columns })
    }

    fn reseal(&self, column: SealedColumn, version: u32, owner: Uuid, sealed: &[u8]) -> Verdict {
        if version_of(sealed) == Some(version) {
            return Verdict::Keep;
        }
        let anew = || -> Result<Vec<u8>, SealError> {
            let plain = self.keyring.open_sealed(column.domain, owner, sealed)?;
            self.keyring.seal(column.domain, owner, &plain)
        };
        anew().map_or_else(
            |error| {
                tracing::error!(%error, place = column.name(), %owner, "a value was not sealed anew");
                Verdict::Unopened
            },
            Verdict::Replace,
        )
    }

    /// A daemon that learnt of the new key too late may have sealed a row behind the cursor.
    async fn check(&self, column: SealedColumn, version: u32, done: &Resealed) -> Result<(), StoreError> {
        if self.store.sealed_otherwise(column, version).await? > done.unopened {
            return self.store.restart_resealing(column, version).await;
        }
        let (resealed, unopened) = (done.resealed, done.unopened);
        tracing::info!(place = column.name(), version, resealed, unopened, "a column stands under the new data key");
        Ok(())
    }
}
