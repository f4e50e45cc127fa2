//! Every metric of both daemons, in one place. Each line declares a constant that holds the metric's name and
//! is used as `metrics::counter!(SIGN_INS, "outcome" => "refused")`; its help, kind, unit and labels are what `/metrics` on
//! the admin port and docs/METRICS.md say of it.
//!
//! Labels have few values: never an id, a wallet, a contact, an address or anything that a caller chose.

mod absolute;
mod tls;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context;
use metrics::Unit;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

pub use self::{
    absolute::{Distribution, set_distribution},
    tls::note_tls_error,
};

/// What a metric's value does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises; starts at 0 with the process.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts observations in buckets.
    Histogram,
}

/// A metric as it is described.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name, unit included.
    pub name: &'static str,
    /// What its value does.
    pub kind: Kind,
    /// What it counts.
    pub unit: Unit,
    /// The labels that each of its series has.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $constant:ident: $kind:ident $name:literal $unit:ident [$($label:literal),*];)+) => {
        $($(#[doc = $help])+ pub const $constant: &str = $name;)+

        /// All of them, in the order of docs/METRICS.md.
        pub const ALL: &[Metric] = &[$(Metric {
            name: $constant,
            kind: Kind::$kind,
            unit: Unit::$unit,
            labels: &[$($label),*],
            help: concat!($($help),+).trim_ascii(),
        }),+];
    };
}

metrics! {
    /// Answers of the public and admin ports; the route is the interface's, `unknown` where it has none.
    HTTP_ANSWERS: Counter "otp_http_answers_total" Count ["method", "route", "status"];
    /// From the request's head to the answer's; a stream's body is not in it.
    HTTP_ANSWER_SECONDS: Histogram "otp_http_answer_seconds" Seconds ["route"];
    /// Open connections, by port (`public`, `admin`).
    HTTP_CONNECTIONS: Gauge "otp_http_connections" Count ["port"];
    /// Events of target `security` in the log, by event; docs/LOGGING.md lists them.
    SECURITY_EVENTS: Counter "otp_security_events_total" Count ["event"];

    /// Attempts to sign in, by outcome (`accepted`, `refused`, `unavailable`).
    SIGN_INS: Counter "otp_sign_ins_total" Count ["outcome"];
    /// Those that were not accepted, by the check that failed (`grammar`, `domain`, `uri`, `scheme`, `origin`, `chain-id`, `issued-at`, `expiration-time`, `not-before`, `nonce`, `signature` and the like; `chain` where the chain could not be asked).
    SIGN_IN_FAILURES: Counter "otp_sign_in_failures_total" Count ["cause"];
    /// From a wallet's first sign-in to its first confirmed contact.
    WALLET_BIND_SECONDS: Histogram "otp_wallet_bind_seconds" Seconds [];
    /// What came a second time and was refused: a sign-in's `nonce`, a device key's `proof`; a `code` at the contract, which is the indexer's to count.
    REPLAYS: Counter "otp_replays_refused_total" Count ["what"];
    /// Digits that were compared, by what they were for (`otp`, `contact`, `change`) and outcome (`right`, `wrong`).
    GUESSES: Counter "otp_guesses_total" Count ["for", "outcome"];
    /// Contact changes and deletions, by what happened (`announced`, `approved`, `cancelled`, `applied`; `unannounced`: put off, since no message of it was handed over).
    CONTACT_CHANGES: Counter "otp_contact_changes_total" Count ["outcome"];
    /// Codes that their owner reported as not asked for.
    REPORTS: Counter "otp_reports_total" Count [];
    /// Calls that a limit refused, by the limit.
    RATE_LIMITED: Counter "otp_rate_limited_total" Count ["limit"];
    /// What limits of accounts, devices and addresses are multiplied by while failures run high; 1 is as configured.
    LIMIT_FACTOR: Gauge "otp_limit_factor" Count [];
    /// 1 while issuance is switched on, 0 while it is off, wholly or for a purpose or channel.
    ISSUANCE_ON: Gauge "otp_issuance_on" Count ["scope"];

    /// Requests answered with 202, by the channel that their digits go out on.
    REQUESTS: Counter "otp_requests_total" Count ["channel"];
    /// Requests answered with 202, by purpose.
    REQUESTS_ACCEPTED: Counter "otp_requests_accepted_total" Count ["purpose"];
    /// Requests that wait for a batch, by purpose.
    REQUESTS_QUEUED: Gauge "otp_requests_queued" Count ["purpose"];
    /// Codes in each batch that was stored.
    BATCH_CODES: Histogram "otp_batch_codes" Count [];
    /// Transactions signed, by what they do (`batch`, `revocation`, `verification`, `filler`, `cancellation`).
    TRANSACTIONS_SIGNED: Counter "otp_transactions_signed_total" Count ["kind"];
    /// Of these, those that replaced an earlier one of their nonce.
    TRANSACTIONS_REPLACED: Counter "otp_transactions_replaced_total" Count ["kind"];
    /// Transactions that came into a block, by kind and outcome (`succeeded`, `reverted`).
    TRANSACTIONS_MINED: Counter "otp_transactions_mined_total" Count ["kind", "outcome"];
    /// Transactions that are sent and in no block.
    TRANSACTIONS_OPEN: Gauge "otp_transactions_open" Count [];
    /// Age of the oldest of these.
    TRANSACTION_OLDEST_SECONDS: Gauge "otp_transaction_oldest_seconds" Seconds [];
    /// Transactions that a reorg took out of their block.
    TRANSACTIONS_REORGED: Counter "otp_transactions_reorged_total" Count [];
    /// The signer's balance, in ether: a double holds no wei.
    SIGNER_BALANCE_ETHER: Gauge "otp_signer_balance_ether" Count ["signer"];
    /// The head's base fee.
    BASE_FEE_GWEI: Gauge "otp_base_fee_gwei" Count [];
    /// The most that is offered per gas.
    FEE_CAP_GWEI: Gauge "otp_fee_cap_gwei" Count [];
    /// 1 for the reason for which nothing is issued, 0 for the others.
    ISSUANCE_STOPPED: Gauge "otp_issuance_stopped" Count ["reason"];
    /// Signs that somebody else acts with our rights (`foreign-batch`, `role-granted`, `upgraded`).
    CHAIN_ALARMS: Counter "otp_chain_alarms_total" Count ["alarm"];

    /// Calls to a node by its host and outcome (`ok`, `error`, `timeout`, `throttled`, `nonsense`).
    RPC_CALLS: Counter "otp_rpc_calls_total" Count ["endpoint", "outcome"];
    /// How long calls to a node took.
    RPC_CALL_SECONDS: Histogram "otp_rpc_call_seconds" Seconds ["endpoint"];
    /// How far the node's head lies behind this server's clock.
    RPC_HEAD_AGE_SECONDS: Gauge "otp_rpc_head_age_seconds" Seconds ["endpoint"];
    /// How many blocks the node lies behind the best one known.
    RPC_HEAD_LAG_BLOCKS: Gauge "otp_rpc_head_lag_blocks" Count ["endpoint"];
    /// 1 while the node is put aside, 0 while it is used.
    RPC_PUT_ASIDE: Gauge "otp_rpc_put_aside" Count ["endpoint"];

    /// Age of the data key that seals now.
    DATA_KEY_AGE_SECONDS: Gauge "otp_data_key_age_seconds" Seconds [];
    /// Sealed values and wrapped keys that did not open, by what they are (`seed`, `contact`, `authorization`, `data-key` and the like).
    DECRYPT_ERRORS: Counter "otp_decrypt_errors_total" Count ["what"];
    /// Connections to a provider that failed in TLS, by provider (`rpc`, `mail`, `sms`, `webhook`, `s3`).
    TLS_ERRORS: Counter "otp_tls_errors_total" Count ["provider"];

    /// Blocks between the head and the last one whose events are stored.
    INDEXER_LAG_BLOCKS: Gauge "otp_indexer_lag_blocks" Count [];
    /// How many blocks each reorg took back.
    INDEXER_REORG_BLOCKS: Histogram "otp_indexer_reorg_blocks" Count [];
    /// Blocks between the head and the last one that is final and was read twice.
    INDEXER_FINAL_LAG_BLOCKS: Gauge "otp_indexer_final_lag_blocks" Count [];
    /// Events that the first reading of a block missed, and the second one, from another node once the block was final, found.
    INDEXER_EVENTS_MENDED: Counter "otp_indexer_events_mended_total" Count [];
    /// Entries of the evidence log.
    EVIDENCE_ENTRIES: Gauge "otp_evidence_entries" Count [];
    /// How long ago the evidence log was signed last.
    EVIDENCE_HEAD_AGE_SECONDS: Gauge "otp_evidence_head_age_seconds" Seconds [];
    /// Signed heads of the evidence log that are not exported yet, by target (`directory`, `s3`).
    EVIDENCE_EXPORT_LAG_HEADS: Gauge "otp_evidence_export_lag_heads" Count ["target"];

    /// Logs of the contract that were stored and not understood: of a topic that the interface does not have (`unknown`), or no log that the contract can have written (`malformed`).
    INDEXER_ODD_LOGS: Counter "otp_indexer_odd_logs_total" Count ["kind"];
    /// Messages by channel and the state they came to: `accepted` by the provider, `queued` to be tried again, `failed` for good, its later word, `delivered` or `bounced`, and where it was not to go out any more `expired` or `cancelled`.
    DELIVERIES: Counter "otp_deliveries_total" Count ["channel", "state"];
    /// Attempts whose end nobody knows, without an answer or with their process: the message may be out, and goes out again.
    /// Nothing else repeats one.
    DELIVERY_UNANSWERED: Counter "otp_delivery_unanswered_total" Count ["channel"];
    /// Reports of mail servers and providers: `delivered`, `bounced`, `unknown` (no such message, or nothing new of it),
    /// `unreadable`, `refused` (on the public port, without the provider's signature).
    DELIVERY_REPORTS: Counter "otp_delivery_reports_total" Count ["result"];
    /// Issuances on the chain, by chain id and `status`: `success` by their events, `reverted` by the calls in final blocks.
    SET_CHAIN: Counter "otp_set_chain_total" Count ["network", "status"];
    /// Codes by how they ended: `success` (verified), `expired` (ran out, neither verified nor revoked), `wrong` digits that were compared, and calls that the contract refused since the code was `used` or `unknown`.
    VERIFY: Counter "otp_verify_total" Count ["result"];
    /// Codes that a contract has consumed: gated actions that were done.
    ACTIONS_CONSUMED: Counter "otp_actions_consumed_total" Count [];
    /// Codes that were revoked.
    CODES_REVOKED: Counter "otp_codes_revoked_total" Count [];
    /// Codes on the chain whose message was handed over, by channel.
    CODES_DELIVERED: Counter "otp_codes_delivered_total" Count ["channel"];
    /// Calls to the verifier in final blocks that reverted, by function and the contract's error.
    CALLS_REVERTED: Counter "otp_calls_reverted_total" Count ["function", "error"];
    /// What governance did, by event (`policy-set`, `role-granted`, `role-revoked`, `paused`, `unpaused`, `upgraded`).
    GOVERNANCE_CHANGES: Counter "otp_governance_changes_total" Count ["change"];
    /// Operations of the timelock, by step (`scheduled`, `executed`, `cancelled`).
    TIMELOCK_OPERATIONS: Counter "otp_timelock_operations_total" Count ["step"];
    /// From an operation's announcement by the timelock to its execution.
    GOVERNANCE_DELAY_SECONDS: Histogram "otp_governance_delay_seconds" Seconds [];
    /// How long our codes took, by stage (`request-mined`, `mined-delivered`, `delivered-verified`, `request-verified`).
    STAGE_SECONDS: Histogram "otp_stage_seconds" Seconds ["stage"];
    /// Gas of whole issuances in final blocks, for each code in them.
    GAS_PER_CODE: Histogram "otp_gas_per_code" Count [];
    /// How far final blocks were searched for calls to the verifier, in blocks behind the last final one.
    CALLS_LAG_BLOCKS: Gauge "otp_calls_lag_blocks" Count [];

    /// Messages that are not settled, by state: `due`, `sending`, `waiting` to be tried again, `dead` (given up).
    OUTBOX_MESSAGES: Gauge "otp_outbox_messages" Count ["state"];
    /// For how long the oldest message that is due has been.
    OUTBOX_OLDEST_SECONDS: Gauge "otp_outbox_oldest_seconds" Seconds [];
}

/// Fitting for answers in milliseconds and blocks in seconds alike.
pub const SECONDS: [f64; 14] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];
/// From a transaction of its own to a place in a full batch.
pub const GAS: [f64; 10] =
    [3_000.0, 4_000.0, 5_000.0, 6_000.0, 8_000.0, 10_000.0, 20_000.0, 40_000.0, 60_000.0, 100_000.0];
/// From a second to a month.
pub const LONG_SECONDS: [f64; 10] =
    [1.0, 10.0, 60.0, 600.0, 4_000.0, 12_000.0, 40_000.0, 80_000.0, 250_000.0, 1_000_000.0];
const CODES: [f64; 8] = [1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 80.0];
const DEPTHS: [f64; 8] = [1.0, 2.0, 3.0, 6.0, 12.0, 32.0, 64.0, 128.0];
/// How often observations are sorted into their buckets while nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// This process's metrics, as text. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder(PrometheusHandle);

static INSTALLED: Mutex<Option<Recorder>> = Mutex::new(None);

impl Recorder {
    /// Starts recording; what was counted before is lost. A second call gives the same recorder.
    ///
    /// # Errors
    /// When another recorder is there already.
    pub fn install() -> anyhow::Result<Self> {
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(recorder) = &*installed {
            return Ok(recorder.clone());
        }
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .set_buckets_for_metric(Matcher::Full(BATCH_CODES.to_owned()), &CODES)?
            .set_buckets_for_metric(Matcher::Full(INDEXER_REORG_BLOCKS.to_owned()), &DEPTHS)?
            .set_buckets_for_metric(Matcher::Full(WALLET_BIND_SECONDS.to_owned()), &LONG_SECONDS)?
            .build_recorder();
        let handle = Self(recorder.handle());
        metrics::set_global_recorder(recorder).ok().context("another recorder is there already")?;
        describe();
        Ok(installed.insert(handle).clone())
    }

    /// All series in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = self.0.render();
        absolute::render(&mut text);
        text
    }

    /// Bounds what is held between two scrapes; until `shutdown`.
    ///
    /// # Errors
    /// None.
    pub async fn keep(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(UPKEEP) => self.0.run_upkeep(),
            }
        }
    }
}

fn describe() {
    for Metric { name, kind, unit, help, .. } in ALL {
        match kind {
            Kind::Counter => metrics::describe_counter!(*name, *unit, *help),
            Kind::Gauge => metrics::describe_gauge!(*name, *unit, *help),
            Kind::Histogram => metrics::describe_histogram!(*name, *unit, *help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered_with_its_help_and_buckets() {
        let recorder = Recorder::install().unwrap();
        metrics::counter!(SIGN_INS, "outcome" => "refused").increment(2);
        metrics::histogram!(BATCH_CODES).record(3.0);
        let text = Recorder::install().unwrap().render();
        assert!(text.contains("# HELP otp_sign_ins_total Attempts to sign in"), "{text}");
        assert!(text.contains("otp_sign_ins_total{outcome=\"refused\"} 2"), "{text}");
        assert!(text.contains("otp_batch_codes_bucket{le=\"5\"} 1"), "{text}");
        assert_eq!(text, recorder.render());
    }

    #[test]
    fn names_are_unique_and_end_in_their_unit() {
        let mut names: Vec<_> = ALL.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        for metric in ALL {
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            assert_eq!(metric.unit == Unit::Seconds, metric.name.ends_with("_seconds"), "{}", metric.name);
        }
    }
}
