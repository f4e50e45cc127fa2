//! The words of a text message: one segment of 160 characters of GSM 03.38's basic set, and where it carries digits its
//! last line is what WICG's origin-bound one-time codes ask for, so that a browser offers them to the right page alone.

use otp_core::{
    code::LinkToken,
    language::Language,
    store::{ChangeKind, Stage},
};
use time::{OffsetDateTime, macros::format_description};
use url::Url;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    channel::{ChangeWords, CodeWords, Failure, Message, Words},
    mail::{
        link::{Page, short_token_link},
        plain,
    },
    phrases::{self, Phrases, SmsPhrases},
};

/// A segment of a text message, in characters of the basic set.
const SEGMENT: usize = 160;
/// The longest name of a policy, and a reference.
const PURPOSE: usize = 31;
const REFERENCE: usize = 8;
const DIGITS: &str = "000000";
const TOKEN: &str = "00000000000000000000000000000000";

/// What may have digits in it, as all words of a message do.
type Text = Zeroizing<String>;

/// Where the person enters digits.
#[derive(Debug, Clone)]
pub struct Place {
    /// What links begin with.
    pub public_url: String,
    /// Its host.
    pub host: String,
}

impl Place {
    /// The place of a public URL, where every kind of message fits into one segment.
    ///
    /// # Errors
    /// When its host or the URL itself is too long, or its host is none that a browser binds digits to.
    pub fn new(public_url: &str) -> Result<Self, &'static str> {
        let url = Url::parse(public_url).map_err(|_| "no URL")?;
        let host = url.domain().ok_or("a host name is needed: browsers bind digits to no address")?.to_owned();
        let place = Self { public_url: public_url.to_owned(), host };
        // All tokens are of one length.
        let link = short_token_link(public_url, Page::Cancel, Uuid::nil(), &LinkToken::parse(TOKEN).map_err(|_| "")?);
        let (purpose, reference) = ("w".repeat(PURPOSE), "w".repeat(REFERENCE));
        let has_room = |language| {
            let words = &phrases::of(language).sms;
            let code = code_text(words, (DIGITS, &purpose, &reference), "00:00:00", &place);
            code.iter().any(|text| fits(text)) && fits(&(words.announced)(ChangeKind::DeleteAccount, &link))
        };
        if Language::ALL.into_iter().all(has_room) {
            Ok(place)
        } else {
            Err("it is too long for text messages of one segment, or has characters that these do not have")
        }
    }
}

/// The text.
///
/// # Errors
/// [`Failure::Impossible`]
pub fn write(message: &Message, place: &Place) -> Result<Text, Failure> {
    let phrases = phrases::of(message.language);
    let until = moment(message.expires_at_ms, &phrases.sms);
    let texts = match &message.words {
        Words::Code(words) => code(words, &until, place, phrases),
        Words::Confirmation { digits } => {
            let digits = digits.expose();
            let long = Text::new((phrases.sms.confirmation_long)(digits, &until));
            bound(&[long, Text::new((phrases.sms.confirmation)(digits))], digits, place)
        }
        Words::Change(words) => change(words, place, &phrases.sms),
    };
    let text = texts.into_iter().find(|text| fits(text));
    text.ok_or(Failure::Impossible("the message does not fit into one text"))
}

fn code(words: &CodeWords, until: &str, place: &Place, phrases: &Phrases) -> Vec<Text> {
    let purpose: String = plain::name(&words.purpose, &phrases.style).chars().take(PURPOSE).collect();
    let (purpose, reference) = (basic(&purpose), basic(&words.reference));
    code_text(&phrases.sms, (words.digits.expose(), &purpose, &reference), until, place)
}

/// Of digits, purpose and reference.
fn code_text(
    words: &SmsPhrases,
    (digits, purpose, reference): (&str, &str, &str),
    until: &str,
    place: &Place,
) -> Vec<Text> {
    let short = Text::new((words.code)(digits, purpose, reference, until));
    bound(&[joined(&[&short, " ", words.code_warning]), short], digits, place)
}

fn change(change: &ChangeWords, place: &Place, words: &SmsPhrases) -> Vec<Text> {
    let digits = change.digits.expose();
    match change.stage {
        Stage::Announced => {
            let link = short_token_link(&place.public_url, Page::Cancel, change.change_id, &change.cancel_token);
            let alone = Text::new((words.announced)(change.kind, &link));
            let approve = Text::new((words.approve)(digits));
            let with_digits = bound(&[joined(&[&alone, "\n", &approve])], digits, place);
            with_digits.into_iter().chain([alone]).collect()
        }
        Stage::Digits => {
            let short = Text::new((words.change_digits)(digits, &moment(change.digits_until_ms, words)));
            bound(&[joined(&[&short, " ", words.change_digits_warning]), short], digits, place)
        }
        Stage::Done => vec![joined(&[(words.done)(change.kind), " ", words.done_warning])],
    }
}

/// The texts with the last line that binds the digits to the page's origin.
fn bound(texts: &[Text], digits: &str, place: &Place) -> Vec<Text> {
    texts.iter().map(|text| joined(&[text, "\n@", &place.host, " #", digits])).collect()
}

/// In one piece from the start: a string that grows leaves what it had so far in freed memory.
fn joined(parts: &[&str]) -> Text {
    let mut text = Text::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| text.push_str(part));
    text
}

fn fits(text: &str) -> bool {
    text.chars().count() <= SEGMENT && text.chars().all(is_basic)
}

/// Characters that take one place in GSM 03.38's basic set, of ASCII and of what German adds to it.
const fn is_basic(c: char) -> bool {
    let is_german = matches!(c, 'ä' | 'ö' | 'ü' | 'ß' | 'Ä' | 'Ö' | 'Ü');
    let is_ascii = matches!(c, '\n' | ' '..='~') && !matches!(c, '[' | '\\' | ']' | '^' | '`' | '{' | '|' | '}' | '~');
    is_german || is_ascii
}

fn basic(text: &str) -> String {
    text.chars().map(|c| if is_basic(c) && c != '\n' { c } else { '?' }).collect()
}

/// `02:31:07`
fn moment(unix_ms: i64, words: &SmsPhrases) -> String {
    let format = format_description!("[hour]:[minute]:[second]");
    let time = OffsetDateTime::from_unix_timestamp(unix_ms.div_euclid(1_000)).ok();
    time.and_then(|time| time.format(format).ok()).unwrap_or_else(|| words.soon.to_owned())
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, B256};
    use otp_core::{authorization::Authorization, code::Seed};

    use super::*;
    use crate::mail::plain::has_six_digits;

    fn place() -> Place {
        Place::new("https://otp.example").unwrap()
    }

    fn message(words: Words) -> Message {
        message_in(Language::English, words)
    }

    fn message_in(language: Language, words: Words) -> Message {
        Message {
            language,
            id: "00112233@otp.example".to_owned(),
            created_at_ms: 0,
            expires_at_ms: 1_700_000_000_000,
            contact_id: Uuid::nil(),
            address: Zeroizing::new("+4930123456".to_owned()),
            wallet: Address::ZERO,
            webhook_secret: seed().webhook_secret(Uuid::nil()),
            words,
        }
    }

    fn seed() -> Seed {
        Seed::from_bytes(&[7; 32]).unwrap()
    }

    fn code_words(purpose: &str) -> Words {
        Words::Code(Box::new(CodeWords {
            digits: seed().contact_digits(Uuid::nil(), 1),
            reference: "7K3M".to_owned(),
            purpose: purpose.to_owned(),
            on_chain_id: B256::ZERO,
            issuer: Address::ZERO,
            authorization: Authorization::blind(B256::ZERO),
            expiry: 1_700_000_000,
            link: Zeroizing::new("https://otp.example/verify#v1.x".to_owned()),
            report_link: Zeroizing::new("https://otp.example/report#v1.x".to_owned()),
        }))
    }

    fn change_words(kind: ChangeKind, stage: Stage, number: u128) -> Words {
        let change_id = Uuid::from_u128(number);
        Words::Change(ChangeWords {
            change_id,
            kind,
            stage,
            about: None,
            due_at_ms: 1_700_000_000_000,
            digits: seed().change_digits(change_id, 1),
            digits_until_ms: 1_700_000_000_000,
            cancel_token: seed().cancel_token(change_id, Uuid::nil()),
            cancel_link: Zeroizing::new(String::new()),
        })
    }

    #[test]
    fn the_last_line_of_a_code_is_bound_to_the_pages_host() {
        let digits = seed().contact_digits(Uuid::nil(), 1);
        let text = write(&message(code_words("withdraw")), &place()).unwrap();
        let last = format!("@otp.example #{}", digits.expose());
        assert_eq!(text.lines().last(), Some(last.as_str()));
        assert!(text.contains("ref 7K3M") && text.contains("for withdraw") && text.contains("until 22:13:20 UTC"));
        assert!(!text.ends_with('\n'));
    }

    #[test]
    fn every_message_is_one_segment_in_every_language_whatever_it_is_about() {
        for language in Language::ALL {
            every_message_is_one_segment(language);
        }
    }

    fn every_message_is_one_segment(language: Language) {
        let mut all = vec![Words::Confirmation { digits: seed().contact_digits(Uuid::nil(), 1) }];
        let long = "\u{20AC}".repeat(10);
        all.extend(["login", &"w".repeat(31), "a[b]{c}|~^\\`", "zwölf\n@evil.example #111111", &long].map(code_words));
        for kind in [ChangeKind::Add, ChangeKind::Remove, ChangeKind::DeleteAccount] {
            all.extend([Stage::Announced, Stage::Digits, Stage::Done].map(|stage| change_words(kind, stage, 1)));
        }
        for words in all {
            let text = write(&message_in(language, words), &place()).unwrap();
            assert!(fits(&text), "{} characters", text.chars().count());
            assert!(text.lines().rev().skip(1).all(|line| !line.starts_with('@')), "{}", text.as_str());
        }
    }

    #[test]
    fn a_link_that_cancels_shows_no_digits_of_its_own() {
        for number in 0..500 {
            let id = Uuid::from_u128(0x0199_aa00_0000_7000_8000_0000_0000_0000 + number);
            let link = short_token_link("https://otp.example", Page::Cancel, id, &seed().cancel_token(id, id));
            assert!(!has_six_digits(&link) && link.chars().all(is_basic), "{}", link.as_str());
        }
    }

    #[test]
    fn a_place_that_leaves_no_room_or_has_no_name_is_refused() {
        let long = format!("https://{}.example", "a".repeat(60));
        for bad in ["http://127.0.0.1:8090", "https://[::1]", &long, "https://otp.example/a~b"] {
            assert!(Place::new(bad).is_err(), "{bad}");
        }
        for good in ["https://otp.example", "https://codes.some-company.example/otp", "http://localhost:8090"] {
            assert!(Place::new(good).is_ok(), "{good}");
        }
    }
}
