//! What a message says: a code with what it authorises, the digits that confirm a contact, or what becomes of a change
//! ([`change`]). Text and HTML carry the same; in each the digits are the only run of six.

pub mod change;

use alloy::primitives::Address;
use otp_core::{authorization::Authorization, code::Digits};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::plain;
use crate::phrases::Phrases;

/// The most fields that are shown.
const FIELDS: usize = 24;
/// Room in bytes for our own words in a letter, and for what stands around a name and its value.
const WORDS: usize = 4 * 1024;
const LINE: usize = 64;
/// The most bytes that one of a text takes in HTML: `&quot;`.
const ESCAPED: usize = 6;

/// A message without its envelope.
#[derive(Debug)]
pub struct Letter {
    /// The subject line; no digits of the code.
    pub subject: String,
    /// The plain text.
    pub text: Zeroizing<String>,
    /// The same as HTML.
    pub html: Zeroizing<String>,
}

/// What the message with a code needs.
#[derive(Debug)]
pub struct CodeLetter<'a> {
    /// What the person types.
    pub digits: &'a Digits,
    /// What tells two codes apart.
    pub reference: &'a str,
    /// Which policy.
    pub purpose: &'a str,
    /// The wallet that the code is for.
    pub wallet: Address,
    /// What it authorises.
    pub authorization: &'a Authorization,
    /// Unix seconds of chain time.
    pub expiry: u64,
    /// The link with the full code.
    pub link: &'a str,
    /// The link for whoever did not ask for it.
    pub report_link: &'a str,
}

/// The message with a code.
#[must_use]
pub fn code(letter: &CodeLetter<'_>, phrases: &Phrases) -> Letter {
    let words = &phrases.code;
    let (reference, purpose) =
        (plain::name(letter.reference, &phrases.style), plain::name(letter.purpose, &phrases.style));
    let lines = authorised(letter.authorization, letter.wallet, phrases);
    let mut body = Body::new(phrases, &(words.title)(&purpose), room(&[letter.link, letter.report_link], &lines));
    body.digits(letter.digits);
    body.line(&(words.reference)(&reference));
    body.heading(words.authorises);
    body.list(&lines);
    body.line(&(words.expires)(&moment(letter.expiry, phrases)));
    body.heading(words.how);
    body.line(words.enter_or_open);
    body.link(letter.link, words.open);
    body.heading(phrases.if_not_you);
    body.line(words.do_not_enter);
    body.line(words.open_instead);
    body.link(letter.report_link, words.not_me);
    body.line(phrases.never_asked);
    body.finish((words.subject)(&purpose, &reference))
}

/// The message that confirms a contact; both times in Unix milliseconds.
#[must_use]
pub fn confirmation(digits: &Digits, from_ms: i64, until_ms: i64, phrases: &Phrases) -> Letter {
    let words = &phrases.confirmation;
    let minutes = until_ms.saturating_sub(from_ms).max(0).unsigned_abs().div_ceil(60_000);
    let until = moment(until_ms.max(0).unsigned_abs() / 1_000, phrases);
    let mut body = Body::new(phrases, words.title, 0);
    body.digits(digits);
    body.line(words.enter);
    body.line(&(words.valid)(minutes, &until));
    body.heading(phrases.if_not_you);
    body.line(words.not_you);
    body.finish(words.subject.to_owned())
}

/// Names and values, a line each.
fn authorised(authorization: &Authorization, wallet: Address, phrases: &Phrases) -> Vec<(String, String)> {
    let (names, style) = (&phrases.names, &phrases.style);
    let mut lines = Vec::new();
    match authorization.consumer {
        Some(consumer) => {
            lines.push((names.action.to_owned(), plain::value(&authorization.title, style)));
            let fields = authorization.fields.iter().take(FIELDS);
            lines.extend(
                fields.map(|(name, value)| (format!("- {}", plain::name(name, style)), plain::value(value, style))),
            );
            let left_out = authorization.fields.len().saturating_sub(FIELDS);
            if left_out > 0 {
                lines.push((format!("- {}", names.and), (names.more_fields)(left_out)));
            }
            lines.push((names.contract.to_owned(), plain::own(&consumer.to_checksum(None), style)));
        }
        // Nobody but us writes these: a sign-in names its origin, a blind action its hash.
        None => {
            let is_sign_in = authorization.payload_hash.is_some();
            let (title, name) = if is_sign_in { names.sign_in } else { names.blind };
            lines.push((names.action.to_owned(), title.to_owned()));
            lines.extend(authorization.fields.iter().map(|(_, value)| (name.to_owned(), plain::own(value, style))));
        }
    }
    lines.push((names.wallet.to_owned(), plain::own(&wallet.to_checksum(None), style)));
    lines
}

/// Bytes that links and list need at most in the text.
fn room(links: &[&str], lines: &[(String, String)]) -> usize {
    links.iter().map(|link| link.len()).sum::<usize>()
        + lines.iter().map(|(name, value)| name.len() + value.len() + LINE).sum::<usize>()
}

/// Unix seconds, as a person reads them.
fn moment(unix_s: u64, phrases: &Phrases) -> String {
    let moment = i64::try_from(unix_s).ok().and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
    moment.map_or_else(|| phrases.unknown_moment.to_owned(), phrases.moment)
}

/// Text and HTML, written side by side.
struct Body {
    text: Zeroizing<String>,
    html: Zeroizing<String>,
}

impl Body {
    /// `room`: for link and list, see [`room`].
    fn new(phrases: &Phrases, title: &str, room: usize) -> Self {
        // Room for the whole letter, so that the digits are not left behind in a buffer that was outgrown.
        let mut text = Zeroizing::new(String::with_capacity(WORDS + room));
        let mut html = Zeroizing::new(String::with_capacity(WORDS + ESCAPED * room));
        text.push_str(title);
        text.push('\n');
        let title = plain::html(title);
        for part in
            ["<!doctype html>\n<html lang=\"", phrases.tag, "\">\n<head><meta charset=\"utf-8\"><title>", &title]
        {
            html.push_str(part);
        }
        html.push_str(
            "</title></head>\n<body style=\"font-family: sans-serif; font-size: 16px; max-width: 36em\">\n<h1>",
        );
        html.push_str(&title);
        html.push_str("</h1>\n");
        Self { text, html }
    }

    fn digits(&mut self, digits: &Digits) {
        for part in ["\n    ", digits.expose(), "\n"] {
            self.text.push_str(part);
        }
        let style = "font-family: monospace; font-size: 40px; font-weight: bold; letter-spacing: 6px";
        for part in ["<p style=\"", style, "\">", digits.expose(), "</p>\n"] {
            self.html.push_str(part);
        }
    }

    fn heading(&mut self, heading: &str) {
        self.text.push_str(&format!("\n{heading}\n"));
        self.html.push_str(&format!("<h2>{}</h2>\n", plain::html(heading)));
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(&format!("\n{line}\n"));
        self.html.push_str(&format!("<p>{}</p>\n", plain::html(line)));
    }

    fn list(&mut self, lines: &[(String, String)]) {
        self.text.push('\n');
        self.html.push_str("<table cellpadding=\"4\">\n");
        for (name, value) in lines {
            self.text.push_str(&format!("    {name}: {value}\n"));
            let (name, value) = (plain::html(name), plain::html(value));
            self.html.push_str(&format!("<tr><th align=\"left\">{name}</th>\n<td>{value}</td></tr>\n"));
        }
        self.html.push_str("</table>\n");
    }

    fn link(&mut self, link: &str, label: &str) {
        for part in ["\n", link, "\n"] {
            self.text.push_str(part);
        }
        let escaped = Zeroizing::new(plain::html(link));
        for part in ["<p><a href=\"", &escaped, "\">", label, "</a></p>\n"] {
            self.html.push_str(part);
        }
    }

    fn finish(mut self, subject: String) -> Letter {
        self.html.push_str("</body>\n</html>\n");
        Letter { subject, text: self.text, html: self.html }
    }
}

#[cfg(test)]
mod tests;
