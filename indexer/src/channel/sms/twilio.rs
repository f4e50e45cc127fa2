//! Twilio's Messages resource, which others speak as well.

use otp_core::clock::now_ms;
use reqwest::{Client, header};
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::{ANSWER, config::TwilioAccount, named, refusal};
use crate::channel::{
    Failure, HandedOver, Message,
    http::{self, HttpFailure},
};

/// Refusals with status 400 that are about our account, number or balance: an operator mends them.
const OURS: [u64; 12] = [21212, 21266, 21603, 21606, 21611, 21620, 21622, 21659, 21660, 21703, 21705, 21609];
/// The longest and the shortest time that Twilio keeps a message for, in seconds.
const VALIDITY_S: (i64, i64) = (1, 14_400);

/// Twilio knows no idempotency key here: after a lost answer the same text goes out again.
pub(super) async fn send(
    client: &Client,
    account: &TwilioAccount,
    message: &Message,
    text: &str,
) -> Result<HandedOver, Failure> {
    let request = client
        .post(account.messages.clone())
        .basic_auth(&account.sid, Some(account.auth_token.expose()))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form(account, message, text));
    let answer = request.send().await.map_err(|error| HttpFailure::of("sms", &error))?;
    let status = answer.status();
    let refused = refusal(&answer);
    let body: Value =
        http::read(answer, ANSWER).await.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
    if status.is_success() {
        return Ok(HandedOver::Accepted { provider_id: named(&body, "sid") });
    }
    match body["code"].as_u64() {
        Some(code) if status.as_u16() == 400 && OURS.contains(&code) => {
            Err(HttpFailure::Later { status: 400, after: None }.into())
        }
        Some(code) if status.as_u16() == 400 => Err(HttpFailure::RefusedBy(u32::try_from(code).unwrap_or(0)).into()),
        _ => Err(refused),
    }
}

fn form(account: &TwilioAccount, message: &Message, text: &str) -> String {
    let left_s = message.expires_at_ms.saturating_sub(now_ms()) / 1_000;
    let mut form = Serializer::new(String::with_capacity(1_024));
    form.append_pair("To", &message.address).append_pair("Body", text);
    // A text that comes after its code expired would only confuse.
    form.append_pair("ValidityPeriod", &left_s.clamp(VALIDITY_S.0, VALIDITY_S.1).to_string());
    let from = if account.from.starts_with("MG") { "MessagingServiceSid" } else { "From" };
    form.append_pair(from, &account.from);
    if let Some(callback) = &account.callback {
        form.append_pair("StatusCallback", &callback.url_for(&message.id));
    }
    form.finish()
}
