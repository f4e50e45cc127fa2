//! Histograms that are not observed value by value but known as a whole, from the store: they stand where they stood after
//! a restart. The recorder's own histograms only take single observations, so these are written out beside them.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Mutex, PoisonError},
};

use super::{ALL, Metric};

/// How values are distributed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Distribution {
    /// Upper bounds, ascending, each with how many values lie at or below it.
    pub buckets: Vec<(f64, u64)>,
    /// All values together.
    pub sum: f64,
    /// How many there are.
    pub count: u64,
}

type Series = BTreeMap<(&'static str, &'static str), Distribution>;

/// By metric and the value of its one label (empty where it has none).
static SET: Mutex<Series> = Mutex::new(BTreeMap::new());

/// Sets a histogram of [`ALL`] with one label at most. It never falls while the process runs, as no counter may: where a
/// reorg has taken values away it stands until there are as many again.
pub fn set_distribution(name: &'static str, label: &'static str, distribution: Distribution) {
    let mut set = SET.lock().unwrap_or_else(PoisonError::into_inner);
    let held = set.entry((name, label)).or_default();
    if distribution.count >= held.count {
        *held = distribution;
    }
}

/// What was set, in Prometheus' text format.
pub(super) fn render(text: &mut String) {
    let set = SET.lock().unwrap_or_else(PoisonError::into_inner);
    for metric in ALL {
        let mut lines = String::new();
        for ((_, value), distribution) in
            set.range((metric.name, "")..).take_while(|((name, _), _)| *name == metric.name)
        {
            series(&mut lines, metric, value, distribution);
        }
        if !lines.is_empty() {
            let Metric { name, help, .. } = metric;
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} histogram\n{lines}\n");
        }
    }
}

/// Writing to a `String` does not fail.
fn series(lines: &mut String, metric: &Metric, value: &str, distribution: &Distribution) {
    let name = metric.name;
    let label = metric.labels.first().map(|label| format!("{label}=\"{value}\"")).unwrap_or_default();
    let comma = if label.is_empty() { "" } else { "," };
    for (bound, count) in &distribution.buckets {
        let _ = writeln!(lines, "{name}_bucket{{{label}{comma}le=\"{bound}\"}} {count}");
    }
    let _ = writeln!(lines, "{name}_bucket{{{label}{comma}le=\"+Inf\"}} {}", distribution.count);
    let label = if label.is_empty() { label } else { format!("{{{label}}}") };
    let _ = writeln!(lines, "{name}_sum{label} {}\n{name}_count{label} {}", distribution.sum, distribution.count);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{GAS_PER_CODE, Recorder, STAGE_SECONDS};

    #[test]
    fn a_histogram_that_was_set_stands_beside_the_others_and_never_falls() {
        let recorder = Recorder::install().unwrap();
        let of = |count| Distribution { buckets: vec![(0.5, 1), (60.0, count)], sum: 62.5, count };
        set_distribution(STAGE_SECONDS, "mined-delivered", of(3));
        set_distribution(STAGE_SECONDS, "mined-delivered", of(2));
        set_distribution(GAS_PER_CODE, "", of(1));
        let text = recorder.render();
        for line in [
            "# TYPE otp_stage_seconds histogram",
            "otp_stage_seconds_bucket{stage=\"mined-delivered\",le=\"0.5\"} 1",
            "otp_stage_seconds_bucket{stage=\"mined-delivered\",le=\"60\"} 3",
            "otp_stage_seconds_bucket{stage=\"mined-delivered\",le=\"+Inf\"} 3",
            "otp_stage_seconds_sum{stage=\"mined-delivered\"} 62.5",
            "otp_gas_per_code_bucket{le=\"+Inf\"} 1",
            "otp_gas_per_code_count 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
