//! The unwrapped data keys.
//!
//! A new version is stored first and seals [`LOADED_WITHIN`] later: until then every running daemon has seen it and can
//! open what it seals.

use std::{
    convert::Infallible,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{KEY_LENGTH, KeyWrapper, SealError, decrypt, encrypt, version_of};
use crate::{clock::now_ms, metrics::DECRYPT_ERRORS, store::Store};

/// How long a new data key only opens. A few of [`WATCH`], and time for KMS to answer.
pub(super) const LOADED_WITHIN: Duration = Duration::from_secs(4);
/// How often a daemon looks for a new data key.
const WATCH: Duration = Duration::from_secs(1);

/// A data key.
#[derive(Clone)]
struct DataKey {
    version: u32,
    key: Zeroizing<[u8; KEY_LENGTH]>,
    /// Unix milliseconds.
    seals_from_ms: i64,
}

/// By version, ascending and never empty.
type Keys = Arc<Vec<DataKey>>;

/// The unwrapped data keys of this deployment, held in memory for the life of the process.
pub struct Keyring {
    keys: RwLock<Keys>,
    store: Store,
    wrapper: KeyWrapper,
}

impl Keyring {
    /// Opens the deployment's data keys and makes the first one where there is none: the relayer's way.
    ///
    /// # Errors
    /// When the wrapper or the store fails, or a key does not open.
    pub async fn open_or_create(store: &Store, wrapper: &KeyWrapper) -> Result<Self, SealError> {
        if let Some(ring) = Self::open(store, wrapper).await? {
            return Ok(ring);
        }
        store.insert_data_key(1, &new_wrapped_key(wrapper, 1).await?).await?;
        // Another process may have been first: what the table holds counts.
        Self::open(store, wrapper).await?.ok_or(SealError::Opening { domain: "data-key" })
    }

    /// Opens the data keys, `None` where the relayer has not made one yet: the indexer's way.
    ///
    /// # Errors
    /// As [`Keyring::open_or_create`].
    pub async fn open(store: &Store, wrapper: &KeyWrapper) -> Result<Option<Self>, SealError> {
        let keys = load(store, wrapper, &[]).await?;
        if keys.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self { keys: RwLock::new(Arc::new(keys)), store: store.clone(), wrapper: wrapper.clone() }))
    }

    /// Makes a new data key, which this and every other running daemon seals with a few seconds later. Returns its
    /// version. What the older ones sealed is moved to it by [`super::Resealing`].
    ///
    /// # Errors
    /// As [`Keyring::open_or_create`]; then nothing has changed.
    pub async fn rotate(&self) -> Result<u32, SealError> {
        loop {
            let version = self.store.latest_data_key().await?.saturating_add(1);
            let wrapped = new_wrapped_key(&self.wrapper, version).await?;
            if self.store.insert_data_key(version, &wrapped).await? {
                self.refresh().await?;
                return Ok(version);
            }
        }
    }

    /// Wraps every data key anew under the current wrapping key, so that an older one can be retired. Returns how many.
    ///
    /// # Errors
    /// When the wrapper or the store fails; keys that were done stay so.
    pub async fn rewrap(&self) -> Result<usize, SealError> {
        let rows = self.store.data_keys().await?;
        for row in &rows {
            let key = self.wrapper.unwrap_key(row.version, &row.wrapped).await?;
            let wrapped = self.wrapper.wrap(row.version, &key).await?;
            // Never trade a key that opens for one that may not.
            if self.wrapper.unwrap_key(row.version, &wrapped).await? != key {
                return Err(SealError::Opening { domain: "data-key" });
            }
            self.store.replace_wrapped_data_key(row.version, &row.wrapped, &wrapped).await?;
        }
        Ok(rows.len())
    }

    /// Loads data keys that were made since.
    ///
    /// # Errors
    /// When the store fails or a new key does not open.
    pub async fn refresh(&self) -> Result<(), SealError> {
        let keys = load(&self.store, &self.wrapper, &self.keys()).await?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    /// Watches for new data keys, for ever. Every daemon that holds a ring runs this.
    pub async fn watch(&self) -> Infallible {
        loop {
            tokio::time::sleep(WATCH).await;
            if let Err(error) = self.load_new().await {
                tracing::warn!(%error, "a new data key is not loaded yet");
            }
        }
    }

    async fn load_new(&self) -> Result<(), SealError> {
        let latest = self.store.latest_data_key().await?;
        if self.keys().last().is_none_or(|key| key.version < latest) {
            self.refresh().await?;
            tracing::info!(version = latest, "a new data key is loaded");
        }
        Ok(())
    }

    /// Seals a value for one owner. `domain` names the column.
    ///
    /// # Errors
    /// When the OS gives no randomness.
    pub fn seal(&self, domain: &'static str, owner: Uuid, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let keys = self.keys();
        let key = sealing(&keys).ok_or(SealError::Opening { domain })?;
        encrypt(&key.key, key.version, domain, owner, plain)
    }

    /// Opens what [`Keyring::seal`] sealed for the same domain and owner.
    ///
    /// # Errors
    /// [`SealError::Opening`] when it was not; [`SealError::UnknownKey`] when its data key is not loaded.
    pub fn open_sealed(
        &self,
        domain: &'static str,
        owner: Uuid,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let version = version_of(sealed).ok_or(SealError::Opening { domain })?;
        let keys = self.keys();
        let key = keys.iter().find(|key| key.version == version).ok_or(SealError::UnknownKey { version, domain })?;
        decrypt(&key.key, version, domain, owner, sealed)
            .inspect_err(|_| metrics::counter!(DECRYPT_ERRORS, "what" => domain).increment(1))
    }

    /// The version of the data key that seals now.
    #[must_use]
    pub fn version(&self) -> u32 {
        sealing(&self.keys()).map_or(0, |key| key.version)
    }

    /// Every loaded version, ascending.
    #[must_use]
    pub fn versions(&self) -> Vec<u32> {
        self.keys().iter().map(|key| key.version).collect()
    }

    /// A 32-byte sub-key for one use, the same for the life of the deployment (it comes from the first data key).
    #[must_use]
    pub fn subkey(&self, label: &str) -> Zeroizing<[u8; 32]> {
        self.keys().first().map_or_else(Zeroizing::default, |key| derive(key, label))
    }

    /// A 32-byte sub-key for one use that changes with the data key; `None` for a version that is not loaded.
    #[must_use]
    pub fn subkey_of(&self, version: u32, label: &str) -> Option<Zeroizing<[u8; 32]>> {
        self.keys().iter().find(|key| key.version == version).map(|key| derive(key, label))
    }

    /// A keyed hash (HMAC-SHA-256) by which a value can be looked up without standing in clear.
    #[must_use]
    pub fn tag(&self, domain: &'static str, value: &[u8]) -> [u8; 32] {
        let key = self.subkey(domain);
        // HMAC takes a key of any length, so there is no error to tell.
        <Hmac<Sha256> as KeyInit>::new_from_slice(key.as_slice())
            .map(|mac| mac.chain_update(value).finalize().into_bytes().into())
            .unwrap_or_default()
    }

    fn keys(&self) -> Keys {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keyring({} keys, [redacted])", self.keys().len())
    }
}

/// The newest key that every daemon has had the time to load.
fn sealing(keys: &[DataKey]) -> Option<&DataKey> {
    let now_ms = now_ms();
    keys.iter().rev().find(|key| key.seals_from_ms <= now_ms).or_else(|| keys.first())
}

fn derive(key: &DataKey, label: &str) -> Zeroizing<[u8; 32]> {
    let mut output = Zeroizing::new([0; 32]);
    let expanded = hkdf::Hkdf::<Sha256>::new(None, key.key.as_slice())
        .expand_multi_info(&[b"otp/subkey/v1\0", label.as_bytes()], output.as_mut_slice());
    debug_assert!(expanded.is_ok(), "32 bytes are within HKDF's reach");
    output
}

async fn new_wrapped_key(wrapper: &KeyWrapper, version: u32) -> Result<Vec<u8>, SealError> {
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    getrandom::fill(key.as_mut_slice())?;
    wrapper.wrap(version, key.as_slice()).await
}

/// Every data key of the table; those in `known` are not unwrapped again.
async fn load(store: &Store, wrapper: &KeyWrapper, known: &[DataKey]) -> Result<Vec<DataKey>, SealError> {
    let loaded_within_ms = i64::try_from(LOADED_WITHIN.as_millis()).unwrap_or(i64::MAX);
    let mut keys = Vec::new();
    for row in store.data_keys().await? {
        if let Some(key) = known.iter().find(|key| key.version == row.version) {
            keys.push(key.clone());
            continue;
        }
        let key = wrapper.unwrap_key(row.version, &row.wrapped).await;
        let key = key.inspect_err(|_| metrics::counter!(DECRYPT_ERRORS, "what" => "data-key").increment(1))?;
        let key = key.as_slice().try_into().map_err(|_| SealError::Opening { domain: "data-key" })?;
        // Before the first one there was nothing to seal with.
        let seals_from_ms = if keys.is_empty() { i64::MIN } else { row.created_at_ms.saturating_add(loaded_within_ms) };
        keys.push(DataKey { version: row.version, key: Zeroizing::new(key), seals_from_ms });
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ring of one key whose later keys seal at once.
    async fn ring(folder: &tempfile::TempDir) -> Keyring {
        let store = Store::open(&folder.path().join("otp.db")).await.unwrap();
        Keyring::open_or_create(&store, &KeyWrapper::File(folder.path().join("key"))).await.unwrap()
    }

    impl Keyring {
        pub(in crate::seal) fn seal_with_the_newest(&self) {
            let mut keys = self.keys().to_vec();
            keys.iter_mut().for_each(|key| key.seals_from_ms = i64::MIN);
            *self.keys.write().unwrap() = Arc::new(keys);
        }
    }

    #[tokio::test]
    async fn a_value_opens_for_its_owner_and_column_alone() {
        let folder = tempfile::tempdir().unwrap();
        let ring = ring(&folder).await;
        let owner = Uuid::from_u128(7);
        let sealed = ring.seal("seed", owner, b"plain").unwrap();
        assert_eq!(ring.open_sealed("seed", owner, &sealed).unwrap().as_slice(), b"plain");
        assert!(ring.open_sealed("seed", Uuid::from_u128(8), &sealed).is_err());
        assert!(ring.open_sealed("address", owner, &sealed).is_err());
    }

    #[tokio::test]
    async fn every_changed_byte_and_every_cut_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let ring = ring(&folder).await;
        let owner = Uuid::from_u128(7);
        let sealed = ring.seal("seed", owner, b"plain").unwrap();
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(ring.open_sealed("seed", owner, &changed).is_err(), "byte {place}");
            assert!(ring.open_sealed("seed", owner, &sealed[..place]).is_err(), "cut at {place}");
        }
    }

    #[tokio::test]
    async fn a_new_data_key_seals_once_every_daemon_has_loaded_it_and_the_older_one_still_opens() {
        let folder = tempfile::tempdir().unwrap();
        let ring = ring(&folder).await;
        let sealed = ring.seal("seed", Uuid::nil(), b"plain").unwrap();
        let (tag, first) = (ring.tag("contact", b"a"), ring.subkey_of(1, "a"));

        assert_eq!(ring.rotate().await.unwrap(), 2);
        assert_eq!((ring.versions(), ring.version()), (vec![1, 2], 1), "loaded, and not used yet");
        ring.seal_with_the_newest();
        assert_eq!(version_of(&ring.seal("seed", Uuid::nil(), b"plain").unwrap()), Some(2));
        assert_eq!(ring.open_sealed("seed", Uuid::nil(), &sealed).unwrap().as_slice(), b"plain");
        assert_eq!((ring.tag("contact", b"a"), ring.subkey_of(1, "a")), (tag, first));
        assert_ne!(ring.subkey_of(1, "a"), ring.subkey_of(2, "a"));
        assert_eq!(ring.subkey_of(3, "a"), None);
    }

    #[tokio::test]
    async fn another_daemon_learns_of_a_new_data_key_before_it_has_to_open_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let (relayer, indexer) = (ring(&folder).await, ring(&folder).await);
        assert_eq!(relayer.rotate().await.unwrap(), 2);
        assert_eq!(indexer.versions(), [1]);
        let begun = std::time::Instant::now();
        let watching = async {
            tokio::select! {
                never = indexer.watch() => match never {},
                () = async { while relayer.version() != 2 { tokio::time::sleep(Duration::from_millis(50)).await } } => {}
            }
        };
        watching.await;
        assert!(begun.elapsed() >= LOADED_WITHIN - WATCH, "it seals after a while");
        let sealed = relayer.seal("seed", Uuid::nil(), b"plain").unwrap();
        assert_eq!(indexer.open_sealed("seed", Uuid::nil(), &sealed).unwrap().as_slice(), b"plain");
    }

    #[tokio::test]
    async fn a_value_under_a_key_that_is_not_loaded_opens_after_a_refresh() {
        let folder = tempfile::tempdir().unwrap();
        let (relayer, indexer) = (ring(&folder).await, ring(&folder).await);
        relayer.rotate().await.unwrap();
        relayer.seal_with_the_newest();
        let sealed = relayer.seal("seed", Uuid::nil(), b"plain").unwrap();
        let refused = indexer.open_sealed("seed", Uuid::nil(), &sealed).unwrap_err();
        assert!(matches!(refused, SealError::UnknownKey { version: 2, .. }), "{refused}");
        indexer.refresh().await.unwrap();
        assert_eq!(indexer.open_sealed("seed", Uuid::nil(), &sealed).unwrap().as_slice(), b"plain");
    }

    #[tokio::test]
    async fn data_keys_move_to_another_wrapping_key_and_a_database_from_before_still_opens() {
        let folder = tempfile::tempdir().unwrap();
        let ring = ring(&folder).await;
        ring.rotate().await.unwrap();
        let sealed = ring.seal("seed", Uuid::nil(), b"plain").unwrap();
        let backup = folder.path().join("backup.db");
        for companion in ["", "-wal"] {
            let file = |name| folder.path().join(format!("{name}{companion}"));
            std::fs::copy(file("otp.db"), file("backup.db")).unwrap();
        }

        let (old, new) = (folder.path().join("key"), folder.path().join("new-key"));
        let both = KeyWrapper::File(new.clone()).succeeding(vec![KeyWrapper::File(old.clone())]);
        let ring = Keyring::open(&ring.store, &both).await.unwrap().unwrap();
        assert_eq!(ring.rewrap().await.unwrap(), 2);

        let new = KeyWrapper::File(new);
        let rewrapped = Keyring::open(&ring.store, &new).await.unwrap().unwrap();
        assert_eq!(rewrapped.open_sealed("seed", Uuid::nil(), &sealed).unwrap().as_slice(), b"plain");
        assert!(Keyring::open(&ring.store, &KeyWrapper::File(old)).await.is_err(), "the older one is retired");

        let restored = Store::open(&backup).await.unwrap();
        assert!(Keyring::open(&restored, &new).await.is_err(), "the backup needs the older one");
        let opened = Keyring::open(&restored, &both).await.unwrap().unwrap();
        assert_eq!(opened.open_sealed("seed", Uuid::nil(), &sealed).unwrap().as_slice(), b"plain");
    }
}
