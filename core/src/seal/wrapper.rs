//! What wraps data keys: AWS KMS, or a key file on this machine.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use aws_sdk_kms::{config::timeout::TimeoutConfig, error::DisplayErrorContext, primitives::Blob};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{KEY_LENGTH, SealError, decrypt, encrypt};

/// The encryption context's key; its value is the data key's version, so no version passes for another.
const CONTEXT: &str = "otp-data-key";
/// For a whole call with its retries.
const CALL: Duration = Duration::from_secs(10);

/// What wraps data keys. The wrapping key never enters the database.
#[derive(Debug, Clone)]
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
    /// A wrapping key that is being replaced: the new one wraps, and what it does not open the older ones may.
    Succession {
        /// Wraps.
        current: Box<KeyWrapper>,
        /// Only open.
        older: Vec<KeyWrapper>,
    },
}

impl KeyWrapper {
    /// A KMS key. Region, credentials and endpoint come from the environment, as in every AWS tool.
    pub async fn kms(key_id: String) -> Self {
        let environment = aws_config::defaults(aws_config::BehaviorVersion::latest())
            .timeout_config(TimeoutConfig::builder().operation_timeout(CALL).build())
            .load()
            .await;
        Self::Kms { client: aws_sdk_kms::Client::new(&environment), key_id }
    }

    /// This wrapper, and where there are any the older ones that may still open what they wrapped.
    #[must_use]
    pub fn succeeding(self, older: Vec<Self>) -> Self {
        if older.is_empty() { self } else { Self::Succession { current: Box::new(self), older } }
    }

    /// Wraps a data key.
    pub(super) async fn wrap(&self, version: u32, key: &[u8]) -> Result<Vec<u8>, SealError> {
        match self {
            Self::Kms { client, key_id } => {
                let answer = client
                    .encrypt()
                    .key_id(key_id)
                    .plaintext(Blob::new(key))
                    .encryption_context(CONTEXT, version.to_string())
                    .send()
                    .await
                    .map_err(|e| SealError::Kms(DisplayErrorContext(e).to_string()))?;
                answer.ciphertext_blob.map(Blob::into_inner).ok_or_else(|| SealError::Kms("empty answer".into()))
            }
            Self::File(path) => encrypt(&*make_or_read_key(path)?, version, "data-key", Uuid::nil(), key),
            Self::Succession { current, .. } => Box::pin(current.wrap(version, key)).await,
        }
    }

    /// Opens a wrapped data key. Of several wrapping keys the current one is asked first, and its answer is the error.
    pub(super) async fn unwrap_key(&self, version: u32, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        match self {
            Self::Kms { client, key_id } => {
                let answer = client
                    .decrypt()
                    .key_id(key_id)
                    .ciphertext_blob(Blob::new(wrapped))
                    .encryption_context(CONTEXT, version.to_string())
                    .send()
                    .await
                    .map_err(|e| SealError::Kms(DisplayErrorContext(e).to_string()))?;
                let key = answer.plaintext.ok_or_else(|| SealError::Kms("empty answer".into()))?;
                Ok(Zeroizing::new(key.into_inner()))
            }
            Self::File(path) => decrypt(&*key_from_file(path)?, version, "data-key", Uuid::nil(), wrapped),
            Self::Succession { current, older } => {
                let refused = match Box::pin(current.unwrap_key(version, wrapped)).await {
                    Err(refused) => refused,
                    opened => return opened,
                };
                for wrapper in older {
                    if let Ok(key) = Box::pin(wrapper.unwrap_key(version, wrapped)).await {
                        return Ok(key);
                    }
                }
                Err(refused)
            }
        }
    }
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
