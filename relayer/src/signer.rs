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

/// Opens the issuing key.
///
/// # Errors
/// When the keystore or KMS does not give it; the text says what to do.
pub async fn open(config: &SignerConfig, chain_id: u64) -> anyhow::Result<IssuerSigner> {
    match config {
        SignerConfig::Keystore { path, password } => {
            let (path, password) = (path.clone(), password.clone());
            // scrypt is meant to be slow: not on the runtime's threads.
            let opened = tokio::task::spawn_blocking(move || {
                LocalSigner::decrypt_keystore(&path, password.expose()).with_context(|| keystore_hint(&path))
            });
            Ok(Arc::new(opened.await??))
        }
        SignerConfig::Kms(key_id) => from_kms(kms_client().await, key_id, chain_id).await,
    }
}

/// The signer of a key in KMS, whose public key says which account it is.
///
/// # Errors
/// When KMS does not give the public key, or it is none of secp256k1.
pub async fn from_kms(client: aws_sdk_kms::Client, key_id: &str, chain_id: u64) -> anyhow::Result<IssuerSigner> {
    let signer = AwsSigner::new(client, key_id.to_owned(), Some(chain_id)).await;
    let hint = "KMS does not give signer.kms_key_id's public key: check key id, type, region and permissions";
    Ok(Arc::new(signer.context(hint)?))
}

fn keystore_hint(path: &Path) -> String {
    let path = path.display();
    if Path::new(&path.to_string()).exists() {
        format!("the keystore {path} does not open: check signer.keystore_password")
    } else {
        format!("no keystore at {path}: make one with `relayer keystore --out {path}`, or set signer.keystore")
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
