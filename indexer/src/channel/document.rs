//! A message as JSON, for programs: the body of a webhook, and what is sealed to an in-app key. docs/CHANNELS.md has its
//! members for whoever reads it.

use otp_core::{
    clock::{rfc3339_ms, rfc3339_s},
    store::Stage,
};
use serde::Serialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{ChangeWords, CodeWords, Failure, Message, Words};

const VERSION: u8 = 1;
/// Room in bytes for what stands around links and fields.
const ROOM: usize = 2 * 1024;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    version: u8,
    id: &'a str,
    r#type: &'static str,
    language: &'static str,
    contact_id: Uuid,
    wallet: String,
    created_at: String,
    expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    digits: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Code<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<Change<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Code<'a> {
    reference: &'a str,
    purpose: &'a str,
    on_chain_id: String,
    issuer: String,
    action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer: Option<String>,
    title: &'a str,
    fields: Vec<Field<'a>>,
    link: &'a str,
    report_link: &'a str,
}

#[derive(Serialize)]
struct Field<'a> {
    name: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Change<'a> {
    id: Uuid,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    masked: Option<&'a str>,
    due_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    digits_expire_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_link: Option<&'a str>,
}

/// The message, a function of it alone: the same bytes each time.
///
/// # Errors
/// [`Failure::Impossible`]
pub fn write(message: &Message) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let document = document(message);
    let room = document.code.as_ref().map_or(0, |code| {
        let fields: usize = code.fields.iter().map(|field| field.name.len() + field.value.len() + 64).sum();
        code.link.len() + code.report_link.len() + 2 * fields
    });
    // Room for all of it, so that no outgrown buffer is left behind with the digits.
    let mut json = Zeroizing::new(Vec::with_capacity(ROOM + room));
    serde_json::to_writer(&mut *json, &document).map_err(|_| Failure::Impossible("the message cannot be written"))?;
    Ok(json)
}

fn document(message: &Message) -> Document<'_> {
    let (r#type, digits, code, change) = match &message.words {
        Words::Code(words) => ("code", Some(&words.digits), Some(code(words)), None),
        Words::Confirmation { digits } => ("contact-confirmation", Some(digits), None, None),
        Words::Change(words) => {
            let (r#type, digits) = match words.stage {
                Stage::Announced => ("change-announced", Some(&words.digits)),
                Stage::Digits => ("change-digits", Some(&words.digits)),
                Stage::Done => ("change-done", None),
            };
            (r#type, digits, None, Some(self::change(words)))
        }
    };
    Document {
        version: VERSION,
        id: &message.id,
        r#type,
        language: message.language.tag(),
        contact_id: message.contact_id,
        wallet: message.wallet.to_checksum(None),
        created_at: rfc3339_ms(message.created_at_ms),
        expires_at: rfc3339_ms(message.expires_at_ms),
        digits: digits.map(otp_core::code::Digits::expose),
        code,
        change,
    }
}

fn code(words: &CodeWords) -> Code<'_> {
    let authorization = &words.authorization;
    let fields = authorization.fields.iter().map(|(name, value)| Field { name, value });
    Code {
        reference: &words.reference,
        purpose: &words.purpose,
        on_chain_id: words.on_chain_id.to_string(),
        issuer: words.issuer.to_checksum(None),
        action: authorization.action.to_string(),
        consumer: authorization.consumer.map(|consumer| consumer.to_checksum(None)),
        title: &authorization.title,
        fields: fields.collect(),
        link: &words.link,
        report_link: &words.report_link,
    }
}

fn change(words: &ChangeWords) -> Change<'_> {
    Change {
        id: words.change_id,
        kind: words.kind.as_str(),
        channel: words.about.as_ref().map(|(channel, _)| channel.as_str()),
        masked: words.about.as_ref().map(|(_, masked)| masked.as_str()),
        due_at: rfc3339_ms(words.due_at_ms),
        digits_expire_at: (words.stage != Stage::Done).then(|| rfc3339_s(words.digits_until_ms / 1_000)),
        cancel_link: (words.stage == Stage::Announced).then_some(words.cancel_link.as_str()),
    }
}
