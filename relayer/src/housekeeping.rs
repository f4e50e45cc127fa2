//! What has to be done now and then: old buckets and sessions are forgotten, and the metrics say what is switched off,
//! also where another relayer on the same store was told to, and how old the data key is.

use std::{collections::BTreeSet, time::Duration};

use otp_core::{
    clock::now_ms,
    id::Purpose,
    metrics::{DATA_KEY_AGE_SECONDS, ISSUANCE_ON},
    store::{Store, StoreError, Switch},
};
use tokio_util::sync::CancellationToken;

/// How soon a switch is in the metrics; requests ask the store itself.
const LOOK: Duration = Duration::from_secs(1);
/// Looks between two prunings.
const PRUNE_EVERY: u32 = 30;

/// Runs until `shutdown`.
pub async fn run(store: Store, purposes: Vec<Purpose>, buckets: u32, shutdown: CancellationToken) {
    let mut told = None;
    for look in 0u32.. {
        if let Err(error) = step(&store, &purposes, &mut told).await {
            tracing::warn!(%error, "the switches could not be read");
        }
        if look % PRUNE_EVERY == 0 {
            prune(&store, buckets).await;
            forget(&store).await;
            measure_keys(&store).await;
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn step(store: &Store, purposes: &[Purpose], told: &mut Option<BTreeSet<Switch>>) -> Result<(), StoreError> {
    let off: BTreeSet<Switch> = store.switched_off().await?.into_iter().map(|off| off.switch).collect();
    if told.as_ref() == Some(&off) {
        return Ok(());
    }
    let mut scopes: BTreeSet<Switch> = purposes.iter().copied().map(Switch::Purpose).collect();
    scopes.insert(Switch::All);
    scopes.extend(off.iter().cloned());
    scopes.extend(told.take().into_iter().flatten());
    for switch in scopes {
        let on = if off.contains(&switch) { 0.0 } else { 1.0 };
        let scope = match &switch {
            Switch::All => "all".to_owned(),
            other => format!("{}:{}", other.scope(), other.name()),
        };
        metrics::gauge!(ISSUANCE_ON, "scope" => scope).set(on);
    }
    *told = Some(off);
    Ok(())
}

async fn measure_keys(store: &Store) {
    match store.data_keys().await {
        Ok(keys) => {
            let made_ms = keys.last().map_or_else(now_ms, |key| key.created_at_ms);
            let age_ms = u64::try_from(now_ms().saturating_sub(made_ms)).unwrap_or_default();
            metrics::gauge!(DATA_KEY_AGE_SECONDS).set(Duration::from_millis(age_ms).as_secs_f64());
        }
        Err(error) => tracing::warn!(%error, "the data keys' age could not be read"),
    }
}

async fn forget(store: &Store) {
    match store.forget_sessions(now_ms()).await {
        Ok(0) => {}
        Ok(sessions) => tracing::info!(sessions, "sessions that are long over were forgotten"),
        Err(error) => tracing::warn!(%error, "sessions that are long over could not be forgotten"),
    }
}

async fn prune(store: &Store, most: u32) {
    match store.prune_buckets(most).await {
        Ok(0) => {}
        Ok(early) => tracing::warn!(early, "limits.buckets is too low: buckets were forgotten before they were full"),
        Err(error) => tracing::warn!(%error, "old buckets could not be forgotten"),
    }
}
