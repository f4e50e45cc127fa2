//! Envelope encryption: AES-256-GCM under data keys that a key service wraps.
//!
//! A sealed value is `version (u32, big-endian) ‖ nonce (12) ‖ ciphertext ‖ tag (16)`. The associated data is the data
//! key's version, the column's domain and the owner's id, so a value moved to another row, column or key does not open.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use aes_gcm::{
    Aes256Gcm, Key, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use aws_sdk_kms::{error::DisplayErrorContext, primitives::Blob};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::store::{Store, StoreError};

const NONCE_LENGTH: usize = 12;
const KEY_LENGTH: usize = 32;

/// Why a key or a sealed value could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The local key file cannot be read, has the wrong mode or the wrong length.
    #[error("key file {path}: {why}")]
    KeyFile {
        /// Where the key was looked for.
        path: PathBuf,
        /// What is wrong and what to do.
        why: String,
    },
    /// KMS refused or could not be reached.
    #[error("KMS: {0}")]
    Kms(String),
    /// A sealed value does not open: another key, another row, or changed bytes.
    #[error("a sealed value does not open (domain {domain}): wrong key, wrong row or changed bytes")]
    Opening {
        /// Which kind of value.
        domain: &'static str,
    },
    /// The OS gives no randomness.
    #[error("no randomness from the operating system: {0}")]
    Randomness(#[from] getrandom::Error),
    /// The table of data keys.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What wraps data keys. The wrapping key never enters the database.
#[derive(Debug)]
pub enum KeyWrapper {
    /// AWS KMS `Encrypt`/`Decrypt` with an encryption context.
    Kms {
        /// The client.
        client: aws_sdk_kms::Client,
        /// Key id, ARN or alias of a symmetric key.
        key_id: String,
    },
    /// A local file with 32 random bytes, mode 0600: the embedded default.
    File(PathBuf),
}

impl KeyWrapper {
    /// A KMS key. Region, credentials and endpoint come from the environment, as in every AWS tool.
    pub async fn kms(key_id: String) -> Self {
        let environment = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
        Self::Kms { client: aws_sdk_kms::Client::new(&environment), key_id }
    }

    async fn wrap(&self, version: u32, key: &[u8]) -> Result<Vec<u8>, SealError> {
        match self {
            Self::Kms { client, key_id } => {
                let answer = client
                    .encrypt()
                    .key_id(key_id)
                    .plaintext(Blob::new(key))
                    .encryption_context("otp-data-key", version.to_string())
                    .send()
                    .await
                    .map_err(|e| SealError::Kms(DisplayErrorContext(e).to_string()))?;
                answer.ciphertext_blob.map(Blob::into_inner).ok_or_else(|| SealError::Kms("empty answer".into()))
            }
            Self::File(path) => encrypt(&*make_or_read_key(path)?, version, "data-key", Uuid::nil(), key),
        }
    }

    async fn unwrap_key(&self, version: u32, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        match self {
            Self::Kms { client, key_id } => {
                let answer = client
                    .decrypt()
                    .key_id(key_id)
                    .ciphertext_blob(Blob::new(wrapped))
                    .encryption_context("otp-data-key", version.to_string())
                    .send()
                    .await
                    .map_err(|e| SealError::Kms(DisplayErrorContext(e).to_string()))?;
                let key = answer.plaintext.ok_or_else(|| SealError::Kms("empty answer".into()))?;
                Ok(Zeroizing::new(key.into_inner()))
            }
            Self::File(path) => decrypt(&*key_from_file(path)?, version, "data-key", Uuid::nil(), wrapped),
        }
    }
}

/// The unwrapped data keys of this deployment, held in memory for the life of the process.
pub struct Keyring {
    /// By version, ascending and never empty; the last one seals.
    keys: Vec<(u32, Zeroizing<[u8; KEY_LENGTH]>)>,
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
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        getrandom::fill(key.as_mut_slice())?;
        let wrapped = wrapper.wrap(1, key.as_slice()).await?;
        store.insert_data_key(1, &wrapped).await?;
        // Another process may have been first: what the table holds counts.
        Self::open(store, wrapper).await?.ok_or(SealError::Opening { domain: "data-key" })
    }

    /// Opens the data keys, `None` where the relayer has not made one yet: the indexer's way.
    ///
    /// # Errors
    /// As [`Keyring::open_or_create`].
    pub async fn open(store: &Store, wrapper: &KeyWrapper) -> Result<Option<Self>, SealError> {
        let mut keys = Vec::new();
        for (version, wrapped) in store.data_keys().await? {
            let key = wrapper.unwrap_key(version, &wrapped).await?;
            let key = key.as_slice().try_into().map_err(|_| SealError::Opening { domain: "data-key" })?;
            keys.push((version, Zeroizing::new(key)));
        }
        Ok(if keys.is_empty() { None } else { Some(Self { keys }) })
    }

    /// Seals a value for one owner. `domain` names the column.
    ///
    /// # Errors
    /// When the OS gives no randomness.
    pub fn seal(&self, domain: &'static str, owner: Uuid, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let (version, key) = self.keys.last().ok_or(SealError::Opening { domain })?;
        encrypt(key, *version, domain, owner, plain)
    }

    /// Opens what [`Keyring::seal`] sealed for the same domain and owner.
    ///
    /// # Errors
    /// [`SealError::Opening`] when it was not.
    pub fn open_sealed(
        &self,
        domain: &'static str,
        owner: Uuid,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let failed = SealError::Opening { domain };
        let Some(version) = sealed.first_chunk().map(|bytes| u32::from_be_bytes(*bytes)) else { return Err(failed) };
        let Some((_, key)) = self.keys.iter().find(|(v, _)| *v == version) else { return Err(failed) };
        decrypt(key, version, domain, owner, sealed)
    }

    /// A 32-byte sub-key for one use, the same for the life of the deployment (it comes from the first data key).
    #[must_use]
    pub fn subkey(&self, label: &str) -> Zeroizing<[u8; 32]> {
        let mut output = Zeroizing::new([0; 32]);
        if let Some((_, key)) = self.keys.first() {
            let expanded = hkdf::Hkdf::<Sha256>::new(None, key.as_slice())
                .expand_multi_info(&[b"otp/subkey/v1\0", label.as_bytes()], output.as_mut_slice());
            debug_assert!(expanded.is_ok(), "32 bytes are within HKDF's reach");
        }
        output
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
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keyring({} keys, [redacted])", self.keys.len())
    }
}

fn associated_data(version: u32, domain: &str, owner: Uuid) -> Vec<u8> {
    [&version.to_be_bytes(), owner.as_bytes().as_slice(), domain.as_bytes()].concat()
}

fn encrypt(
    key: &[u8; KEY_LENGTH],
    version: u32,
    domain: &'static str,
    owner: Uuid,
    plain: &[u8],
) -> Result<Vec<u8>, SealError> {
    let mut nonce = [0; NONCE_LENGTH];
    getrandom::fill(&mut nonce)?;
    let aad = associated_data(version, domain, owner);
    let sealed = Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key))
        .encrypt(&Nonce::from(nonce), Payload { msg: plain, aad: &aad })
        .map_err(|_| SealError::Opening { domain })?;
    Ok([&version.to_be_bytes(), nonce.as_slice(), &sealed].concat())
}

fn decrypt(
    key: &[u8; KEY_LENGTH],
    version: u32,
    domain: &'static str,
    owner: Uuid,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let failed = || SealError::Opening { domain };
    let (head, rest) = sealed.split_first_chunk::<4>().ok_or_else(failed)?;
    let (nonce, body) = rest.split_first_chunk::<NONCE_LENGTH>().ok_or_else(failed)?;
    if *head != version.to_be_bytes() {
        return Err(failed());
    }
    let aad = associated_data(version, domain, owner);
    Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key))
        .decrypt(&Nonce::from(*nonce), Payload { msg: body, aad: &aad })
        .map(Zeroizing::new)
        .map_err(|_| failed())
}

/// The wrapping key, made where there is none. Only wrapping may: with a new key nothing would open.
fn make_or_read_key(path: &Path) -> Result<Zeroizing<[u8; KEY_LENGTH]>, SealError> {
    if !path.exists() {
        let why = |e| format!("cannot be made: {e}");
        create_key_file(path).map_err(|e| SealError::KeyFile { path: path.to_owned(), why: why(e) })?;
    }
    key_from_file(path)
}

/// Reads the wrapping key. Refuses a file that others can read.
fn key_from_file(path: &Path) -> Result<Zeroizing<[u8; KEY_LENGTH]>, SealError> {
    let fail = |why: String| SealError::KeyFile { path: path.to_owned(), why };
    if !path.exists() {
        return Err(fail("it is missing, and without it no seed opens: restore it from the backup".to_owned()));
    }
    let mode = fs::metadata(path).map_err(|e| fail(e.to_string()))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(fail(format!("mode {mode:o} lets others read it; chmod 600")));
    }
    let bytes = Zeroizing::new(fs::read(path).map_err(|e| fail(e.to_string()))?);
    let key = bytes.as_slice().try_into().map_err(|_| fail(format!("{} bytes, 32 expected", bytes.len())))?;
    Ok(Zeroizing::new(key))
}

/// Writes 32 random bytes under a name of its own and links them in place, so that nobody ever reads half a key and two
/// daemons that start together agree on one.
fn create_key_file(path: &Path) -> io::Result<()> {
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    getrandom::fill(key.as_mut_slice()).map_err(io::Error::other)?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let draft = path.with_extension(Uuid::now_v7().to_string());
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(key.as_slice())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> Keyring {
        Keyring { keys: vec![(1, Zeroizing::new([1; 32])), (2, Zeroizing::new([2; 32]))] }
    }

    #[test]
    fn a_value_opens_for_its_owner_and_column_alone() {
        let ring = ring();
        let owner = Uuid::from_u128(7);
        let sealed = ring.seal("seed", owner, b"plain").unwrap();
        assert_eq!(ring.open_sealed("seed", owner, &sealed).unwrap().as_slice(), b"plain");
        assert!(ring.open_sealed("seed", Uuid::from_u128(8), &sealed).is_err());
        assert!(ring.open_sealed("address", owner, &sealed).is_err());
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_refused() {
        let ring = ring();
        let owner = Uuid::from_u128(7);
        let sealed = ring.seal("seed", owner, b"plain").unwrap();
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(ring.open_sealed("seed", owner, &changed).is_err(), "byte {place}");
            assert!(ring.open_sealed("seed", owner, &sealed[..place]).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn an_older_data_key_still_opens_what_it_sealed() {
        let old = Keyring { keys: vec![(1, Zeroizing::new([1; 32]))] };
        let sealed = old.seal("seed", Uuid::nil(), b"plain").unwrap();
        assert_eq!(ring().open_sealed("seed", Uuid::nil(), &sealed).unwrap().as_slice(), b"plain");
        assert_eq!(old.tag("contact", b"a"), ring().tag("contact", b"a"));
    }

    #[test]
    fn the_key_file_is_private_made_once_and_refused_when_others_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/master.key");
        assert!(key_from_file(&path).unwrap_err().to_string().contains("restore"), "reading makes none");
        let first = make_or_read_key(&path).unwrap();
        assert_eq!(first, make_or_read_key(&path).unwrap());
        assert_eq!(first, key_from_file(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(key_from_file(&path).unwrap_err().to_string().contains("chmod 600"));
    }
}
