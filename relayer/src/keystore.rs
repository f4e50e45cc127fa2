//! Making an issuing key for the embedded default.

use std::path::Path;

use alloy::{primitives::Address, signers::local::PrivateKeySigner};
use anyhow::{Context, bail};

/// Makes a random key, encrypts it with `password` (Web3 Secret Storage, scrypt) and writes it to `path`.
///
/// # Errors
/// When a file is there already, the password is empty, or the file cannot be written.
pub fn create(path: &Path, password: &str) -> anyhow::Result<Address> {
    if path.exists() {
        bail!("{} is there already: a key is never overwritten", path.display());
    }
    if password.is_empty() {
        bail!("the password is empty: set OTP_RELAYER_SIGNER_KEYSTORE_PASSWORD");
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str()).context("--out names no file")?;
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let signer = PrivateKeySigner::random();
    PrivateKeySigner::encrypt_keystore(folder, &mut rand::rngs::OsRng, signer.to_bytes(), password, Some(name))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(signer.address())
}
