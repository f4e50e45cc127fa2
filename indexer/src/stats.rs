//! `GET /v1/stats`: counts, rates and how long codes took, over windows of time, with a series by the hour, and
//! `GET /v1/series`, the same windows in parts. Nothing in it is about a person. What it costs does not depend on how
//! often it is asked: it is made anew every few seconds.

mod series;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use otp_core::{
    clock::rfc3339_s,
    id::Deployment,
    store::{AsOf, Figures, SLOT_S, Store, StoreError},
};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

pub use self::series::{COLUMNS, Span};
use crate::figures::{STAGES, failed_issuances, refused};

/// How long an answer is told again.
const FRESH: Duration = Duration::from_secs(5);
const HOUR_S: i64 = 3_600;
/// Hours in the series, which is the longest window.
const HOURS: i64 = 168;
/// Windows, in hours.
const WINDOWS: [(&str, i64); 3] = [("1h", 1), ("24h", 24), ("7d", HOURS)];
/// What the series by the hour has.
const BY_HOUR: [&str; 5] = ["issued", "verified", "consumed", "revoked", "expired"];

/// The statistics of one deployment; cheap to clone.
#[derive(Debug, Clone)]
pub struct Stats {
    store: Store,
    deployment: Deployment,
    last: Arc<Mutex<Option<Made>>>,
}

/// Made from one reading of the store, so that every answer says the same.
#[derive(Debug, Clone)]
struct Made {
    at: Instant,
    stats: Arc<Value>,
    series: [Arc<Value>; Span::ALL.len()],
}

impl Stats {
    /// Of what the store says of a deployment.
    #[must_use]
    pub fn new(store: Store, deployment: Deployment) -> Self {
        Self { store, deployment, last: Arc::default() }
    }

    /// The statistics; `None` before the tail's first start.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn get(&self) -> Result<Option<Arc<Value>>, StoreError> {
        Ok(self.made().await?.map(|made| made.stats))
    }

    /// A window in its parts; `None` before the tail's first start.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn series(&self, span: Span) -> Result<Option<Arc<Value>>, StoreError> {
        Ok(self.made().await?.map(|made| made.series[span as usize].clone()))
    }

    async fn made(&self) -> Result<Option<Made>, StoreError> {
        // Whoever comes meanwhile waits for this one.
        let mut last = self.last.lock().await;
        if last.as_ref().is_none_or(|made| made.at.elapsed() >= FRESH) {
            let Some(made) = self.make().await? else { return Ok(None) };
            *last = Some(made);
        }
        Ok(last.clone())
    }

    async fn make(&self) -> Result<Option<Made>, StoreError> {
        let Some((all, as_of)) = self.store.all_figures(&self.deployment).await? else { return Ok(None) };
        let now_s = i64::try_from(as_of.timestamp).unwrap_or(i64::MAX);
        // Of a whole hour, where the series begins; the windows begin later.
        let first_hour = now_s.div_euclid(HOUR_S) - HOURS;
        let recent = self.store.figures(&self.deployment, first_hour * HOUR_S / SLOT_S).await?;
        let (recent, _) = recent.unwrap_or((Figures::default(), as_of));
        let mut windows = Map::new();
        for (name, hours) in WINDOWS {
            let slot = first_slot(now_s, hours);
            windows.insert(name.to_owned(), window(&recent.since(slot), Some((slot * SLOT_S, now_s))));
        }
        windows.insert("all".to_owned(), window(&all.since(0), None));
        let about = |members: Value| {
            let mut value = json!({
                "chainId": self.deployment.chain_id,
                "verifier": self.deployment.verifier.to_checksum(None),
                "asOf": as_of_json(as_of),
            });
            if let (Some(value), Value::Object(members)) = (value.as_object_mut(), members) {
                value.extend(members);
            }
            Arc::new(value)
        };
        let stats = about(json!({ "windows": windows, "hours": hours(&recent, first_hour) }));
        let series = Span::ALL.map(|span| about(series::series(span, &recent, now_s)));
        Ok(Some(Made { at: Instant::now(), stats, series }))
    }
}

/// Where a window of so many hours begins.
const fn first_slot(now_s: i64, hours: i64) -> i64 {
    (now_s - hours * HOUR_S).div_euclid(SLOT_S)
}

fn as_of_json(as_of: AsOf) -> Value {
    json!({ "blockNumber": as_of.number, "time": rfc3339_s(i64::try_from(as_of.timestamp).unwrap_or(i64::MAX)) })
}

/// `span`: from and to, in Unix seconds of chain time; `None` for all time.
fn window(figures: &Figures, span: Option<(i64, i64)>) -> Value {
    let stages: Map<String, Value> =
        STAGES.iter().map(|(series, name)| ((*name).to_owned(), stage(figures, series))).collect();
    let gas = figures.measured("gas");
    let (issued, verified, expired) = (figures.sum("issued"), figures.sum("verified"), figures.sum("expired"));
    json!({
        "from": span.map(|(from_s, _)| rfc3339_s(from_s)),
        "issuances": figures.sum("issuances"),
        "issuancesReverted": failed_issuances(figures),
        "issued": issued,
        "verified": verified,
        "consumed": figures.sum("consumed"),
        "revoked": figures.sum("revoked"),
        "expired": expired,
        "wrongDigits": figures.sum("wrong"),
        "refusedUsed": refused(figures, "OtpUsed"),
        "refusedUnknown": refused(figures, "UnknownOtp"),
        "delivered": figures.by_prefix("delivered:"),
        "rates": {
            "issuedPerMinute": span.map(|span| per_minute(issued, span)),
            "verifiedPerMinute": span.map(|span| per_minute(verified, span)),
            "verifiedShare": share(verified, verified + expired),
        },
        "stages": stages,
        "gasPerCode": {
            "count": gas.count(),
            "p50": gas.quantile(0.5).map(rounded),
            "p95": gas.quantile(0.95).map(rounded),
            "p99": gas.quantile(0.99).map(rounded),
        },
    })
}

fn stage(figures: &Figures, series: &str) -> Value {
    let measured = figures.measured(series);
    let seconds = |share| measured.quantile(share).map(|ms| ms.round() / 1_000.0);
    json!({
        "count": measured.count(),
        "p50Seconds": seconds(0.5),
        "p95Seconds": seconds(0.95),
        "p99Seconds": seconds(0.99),
    })
}

fn per_minute(count: u64, (from_s, to_s): (i64, i64)) -> f64 {
    let minutes = (to_s - from_s).max(1) as f64 / 60.0;
    (count as f64 / minutes * 1_000.0).round() / 1_000.0
}

/// Of those that came to an end; `null` of none.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64 * 10_000.0).round() / 10_000.0)
}

fn rounded(value: f64) -> Value {
    json!(value.round())
}

/// One entry for each hour, the oldest first and the last one still going on.
fn hours(figures: &Figures, first_hour: i64) -> Vec<Value> {
    let mut columns: Vec<Vec<u64>> = vec![vec![0; usize::try_from(HOURS).unwrap_or_default() + 1]; BY_HOUR.len()];
    for (series, column) in BY_HOUR.iter().zip(&mut columns) {
        for (slot, count) in figures.slots(series) {
            let hour = (slot * SLOT_S).div_euclid(HOUR_S) - first_hour;
            if let Some(held) = usize::try_from(hour).ok().and_then(|hour| column.get_mut(hour)) {
                *held += count;
            }
        }
    }
    let entry = |place: i64| {
        let mut entry = Map::new();
        entry.insert("start".to_owned(), rfc3339_s((first_hour + place) * HOUR_S).into());
        for (series, column) in BY_HOUR.iter().zip(&columns) {
            let count = usize::try_from(place).ok().and_then(|place| column.get(place).copied());
            entry.insert((*series).to_owned(), count.unwrap_or_default().into());
        }
        Value::Object(entry)
    };
    (0..=HOURS).map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_of_nothing_has_zeros_and_no_quantiles() {
        let empty = window(&Figures::default(), Some((0, 3_600)));
        assert_eq!(empty["issued"], 0);
        assert_eq!(empty["rates"], json!({ "issuedPerMinute": 0.0, "verifiedPerMinute": 0.0, "verifiedShare": null }));
        assert_eq!(
            empty["stages"]["requestToMined"],
            json!({ "count": 0, "p50Seconds": null, "p95Seconds": null, "p99Seconds": null })
        );
        assert_eq!(hours(&Figures::default(), 10).len(), 169);
    }
}
