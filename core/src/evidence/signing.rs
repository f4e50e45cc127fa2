//! The key that signs heads: Ed25519, in a file of its own, and never the issuer's.

use std::{
    fmt, fs,
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use alloy::primitives::{B256, B512};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use uuid::Uuid;
use zeroize::Zeroizing;

/// The key cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("evidence key file {path}: {why}")]
pub struct KeyFault {
    path: PathBuf,
    why: String,
}

/// An Ed25519 key pair.
pub struct SigningKey(Ed25519KeyPair);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public_key())
    }
}

impl SigningKey {
    /// The key of a 32-byte seed (RFC 8032's private key).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Self)
    }

    /// Reads the file, which holds the seed in hex and which nobody else may read; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read, others can read it, or it holds no key.
    pub fn read(path: &Path) -> Result<Option<Self>, KeyFault> {
        let fault = |why: String| KeyFault { path: path.to_owned(), why };
        let mode = match fs::metadata(path) {
            Ok(metadata) => metadata.permissions().mode(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(fault(e.to_string())),
        };
        if mode & 0o077 != 0 {
            return Err(fault(format!("mode {:o} lets others read it; run chmod 600", mode & 0o777)));
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(|e| fault(e.to_string()))?);
        let mut seed = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.trim_end(), seed.as_mut_slice())
            .map_err(|_| fault("64 hex digits are expected".to_owned()))?;
        Self::from_seed(&seed).map(Some).ok_or_else(|| fault("it holds no Ed25519 key".to_owned()))
    }

    /// Makes a key and its file, with mode 0600; what is there is never written over.
    ///
    /// # Errors
    /// When there is a file already, it cannot be written, or the OS gives no randomness.
    pub fn create(path: &Path) -> Result<Self, KeyFault> {
        let fault = |why: String| KeyFault { path: path.to_owned(), why };
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(|e| fault(e.to_string()))?;
        write_new(path, seed.as_slice()).map_err(|e| fault(e.to_string()))?;
        Self::from_seed(&seed).ok_or_else(|| fault("it holds no Ed25519 key".to_owned()))
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> B256 {
        B256::from_slice(self.0.public_key().as_ref())
    }

    /// Signs.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> B512 {
        B512::from_slice(self.0.sign(message).as_ref())
    }
}

/// Whether `key` signed `message`.
#[must_use]
pub fn verify(key: B256, message: &[u8], signature: B512) -> bool {
    UnparsedPublicKey::new(&ED25519, key).verify(message, signature.as_slice()).is_ok()
}

/// Written under a name of its own and linked in place, so that a crash leaves a whole key or none; synced, since a key that
/// signed anything must survive a power cut.
fn write_new(path: &Path, seed: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let draft = path.with_extension(Uuid::now_v7().to_string());
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let text = Zeroizing::new(format!("{}\n", hex::encode(seed)));
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    linked?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_is_private_and_signs_the_same_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/evidence.key");
        assert!(SigningKey::read(&path).unwrap().is_none());
        let key = SigningKey::create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(SigningKey::create(&path).is_err(), "a key is never written over");
        let again = SigningKey::read(&path).unwrap().unwrap();
        assert_eq!(again.public_key(), key.public_key());
        assert!(verify(key.public_key(), b"text", again.sign(b"text")));
        assert!(!verify(key.public_key(), b"another", again.sign(b"text")));
        let shown = format!("{key:?}");
        assert!(!shown.contains(fs::read_to_string(&path).unwrap().trim_end()), "{shown}");
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("evidence.key");
        SigningKey::create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(SigningKey::read(&path).unwrap_err().to_string().contains("chmod 600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for bad in ["", "0x12", &"f".repeat(63)] {
            fs::write(&path, bad).unwrap();
            assert!(SigningKey::read(&path).is_err(), "{bad:?}");
        }
    }

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn signatures_are_those_of_rfc_8032() {
        let seed = hex::decode_to_array("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb").unwrap();
        let key = SigningKey::from_seed(&seed).unwrap();
        let public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        assert_eq!(hex::encode(key.public_key()), public);
        let signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c\
                         387b2eaeb4302aeeb00d291612bb0c00";
        assert_eq!(hex::encode(key.sign(&[0x72])), signature);
    }
}
