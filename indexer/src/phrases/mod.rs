//! The words of messages, a file for each language, compiled in. What is shown of a code or a change, and in which order, is
//! the same in all of them (`mail/letter.rs`, `channel/sms/text.rs`).

mod english;
mod german;
#[cfg(test)]
mod reviewed;

use otp_core::{contact::Channel, language::Language, store::ChangeKind};
use time::OffsetDateTime;

use crate::mail::plain::Style;

/// Everything that is said in one language. Without digits, a sentence stands as it is; with an argument it is put in.
#[derive(Debug)]
pub struct Phrases {
    /// The language, for programs that read aloud or translate.
    pub tag: &'static str,
    /// A moment of UTC, to the second.
    pub moment: fn(OffsetDateTime) -> String,
    /// In its place where there is none.
    pub unknown_moment: &'static str,
    /// What a channel is called.
    pub channel: fn(Channel) -> &'static str,
    /// How numbers are written.
    pub style: Style,
    /// The names of what is listed.
    pub names: Names,
    /// The heading over what to do where somebody else was it.
    pub if_not_you: &'static str,
    /// What nobody does.
    pub never_asked: &'static str,
    /// Until when digits count.
    pub valid_until: fn(&str) -> String,
    /// The letter with a code.
    pub code: CodePhrases,
    /// The letter that confirms an address.
    pub confirmation: ConfirmationPhrases,
    /// The letters about a change.
    pub change: ChangePhrases,
    /// Text messages: one segment each.
    pub sms: SmsPhrases,
}

/// The names of what is listed.
#[derive(Debug)]
#[expect(missing_docs, reason = "each is the word for its name")]
pub struct Names {
    pub action: &'static str,
    pub contract: &'static str,
    pub wallet: &'static str,
    pub contact: &'static str,
    /// Before [`Names::more_fields`].
    pub and: &'static str,
    /// So many fields have no room.
    pub more_fields: fn(usize) -> String,
    /// The title of a sign-in, and the name of where to.
    pub sign_in: (&'static str, &'static str),
    /// The title of an action of which only the hash is known, and the hash's name.
    pub blind: (&'static str, &'static str),
}

/// The letter with a code.
#[derive(Debug)]
#[expect(missing_docs, reason = "in the order of the letter")]
pub struct CodePhrases {
    /// For this purpose.
    pub title: fn(&str) -> String,
    /// For this purpose, with this reference.
    pub subject: fn(&str, &str) -> String,
    pub reference: fn(&str) -> String,
    pub authorises: &'static str,
    pub expires: fn(&str) -> String,
    pub how: &'static str,
    pub enter_or_open: &'static str,
    pub open: &'static str,
    pub do_not_enter: &'static str,
    pub open_instead: &'static str,
    pub not_me: &'static str,
}

/// The letter that confirms an address.
#[derive(Debug)]
#[expect(missing_docs, reason = "in the order of the letter")]
pub struct ConfirmationPhrases {
    pub title: &'static str,
    pub subject: &'static str,
    pub enter: &'static str,
    /// So many minutes, until then.
    pub valid: fn(u64, &str) -> String,
    pub not_you: &'static str,
}

/// The letters about a change.
#[derive(Debug)]
#[expect(missing_docs, reason = "in the order of the letters")]
pub struct ChangePhrases {
    pub announced: fn(ChangeKind) -> &'static str,
    /// By this title.
    pub announced_subject: fn(&str) -> String,
    pub takes_effect: fn(&str) -> String,
    pub deletion: &'static str,
    pub cancel: &'static str,
    pub cancel_link: &'static str,
    pub who_asked: &'static str,
    pub if_you: &'static str,
    pub wait_or_enter: &'static str,
    pub digits_title: &'static str,
    pub digits_subject: &'static str,
    pub enter: &'static str,
    pub pass_on_nothing: &'static str,
    pub without: fn(&str) -> String,
    /// Title, and what it means.
    pub done: fn(ChangeKind) -> (&'static str, &'static str),
    pub sessions_ended: &'static str,
    pub who_did: &'static str,
}

/// Text messages. Where there are two, the longer one is sent where it fits.
#[derive(Debug)]
#[expect(missing_docs, reason = "each is a text")]
pub struct SmsPhrases {
    /// Digits, purpose, reference, until then.
    pub code: fn(&str, &str, &str, &str) -> String,
    pub code_warning: &'static str,
    /// Digits, until then.
    pub confirmation_long: fn(&str, &str) -> String,
    pub confirmation: fn(&str) -> String,
    /// The link that cancels it.
    pub announced: fn(ChangeKind, &str) -> String,
    /// Digits.
    pub approve: fn(&str) -> String,
    /// Digits, until then.
    pub change_digits: fn(&str, &str) -> String,
    pub change_digits_warning: &'static str,
    pub done: fn(ChangeKind) -> &'static str,
    pub done_warning: &'static str,
    pub soon: &'static str,
}

/// The words of a language.
#[must_use]
pub const fn of(language: Language) -> &'static Phrases {
    match language {
        Language::English => &english::PHRASES,
        Language::German => &german::PHRASES,
    }
}
