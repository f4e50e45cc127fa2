//! `GET /v1/series`: a window of the statistics, cut into parts at times that a clock shows.

use std::str::FromStr;

use otp_core::{
    clock::rfc3339_s,
    store::{Figures, SLOT_S},
};
use serde_json::{Value, json};

use super::{HOUR_S, HOURS, first_slot, window};

/// How much a series tells. Each is a window of `/v1/stats`, and its parts add up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Window `1h`, by ten minutes, which is as fine as figures are kept.
    Hour,
    /// Window `24h`, by the hour.
    Day,
    /// Window `7d`, by six hours.
    Week,
}

/// The word names no span.
#[derive(Debug, thiserror::Error)]
#[error("hour, day or week is expected")]
pub struct BadSpan;

impl Span {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    /// The word of the interface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
        }
    }

    const fn hours(self) -> i64 {
        match self {
            Self::Hour => 1,
            Self::Day => 24,
            Self::Week => HOURS,
        }
    }

    /// Slots in a part.
    const fn slots(self) -> i64 {
        match self {
            Self::Hour => 1,
            Self::Day => HOUR_S / SLOT_S,
            Self::Week => 6 * HOUR_S / SLOT_S,
        }
    }
}

impl FromStr for Span {
    type Err = BadSpan;

    fn from_str(word: &str) -> Result<Self, BadSpan> {
        Self::ALL.into_iter().find(|span| span.as_str() == word).ok_or(BadSpan)
    }
}

/// A part's members as columns of a table, by their JSON pointers (RFC 6901).
pub const COLUMNS: [&str; 36] = [
    "/from",
    "/to",
    "/complete",
    "/issuances",
    "/issuancesReverted",
    "/issued",
    "/delivered/email",
    "/delivered/sms",
    "/delivered/webhook",
    "/delivered/inapp",
    "/verified",
    "/consumed",
    "/revoked",
    "/expired",
    "/wrongDigits",
    "/refusedUsed",
    "/refusedUnknown",
    "/rates/issuedPerMinute",
    "/rates/verifiedPerMinute",
    "/rates/verifiedShare",
    "/stages/requestToMined/p50Seconds",
    "/stages/requestToMined/p95Seconds",
    "/stages/requestToMined/p99Seconds",
    "/stages/minedToDelivered/p50Seconds",
    "/stages/minedToDelivered/p95Seconds",
    "/stages/minedToDelivered/p99Seconds",
    "/stages/deliveredToVerified/p50Seconds",
    "/stages/deliveredToVerified/p95Seconds",
    "/stages/deliveredToVerified/p99Seconds",
    "/stages/requestToVerified/p50Seconds",
    "/stages/requestToVerified/p95Seconds",
    "/stages/requestToVerified/p99Seconds",
    "/gasPerCode/count",
    "/gasPerCode/p50",
    "/gasPerCode/p95",
    "/gasPerCode/p99",
];

/// The first part begins with the window and the last one ends now, so both may be shorter than the others.
pub(super) fn series(span: Span, recent: &Figures, now_s: i64) -> Value {
    let (first, end) = (first_slot(now_s, span.hours()), now_s.div_euclid(SLOT_S) + 1);
    let parts = first.div_euclid(span.slots())..=(end - 1).div_euclid(span.slots());
    let parts: Vec<Value> = parts
        .map(|part| {
            let whole = (part * span.slots(), (part + 1) * span.slots());
            let (from, to_s) = (whole.0.max(first), (whole.1 * SLOT_S).min(now_s));
            let mut value = window(&recent.between((from, whole.1)), Some((from * SLOT_S, to_s)));
            if let Some(members) = value.as_object_mut() {
                members.insert("to".to_owned(), rfc3339_s(to_s).into());
                members.insert("complete".to_owned(), (from == whole.0 && whole.1 * SLOT_S <= now_s).into());
            }
            value
        })
        .collect();
    json!({
        "window": span.as_str(),
        "partSeconds": span.slots() * SLOT_S,
        "total": window(&recent.since(first), Some((first * SLOT_S, now_s))),
        "parts": parts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_one_another_without_a_gap_from_the_windows_begin_until_now() {
        for now_s in [1_000_000_000, 1_000_000_200, 999_993_600] {
            for (span, most) in [(Span::Hour, 7), (Span::Day, 25), (Span::Week, 29)] {
                let value = series(span, &Figures::default(), now_s);
                let parts = value["parts"].as_array().unwrap();
                assert!(parts.len() <= most + 1, "{} parts", parts.len());
                assert_eq!(parts[0]["from"], value["total"]["from"]);
                assert_eq!(parts.last().unwrap()["to"], rfc3339_s(now_s));
                for pair in parts.windows(2) {
                    assert_eq!(pair[0]["to"], pair[1]["from"]);
                }
                for column in COLUMNS.iter().filter(|column| !column.starts_with("/delivered/")) {
                    assert!(parts[0].pointer(column).is_some(), "{column}");
                }
            }
        }
    }

    #[test]
    fn spans_have_one_word_each() {
        for span in Span::ALL {
            assert_eq!(span.as_str().parse::<Span>().unwrap(), span);
            assert_eq!(Span::ALL[span as usize], span);
        }
        for bad in ["", "Hour", "day ", "1h", "year"] {
            assert!(bad.parse::<Span>().is_err(), "{bad:?}");
        }
    }
}
