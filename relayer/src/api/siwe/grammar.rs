//! The grammar of EIP-4361 where its parser is laxer: that one takes any printable ASCII for a statement, any text for a
//! request id, `+1` for a chain id, and any character between a date and its time.

use signinwithethereum::{Message, TimeStamp};

use super::Refused;

const MAX_MESSAGE: usize = 4 * 1024;
const RESOURCES: &str = "\nResources:";

/// A message by the letter of the standard, of version 1.
pub(super) fn parse(text: &str) -> Result<Message, Refused> {
    if text.len() > MAX_MESSAGE {
        return Err(Refused { check: "size", detail: "the message is longer than 4096 bytes" });
    }
    let message: Message =
        text.parse().map_err(|_| Refused { check: "format", detail: "this is no EIP-4361 message of version 1" })?;
    // What is written back is the text itself, or the parser read into it what is not there. It leaves out an empty list.
    let written = if message.resources.is_empty() { text.strip_suffix(RESOURCES).unwrap_or(text) } else { text };
    if message.to_string() != written {
        return Err(Refused { check: "format", detail: "a field is not written as EIP-4361 has it" });
    }
    if !message.statement.as_deref().is_none_or(is_statement) {
        return Err(Refused { check: "statement", detail: "the statement has characters other than EIP-4361 allows" });
    }
    if !message.request_id.as_deref().is_none_or(is_segment) {
        return Err(Refused { check: "request-id", detail: "Request ID has characters other than RFC 3986's pchar" });
    }
    let times = [Some(&message.issued_at), message.expiration_time.as_ref(), message.not_before.as_ref()];
    if !times.into_iter().flatten().all(has_time_mark) {
        return Err(Refused { check: "format", detail: "a time is not written as RFC 3339 has it, with a T" });
    }
    Ok(message)
}

/// `*( reserved / unreserved / " " )`
fn is_statement(text: &str) -> bool {
    text.bytes().all(|b| b == b' ' || is_unreserved(b) || is_sub_delimiter(b) || b":/?#[]@".contains(&b))
}

/// `*pchar`
fn is_segment(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let encoded = byte == b'%'
            && bytes.next().is_some_and(|b| b.is_ascii_hexdigit())
            && bytes.next().is_some_and(|b| b.is_ascii_hexdigit());
        if !(encoded || is_unreserved(byte) || is_sub_delimiter(byte) || b":@".contains(&byte)) {
            return false;
        }
    }
    true
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

const fn is_sub_delimiter(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
}

/// The eleventh character, after `2026-01-31`.
fn has_time_mark(time: &TimeStamp) -> bool {
    matches!(time.to_string().as_bytes().get(10), Some(b'T' | b't'))
}
