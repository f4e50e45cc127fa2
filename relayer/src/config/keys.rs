//! `signer.*`: what signs.

use std::path::PathBuf;

use otp_core::{config::Reader, secret::Secret};

/// `signer.*`
#[derive(Debug)]
pub enum SignerConfig {
    /// `signer.keystore` and `signer.keystore_password`.
    Keystore {
        /// An encrypted JSON keystore (Web3 Secret Storage).
        path: PathBuf,
        /// Its password.
        password: Secret<String>,
    },
    /// `signer.kms_key_id`: an ECC_SECG_P256K1 key.
    Kms(String),
}

pub(super) fn read_signer(reader: &mut Reader) -> Option<SignerConfig> {
    let path = reader.or("signer.keystore", "data/issuer.json");
    let password = reader.optional("signer.keystore_password")?;
    match (reader.optional("signer.kms_key_id")?, password) {
        (Some(key_id), _) => Some(SignerConfig::Kms(key_id)),
        (None, Some(password)) => Some(SignerConfig::Keystore { path: path?, password }),
        (None, None) => {
            reader.fault("signer.keystore_password is missing: set it as OTP_RELAYER_SIGNER_KEYSTORE_PASSWORD, or set signer.kms_key_id");
            None
        }
    }
}
