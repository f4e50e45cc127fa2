//! Figures from the store to the metrics: what the chain says, how long codes took, how long the outbox is.
//!
//! They are set as a whole, not counted in passing, and only once the tail has caught up: a counter that climbs through
//! a backfill would look like so many codes at once.

use std::time::Duration;

use otp_core::{
    id::Deployment,
    metrics::{
        ACTIONS_CONSUMED, CALLS_REVERTED, CODES_DELIVERED, CODES_REVOKED, Distribution, GAS, GAS_PER_CODE,
        GOVERNANCE_CHANGES, GOVERNANCE_DELAY_SECONDS, LONG_SECONDS, OUTBOX_MESSAGES, OUTBOX_OLDEST_SECONDS, REPLAYS,
        SECONDS, SET_CHAIN, STAGE_SECONDS, TIMELOCK_OPERATIONS, VERIFY, set_distribution,
    },
    store::{Figures, Measured, Store, StoreError},
};
use tokio_util::sync::CancellationToken;

use crate::progress::Progress;

/// How often the outbox is measured.
const LOOK: Duration = Duration::from_secs(2);
/// Looks between two counts of everything else.
const COUNT_EVERY: u32 = 5;
/// Counting may take this part of the time, a twentieth: with very many young codes it is done less often.
const SHARE: u32 = 20;
/// The tail has caught up when it is no more blocks behind than this, its confirmations aside.
const CAUGHT_UP: u64 = 3;

/// What takes how long, in the store's word and in the metrics' and the interface's.
pub const STAGES: [(&str, &str); 4] = [
    ("request-mined", "requestToMined"),
    ("mined-delivered", "minedToDelivered"),
    ("delivered-verified", "deliveredToVerified"),
    ("request-verified", "requestToVerified"),
];
/// Functions that spend a code.
const SPENDING: [&str; 4] = ["verify", "verifyFor", "verifyAndConsume", "consume"];

/// Measures for one deployment.
#[derive(Debug)]
pub struct Measuring {
    /// The database.
    pub store: Store,
    /// Chain and contract.
    pub deployment: Deployment,
    /// Blocks that are waited for on purpose.
    pub confirmations: u64,
    /// Where the tail stands.
    pub progress: Progress,
}

impl Measuring {
    /// Measures until `shutdown`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut next = 0;
        for look in 0u32.. {
            let started = std::time::Instant::now();
            self.measure_outbox().await?;
            if look >= next && self.has_caught_up() {
                self.fold().await?;
                self.count().await?;
                let rest = started.elapsed().as_millis() * u128::from(SHARE) / LOOK.as_millis();
                next = look.saturating_add(COUNT_EVERY).saturating_add(u32::try_from(rest).unwrap_or(u32::MAX));
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        Ok(())
    }

    fn has_caught_up(&self) -> bool {
        self.progress.snapshot().lag_blocks().is_some_and(|lag| lag <= self.confirmations + CAUGHT_UP)
    }

    /// Counts for good what can no longer change.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fold(&self) -> Result<(), StoreError> {
        let Some(last) = self.store.final_block(&self.deployment).await? else { return Ok(()) };
        while self.store.fold_figures(&self.deployment, last.number).await? {
            // The tail writes too.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Sets what the metrics say of the chain.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count(&self) -> Result<(), StoreError> {
        if let Some((figures, _)) = self.store.all_figures(&self.deployment).await? {
            let all = figures.since(0);
            set_counters(&all, self.deployment.chain_id);
            set_histograms(&all);
        }
        Ok(())
    }

    /// Sets what the metrics say of the outbox.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measure_outbox(&self) -> Result<(), StoreError> {
        let queue = self.store.outbox().await?;
        let states = [("due", queue.due), ("sending", queue.sending), ("waiting", queue.waiting), ("dead", queue.dead)];
        for (state, count) in states {
            metrics::gauge!(OUTBOX_MESSAGES, "state" => state).set(count as f64);
        }
        let oldest = Duration::from_millis(queue.oldest_due_ms);
        metrics::gauge!(OUTBOX_OLDEST_SECONDS).set(oldest.as_secs_f64());
        Ok(())
    }
}

/// Calls that spend a code and that the contract refused with an error.
#[must_use]
pub fn refused(figures: &Figures, error: &str) -> u64 {
    SPENDING.iter().map(|function| figures.sum(&format!("reverted:{function}:{error}"))).sum()
}

/// Issuances that the contract refused.
#[must_use]
pub fn failed_issuances(figures: &Figures) -> u64 {
    let reverted = figures.by_prefix("reverted:");
    let issuing = reverted.iter().filter(|(call, _)| call.starts_with("setOtp:") || call.starts_with("setOtps:"));
    issuing.map(|(_, count)| count).sum()
}

fn set_counters(all: &Figures, chain_id: u64) {
    let network = chain_id.to_string();
    for (status, count) in [("success", all.sum("issuances")), ("reverted", failed_issuances(all))] {
        metrics::counter!(SET_CHAIN, "network" => network.clone(), "status" => status).absolute(count);
    }
    let used = refused(all, "OtpUsed");
    let results = [
        ("success", all.sum("verified")),
        ("wrong", all.sum("wrong")),
        ("expired", all.sum("expired")),
        ("used", used),
        ("unknown", refused(all, "UnknownOtp")),
    ];
    for (result, count) in results {
        metrics::counter!(VERIFY, "result" => result).absolute(count);
    }
    metrics::counter!(REPLAYS, "what" => "code").absolute(used);
    metrics::counter!(ACTIONS_CONSUMED).absolute(all.sum("consumed"));
    metrics::counter!(CODES_REVOKED).absolute(all.sum("revoked"));
    for (channel, count) in all.by_prefix("delivered:") {
        metrics::counter!(CODES_DELIVERED, "channel" => channel.to_owned()).absolute(count);
    }
    for (call, count) in all.by_prefix("reverted:") {
        let (function, error) = call.split_once(':').unwrap_or((call, ""));
        let labels = [("function", function.to_owned()), ("error", error.to_owned())];
        metrics::counter!(CALLS_REVERTED, &labels).absolute(count);
    }
    for (change, count) in all.by_prefix("governance:") {
        metrics::counter!(GOVERNANCE_CHANGES, "change" => change.to_owned()).absolute(count);
    }
    for (step, count) in all.by_prefix("timelock:") {
        metrics::counter!(TIMELOCK_OPERATIONS, "step" => step.to_owned()).absolute(count);
    }
}

fn set_histograms(all: &Figures) {
    for (stage, _) in STAGES {
        set_distribution(STAGE_SECONDS, stage, distribution(&all.measured(stage), &SECONDS, 1_000.0));
    }
    let delay = all.measured("governance-delay");
    set_distribution(GOVERNANCE_DELAY_SECONDS, "", distribution(&delay, &LONG_SECONDS, 1_000.0));
    set_distribution(GAS_PER_CODE, "", distribution(&all.measured("gas"), &GAS, 1.0));
}

/// `scale`: how many of the store's units make one of the metric's. The bounds are bounds of the store's buckets too, so
/// nothing is guessed.
fn distribution(measured: &Measured, bounds: &[f64], scale: f64) -> Distribution {
    #[expect(clippy::cast_possible_truncation, reason = "bounds are small")]
    let at_most = |bound: f64| measured.at_most((bound * scale).round() as i64);
    Distribution {
        buckets: bounds.iter().map(|bound| (*bound, at_most(*bound))).collect(),
        sum: measured.total as f64 / scale,
        count: measured.count(),
    }
}

#[cfg(test)]
mod tests {
    use otp_core::store::bounds;

    use super::*;

    #[test]
    fn every_bound_of_the_metrics_is_one_of_the_stores() {
        let of_store: Vec<f64> = bounds().map(|bound| bound as f64).collect();
        let seconds = SECONDS.iter().chain(&LONG_SECONDS).map(|bound| (bound * 1_000.0).round());
        for bound in seconds.chain(GAS) {
            assert!(of_store.contains(&bound), "{bound}");
        }
    }
}
