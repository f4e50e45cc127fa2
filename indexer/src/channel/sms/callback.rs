//! What Twilio says later of a text, and how it proves that it is Twilio: `X-Twilio-Signature`, HMAC-SHA1 under the
//! account's token over the URL that it calls and the form's sorted fields. See "Validating Signatures" in its manual.

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use otp_core::{secret::Secret, store::ProviderWord};

/// The path on the public port.
pub const PATH: &str = "/v1/sms/twilio";
/// The part of a message's id before its `@`, in hex digits.
const ID_DIGITS: usize = 32;
const QUERY: &str = "message=";

/// Where Twilio calls, and what it signs with; cheap to clone.
#[derive(Debug, Clone)]
pub struct Callback {
    /// `sms.callback_url`, as Twilio sees it.
    pub url: String,
    /// `sms.auth_token`
    pub auth_token: Secret<String>,
}

/// What a status is worth to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It changes the message's state.
    Word(ProviderWord),
    /// The text is on its way, which we know.
    OnItsWay,
}

impl Status {
    /// A `MessageStatus`; `None` for a word that is none of Twilio's.
    #[must_use]
    pub fn read(status: &str) -> Option<Self> {
        match status {
            "delivered" | "read" => Some(Self::Word(ProviderWord::Delivered)),
            "undelivered" | "failed" => Some(Self::Word(ProviderWord::Bounced)),
            "accepted" | "scheduled" | "queued" | "sending" | "sent" => Some(Self::OnItsWay),
            _ => None,
        }
    }
}

impl Callback {
    /// The URL that is called for a message. It names the message by our id, so that what is said before Twilio's answer
    /// came, or after it was lost, is not lost as well.
    pub(super) fn url_for(&self, message_id: &str) -> String {
        format!("{}?{QUERY}{}", self.url, message_id.split('@').next().unwrap_or_default())
    }

    /// The part of a message's id that such a URL's query names.
    #[must_use]
    pub fn named(query: &str) -> Option<&str> {
        let id = query.strip_prefix(QUERY)?;
        let plain = id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        (id.len() == ID_DIGITS && plain).then_some(id)
    }

    /// Whether Twilio signed this call; in constant time.
    #[must_use]
    pub fn is_signed(&self, query: &str, fields: &[(String, String)], signature: &str) -> bool {
        let Ok(signature) = BASE64_STANDARD.decode(signature) else { return false };
        let mut sorted: Vec<&(String, String)> = fields.iter().collect();
        sorted.sort();
        let mut signed = format!("{}?{query}", self.url);
        for (name, value) in sorted {
            signed.push_str(name);
            signed.push_str(value);
        }
        // SHA-1 is Twilio's choice. HMAC does not need it to be free of collisions.
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.auth_token.expose().as_bytes());
        hmac::verify(&key, signed.as_bytes(), &signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Vec<(String, String)> {
        let fields = [
            ("To", "+18005551212"),
            ("Digits", "1234"),
            ("CallSid", "CA1234567890ABCDE"),
            ("From", "+14158675309"),
            ("Caller", "+14158675309"),
        ];
        fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    /// The example of Twilio's manual and of its own libraries' tests.
    #[test]
    fn a_signature_is_what_twilio_gives() {
        let callback =
            Callback { url: "https://mycompany.com/myapp.php".to_owned(), auth_token: Secret::new("12345".to_owned()) };
        let signature = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
        assert!(callback.is_signed("foo=1&bar=2", &fields(), signature));
        assert!(!callback.is_signed("foo=1&bar=3", &fields(), signature), "another URL");
        assert!(!callback.is_signed("foo=1&bar=2", &fields()[1..], signature), "a field less");
        for bad in ["", "RSOYDt4T1cUTdK1PDd93/VVr8B8", "RSOYDt4T1cUTdK1PDd93/VVr8B9=", "!"] {
            assert!(!callback.is_signed("foo=1&bar=2", &fields(), bad), "{bad}");
        }
    }

    #[test]
    fn a_calls_url_names_the_message_and_nothing_else_does() {
        let callback =
            Callback { url: "https://otp.example/v1/sms/twilio".to_owned(), auth_token: Secret::new("t".to_owned()) };
        let id = "00112233445566778899aabbccddeeff";
        let url = callback.url_for(&format!("{id}@otp.example"));
        assert_eq!(url, format!("https://otp.example/v1/sms/twilio?message={id}"));
        assert_eq!(Callback::named(url.split_once('?').unwrap().1), Some(id));
        for bad in
            ["", "message=", "message=00", &format!("message={id}&x=1"), &format!("message={}", id.to_uppercase())]
        {
            assert_eq!(Callback::named(bad), None, "{bad}");
        }
    }
}
