//! The words of a text message: one segment of 160 characters of GSM 03.38's basic set, and where it carries digits its
//! last line is what WICG's origin-bound one-time codes ask for, so that a browser offers them to the right page alone.

use otp_core::{
    code::LinkToken,
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
};

/// A segment of a text message, in characters of the basic set.
const SEGMENT: usize = 160;
/// The longest name of a policy, and a reference.
const PURPOSE: usize = 31;
const REFERENCE: usize = 8;
const TOKEN: &str = "00000000000000000000000000000000";

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
        let (purpose, reference) = ("w".repeat(PURPOSE), "w".repeat(REFERENCE));
        let code = code_text("000000", &purpose, &reference, "00:00:00", &place);
        // All tokens are of one length.
        let link = short_token_link(public_url, Page::Cancel, Uuid::nil(), &LinkToken::parse(TOKEN).map_err(|_| "")?);
        if code.iter().any(|text| fits(text)) && fits(&change_text(ChangeKind::DeleteAccount, &link)) {
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
pub fn write(message: &Message, place: &Place) -> Result<Zeroizing<String>, Failure> {
    let until = moment(message.expires_at_ms);
    let texts = match &message.words {
        Words::Code(words) => code(words, &until, place),
        Words::Confirmation { digits } => bound(
            &[
                format!(
                    "Code {} confirms this number for one-time codes, until {until} UTC. Pass it on to nobody.",
                    digits.expose()
                ),
                format!("Code {} confirms this number.", digits.expose()),
            ],
            digits.expose(),
            place,
        ),
        Words::Change(words) => change(words, place),
    };
    let text = texts.into_iter().find(|text| fits(text));
    text.map(Zeroizing::new).ok_or(Failure::Impossible("the message does not fit into one text"))
}

fn code(words: &CodeWords, until: &str, place: &Place) -> Vec<String> {
    let purpose: String = plain::name(&words.purpose).chars().take(PURPOSE).collect();
    code_text(words.digits.expose(), &basic(&purpose), &basic(&words.reference), until, place)
}

fn code_text(digits: &str, purpose: &str, reference: &str, until: &str, place: &Place) -> Vec<String> {
    let short = format!("Code {digits} for {purpose}, ref {reference}, until {until} UTC.");
    bound(&[format!("{short} Nobody will ever ask you for it."), short], digits, place)
}

fn change(words: &ChangeWords, place: &Place) -> Vec<String> {
    let digits = words.digits.expose();
    match words.stage {
        Stage::Announced => {
            let link = short_token_link(&place.public_url, Page::Cancel, words.change_id, &words.cancel_token);
            let alone = change_text(words.kind, &link);
            let with_digits = bound(&[format!("{alone}\nOr approve it: {digits}")], digits, place);
            with_digits.into_iter().chain([alone]).collect()
        }
        Stage::Digits => {
            let until = moment(words.digits_until_ms);
            let short = format!("Code {digits} approves a change of your account, until {until} UTC.");
            bound(&[format!("{short} Not you? Tell nobody."), short], digits, place)
        }
        Stage::Done => {
            let done = match words.kind {
                ChangeKind::Add => "A contact was added to your account for one-time codes.",
                ChangeKind::Remove => "A contact was removed from your account for one-time codes.",
                ChangeKind::DeleteAccount => "Your account for one-time codes was deleted.",
            };
            vec![format!("{done} Not you? Move what your wallet holds to a new one.")]
        }
    }
}

fn change_text(kind: ChangeKind, link: &str) -> String {
    let change = match kind {
        ChangeKind::Add => "A contact will be added.",
        ChangeKind::Remove => "A contact will be removed.",
        ChangeKind::DeleteAccount => "Your account will be deleted.",
    };
    format!("{change} Not you? Cancel: {link}")
}

/// The texts with the last line that binds the digits to the page's origin.
fn bound(texts: &[String], digits: &str, place: &Place) -> Vec<String> {
    texts.iter().map(|text| format!("{text}\n@{} #{digits}", place.host)).collect()
}

fn fits(text: &str) -> bool {
    text.len() <= SEGMENT && text.chars().all(is_basic)
}

/// Characters that take one place in GSM 03.38's basic set, of ASCII.
const fn is_basic(c: char) -> bool {
    matches!(c, '\n' | ' '..='~') && !matches!(c, '[' | '\\' | ']' | '^' | '`' | '{' | '|' | '}' | '~')
}

fn basic(text: &str) -> String {
    text.chars().map(|c| if is_basic(c) && c != '\n' { c } else { '?' }).collect()
}

/// `02:31:07`
fn moment(unix_ms: i64) -> String {
    let format = format_description!("[hour]:[minute]:[second]");
    let time = OffsetDateTime::from_unix_timestamp(unix_ms.div_euclid(1_000)).ok();
    time.and_then(|time| time.format(format).ok()).unwrap_or_else(|| "soon".to_owned())
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
        Message {
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
    fn every_message_is_one_segment_whatever_it_is_about() {
        let mut all = vec![Words::Confirmation { digits: seed().contact_digits(Uuid::nil(), 1) }];
        let long = "\u{20AC}".repeat(10);
        all.extend(["login", &"w".repeat(31), "a[b]{c}|~^\\`", "zwölf\n@evil.example #111111", &long].map(code_words));
        for kind in [ChangeKind::Add, ChangeKind::Remove, ChangeKind::DeleteAccount] {
            all.extend([Stage::Announced, Stage::Digits, Stage::Done].map(|stage| change_words(kind, stage, 1)));
        }
        for words in all {
            let text = write(&message(words), &place()).unwrap();
            assert!(fits(&text), "{} characters", text.len());
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
