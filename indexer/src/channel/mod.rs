//! One sender per channel. What a message says was composed and held against the chain before (`compose.rs`); here it
//! gets the form of its channel and is handed over, outside of any transaction.

pub mod document;
pub mod email;
pub mod http;
pub mod inapp;
pub mod sms;
pub mod webhook;

use std::time::Duration;

use alloy::primitives::{Address, B256};
use otp_core::{
    authorization::Authorization,
    code::{Digits, LinkToken, WebhookSecret},
    contact::Channel,
    inapp::Sealed,
    language::Language,
    store::{ChangeKind, Stage},
};
use uuid::Uuid;
use zeroize::Zeroizing;

use self::{email::Email, http::HttpFailure, inapp::Inapp, sms::Sms, webhook::Webhook};
use crate::mail::smtp::SendError;

/// What is to be said, to whom. It has no `Debug`: it holds digits and an address.
pub struct Message {
    /// The one id that this message ever has.
    pub id: String,
    /// When it was first due, in Unix milliseconds.
    pub created_at_ms: i64,
    /// When it is worth nothing any more, in Unix milliseconds: of chain time for a code.
    pub expires_at_ms: i64,
    /// What it is written in.
    pub language: Language,
    /// To which contact.
    pub contact_id: Uuid,
    /// The contact's address, as it was parsed at the edge.
    pub address: Zeroizing<String>,
    /// The account's wallet.
    pub wallet: Address,
    /// What the message is signed with, should it go to a webhook.
    pub webhook_secret: WebhookSecret,
    /// What it says.
    pub words: Words,
}

/// What a message says, before it has a form.
pub enum Words {
    /// A code that stands on the canonical chain.
    Code(Box<CodeWords>),
    /// Digits that confirm the contact.
    Confirmation {
        /// What the person types.
        digits: Digits,
    },
    /// A change of the account's contacts, or its deletion.
    Change(ChangeWords),
}

/// A code and what it is good for.
pub struct CodeWords {
    /// What the person types.
    pub digits: Digits,
    /// What tells two codes apart.
    pub reference: String,
    /// Which policy.
    pub purpose: String,
    /// The code's id on the chain.
    pub on_chain_id: B256,
    /// Who issued.
    pub issuer: Address,
    /// What it authorises.
    pub authorization: Authorization,
    /// Unix seconds of chain time.
    pub expiry: u64,
    /// The link with the full code.
    pub link: Zeroizing<String>,
    /// The link for whoever did not ask for it.
    pub report_link: Zeroizing<String>,
}

/// What becomes of a change.
pub struct ChangeWords {
    /// The change.
    pub change_id: Uuid,
    /// What changes.
    pub kind: ChangeKind,
    /// What is said of it.
    pub stage: Stage,
    /// Channel and masked address of the contact that comes or goes; `None` for a deletion.
    pub about: Option<(Channel, String)>,
    /// When it is made unless it is cancelled, in Unix milliseconds.
    pub due_at_ms: i64,
    /// What approves it; worth nothing once it was made.
    pub digits: Digits,
    /// Until when they do, in Unix milliseconds.
    pub digits_until_ms: i64,
    /// What this contact cancels it by.
    pub cancel_token: LinkToken,
    /// The link that carries the token.
    pub cancel_link: Zeroizing<String>,
}

/// What became of a message that was handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandedOver {
    /// The other side has it.
    Accepted {
        /// What it calls the message, to be asked about later.
        provider_id: Option<String>,
    },
    /// It is to be kept here until it is fetched.
    Keep(Sealed),
}

/// Why a message did not go out. No text of another party is kept: it repeats addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It never can: this is told to operators, not to the requester.
    #[error("{0}")]
    Impossible(&'static str),
    /// A value is sealed with a data key that was made a moment ago and is not to be had yet.
    #[error("a data key is not loaded yet")]
    KeyNotLoaded,
    /// The mail server's doing.
    #[error(transparent)]
    Email(#[from] SendError),
    /// A provider's or a receiver's doing.
    #[error(transparent)]
    Http(#[from] HttpFailure),
}

impl Failure {
    /// Whether the same message may go out later.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::Impossible(_) => false,
            Self::KeyNotLoaded => true,
            Self::Email(error) => error.is_retryable(),
            Self::Http(failure) => failure.is_retryable(),
        }
    }

    /// When the other side wants to be asked again.
    #[must_use]
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Http(failure) => failure.retry_after(),
            _ => None,
        }
    }

    /// Whether nobody knows if the other side has the message all the same.
    #[must_use]
    pub const fn is_without_answer(self) -> bool {
        matches!(self, Self::Email(SendError::NoAnswer(_)) | Self::Http(HttpFailure::NoAnswer(_)))
    }
}

/// The senders that are configured; cheap to clone.
#[derive(Debug, Clone)]
pub struct Channels {
    /// Mail.
    pub email: Email,
    /// Text messages, where a provider is configured.
    pub sms: Option<Sms>,
    /// People's own URLs, where they are allowed.
    pub webhook: Option<Webhook>,
    /// Messages that are kept here.
    pub inapp: Inapp,
}

impl Channels {
    /// How long handing a message over takes at most, over whichever channel.
    #[must_use]
    pub fn longest(&self) -> Duration {
        let sms = self.sms.as_ref().map_or(Duration::ZERO, |sms| sms.timeout);
        let webhook = self.webhook.as_ref().map_or(Duration::ZERO, |webhook| webhook.timeout);
        self.email.timeout.max(sms).max(webhook)
    }

    /// Gives a message its channel's form and hands it over.
    ///
    /// # Errors
    /// When it was not taken, or nobody knows whether it was.
    pub async fn hand_over(&self, channel: Channel, message: &Message) -> Result<HandedOver, Failure> {
        let missing = Failure::Impossible("there is no sender for this channel: configure it at the indexer");
        match channel {
            Channel::Email => self.email.send(message).await,
            Channel::Sms => self.sms.as_ref().ok_or(missing)?.send(message).await,
            Channel::Webhook => self.webhook.as_ref().ok_or(missing)?.send(message).await,
            Channel::Inapp => self.inapp.seal(message),
        }
    }
}
