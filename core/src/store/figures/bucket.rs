//! Buckets of measured values: milliseconds and gas alike. Ten to a power of ten, none wider than a third of its bound, and
//! with the bounds that the metrics have ([`crate::metrics::SECONDS`] in milliseconds among them).

use super::Cell;

/// Of one power of ten.
const STEPS: [i64; 10] = [10, 12, 15, 20, 25, 30, 40, 50, 60, 80];
/// Above it nothing is told apart.
const LAST: i64 = 1_000_000_000;

/// The bucket that a value falls into, by its upper bound. What lies below 1 falls into the first one: chain time has whole
/// seconds and may run ahead of this server's clock.
#[must_use]
pub fn bucket_of(value: i64) -> i64 {
    bounds().find(|bound| value <= *bound).unwrap_or(LAST)
}

/// Every upper bound, ascending.
pub fn bounds() -> impl Iterator<Item = i64> {
    let of_power = |power: u32| STEPS.into_iter().map(move |step| step * 10_i64.pow(power) / 10);
    let fine = (0..9).flat_map(of_power).collect::<std::collections::BTreeSet<_>>();
    fine.into_iter().chain([LAST])
}

/// Measured values by bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measured {
    /// Upper bound and number of values, ascending, without empty ones.
    pub buckets: Vec<(i64, u64)>,
    /// All values together.
    pub total: i64,
}

impl Measured {
    /// From the cells of a series.
    pub fn new<'a>(cells: impl Iterator<Item = (i64, &'a Cell)>) -> Self {
        let mut measured = Self::default();
        for (bucket, cell) in cells {
            measured.buckets.push((bucket, cell.count));
            measured.total += cell.total;
        }
        measured
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    /// How many values lie at or below a bound of [`bounds`].
    #[must_use]
    pub fn at_most(&self, bound: i64) -> u64 {
        self.buckets.iter().take_while(|(upper, _)| *upper <= bound).map(|(_, count)| count).sum()
    }

    /// The value below which `share` (0 to 1) of all values lie, taken as spread evenly within a bucket; `None` of no
    /// values.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = share * self.count() as f64;
        let mut before = 0.0;
        for (upper, count) in &self.buckets {
            let within = *count as f64;
            if before + within >= wanted {
                let lower = bounds().take_while(|bound| bound < upper).last().unwrap_or_default() as f64;
                return Some(lower + (*upper as f64 - lower) * (wanted - before) / within);
            }
            before += within;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_ascend_by_a_third_at_most_from_ten_on() {
        let bounds: Vec<i64> = bounds().collect();
        assert!(bounds.is_sorted_by(|a, b| a < b), "{bounds:?}");
        for pair in bounds.windows(2).filter(|pair| pair[0] >= 10) {
            assert!(pair[1] * 3 <= pair[0] * 4, "{pair:?}");
        }
    }

    #[test]
    fn a_value_falls_under_the_first_bound_that_holds_it() {
        assert_eq!(
            [i64::MIN, -5, 0, 1, 2, 11, 12, 13, 61_000, i64::MAX].map(bucket_of),
            [1, 1, 1, 1, 2, 12, 12, 15, 80_000, LAST]
        );
    }

    #[test]
    fn a_quantile_lies_within_its_bucket() {
        let cell = |count| Cell { count, total: 0 };
        let cells = [(100, cell(50)), (1_000, cell(49)), (60_000, cell(1))];
        let measured = Measured::new(cells.iter().map(|(bucket, cell)| (*bucket, cell)));
        assert_eq!(measured.quantile(0.5), Some(100.0));
        assert_eq!(measured.quantile(0.99), Some(1_000.0));
        assert_eq!(measured.quantile(1.0), Some(60_000.0));
        assert_eq!(measured.at_most(1_000), 99);
        assert_eq!(Measured::default().quantile(0.5), None);
    }
}
