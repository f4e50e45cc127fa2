//! Envelope encryption: AES-256-GCM under data keys that a key service wraps.
//!
//! A sealed value is `version (u32, big-endian) ‖ nonce (12) ‖ ciphertext ‖ tag (16)`. The associated data is the data
//! key's version, the column's domain and the owner's id, so a value moved to another row, column or key does not open.
//!
//! [`Keyring`] holds the data keys, [`KeyWrapper`] is what wraps them, [`Resealing`] moves what is stored to the newest.

mod config;
mod keyring;
mod resealing;
mod wrapper;

use std::path::PathBuf;

use aes_gcm::{
    Aes256Gcm, Key, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use uuid::Uuid;
use zeroize::Zeroizing;

pub use self::{
    config::{KeysConfig, WrappingKey},
    keyring::Keyring,
    resealing::{Progress, Resealing},
    wrapper::KeyWrapper,
};
use crate::store::StoreError;

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
    /// A sealed value names a data key that is not loaded: one that was made a moment ago, or a database and a value
    /// that do not belong together.
    #[error("a sealed value needs data key {version}, which is not loaded (domain {domain})")]
    UnknownKey {
        /// The data key's version.
        version: u32,
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

/// The version of the data key that sealed a value; `None` for what no [`Keyring`] made.
fn version_of(sealed: &[u8]) -> Option<u32> {
    sealed.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
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
