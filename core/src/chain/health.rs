//! How an endpoint has behaved, and what follows from it. No clock, no randomness and no network of its own.

use std::time::{Duration, Instant};

/// What a success leaves of the strikes before it: a node that fails every other call collects ten, one that fails one
/// in twenty hardly more than one.
const FORGIVENESS: f64 = 0.9;
const LONGEST_ASIDE: Duration = Duration::from_secs(10);
/// No `Retry-After` holds longer.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

/// Why a call to an endpoint did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No connection, or one that broke.
    #[error("no connection, or one that broke off")]
    Unreachable,
    /// Nothing within `chain.rpc_timeout_ms`.
    #[error("timed out")]
    TimedOut,
    /// An HTTP status other than success.
    #[error("HTTP status {0}")]
    Status(u16),
    /// Too many calls, in the node's opinion.
    #[error("throttled")]
    Throttled {
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// An answer that no working node gives.
    #[error("nonsense: {0}")]
    Nonsense(&'static str),
    /// Its head lies behind what is known of the chain.
    #[error("it is behind the chain")]
    Behind,
    /// It serves another chain.
    #[error("it serves another chain")]
    WrongChain,
    /// It is put aside, and was not asked.
    #[error("it is put aside for a while")]
    Aside,
}

impl Failure {
    /// The label in the metrics.
    pub(super) const fn outcome(self) -> &'static str {
        match self {
            Self::TimedOut => "timeout",
            Self::Throttled { .. } => "throttled",
            Self::Nonsense(_) => "nonsense",
            _ => "error",
        }
    }

    /// Whether the very next failure of this kind still is a mishap: a connection may break once.
    const fn is_forgiven_once(self) -> bool {
        matches!(self, Self::Unreachable | Self::Status(_))
    }

    /// Whether the node may be another one when it comes back.
    const fn needs_verifying(self) -> bool {
        !matches!(self, Self::Throttled { .. } | Self::Behind)
    }

    /// The first time aside; it doubles with each strike.
    const fn first_aside(self) -> Duration {
        match self {
            Self::Nonsense(_) | Self::Behind => Duration::from_secs(2),
            Self::Throttled { .. } => Duration::from_secs(1),
            _ => Duration::from_millis(250),
        }
    }
}

/// The latest block of a node, when it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenHead {
    /// Its number.
    pub number: u64,
    /// Its time, in Unix seconds.
    pub timestamp_s: u64,
    /// When the node named it.
    pub at: Instant,
}

/// An endpoint's behaviour so far.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Health {
    strikes: f64,
    aside: Option<Aside>,
    verified: bool,
    rejected: bool,
    pub(super) head: Option<SeenHead>,
    pub(super) last_failure: Option<Failure>,
}

#[derive(Debug, Clone, Copy)]
struct Aside {
    since: Instant,
    until: Instant,
}

impl Health {
    /// Whether it may be asked.
    pub(super) fn is_usable(&self, now: Instant) -> bool {
        !self.rejected && self.aside.is_none_or(|aside| now >= aside.until)
    }

    /// Whether chain id and genesis were checked since it was last away.
    pub(super) const fn is_verified(&self) -> bool {
        self.verified && !self.rejected
    }

    /// Whether it is put aside for good.
    pub(super) const fn is_rejected(&self) -> bool {
        self.rejected
    }

    /// Whether it answers, as far as is known.
    pub(super) fn is_well(&self, now: Instant) -> bool {
        self.is_usable(now) && self.verified && self.aside.is_none()
    }

    /// Records the success of a call that began at `started`, and returns whether the endpoint is back by it. A call that
    /// began before others failed says nothing of what came after them.
    pub(super) fn succeeded(&mut self, started: Instant) -> bool {
        self.strikes *= FORGIVENESS;
        if self.aside.is_some_and(|aside| started < aside.since) {
            return false;
        }
        self.last_failure = None;
        self.aside.take().is_some()
    }

    pub(super) fn verified(&mut self) {
        self.verified = true;
    }

    /// Another chain: never asked again.
    pub(super) fn reject(&mut self) {
        self.rejected = true;
        self.last_failure = Some(Failure::WrongChain);
    }

    /// Records a failure of a call that began at `started`, and returns for how long the endpoint is put aside, where
    /// this is news. `jitter` in 0..1 spreads the return of many processes.
    pub(super) fn failed(&mut self, failure: Failure, started: Instant, now: Instant, jitter: f64) -> Option<Duration> {
        self.last_failure = Some(failure);
        if failure.needs_verifying() {
            self.verified = false;
        }
        // Of calls that failed together, one counts.
        if self.aside.is_some_and(|aside| started < aside.since) {
            return None;
        }
        self.strikes += 1.0;
        if failure.is_forgiven_once() && self.strikes < 2.0 {
            return None;
        }
        let doubled = failure.first_aside().mul_f64((self.strikes - 1.0).min(16.0).exp2()).min(LONGEST_ASIDE);
        let spread = doubled.mul_f64(jitter.mul_add(0.5, 0.5));
        let pause = match failure {
            Failure::Throttled { retry_after: Some(asked) } => asked.min(LONGEST_RETRY_AFTER).max(spread),
            _ => spread,
        };
        self.aside = Some(Aside { since: now, until: now + pause });
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(health: &mut Health, failure: Failure, now: Instant) -> Option<Duration> {
        health.failed(failure, now, now, 1.0)
    }

    #[test]
    fn one_broken_connection_is_forgiven_and_the_next_one_puts_aside_for_longer_each_time() {
        let (mut health, mut now) = (Health::default(), Instant::now());
        assert_eq!(fail(&mut health, Failure::Unreachable, now), None);
        assert!(health.is_usable(now));
        let mut last = Duration::ZERO;
        for _ in 0..10 {
            let pause = fail(&mut health, Failure::Unreachable, now).unwrap();
            assert!(pause > last || pause == LONGEST_ASIDE, "{pause:?} after {last:?}");
            assert!(!health.is_usable(now) && health.is_usable(now + pause));
            (last, now) = (pause, now + pause);
        }
        assert_eq!(last, LONGEST_ASIDE);
    }

    #[test]
    fn calls_that_fail_together_count_once() {
        let (mut health, started) = (Health::default(), Instant::now());
        let later = started + Duration::from_millis(5);
        let first = health.failed(Failure::TimedOut, started, later, 1.0).unwrap();
        for _ in 0..50 {
            assert_eq!(health.failed(Failure::TimedOut, started, later, 1.0), None);
        }
        assert!(health.is_usable(later + first));
    }

    #[test]
    fn a_retry_after_is_honoured_up_to_a_bound() {
        let now = Instant::now();
        let asked = |seconds| Failure::Throttled { retry_after: Some(Duration::from_secs(seconds)) };
        assert_eq!(fail(&mut Health::default(), asked(7), now), Some(Duration::from_secs(7)));
        assert_eq!(fail(&mut Health::default(), asked(86_400), now), Some(LONGEST_RETRY_AFTER));
        assert_eq!(fail(&mut Health::default(), asked(0), now), Some(Duration::from_secs(1)));
    }

    #[test]
    fn a_node_that_fails_every_other_call_ends_aside_for_long_and_one_in_twenty_hardly() {
        let after = |successes: u32| {
            let (mut health, now) = (Health::default(), Instant::now());
            let mut last = None;
            for _ in 0..100 {
                last = fail(&mut health, Failure::Unreachable, now);
                (0..successes).for_each(|_| _ = health.succeeded(now + LONGEST_RETRY_AFTER));
            }
            last
        };
        assert_eq!(after(1), Some(LONGEST_ASIDE));
        assert_eq!(after(19), None);
    }

    #[test]
    fn who_was_away_is_verified_anew_and_who_was_throttled_is_not() {
        let now = Instant::now();
        let mut health = Health::default();
        health.verified();
        fail(&mut health, Failure::Throttled { retry_after: None }, now);
        assert!(health.is_verified());
        fail(&mut health, Failure::Unreachable, now);
        assert!(!health.is_verified());
        health.verified();
        health.reject();
        health.succeeded(now);
        assert!(!health.is_verified() && !health.is_usable(now + LONGEST_RETRY_AFTER));
    }
}
