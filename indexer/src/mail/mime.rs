//! A letter in its MIME form. Everything in it is a function of the outbox row and the letter, so that the same message
//! goes out again after a crash or a lost answer, byte by byte.

use std::time::{Duration, SystemTime};

use lettre::{
    Message,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{Header, HeaderName, HeaderValue},
    },
};

use super::letter::Letter;

/// From whom, to whom, and what makes the message this one.
#[derive(Debug, Clone)]
pub struct Envelope<'a> {
    /// The configured sender.
    pub from: Mailbox,
    /// The contact.
    pub to: Mailbox,
    /// Without angle brackets.
    pub message_id: &'a str,
    /// Unix milliseconds: when the message was first due, not when it is sent.
    pub date_ms: i64,
}

/// RFC 3834: no vacation note answers this.
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// `multipart/alternative`, text first.
///
/// # Errors
/// When an address does not fit into an envelope.
pub fn message(letter: &Letter, envelope: &Envelope<'_>) -> Result<Message, lettre::error::Error> {
    let since_epoch = Duration::from_millis(u64::try_from(envelope.date_ms).unwrap_or_default());
    let boundary = envelope.message_id.split('@').next().unwrap_or_default();
    let parts = MultiPart::alternative()
        .boundary(format!("part-{boundary}"))
        .singlepart(SinglePart::plain(letter.text.as_str().to_owned()))
        .singlepart(SinglePart::html(letter.html.as_str().to_owned()));
    Message::builder()
        .from(envelope.from.clone())
        .to(envelope.to.clone())
        .subject(letter.subject.clone())
        .date(SystemTime::UNIX_EPOCH + since_epoch)
        .message_id(Some(format!("<{}>", envelope.message_id)))
        .header(AutoSubmitted)
        .multipart(parts)
}
