//! Makes changes whose time has come, and erases what is to be gone.

use std::time::Duration;

use otp_core::{
    clock::now_ms,
    metrics,
    store::{DueOutcome, Store, StoreError},
};
use tokio_util::sync::CancellationToken;

/// How late a change is made at most, while the daemon runs.
const POLL: Duration = Duration::from_secs(1);
/// How often the time is remembered, and looked for what is to be erased.
const MINUTE_POLLS: u32 = 60;

/// Runs until `shutdown`.
///
/// # Errors
/// When the store fails.
pub async fn run(store: Store, shutdown: CancellationToken) -> Result<(), StoreError> {
    let mut ticks = tokio::time::interval(POLL);
    for tick in (0..MINUTE_POLLS).cycle() {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = ticks.tick() => {}
        }
        step(&store, now_ms()).await?;
        if tick == 0 {
            store.note_time(now_ms()).await?;
            erase(&store, now_ms()).await?;
        }
    }
    Ok(())
}

/// Makes what is due at `now_ms`; returns how many changes.
///
/// # Errors
/// When the store fails.
pub async fn step(store: &Store, now_ms: i64) -> Result<usize, StoreError> {
    let mut applied = 0;
    for change in store.apply_due_changes(now_ms).await? {
        let (account_id, change_id, kind) = (change.account_id, change.change_id, change.kind.as_str());
        match change.outcome {
            DueOutcome::Applied => {
                applied += 1;
                ::metrics::counter!(metrics::CONTACT_CHANGES, "outcome" => "applied").increment(1);
                tracing::info!(
                    target: "security", event = "contact-change-applied", %account_id, %change_id, kind,
                    "a change of contacts was made when its time had come"
                );
            }
            DueOutcome::Unannounced => {
                ::metrics::counter!(metrics::CONTACT_CHANGES, "outcome" => "unannounced").increment(1);
                tracing::warn!(
                    target: "security", event = "contact-change-unannounced", %account_id, %change_id, kind,
                    "no message of a change was handed over in all its time: it is announced anew and waits as long again"
                );
            }
            DueOutcome::PutOff => {}
        }
    }
    Ok(applied)
}

async fn erase(store: &Store, now_ms: i64) -> Result<(), StoreError> {
    let erased = store.erase_closed(now_ms).await?;
    for account_id in &erased.accounts {
        tracing::info!(target: "security", event = "account-erased", %account_id, "an account was erased");
    }
    if erased.contacts > 0 {
        tracing::info!(contacts = erased.contacts, "addresses of removed contacts were erased");
    }
    Ok(())
}
