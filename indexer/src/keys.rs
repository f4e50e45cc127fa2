//! The data keys. The relayer makes them; the indexer waits for them and never makes any.

use std::time::Duration;

use otp_core::{
    seal::{Keyring, KeysConfig, SealError},
    store::Store,
};

const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Opens the data keys once the relayer has made them.
///
/// # Errors
/// What waiting cannot mend: a key file that others can read, a key that does not open, a damaged database.
pub async fn wait(store: &Store, config: &KeysConfig) -> Result<Keyring, SealError> {
    let wrapper = config.wrapper().await;
    let (mut pause, mut told) = (PAUSE, false);
    loop {
        match Keyring::open(store, &wrapper).await {
            Ok(Some(keyring)) => return Ok(keyring),
            Ok(None) if told => {}
            Ok(None) => {
                tracing::warn!("waiting for the data keys: the relayer makes them when it first starts");
                told = true;
            }
            Err(error @ SealError::Kms(_)) => {
                tracing::warn!(%error, retry_in_ms = pause.as_millis(), "waiting for KMS");
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pause).await;
    }
}
