//! This server's clock. Chain time is read from blocks, a client's never.

use std::time::{SystemTime, UNIX_EPOCH};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Unix time in milliseconds.
#[must_use]
pub fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

/// Unix time in microseconds.
#[must_use]
pub fn now_us() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC, to the millisecond; the epoch where `unix_ms` lies outside the calendar.
#[must_use]
pub fn rfc3339_ms(unix_ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .format(&Rfc3339)
        .unwrap_or_default()
}

/// RFC 3339 in UTC of a chain time in Unix seconds.
#[must_use]
pub fn rfc3339_s(unix_s: i64) -> String {
    rfc3339_ms(unix_s.saturating_mul(1_000))
}

/// Unix time in milliseconds of an RFC 3339 text; what is finer is cut off.
#[must_use]
pub fn unix_ms(text: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}
