//! `POST /v1/sms/twilio`: what Twilio says later of a text. It is on the public port, so nothing is believed that is not
//! signed, and the answer says nothing of whether there is such a message.

use axum::{
    body::Bytes,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use otp_core::{
    http::{Problem, header_text},
    metrics::DELIVERY_REPORTS,
    store::Teller,
};
use url::form_urlencoded;

use super::App;
use crate::channel::sms::callback::{Callback, Status};

/// The longest call. Twilio's are some hundred bytes.
const CALL_BYTES: usize = 8 * 1024;
const SIGNATURE: &str = "x-twilio-signature";

/// Takes a signed word down; a repeat changes nothing.
pub(super) async fn status(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let Some(callback) = &app.sms_callback else { return Err(Problem::not_found()) };
    if body.len() > CALL_BYTES {
        return Err(Problem::bad_request("a form of at most 8 KiB is expected"));
    }
    let query = query.unwrap_or_default();
    let fields: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    let signature = header_text(&headers, SIGNATURE).unwrap_or_default();
    if !callback.is_signed(&query, &fields, signature) {
        metrics::counter!(DELIVERY_REPORTS, "result" => "refused").increment(1);
        let detail = "X-Twilio-Signature is missing, or is not this call's under the account's token";
        return Err(Problem::new(StatusCode::FORBIDDEN, "signature-invalid", "Signature refused", detail));
    }
    let field = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
    let status = field("MessageStatus").and_then(Status::read);
    let (Some(id), Some(status)) = (Callback::named(&query), status) else {
        return Err(Problem::bad_request("a message and a MessageStatus are expected"));
    };
    if let Status::Word(word) = status {
        let message_id = format!("{id}@{}", app.reports.outbox.mail_domain);
        // Twilio's own number for why; the rest of the call repeats addresses.
        let code = field("ErrorCode").filter(|code| code.len() <= 8 && code.bytes().all(|b| b.is_ascii_digit()));
        let taken = app.reports.take(&message_id, word, Teller::Provider, code.unwrap_or_default()).await;
        taken.map_err(|e| Problem::internal(&e))?;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
