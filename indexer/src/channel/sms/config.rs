//! `sms.*`

use std::{str::FromStr, time::Duration};

use otp_core::{config::Reader, secret::Secret};
use serde_json::Value;
use url::Url;

use super::{
    callback::{self, Callback},
    text::Place,
};
use crate::config::is_loopback;

/// Who carries text messages, and how.
#[derive(Debug, Clone)]
pub struct SmsConfig {
    /// `sms.provider` and its keys.
    pub provider: Provider,
    /// Where digits are entered: `http.public_url`.
    pub place: Place,
    /// `sms.timeout_ms`: for one message, connection included.
    pub timeout: Duration,
}

/// A provider.
#[derive(Debug, Clone)]
pub enum Provider {
    /// `twilio`: Twilio, or who speaks its language.
    Twilio(TwilioAccount),
    /// `json`: a JSON body of any shape.
    Json {
        /// `sms.url`
        url: Url,
        /// `sms.authorization`: the header of that name.
        authorization: Option<Secret<String>>,
        /// `sms.template`
        template: Template,
        /// `sms.answer_id`: the member of the answer that names the message.
        answer_id: String,
    },
}

/// An account at Twilio.
#[derive(Debug, Clone)]
pub struct TwilioAccount {
    /// `sms.account_sid`
    pub sid: String,
    /// `sms.auth_token`
    pub auth_token: Secret<String>,
    /// `sms.from`: a number, a sender's name, or a messaging service (`MG…`).
    pub from: String,
    /// The Messages resource under `sms.url`.
    pub messages: Url,
    /// `sms.callback_url`: where it tells what became of a text, where it is to.
    pub callback: Option<Callback>,
}

/// JSON whose strings have `{to}`, `{text}` and `{id}` in them.
#[derive(Debug, Clone)]
pub struct Template(pub Value);

impl SmsConfig {
    /// Where the provider tells what became of a text, where it is to.
    #[must_use]
    pub const fn callback(&self) -> Option<&Callback> {
        match &self.provider {
            Provider::Twilio(account) => account.callback.as_ref(),
            Provider::Json { .. } => None,
        }
    }
}

impl FromStr for Template {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let value: Value = serde_json::from_str(text).map_err(|_| "JSON is expected")?;
        let text = value.to_string();
        if value.is_object() && text.contains("{to}") && text.contains("{text}") {
            Ok(Self(value))
        } else {
            Err("a JSON object with {to} and {text} in its strings is expected")
        }
    }
}

/// `https`, or `http` on loopback.
#[derive(Debug, Clone)]
struct ProviderUrl(Url);

impl FromStr for ProviderUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "a URL is expected")?;
        let in_clear =
            url.scheme() == "http" && url.host_str().is_some_and(|h| is_loopback(h.trim_matches(['[', ']'])));
        if (url.scheme() == "https" || in_clear) && url.username().is_empty() && url.password().is_none() {
            Ok(Self(url))
        } else {
            Err("https without user and password is expected; http is for loopback alone")
        }
    }
}

/// The same without what Twilio would sign another way than it stands here, and at our route.
struct CallbackUrl(String);

impl FromStr for CallbackUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ProviderUrl(url) = text.parse()?;
        if url.query().is_some() || url.fragment().is_some() || !url.path().ends_with(callback::PATH) {
            return Err(format!("a URL that ends with {} is expected", callback::PATH));
        }
        Ok(Self(url.into()))
    }
}

enum Kind {
    Twilio,
    Json,
}

impl FromStr for Kind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "twilio" => Ok(Self::Twilio),
            "json" => Ok(Self::Json),
            _ => Err("twilio or json is expected"),
        }
    }
}

/// Reads `sms.*`; `Some(None)` where no provider is set.
pub fn read(reader: &mut Reader, public_url: Option<&str>) -> Option<Option<SmsConfig>> {
    let kind: Option<Option<Kind>> = reader.optional("sms.provider");
    let url: Option<Option<ProviderUrl>> = reader.optional("sms.url");
    let sid: Option<Option<String>> = reader.optional("sms.account_sid");
    let auth_token: Option<Option<Secret<String>>> = reader.optional("sms.auth_token");
    let from: Option<Option<String>> = reader.optional("sms.from");
    let callback_url: Option<Option<CallbackUrl>> = reader.optional("sms.callback_url");
    let authorization: Option<Option<Secret<String>>> = reader.optional("sms.authorization");
    let template = reader.or("sms.template", r#"{"to": "{to}", "text": "{text}", "reference": "{id}"}"#);
    let answer_id = reader.or("sms.answer_id", "id");
    let timeout = reader.millis("sms.timeout_ms", "10000", 100..=60_000);
    let (url, sid, auth_token, from, callback_url) = (url?, sid?, auth_token?, from?, callback_url?);
    if callback_url.is_some() && !matches!(kind, Some(Some(Kind::Twilio))) {
        reader.fault("sms.callback_url: this is for sms.provider twilio; others report to the admin port");
    }
    let provider = match kind? {
        None => return Some(None),
        Some(Kind::Twilio) => {
            let (Some(sid), Some(auth_token), Some(from)) = (sid, auth_token, from) else {
                reader.fault("sms.provider: twilio needs sms.account_sid, sms.auth_token and sms.from");
                return None;
            };
            let base = url.map_or_else(|| "https://api.twilio.com/".to_owned(), |url| url.0.to_string());
            let path = format!("{}/2010-04-01/Accounts/{sid}/Messages.json", base.trim_end_matches('/'));
            let plain = sid.bytes().all(|b| b.is_ascii_alphanumeric());
            let Some(messages) = Url::parse(&path).ok().filter(|_| plain) else {
                reader.fault("sms.account_sid: letters and digits are expected");
                return None;
            };
            let callback = callback_url.map(|url| Callback { url: url.0, auth_token: auth_token.clone() });
            Provider::Twilio(TwilioAccount { sid, auth_token, from, messages, callback })
        }
        Some(Kind::Json) => {
            let Some(ProviderUrl(url)) = url else {
                reader.fault("sms.provider: json needs sms.url");
                return None;
            };
            Provider::Json { url, authorization: authorization?, template: template?, answer_id: answer_id? }
        }
    };
    match Place::new(public_url?) {
        Ok(place) => Some(Some(SmsConfig { provider, place, timeout: timeout? })),
        Err(why) => {
            reader.fault(format!("http.public_url: {why} (sms.provider is set)"));
            None
        }
    }
}
