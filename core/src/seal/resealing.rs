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

#[cfg(test)]
mod tests {
    use alloy::primitives::Address;

    use super::*;
    use crate::{
        seal::KeyWrapper,
        store::{Binding, NewSession},
    };

    const ACCOUNTS: u32 = 450;

    async fn account(store: &Store, keyring: &Keyring, n: u32) -> Uuid {
        let (id, session_id) = (Uuid::now_v7(), Uuid::now_v7());
        let new = NewSession {
            nonce: &n.to_string(),
            nonce_expires_at_ms: i64::MAX,
            wallet: Address::left_padding_from(&n.to_be_bytes()),
            new_account_id: id,
            new_seed_sealed: &keyring.seal("seed", id, &[7; 32]).unwrap(),
            session_id,
            domain: "example.com",
            binding: Binding::default(),
            now_ms: crate::clock::now_ms(),
            expires_at_ms: i64::MAX,
        };
        store.start_session(&new).await.unwrap().unwrap()
    }

    async fn seed(store: &Store, keyring: &Keyring, account: Uuid) -> Vec<u8> {
        keyring.open_sealed("seed", account, &store.sealed_seed(account).await.unwrap()).unwrap().to_vec()
    }

    #[tokio::test]
    async fn resealing_goes_on_where_it_was_broken_off_and_takes_what_came_in_between() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("otp.db");
        let wrapper = KeyWrapper::File(folder.path().join("key"));
        let seeds = SEALED_COLUMNS[0];
        let mut accounts = Vec::new();
        {
            let store = Store::open(&path).await.unwrap();
            let keyring = Arc::new(Keyring::open_or_create(&store, &wrapper).await.unwrap());
            for n in 0..ACCOUNTS {
                accounts.push(account(&store, &keyring, n).await);
            }
            assert!(!Resealing::new(store.clone(), keyring.clone()).step().await.unwrap(), "one key, nothing to do");
            let late = Keyring::open(&store, &wrapper).await.unwrap().unwrap();
            keyring.rotate().await.unwrap();
            keyring.seal_with_the_newest();
            assert!(Resealing::new(store.clone(), keyring).step().await.unwrap());
            assert_eq!(store.resealed(seeds, 2).await.unwrap().resealed, i64::from(STEP), "and then it was killed");
            // A daemon that has not heard of the new key seals behind the cursor.
            let behind = late.seal("seed", accounts[0], &[7; 32]).unwrap();
            store.overwrite_seed(accounts[0], &behind).await;
        }
        let store = Store::open(&path).await.unwrap();
        let keyring = Arc::new(Keyring::open(&store, &wrapper).await.unwrap().unwrap());
        keyring.seal_with_the_newest();
        let resealing = Resealing::new(store.clone(), keyring.clone());
        while resealing.step().await.unwrap() {}
        assert_eq!(store.sealed_otherwise(seeds, 2).await.unwrap(), 0);
        assert!(resealing.progress().await.unwrap().is_finished());
        for account in accounts {
            assert_eq!(seed(&store, &keyring, account).await, [7; 32]);
        }
    }

    #[tokio::test]
    async fn what_does_not_open_is_left_alone_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("otp.db")).await.unwrap();
        let wrapper = KeyWrapper::File(folder.path().join("key"));
        let keyring = Arc::new(Keyring::open_or_create(&store, &wrapper).await.unwrap());
        let (damaged, whole) = (account(&store, &keyring, 1).await, account(&store, &keyring, 2).await);
        let other = keyring.seal("seed", whole, &[7; 32]).unwrap();
        store.overwrite_seed(damaged, &other).await;
        keyring.rotate().await.unwrap();
        keyring.seal_with_the_newest();
        let resealing = Resealing::new(store.clone(), keyring.clone());
        while resealing.step().await.unwrap() {}
        let progress = resealing.progress().await.unwrap();
        assert!(progress.is_finished());
        assert_eq!((progress.columns[0].1.resealed, progress.columns[0].1.unopened), (1, 1));
        assert_eq!(store.sealed_seed(damaged).await.unwrap(), other);
        assert_eq!(seed(&store, &keyring, whole).await, [7; 32]);
    }
}
