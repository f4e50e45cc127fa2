//! Contacts, parsed once at the edge: what is one, what may be shown of it, and which count as the same for limits.
//!
//! An address is personal data: nothing here prints it, and a refusal never repeats it.

mod disposable;
mod email;
mod inapp;
pub mod network;
mod phone;
mod webhook;

use std::{fmt, str::FromStr};

use zeroize::Zeroizing;

pub use self::disposable::{BadDomains, Disposable};

/// How a message reaches a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// RFC 5322 address of one recipient.
    Email,
    /// E.164 phone number.
    Sms,
    /// An HTTPS URL.
    Webhook,
    /// An X25519 public key, to which messages are sealed.
    Inapp,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Email, Self::Sms, Self::Webhook, Self::Inapp];

    /// The word of the interface and of the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Webhook => "webhook",
            Self::Inapp => "inapp",
        }
    }
}

/// The word names no channel.
#[derive(Debug, thiserror::Error)]
#[error("email, sms, webhook or inapp is expected")]
pub struct BadChannel;

impl FromStr for Channel {
    type Err = BadChannel;

    fn from_str(word: &str) -> Result<Self, BadChannel> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == word).ok_or(BadChannel)
    }
}

impl TryFrom<String> for Channel {
    type Error = BadChannel;

    fn try_from(word: String) -> Result<Self, BadChannel> {
        word.parse()
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An address is refused; the text is meant for whoever gave it and does not repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadContact(&'static str);

/// An address in the one form in which it is stored, looked up and sent to.
pub struct Contact {
    channel: Channel,
    address: Zeroizing<String>,
}

impl Contact {
    /// Parses what a person entered.
    ///
    /// # Errors
    /// When it is no address of this channel. Whether a webhook's host is public is asked at its resolution
    /// ([`network::resolve_public`]).
    pub fn parse(channel: Channel, text: &str) -> Result<Self, BadContact> {
        let address = match channel {
            Channel::Email => email::parse(text),
            Channel::Sms => phone::parse(text),
            Channel::Webhook => webhook::parse(text),
            Channel::Inapp => inapp::parse(text),
        }?;
        Ok(Self { channel, address: Zeroizing::new(address) })
    }

    /// Over which channel.
    #[must_use]
    pub const fn channel(&self) -> Channel {
        self.channel
    }

    /// The address, to be sealed, hashed and sent to.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.address
    }

    /// What may be shown of it.
    #[must_use]
    pub fn masked(&self) -> String {
        mask(self.channel, &self.address)
    }

    /// The same for addresses that reach one mailbox, number or host under several spellings: for limits alone, since
    /// not every provider folds them.
    #[must_use]
    pub fn limit_key(&self) -> Zeroizing<String> {
        let folded = match self.channel {
            Channel::Email => email::fold(&self.address),
            Channel::Webhook => webhook::host(&self.address).unwrap_or_default(),
            Channel::Sms | Channel::Inapp => self.address.to_string(),
        };
        Zeroizing::new(format!("{}\0{folded}", self.channel))
    }

    /// Host and port of a webhook, the domain of an e-mail address; `None` where the channel has no host.
    #[must_use]
    pub fn host(&self) -> Option<String> {
        match self.channel {
            Channel::Email => self.address.rsplit_once('@').map(|(_, domain)| domain.to_owned()),
            Channel::Webhook => webhook::host(&self.address),
            Channel::Sms | Channel::Inapp => None,
        }
    }
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contact({}, [redacted])", self.channel)
    }
}

/// What may be shown of a stored address: enough to tell one's own apart.
#[must_use]
pub fn mask(channel: Channel, address: &str) -> String {
    match channel {
        Channel::Email => email::mask(address),
        Channel::Sms => phone::mask(address),
        Channel::Webhook => webhook::mask(address),
        Channel::Inapp => inapp::mask(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_prints_no_address() {
        let contact = Contact::parse(Channel::Email, "alice@example.com").unwrap();
        assert_eq!(format!("{contact:?}"), "Contact(email, [redacted])");
    }

    #[test]
    fn channels_have_one_word_each() {
        for channel in Channel::ALL {
            assert_eq!(channel.as_str().parse::<Channel>().unwrap(), channel);
        }
        for bad in ["", "Email", "mail", "email ", "in-app"] {
            assert!(bad.parse::<Channel>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn spellings_of_one_mailbox_share_a_limit_and_other_channels_never_do() {
        let key = |channel, text| Contact::parse(channel, text).unwrap().limit_key();
        let alice = key(Channel::Email, "alice@example.com");
        for same in ["Alice@EXAMPLE.com", "alice+otp@example.com", "a.l.i.c.e@example.com", "al.ice+a+b@example.com"] {
            assert_eq!(key(Channel::Email, same), alice, "{same}");
        }
        assert_ne!(key(Channel::Email, "alicia@example.com"), alice);
        assert_ne!(key(Channel::Email, "alice@example.org"), alice);
        assert_eq!(
            key(Channel::Webhook, "https://hooks.example.com/a"),
            key(Channel::Webhook, "https://HOOKS.example.com:8443/b")
        );
        assert_ne!(key(Channel::Sms, "+4930123456"), key(Channel::Sms, "+4930123457"));
    }
}
