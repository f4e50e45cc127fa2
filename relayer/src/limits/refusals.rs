//! What a limit refused a moment ago, told again without asking the store: whoever is far beyond a limit must not have others
//! wait while that is found out each time.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use otp_core::store::Take;

/// So many buckets are kept in mind; of more than these the store is asked, as of those that nothing is known of.
const MOST: usize = 4_096;

/// Buckets that are empty, and until when.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<HashMap<[u8; 16], Instant>>);

impl Refusals {
    /// That a bucket was empty, and how long it stays so.
    pub(super) fn note(&self, bucket: &Take, wait: Duration) {
        let now = Instant::now();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, until| *until > now);
        }
        if known.len() < MOST {
            known.insert(bucket.key, now + wait);
        }
    }

    /// In how many whole seconds there is something in the bucket, where it is known to be empty.
    pub(super) fn wait_s(&self, bucket: &Take) -> Option<u64> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = known.get(&bucket.key)?.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            known.remove(&bucket.key);
            return None;
        }
        Some(u64::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(n: usize) -> Take {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&n.to_be_bytes());
        Take { scope: "ip", key, capacity: 1, interval_us: 1 }
    }

    #[test]
    fn what_is_empty_is_so_for_its_time_and_no_other() {
        let refusals = Refusals::default();
        assert_eq!(refusals.wait_s(&bucket(1)), None);
        refusals.note(&bucket(1), Duration::from_secs(3));
        assert_eq!((refusals.wait_s(&bucket(1)), refusals.wait_s(&bucket(2))), (Some(3), None));
        refusals.note(&bucket(1), Duration::ZERO);
        assert_eq!(refusals.wait_s(&bucket(1)), None);
    }

    #[test]
    fn no_more_than_a_bound_are_kept_and_past_ones_make_room() {
        let refusals = Refusals::default();
        for n in 0..MOST {
            refusals.note(&bucket(n), Duration::ZERO);
        }
        for n in 0..=MOST {
            refusals.note(&bucket(n), Duration::from_secs(60));
        }
        assert_eq!(refusals.0.lock().unwrap().len(), MOST);
        assert_eq!((refusals.wait_s(&bucket(0)), refusals.wait_s(&bucket(MOST))), (Some(60), None));
    }
}
