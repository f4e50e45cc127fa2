//! The issuing key: an encrypted keystore on this machine, or a key in AWS KMS that never leaves it.

use std::{path::Path, sync::Arc, time::Duration};

use alloy::{
    network::TxSigner,
    primitives::Signature,
    signers::{aws::AwsSigner, local::LocalSigner},
};
use anyhow::Context;
use aws_config::{BehaviorVersion, timeout::TimeoutConfig};

use crate::config::SignerConfig;

/// How long one attempt at a call to KMS may take.
const KMS_ATTEMPT: Duration = Duration::from_secs(3);
/// How long a call to KMS may take with its repetitions.
const KMS_CALL: Duration = Duration::from_secs(9);

/// Signs the issuer's transactions.
pub type IssuerSigner = Arc<dyn TxSigner<Signature> + Send + Sync>;

/// Opens the key that `section` of the configuration names: `signer` or `sponsor`.
///
/// # Errors
/// When the keystore or KMS does not give it; the text says what to do.
pub async fn open(section: &'static str, config: &SignerConfig, chain_id: u64) -> anyhow::Result<IssuerSigner> {
    match config {
        SignerConfig::Keystore { path, password } => {
            let (path, password) = (path.clone(), password.clone());
            // scrypt is meant to be slow: not on the runtime's threads.
            let opened = tokio::task::spawn_blocking(move || {
                LocalSigner::decrypt_keystore(&path, password.expose()).with_context(|| keystore_hint(section, &path))
            });
            Ok(Arc::new(opened.await??))
        }
        SignerConfig::Kms(key_id) => from_kms(section, kms_client().await, key_id, chain_id).await,
    }
}

/// The signer of a key in KMS, whose public key says which account it is.
///
/// # Errors
/// When KMS does not give the public key, or it is none of secp256k1.
pub async fn from_kms(
    section: &str,
    client: aws_sdk_kms::Client,
    key_id: &str,
    chain_id: u64,
) -> anyhow::Result<IssuerSigner> {
    let signer = AwsSigner::new(client, key_id.to_owned(), Some(chain_id)).await;
    let hint =
        || format!("KMS does not give {section}.kms_key_id's public key: check key id, type, region and permissions");
    Ok(Arc::new(signer.with_context(hint)?))
}

fn keystore_hint(section: &str, path: &Path) -> String {
    let shown = path.display();
    if path.exists() {
        format!("the keystore {shown} does not open: check {section}.keystore_password")
    } else {
        format!("no keystore at {shown}: make one with `relayer keystore --out {shown}`, or set {section}.keystore")
    }
}

/// Region, credentials and endpoint come from the environment, as in every AWS tool.
async fn kms_client() -> aws_sdk_kms::Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(KMS_ATTEMPT)
        .operation_attempt_timeout(KMS_ATTEMPT)
        .operation_timeout(KMS_CALL)
        .build();
    let config = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts).load().await;
    aws_sdk_kms::Client::new(&config)
}

#[cfg(test)]
mod tests {
    use otp_core::secret::Secret;

    use super::*;

    #[tokio::test]
    async fn a_key_that_does_not_open_is_told_with_the_setting_it_came_from() {
        let folder = tempfile::tempdir().unwrap();
        let (missing, damaged) = (folder.path().join("missing.json"), folder.path().join("damaged.json"));
        std::fs::write(&damaged, "{}").unwrap();
        for section in ["signer", "sponsor"] {
            for (path, setting) in [(&missing, "keystore"), (&damaged, "keystore_password")] {
                let password = Secret::new("hunter2".to_owned());
                let config = SignerConfig::Keystore { path: path.clone(), password };
                let told = open(section, &config, 1).await.err().unwrap().to_string();
                assert!(told.ends_with(&format!(" {section}.{setting}")), "{told}");
            }
        }
    }
}
