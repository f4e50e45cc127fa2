//! Places where a test lets the process die, as by `kill -9`: built with the feature `failpoints` alone.

/// Ends the process here, at once and without clearing anything up, where `OTP_FAILPOINT` names this place. `name:3` is
/// its third time. Nothing where the feature is off.
#[cfg(feature = "failpoints")]
pub fn hit(name: &str) {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    };

    static ARMED: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
        let text = std::env::var("OTP_FAILPOINT").ok()?;
        let (name, time) = text.split_once(':').unwrap_or((&text, "1"));
        Some((name.to_owned(), time.parse().unwrap_or(1)))
    });
    static HITS: AtomicU64 = AtomicU64::new(0);
    if let Some((armed, time)) = &*ARMED
        && armed == name
        && HITS.fetch_add(1, Ordering::SeqCst) + 1 == *time
    {
        std::process::abort();
    }
}

/// Nothing: the feature `failpoints` is off.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub const fn hit(_: &str) {}
