//! The key in force: made at the first start, and followed by another one when the operator says so.

use anyhow::{Context, bail};
use otp_core::{
    evidence::{KeyChange, SigningKey},
    id::Deployment,
    store::Store,
};

use super::EvidenceConfig;

/// The key of the configuration, which the log names as the one in force when this returns. A log that has no entry yet
/// begins with it.
///
/// # Errors
/// When the key cannot be had, or is another one than the log's and the log's own did not sign for it.
pub async fn ensure(
    store: &Store,
    deployment: Deployment,
    deployment_block: u64,
    config: &EvidenceConfig,
) -> anyhow::Result<SigningKey> {
    let tip = store.evidence_tip().await?;
    let path = &config.key_file;
    let key = match SigningKey::read(path)? {
        Some(key) => key,
        None if tip.key.is_none() || config.previous_key_file.is_some() => {
            let key = SigningKey::create(path)?;
            tracing::warn!(
                public_key = %key.public_key(),
                path = %path.display(),
                "made the key that signs the evidence log: publish its public key where auditors find it, and back the file up"
            );
            key
        }
        None => bail!("{} is missing, and only its key can continue the evidence log: restore it", path.display()),
    };
    let public_key = key.public_key();
    if tip.key == Some(public_key) {
        return Ok(key);
    }
    let signed_by = match tip.key {
        None => None,
        Some(in_force) => {
            let wanted = || {
                format!(
                    "the evidence log is signed by key {in_force} and {} holds {public_key}: set \
                     evidence.previous_key_file to the file of the former",
                    path.display()
                )
            };
            let previous = config.previous_key_file.as_deref().with_context(wanted)?;
            let old = SigningKey::read(previous)?.filter(|old| old.public_key() == in_force).with_context(wanted)?;
            Some((in_force, old.sign(&KeyChange::message(&deployment, tip.next, public_key))))
        }
    };
    let change = KeyChange { deployment, deployment_block, public_key, signed_by };
    if !store.append_evidence_key(tip, change).await? {
        bail!("another process writes the evidence log: run one indexer for a database");
    }
    tracing::warn!(%public_key, index = tip.next, "the evidence log is signed by this key from now on");
    Ok(key)
}
