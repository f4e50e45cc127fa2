//! Letters about a change of an account's contacts, or its deletion: that it waits, further digits to approve it, and that
//! it was made.

use alloy::primitives::Address;
use otp_core::{code::Digits, contact::Channel, store::ChangeKind};

use super::{Body, Letter, moment, room};
use crate::{mail::plain, phrases::Phrases};

/// What changes, for everybody who is told of it.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// What.
    pub kind: ChangeKind,
    /// Channel and masked address of the contact that comes or goes; `None` for a deletion.
    pub about: Option<(Channel, &'a str)>,
    /// The account's wallet.
    pub wallet: Address,
    /// What it is told in.
    pub phrases: &'static Phrases,
}

/// What approves a change, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Approval<'a> {
    /// What the person types.
    pub digits: &'a Digits,
    /// Unix milliseconds.
    pub until_ms: i64,
}

impl Change<'_> {
    /// A change waits until `due_at_ms` (Unix milliseconds); `link` cancels it.
    #[must_use]
    pub fn announcement(&self, due_at_ms: i64, approval: Approval<'_>, link: &str) -> Letter {
        let words = &self.phrases.change;
        let title = (words.announced)(self.kind);
        let lines = self.lines();
        let mut body = Body::new(self.phrases, title, room(&[link], &lines));
        body.list(&lines);
        body.line(&(words.takes_effect)(&self.moment(due_at_ms)));
        if self.kind == ChangeKind::DeleteAccount {
            body.line(words.deletion);
        }
        body.heading(self.phrases.if_not_you);
        body.line(words.cancel);
        body.link(link, words.cancel_link);
        body.line(words.who_asked);
        body.heading(words.if_you);
        body.line(words.wait_or_enter);
        body.digits(approval.digits);
        body.line(&(self.phrases.valid_until)(&self.moment(approval.until_ms)));
        body.line(self.phrases.never_asked);
        body.finish((words.announced_subject)(title))
    }

    /// Further digits for a change that was announced.
    #[must_use]
    pub fn digits(&self, due_at_ms: i64, approval: Approval<'_>) -> Letter {
        let words = &self.phrases.change;
        let lines = self.lines();
        let mut body = Body::new(self.phrases, words.digits_title, room(&[], &lines));
        body.digits(approval.digits);
        body.list(&lines);
        body.line(words.enter);
        body.line(&(self.phrases.valid_until)(&self.moment(approval.until_ms)));
        body.heading(self.phrases.if_not_you);
        body.line(words.pass_on_nothing);
        body.line(&(words.without)(&self.moment(due_at_ms)));
        body.finish(words.digits_subject.to_owned())
    }

    /// A change was made.
    #[must_use]
    pub fn done(&self) -> Letter {
        let words = &self.phrases.change;
        let (title, text) = (words.done)(self.kind);
        let lines = self.lines();
        let mut body = Body::new(self.phrases, title, room(&[], &lines));
        body.list(&lines);
        body.line(text);
        body.line(words.sessions_ended);
        body.heading(self.phrases.if_not_you);
        body.line(words.who_did);
        body.finish(title.to_owned())
    }

    fn lines(&self) -> Vec<(String, String)> {
        let (names, style) = (&self.phrases.names, &self.phrases.style);
        let mut lines = Vec::new();
        if let Some((channel, masked)) = self.about {
            let channel = (self.phrases.channel)(channel);
            lines.push((names.contact.to_owned(), format!("{channel} {}", plain::value(masked, style))));
        }
        lines.push((names.wallet.to_owned(), plain::own(&self.wallet.to_checksum(None), style)));
        lines
    }

    fn moment(&self, unix_ms: i64) -> String {
        moment(unix_ms.max(0).unsigned_abs() / 1_000, self.phrases)
    }
}
