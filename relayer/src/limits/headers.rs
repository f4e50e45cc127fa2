//! `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers): lists of structured fields.
//!
//! Handlers note what they took; the outermost layer writes it, on refusals as on answers.

use std::{fmt::Write, sync::Mutex};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use otp_core::store::{Level, Take};

/// What is left.
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// What there is.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// Buckets that others take from too: their levels are nobody's business.
pub(super) const SHARED: [&str; 2] = ["destination", "global"];

#[derive(Debug, Default)]
struct Noted {
    policy: String,
    levels: String,
}

tokio::task_local! {
    static NOTED: Mutex<Noted>;
}

/// The layer.
pub async fn tell(request: Request, next: Next) -> Response {
    let run = async {
        let mut response = next.run(request).await;
        let _ = NOTED.try_with(|noted| {
            if let Ok(noted) = noted.lock() {
                write(response.headers_mut(), &noted);
            }
        });
        response
    };
    NOTED.scope(Mutex::default(), run).await
}

/// Notes what limits this call.
pub fn note_policy(takes: &[Take]) {
    let mut policy = String::new();
    for take in takes.iter().filter(|take| !SHARED.contains(&take.scope)) {
        let window_us = i64::from(take.capacity).saturating_mul(take.interval_us);
        let window_s = u64::try_from(window_us).unwrap_or_default().div_ceil(1_000_000);
        let _ = write!(policy, "{}\"{}\";q={};w={window_s}", comma(&policy), take.scope, take.capacity);
    }
    set(|noted| noted.policy = policy);
}

/// Notes what is left after it.
pub fn note(levels: &[Level]) {
    let mut text = String::new();
    for level in levels.iter().filter(|level| !SHARED.contains(&level.scope)) {
        let _ = write!(text, "{}\"{}\";r={};t={}", comma(&text), level.scope, level.remaining, level.full_in_s);
    }
    set(|noted| noted.levels = text);
}

const fn comma(before: &str) -> &'static str {
    if before.is_empty() { "" } else { ", " }
}

fn set(change: impl FnOnce(&mut Noted)) {
    // Outside a request there is nobody to tell.
    let _ = NOTED.try_with(|noted| noted.lock().map(|mut noted| change(&mut noted)).ok());
}

fn write(headers: &mut HeaderMap, noted: &Noted) {
    for (name, text) in [(POLICY, &noted.policy), (LIMIT, &noted.levels)] {
        if let Some(value) = HeaderValue::from_str(text).ok().filter(|_| !text.is_empty()) {
            headers.insert(name, value);
        }
    }
}
