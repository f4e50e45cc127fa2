//! Latencies, summed up.

use std::time::Duration;

use serde::Serialize;

/// What a number of equal operations came to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    pub(super) count: usize,
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p95_ms: f64,
    pub(super) p99_ms: f64,
}

impl Summary {
    /// Sums up `latencies` that were measured within `elapsed`.
    pub(super) fn of(mut latencies: Vec<Duration>, elapsed: Duration) -> Self {
        latencies.sort_unstable();
        Self {
            count: latencies.len(),
            per_second: latencies.len() as f64 / elapsed.as_secs_f64().max(f64::MIN_POSITIVE),
            p50_ms: quantile_ms(&latencies, 50),
            p95_ms: quantile_ms(&latencies, 95),
            p99_ms: quantile_ms(&latencies, 99),
        }
    }

    /// Field by field the median of repeats; counts are added up.
    pub(super) fn median(repeats: &[Self]) -> Self {
        let of = |field: fn(&Self) -> f64| median(repeats.iter().map(field).collect());
        Self {
            count: repeats.iter().map(|repeat| repeat.count).sum(),
            per_second: of(|s| s.per_second),
            p50_ms: of(|s| s.p50_ms),
            p95_ms: of(|s| s.p95_ms),
            p99_ms: of(|s| s.p99_ms),
        }
    }
}

/// The value that `percent` of the sorted values do not exceed (nearest rank); 0 of none.
fn quantile_ms(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map_or(0.0, |value| value.as_secs_f64() * 1_000.0)
}

/// The middle value, or the mean of the two in the middle; 0 of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len() % 2) {
        (Some(value), 1) => *value,
        (Some(value), _) => values.get(middle.wrapping_sub(1)).map_or(*value, |below| f64::midpoint(*below, *value)),
        (None, _) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_by_nearest_rank() {
        let values: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        let summary = Summary::of(values, Duration::from_secs(2));
        assert_eq!((summary.p50_ms, summary.p95_ms, summary.p99_ms), (100.0, 190.0, 198.0));
        assert_eq!((summary.count, summary.per_second), (200, 100.0));
        assert_eq!(Summary::of(Vec::new(), Duration::from_secs(1)).p99_ms, 0.0);
    }

    #[test]
    fn a_median_stands_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0]), 2.5);
        assert_eq!(median(Vec::new()), 0.0);
    }
}
