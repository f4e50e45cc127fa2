//! Mail: letters over SMTP.

use std::time::Duration;

use lettre::{Address, message::Mailbox};
use otp_core::store::Stage;

use super::{ChangeWords, Failure, HandedOver, Message, Words};
use crate::{
    mail::{
        dkim::Signer,
        letter::{
            self, CodeLetter, Letter,
            change::{Approval, Change},
        },
        mime::{self, Envelope},
        smtp::Postman,
    },
    phrases::{self, Phrases},
    progress::Progress,
};

/// Sends letters; cheap to clone.
#[derive(Debug, Clone)]
pub struct Email {
    /// The mail server.
    pub postman: Postman,
    /// The sender.
    pub from: Mailbox,
    /// The time limit of one message.
    pub timeout: Duration,
    /// Who signs, where somebody does.
    pub signer: Option<Signer>,
    /// Whether mail works.
    pub progress: Progress,
}

impl Email {
    /// Hands a message to the mail server.
    ///
    /// # Errors
    /// [`Failure::Email`], or [`Failure::Impossible`] where no mail can be made of it.
    pub async fn send(&self, message: &Message) -> Result<HandedOver, Failure> {
        let sent = self.postman.send(self.mail(message)?).await;
        let up = !matches!(sent, Err(error) if error.is_about_server());
        match (self.progress.mail_is(up), sent) {
            (true, _) if up => tracing::info!("the mail server works again"),
            (true, Err(error)) => {
                let server = self.postman.server();
                tracing::warn!(server, %error, "the mail server fails: messages are tried again until they expire");
            }
            _ => {}
        }
        sent?;
        Ok(HandedOver::Accepted { provider_id: None })
    }

    /// The mail in its MIME form.
    ///
    /// # Errors
    /// [`Failure::Impossible`]
    pub fn mail(&self, message: &Message) -> Result<lettre::Message, Failure> {
        let to: Address = message.address.parse().map_err(|_| Failure::Impossible("the contact is no mail address"))?;
        let envelope = Envelope {
            from: self.from.clone(),
            to: Mailbox::new(None, to),
            message_id: &message.id,
            date_ms: message.created_at_ms,
        };
        let mut mail = mime::message(&write(message), &envelope)
            .map_err(|_| Failure::Impossible("the message cannot be built"))?;
        if let Some(signer) = &self.signer {
            signer
                .sign(&mut mail, message.created_at_ms)
                .map_err(|_| Failure::Impossible("the message cannot be signed"))?;
        }
        Ok(mail)
    }
}

pub(crate) fn write(message: &Message) -> Letter {
    let phrases = phrases::of(message.language);
    match &message.words {
        Words::Code(code) => {
            let letter = CodeLetter {
                digits: &code.digits,
                reference: &code.reference,
                purpose: &code.purpose,
                wallet: message.wallet,
                authorization: &code.authorization,
                expiry: code.expiry,
                link: &code.link,
                report_link: &code.report_link,
            };
            letter::code(&letter, phrases)
        }
        Words::Confirmation { digits } => {
            letter::confirmation(digits, message.created_at_ms, message.expires_at_ms, phrases)
        }
        Words::Change(words) => change(message, words, phrases),
    }
}

fn change(message: &Message, words: &ChangeWords, phrases: &'static Phrases) -> Letter {
    let about = words.about.as_ref().map(|(channel, masked)| (*channel, masked.as_str()));
    let change = Change { kind: words.kind, about, wallet: message.wallet, phrases };
    let approval = Approval { digits: &words.digits, until_ms: words.digits_until_ms };
    match words.stage {
        Stage::Announced => change.announcement(words.due_at_ms, approval, &words.cancel_link),
        Stage::Digits => change.digits(words.due_at_ms, approval),
        Stage::Done => change.done(),
    }
}
