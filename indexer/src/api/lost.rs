//! Messages that did not arrive, on the admin port: which they are, without a word of whose, and what providers report.

use axum::{
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use otp_core::{
    clock::rfc3339_ms,
    http::{self, Problem},
    store::{ProviderWord, Teller},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;

/// The most messages in one answer.
const MOST: u32 = 200;
/// The longest report.
const REPORT_BYTES: usize = 4 * 1024;
const REASON_CHARS: usize = 64;

/// `GET /v1/deliveries/lost`: what failed or bounced, latest first.
pub(super) async fn list(State(app): State<App>) -> Result<Response, Problem> {
    let rows = app.store.lost_messages(MOST).await.map_err(|e| Problem::internal(&e))?;
    let lost: Vec<Value> = rows
        .into_iter()
        .map(|row| {
            json!({
                "messageId": row.message_id,
                "channel": row.channel,
                "isCode": row.is_code,
                "state": row.state,
                "attempts": row.attempts,
                "reason": row.reason,
                "createdAt": rfc3339_ms(row.created_at_ms),
            })
        })
        .collect();
    Ok(http::answer(StatusCode::OK, &json!({ "lost": lost })).into_response())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Report {
    message_id: String,
    state: String,
    reason: Option<String>,
}

/// `POST /v1/deliveries/reports` `{messageId, state: "delivered" | "bounced", reason?}`: what a provider's adapter says. The
/// answer does not depend on whether there is such a message.
pub(super) async fn report(State(app): State<App>, body: Bytes) -> Result<Response, Problem> {
    let malformed = || Problem::bad_request("{messageId, state: delivered or bounced, reason?} is expected, in 4 KiB");
    if body.len() > REPORT_BYTES {
        return Err(malformed());
    }
    let report: Report = serde_json::from_slice(&body).map_err(|_| malformed())?;
    let word = match report.state.as_str() {
        "delivered" => ProviderWord::Delivered,
        "bounced" => ProviderWord::Bounced,
        _ => return Err(malformed()),
    };
    let reason = report.reason.unwrap_or_default();
    if reason.len() > REASON_CHARS || !reason.bytes().all(|b| b.is_ascii_alphanumeric() || b" .-_".contains(&b)) {
        return Err(Problem::bad_request("reason: at most 64 letters, digits, spaces, dots and dashes; no address"));
    }
    app.reports.take(&report.message_id, word, Teller::Provider, &reason).await.map_err(|e| Problem::internal(&e))?;
    Ok(StatusCode::ACCEPTED.into_response())
}
