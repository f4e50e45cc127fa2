//! What mail servers report of our messages (RFC 3464): that one did not arrive, or that it did.
//!
//! Anybody can send a mail to the bounce address, and make a code's `Message-ID` from what the chain shows. So a report changes
//! what is told of a mail that was handed over, and nothing else, until a provider says otherwise
//! ([`Teller::Anybody`](otp_core::store::Teller)). The rest of it is bounded and shown to nobody.

use mail_parser::{Message, MessageParser, MessagePart, MimeHeaders, PartType};
use otp_core::store::ProviderWord;

/// The longest report that is read: a returned letter fits in it several times.
pub const MOST_BYTES: usize = 128 * 1024;
/// Parts and nested messages, none of which goes deeper without a type of its own; a report has three.
const MOST_PARTS: usize = 32;

/// What a report says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The message that it is about, without angle brackets.
    pub message_id: String,
    /// What became of it.
    pub word: ProviderWord,
    /// RFC 3463's status, `5.1.1`; empty where there is none.
    pub status: String,
}

/// Reads a report; `None` where it is none, is about nothing that we could find, or says that the server still tries.
#[must_use]
pub fn read(raw: &[u8]) -> Option<Report> {
    if raw.len() > MOST_BYTES || count(raw, b"content-type") > MOST_PARTS {
        return None;
    }
    let mail = MessageParser::default().parse(raw)?;
    if !mail.is_content_type("multipart", "report") {
        return None;
    }
    let fields = mail.parts.iter().find(|part| is_status(part)).map(|part| text(part))?;
    let word = match field(&fields, "action")?.to_ascii_lowercase().as_str() {
        "failed" => ProviderWord::Bounced,
        "delivered" => ProviderWord::Delivered,
        _ => return None,
    };
    let message_id = mail.parts.iter().find_map(returned_id)?;
    let status = field(&fields, "status").filter(|status| is_enhanced_status(status)).unwrap_or_default();
    Some(Report { message_id, word, status })
}

fn is_status(part: &MessagePart<'_>) -> bool {
    part.is_content_type("message", "delivery-status") || part.is_content_type("message", "global-delivery-status")
}

fn text(part: &MessagePart<'_>) -> String {
    String::from_utf8_lossy(part.contents()).into_owned()
}

/// The id of the message that the report returns, whole or its headers alone.
fn returned_id(part: &MessagePart<'_>) -> Option<String> {
    match &part.body {
        PartType::Message(returned) => id_of(returned),
        _ if part.is_content_type("text", "rfc822-headers") || part.is_content_type("message", "rfc822-headers") => {
            MessageParser::default().parse(part.contents()).as_ref().and_then(id_of)
        }
        _ => None,
    }
}

fn id_of(returned: &Message<'_>) -> Option<String> {
    // Ours have an @; that it is a mail's, and no text's, is for the store to look up.
    returned.message_id().filter(|id| id.len() <= 256 && id.contains('@')).map(str::to_owned)
}

/// The first field of this name. A message of ours has one recipient.
fn field(fields: &str, wanted: &str) -> Option<String> {
    fields.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().chars().take(64).collect())
    })
}

/// `class.subject.detail`, and nothing else: it is stored and logged.
fn is_enhanced_status(status: &str) -> bool {
    let parts: Vec<&str> = status.split('.').collect();
    let short = |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    parts.len() == 3 && matches!(parts.first(), Some(&("2" | "4" | "5"))) && parts.iter().all(short)
}

fn count(raw: &[u8], wanted: &[u8]) -> usize {
    raw.windows(wanted.len()).filter(|window| window.eq_ignore_ascii_case(wanted)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(action: &str, status: &str, returned: &str) -> String {
        format!(
            "From: MAILER-DAEMON@mx.example\r\nTo: codes@otp.example\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n\
             --b\r\nContent-Type: text/plain\r\n\r\nMessage-ID: <other@otp.example>\r\n\
             --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n\
             Final-Recipient: rfc822; a@b.example\r\nAction: {action}\r\nStatus: {status}\r\n\r\n\
             --b\r\n{returned}\r\n--b--\r\n"
        )
    }

    const WHOLE: &str = "Content-Type: message/rfc822\r\n\r\nFrom: codes@otp.example\r\nMessage-ID: <abc@otp.example>\r\n\
                         Subject: x\r\n\r\nbody\r\n";
    const HEADERS: &str =
        "Content-Type: text/rfc822-headers\r\n\r\nFrom: codes@otp.example\r\nMessage-Id: <abc@otp.example>\r\n";

    #[test]
    fn a_report_names_the_message_that_it_returns_and_what_became_of_it() {
        for returned in [WHOLE, HEADERS] {
            let bounced = read(report("failed", "5.1.1", returned).as_bytes()).unwrap();
            let (word, status) = (ProviderWord::Bounced, "5.1.1".to_owned());
            assert_eq!(bounced, Report { message_id: "abc@otp.example".to_owned(), word, status });
        }
        let arrived = read(report("Delivered", "2.0.0", WHOLE).as_bytes()).unwrap();
        assert_eq!(arrived.word, ProviderWord::Delivered);
    }

    #[test]
    fn what_is_no_last_word_or_returns_nothing_says_nothing() {
        assert_eq!(read(report("delayed", "4.4.1", WHOLE).as_bytes()), None);
        assert_eq!(read(report("relayed", "2.0.0", WHOLE).as_bytes()), None);
        assert_eq!(
            read(report("failed", "5.1.1", "Content-Type: text/plain\r\n\r\n<abc@otp.example>").as_bytes()),
            None
        );
        assert_eq!(
            read(report("failed", "5.1.1", WHOLE).replace("multipart/report", "multipart/mixed").as_bytes()),
            None
        );
        assert_eq!(read(b""), None);
        assert_eq!(read(b"Subject: hello\r\n\r\nAction: failed\r\n"), None);
    }

    #[test]
    fn only_a_status_of_three_numbers_is_taken_over() {
        for bad in ["a@b.example", "5.1", "5.1.1.1", "5.1.1 a@b.example", "9.9.9", "5.1.1234"] {
            assert_eq!(read(report("failed", bad, WHOLE).as_bytes()).unwrap().status, "", "{bad}");
        }
    }

    #[test]
    fn hostile_reports_end_in_nothing() {
        let huge = report("failed", "5.1.1", &format!("{WHOLE}{}", "x".repeat(MOST_BYTES)));
        assert_eq!(read(huge.as_bytes()), None);
        for header in ["Content-Type: message/rfc822", "content-type : multipart/digest; boundary=b"] {
            let mut nested = String::from("Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n");
            while nested.len() < MOST_BYTES - 100 {
                nested.push_str(&format!("{header}\r\n\r\n--b\r\n"));
            }
            assert_eq!(read(nested.as_bytes()), None);
        }
        let whole = report("failed", "5.1.1", WHOLE).into_bytes();
        for end in 0..whole.len() {
            let _ = read(&whole[..end]);
            let mut broken = whole.clone();
            broken[end] ^= 0xFF;
            let _ = read(&broken);
        }
    }
}
