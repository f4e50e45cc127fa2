//! English.

use otp_core::store::ChangeKind;
use time::macros::format_description;

use super::{ChangePhrases, CodePhrases, ConfirmationPhrases, Names, Phrases, SmsPhrases};
use crate::mail::plain::Style;

pub(super) static PHRASES: Phrases = Phrases {
    tag: "en",
    moment: |moment| {
        let format = format_description!("[hour]:[minute]:[second] UTC on [day padding:none] [month repr:long] [year]");
        moment.format(format).unwrap_or_default()
    },
    unknown_moment: "an unknown time",
    channel: otp_core::contact::Channel::as_str,
    style: Style { thousands: ',', in_all: |count| format!("({count} characters in all)") },
    names: Names {
        action: "Action",
        contract: "Contract",
        wallet: "Wallet",
        contact: "Contact",
        and: "and",
        more_fields: |count| format!("{count} more fields that this message has no room for"),
        sign_in: ("Sign in", "to"),
        blind: ("An action that cannot be shown", "action"),
    },
    if_not_you: "If this was not you",
    never_asked: "Nobody will ever ask you for these digits.",
    valid_until: |moment| format!("They are valid until {moment}."),
    code: CodePhrases {
        title: |purpose| format!("Your code for {purpose}"),
        subject: |purpose, reference| format!("Your one-time code for {purpose} (reference {reference})"),
        reference: |reference| format!("Reference: {reference}. The page that asked for the code shows the same one."),
        authorises: "What it authorises",
        expires: |moment| format!("It expires at {moment}."),
        how: "How to use it",
        enter_or_open: "Enter the digits where you asked for them, or open this link, which carries the whole code:",
        open: "Open the page with the whole code",
        do_not_enter: "Do not enter the code, and do not open the link above: whoever asked for it holds your wallet key.",
        open_instead: "Open this one instead, which locks and revokes the code and ends all sessions of your wallet:",
        not_me: "This was not me",
    },
    confirmation: ConfirmationPhrases {
        title: "Confirm this address",
        subject: "Confirm your address for one-time codes",
        enter: "Enter the digits where you added this address. One-time codes for your wallet will then come here.",
        valid: |minutes, until| format!("They are valid for {minutes} minutes, until {until}."),
        not_you: "Do not pass the digits on to anybody: somebody has entered your address by mistake or to deceive you.",
    },
    change: ChangePhrases {
        announced: |kind| match kind {
            ChangeKind::Add => "A contact is to be added",
            ChangeKind::Remove => "A contact is to be removed",
            ChangeKind::DeleteAccount => "Your account is to be deleted",
        },
        announced_subject: |title| format!("{title}: cancel it if this was not you"),
        takes_effect: |moment| format!("It takes effect at {moment}, unless you cancel it."),
        deletion: "Contacts, and all that codes are made from, are then erased. What is on the chain stays.",
        cancel: "Open this link and press the button there: nothing changes, and all sessions of your wallet end.",
        cancel_link: "Cancel this change",
        who_asked: "Whoever asked for it holds your wallet key or took over a session, and can ask again: move what the \
                    wallet holds to a new one.",
        if_you: "If this was you",
        wait_or_enter: "You can wait. Or enter these digits where you asked for the change, and it takes effect at once:",
        digits_title: "Digits to approve a change",
        digits_subject: "Digits to approve a change of your account",
        enter: "Enter the digits where you asked for the change, and it takes effect at once.",
        pass_on_nothing: "Do not pass the digits on to anybody. The message that announced this change has a link to \
                          cancel it.",
        without: |moment| format!("Without it, the change takes effect at {moment}."),
        done: |kind| match kind {
            ChangeKind::Add => ("A contact was added", "One-time codes for your wallet can go there from now on."),
            ChangeKind::Remove => ("A contact was removed", "One-time codes for your wallet go there no more."),
            ChangeKind::DeleteAccount => (
                "Your account was deleted",
                "Its contacts, and all that codes are made from, are erased within the next hours. What is on the chain \
                 stays. Whoever signs in with the wallet again begins a new account.",
            ),
        },
        sessions_ended: "All other sessions of the wallet have ended.",
        who_did: "Whoever did it holds your wallet key: move what the wallet holds to a new one.",
    },
    sms: SmsPhrases {
        code: |digits, purpose, reference, until| {
            format!("Code {digits} for {purpose}, ref {reference}, until {until} UTC.")
        },
        code_warning: "Nobody will ever ask you for it.",
        confirmation_long: |digits, until| {
            format!("Code {digits} confirms this number for one-time codes, until {until} UTC. Pass it on to nobody.")
        },
        confirmation: |digits| format!("Code {digits} confirms this number."),
        announced: |kind, link| {
            let change = match kind {
                ChangeKind::Add => "A contact will be added.",
                ChangeKind::Remove => "A contact will be removed.",
                ChangeKind::DeleteAccount => "Your account will be deleted.",
            };
            format!("{change} Not you? Cancel: {link}")
        },
        approve: |digits| format!("Or approve it: {digits}"),
        change_digits: |digits, until| format!("Code {digits} approves a change of your account, until {until} UTC."),
        change_digits_warning: "Not you? Tell nobody.",
        done: |kind| match kind {
            ChangeKind::Add => "A contact was added to your account for one-time codes.",
            ChangeKind::Remove => "A contact was removed from your account for one-time codes.",
            ChangeKind::DeleteAccount => "Your account for one-time codes was deleted.",
        },
        done_warning: "Not you? Move what your wallet holds to a new one.",
        soon: "soon",
    },
};
