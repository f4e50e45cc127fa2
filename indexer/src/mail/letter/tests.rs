use alloy::primitives::B256;
use otp_core::{contact::Channel, language::Language, store::ChangeKind};
use proptest::prelude::*;

use super::*;
use crate::phrases;

const LINK: &str = "https://otp.example/verify#v1.abc";
const REPORT: &str = "https://otp.example/report#v1.def";

fn english() -> &'static Phrases {
    phrases::of(Language::English)
}

fn digits() -> Digits {
    Digits::parse("482913").unwrap()
}

fn authorization(title: &str, fields: Vec<(String, String)>, consumer: Option<Address>) -> Authorization {
    Authorization {
        consumer,
        payload_hash: Some(B256::ZERO),
        action: B256::ZERO,
        title: title.to_owned(),
        fields,
        typed: None,
        session: None,
    }
}

fn write(title: &str, fields: Vec<(String, String)>, consumer: Option<Address>) -> Letter {
    write_with(LINK, title, fields, consumer)
}

fn write_with(link: &str, title: &str, fields: Vec<(String, String)>, consumer: Option<Address>) -> Letter {
    let letter = CodeLetter {
        digits: &digits(),
        reference: "KXQ-7RT",
        purpose: "withdraw",
        wallet: "0x1234567890123456789012345678901234567890".parse().unwrap(),
        authorization: &authorization(title, fields, consumer),
        expiry: 1_795_314_667,
        link,
        report_link: REPORT,
    };
    code(&letter, english())
}

/// Every maximal run of six or more numeric characters, as it looks without the marks and dots between them.
fn runs(text: &str) -> Vec<String> {
    let seen: String = text.chars().filter(|c| c.is_numeric() || c.is_ascii() && !"'`^_~|".contains(*c)).collect();
    seen.split(|c: char| !c.is_numeric()).filter(|run| run.chars().count() >= 6).map(str::to_owned).collect()
}

#[test]
fn the_letter_tells_everything_and_has_one_run_of_six_digits() {
    let consumer = "0x9999999999999999999999999999999999999999".parse().unwrap();
    let fields = vec![
        ("to".to_owned(), "0x1111111111111111111111111111111111111111".to_owned()),
        ("amount".to_owned(), "1000000000000000000".to_owned()),
    ];
    let letter = write("Withdrawal", fields, Some(consumer));
    for part in [
        "482913",
        "KXQ-7RT",
        "\"Withdrawal\"",
        "1,000,000,000,000,000,000",
        "0x1111 1111 1111",
        "0x9999 9999",
        "02:31:07 UTC on 22 November 2026",
        "If this was not you",
        "holds your wallet key",
        LINK,
        REPORT,
    ] {
        assert!(letter.text.contains(part), "{part} is missing in\n{}", *letter.text);
        assert!(letter.html.contains(&plain::html(part)), "{part} is missing in\n{}", *letter.html);
    }
    assert_eq!(runs(&letter.text), ["482913"]);
    assert_eq!(runs(&letter.html), ["482913"]);
    assert!(!letter.subject.contains("482913") && letter.subject.contains("KXQ-7RT"));
    assert!(letter.text.is_ascii() && letter.text.lines().all(|line| line.len() < 998));
}

#[test]
fn the_confirmation_has_its_digits_no_link_and_says_how_long_they_live() {
    let letter = confirmation(&digits(), 1_795_314_067_400, 1_795_314_667_000, english());
    for body in [&letter.text, &letter.html] {
        assert_eq!(runs(body), ["482913"]);
        assert!(body.contains("valid for 10 minutes, until 02:31:07 UTC on 22 November 2026") && !body.contains("://"));
    }
    assert!(!letter.subject.contains("482913"));
}

#[test]
fn letters_about_changes_have_one_run_of_digits_at_most_and_one_link_where_it_can_be_cancelled() {
    let (digits, link) = (digits(), "https://otp.example/cancel#v1.abc");
    let approval = change::Approval { digits: &digits, until_ms: 1_795_314_667_000 };
    let due_at_ms = 1_795_573_867_000;
    for (kind, about) in [
        (ChangeKind::Add, Some((Channel::Email, "4***@8***.com"))),
        (ChangeKind::Remove, Some((Channel::Sms, "+49***56"))),
        (ChangeKind::DeleteAccount, None),
    ] {
        let wallet = "0x1234567890123456789012345678901234567890".parse().unwrap();
        let change = change::Change { kind, about, wallet, phrases: english() };
        let announced = change.announcement(due_at_ms, approval, link);
        for part in ["02:31:07 UTC on 25 November 2026", "valid until 02:31:07 UTC on 22 November 2026", link] {
            assert!(announced.text.contains(part) && announced.html.contains(&plain::html(part)), "{part}");
        }
        let further = change.digits(due_at_ms, approval);
        for (letter, links, digits) in [(announced, 1, 1), (further, 0, 1), (change.done(), 0, 0)] {
            assert_eq!(runs(&letter.text).len(), digits, "{}", *letter.text);
            assert_eq!(runs(&letter.html).len(), digits);
            assert_eq!((letter.text.matches("://").count(), letter.html.matches("<a ").count()), (links, links));
            assert!(letter.text.contains("If this was not you") && !letter.subject.contains("482913"));
            assert!(letter.text.is_ascii() && letter.text.capacity() < 2 * WORDS);
        }
    }
}

#[test]
fn a_sign_in_names_its_origin_as_it_is() {
    let letter = write("Sign in", vec![("to".to_owned(), "https://app.example".to_owned())], None);
    assert!(letter.text.contains("to: https://app.example\n"));
}

#[test]
fn no_letter_outgrows_the_buffer_that_its_digits_were_written_to() {
    let link = format!("https://otp.example/verify#v1.{}", "a&".repeat(40_000));
    for (name, value) in [("\"&", "\"&".repeat(400)), ("0123456789", "0x".to_owned() + &"ab".repeat(400))] {
        let fields: Vec<_> = (0..40).map(|_| (name.repeat(20), value.clone())).collect();
        for consumer in [None, Some(Address::repeat_byte(1))] {
            let letter = write_with(&link, "Many", fields.clone(), consumer);
            let authorization = authorization("Many", fields.clone(), consumer);
            let room = room(&[&link, REPORT], &authorised(&authorization, Address::repeat_byte(0x12), english()));
            assert_eq!(letter.text.capacity(), WORDS + room);
            assert_eq!(letter.html.capacity(), WORDS + ESCAPED * room);
        }
    }
}

#[test]
fn fields_beyond_the_room_are_told() {
    let fields = (0..40).map(|i| (format!("f{i}"), "1".to_owned())).collect();
    let letter = write("Many", fields, Some(Address::repeat_byte(1)));
    assert!(letter.text.contains("16 more fields"));
}

/// Text as an attacker would choose it: digits, separators, markup, links, control and bidi characters, other scripts.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[0-9]{1,12}",
        "0x[0-9a-f]{0,70}",
        "[0-9\u{20E3}\u{301}\u{B7}\u{64E}\u{13430}'\"_]{0,14}",
        "[0-9０-９٠-٩.,:/ \\-\u{200B}\u{202E}\u{2066}\u{FEFF}]{0,12}",
        Just("</td></table><a href=\"https://evil.example\">".to_owned()),
        Just("https://evil.example/\r\nBcc: x@evil.example\r\n\r\n".to_owned()),
        Just("&#52;&#56;".to_owned()),
        any::<String>(),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_requester_can_add_digits_links_or_markup(
        title in hostile(),
        fields in proptest::collection::vec((hostile(), hostile()), 0..30),
    ) {
        let letter = write(&title, fields, Some(Address::repeat_byte(0x11)));
        prop_assert_eq!(runs(&letter.text), vec!["482913".to_owned()]);
        prop_assert_eq!(runs(&letter.html), vec!["482913".to_owned()]);
        prop_assert_eq!(letter.text.matches("://").count(), 2);
        prop_assert_eq!(letter.html.matches("<a ").count(), 2);
        prop_assert_eq!(letter.text.matches('@').count(), 0);
        prop_assert!(letter.text.chars().all(|c| c == '\n' || !c.is_control()));
        let rows = letter.text.lines().filter(|line| !line.is_empty() && !line.starts_with(' ')).count();
        prop_assert_eq!(rows, 12, "a field made a line of its own");
    }

    #[test]
    fn any_letter_becomes_a_mail_with_just_our_headers(title in hostile(), value in hostile()) {
        let letter = write(&title, vec![("memo".to_owned(), value)], Some(Address::repeat_byte(0x11)));
        let from = "Codes <codes@otp.example>".parse().unwrap();
        let to = "person@example.org".parse().unwrap();
        let envelope = crate::mail::mime::Envelope { from, to, message_id: "ab12@otp.example", date_ms: 1_700_000_000_000 };
        let first = crate::mail::mime::message(&letter, &envelope).unwrap().formatted();
        prop_assert_eq!(&first, &crate::mail::mime::message(&letter, &envelope).unwrap().formatted());
        let raw = String::from_utf8(first).unwrap();
        let head = raw.split("\r\n\r\n").next().unwrap();
        let names: Vec<&str> = head.lines().filter(|l| !l.starts_with(' ')).filter_map(|l| l.split(':').next()).collect();
        prop_assert_eq!(names, ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]);
    }
}
