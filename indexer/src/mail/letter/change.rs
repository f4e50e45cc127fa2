//! Letters about a change of an account's contacts, or its deletion: that it waits, further digits to approve it, and that
//! it was made.

use alloy::primitives::Address;
use otp_core::{code::Digits, store::ChangeKind};

use super::{Body, Letter, moment, room};
use crate::mail::plain;

/// What changes, for everybody who is told of it.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// What.
    pub kind: ChangeKind,
    /// Channel and masked address of the contact that comes or goes; `None` for a deletion.
    pub about: Option<(&'a str, &'a str)>,
    /// The account's wallet.
    pub wallet: Address,
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
        let title = match self.kind {
            ChangeKind::Add => "A contact is to be added",
            ChangeKind::Remove => "A contact is to be removed",
            ChangeKind::DeleteAccount => "Your account is to be deleted",
        };
        let lines = self.lines();
        let mut body = Body::new(title, room(&[link], &lines));
        body.list(&lines);
        body.line(&format!("It takes effect at {}, unless you cancel it.", moment(seconds(due_at_ms))));
        if self.kind == ChangeKind::DeleteAccount {
            body.line("Contacts, and all that codes are made from, are then erased. What is on the chain stays.");
        }
        body.heading("If this was not you");
        body.line("Open this link and press the button there: nothing changes, and all sessions of your wallet end.");
        body.link(link, "Cancel this change");
        body.line(
            "Whoever asked for it holds your wallet key or took over a session, and can ask again: move what the \
                   wallet holds to a new one.",
        );
        body.heading("If this was you");
        body.line("You can wait. Or enter these digits where you asked for the change, and it takes effect at once:");
        body.digits(approval.digits);
        body.line(&format!("They are valid until {}.", moment(seconds(approval.until_ms))));
        body.line("Nobody will ever ask you for these digits.");
        body.finish(format!("{title}: cancel it if this was not you"))
    }

    /// Further digits for a change that was announced.
    #[must_use]
    pub fn digits(&self, due_at_ms: i64, approval: Approval<'_>) -> Letter {
        let lines = self.lines();
        let mut body = Body::new("Digits to approve a change", room(&[], &lines));
        body.digits(approval.digits);
        body.list(&lines);
        body.line("Enter the digits where you asked for the change, and it takes effect at once.");
        body.line(&format!("They are valid until {}.", moment(seconds(approval.until_ms))));
        body.heading("If this was not you");
        body.line(
            "Do not pass the digits on to anybody. The message that announced this change has a link to cancel it.",
        );
        body.line(&format!("Without it, the change takes effect at {}.", moment(seconds(due_at_ms))));
        body.finish("Digits to approve a change of your account".to_owned())
    }

    /// A change was made.
    #[must_use]
    pub fn done(&self) -> Letter {
        let (title, text) = match self.kind {
            ChangeKind::Add => ("A contact was added", "One-time codes for your wallet can go there from now on."),
            ChangeKind::Remove => ("A contact was removed", "One-time codes for your wallet go there no more."),
            ChangeKind::DeleteAccount => (
                "Your account was deleted",
                "Its contacts, and all that codes are made from, are erased within the next hours. What is on the chain \
                 stays. Whoever signs in with the wallet again begins a new account.",
            ),
        };
        let lines = self.lines();
        let mut body = Body::new(title, room(&[], &lines));
        body.list(&lines);
        body.line(text);
        body.line("All other sessions of the wallet have ended.");
        body.heading("If this was not you");
        body.line("Whoever did it holds your wallet key: move what the wallet holds to a new one.");
        body.finish(title.to_owned())
    }

    fn lines(&self) -> Vec<(String, String)> {
        let mut lines = Vec::new();
        if let Some((channel, masked)) = self.about {
            lines.push(("Contact".to_owned(), format!("{} {}", plain::name(channel), plain::value(masked))));
        }
        lines.push(("Wallet".to_owned(), plain::own(&self.wallet.to_checksum(None))));
        lines
    }
}

fn seconds(unix_ms: i64) -> u64 {
    unix_ms.max(0).unsigned_abs() / 1_000
}
