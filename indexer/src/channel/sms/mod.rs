//! Text messages, by a provider's HTTP interface: Twilio's form, or JSON of any shape for others.

pub mod callback;
pub mod config;
pub mod text;
mod twilio;

use std::time::Duration;

use reqwest::{Client, header};
use serde_json::Value;
use zeroize::Zeroizing;

pub use self::config::{Provider, SmsConfig};
use super::{
    Failure, HandedOver, Message,
    http::{self, HttpFailure},
};

/// The most that is read of a provider's answer.
const ANSWER: usize = 64 * 1024;

/// Sends text messages; cheap to clone.
#[derive(Debug, Clone)]
pub struct Sms {
    client: Client,
    config: SmsConfig,
    /// The time limit of one message.
    pub timeout: Duration,
}

impl Sms {
    /// Prepares the client; connects to nothing yet.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: SmsConfig) -> Result<Self, reqwest::Error> {
        Ok(Self { client: http::client(config.timeout).build()?, timeout: config.timeout, config })
    }

    /// Hands a message to the provider.
    ///
    /// # Errors
    /// [`Failure::Http`], or [`Failure::Impossible`] where it does not fit into one text.
    pub async fn send(&self, message: &Message) -> Result<HandedOver, Failure> {
        let text = text::write(message, &self.config.place)?;
        match &self.config.provider {
            Provider::Twilio(account) => twilio::send(&self.client, account, message, &text).await,
            Provider::Json { url, authorization, template, answer_id } => {
                let mut body = template.0.clone();
                fill(&mut body, &[("{to}", &message.address), ("{text}", &text), ("{id}", &message.id)]);
                let body = Zeroizing::new(body.to_string());
                let mut request = self
                    .client
                    .post(url.clone())
                    .header(header::CONTENT_TYPE, "application/json")
                    .header("idempotency-key", &message.id)
                    .body(body.as_bytes().to_vec());
                if let Some(authorization) = authorization {
                    request = request.header(header::AUTHORIZATION, authorization.expose().as_str());
                }
                let answer = request.send().await.map_err(|error| HttpFailure::of("sms", &error))?;
                let status = answer.status();
                if status.is_success() {
                    let read = http::read(answer, ANSWER).await.and_then(|body| serde_json::from_slice(&body).ok());
                    return Ok(HandedOver::Accepted { provider_id: named(&read.unwrap_or_default(), answer_id) });
                }
                Err(refusal(&answer))
            }
        }
    }
}

/// What an operator can mend is tried again: it is not this message that is refused.
fn refusal(answer: &reqwest::Response) -> Failure {
    let status = answer.status();
    match status.as_u16() {
        401..=405 => http::later(answer).into(),
        _ if http::is_passing(status) => http::later(answer).into(),
        refused => HttpFailure::Refused(refused).into(),
    }
}

/// Puts values into the strings of a template. A value is put in whole: what stands in it is no placeholder.
fn fill(template: &mut Value, values: &[(&str, &str)]) {
    match template {
        Value::String(text) => {
            let mut filled = String::with_capacity(text.len() + 256);
            let mut rest = text.as_str();
            while let Some(c) = rest.chars().next() {
                if let Some((placeholder, value)) = values.iter().find(|(name, _)| rest.starts_with(name)) {
                    filled.push_str(value);
                    rest = rest.get(placeholder.len()..).unwrap_or_default();
                } else {
                    filled.push(c);
                    rest = rest.get(c.len_utf8()..).unwrap_or_default();
                }
            }
            *text = filled;
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, values)),
        Value::Object(members) => members.values_mut().for_each(|member| fill(member, values)),
        _ => {}
    }
}

/// A provider's name for a message: short visible text, or nothing.
fn named(answer: &Value, member: &str) -> Option<String> {
    let name = match answer.get(member)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (name.len() <= 128 && name.bytes().all(|b| b.is_ascii_graphic()) && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_template_is_filled_in_its_strings_alone_and_what_is_filled_in_is_no_template() {
        let mut template = json!({ "to": ["{to}"], "message": { "body": "<{text}>", "{id}": 1 }, "ref": "a-{id}-{x}" });
        fill(&mut template, &[("{to}", "+49"), ("{text}", "say {id} \"quoted\""), ("{id}", "7")]);
        let filled =
            json!({ "to": ["+49"], "message": { "body": "<say {id} \"quoted\">", "{id}": 1 }, "ref": "a-7-{x}" });
        assert_eq!(template, filled);
    }

    #[test]
    fn a_providers_name_for_a_message_is_short_and_plain() {
        assert_eq!(named(&json!({ "id": "SM12" }), "id").as_deref(), Some("SM12"));
        assert_eq!(named(&json!({ "id": 12 }), "id").as_deref(), Some("12"));
        for bad in
            [json!({}), json!([]), json!({ "id": "" }), json!({ "id": "a\nb" }), json!({ "id": "x".repeat(129) })]
        {
            assert_eq!(named(&bad, "id"), None, "{bad}");
        }
    }
}
