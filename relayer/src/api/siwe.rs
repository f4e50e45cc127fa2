//! Sign-In with Ethereum (EIP-4361): which messages are accepted. Signatures are those of externally owned accounts
//! (EIP-191). Whether the nonce is ours is the store's to say.

use alloy::primitives::{Address, Signature};
use signinwithethereum::Message;
use time::{Duration, OffsetDateTime};
use url::Url;

use crate::config::Domain;

const MAX_MESSAGE: usize = 4 * 1024;
const MAX_AGE: Duration = Duration::minutes(10);
/// How far a wallet's clock may run ahead of ours.
const MAX_AHEAD: Duration = Duration::seconds(60);

/// A message that its wallet signed and that is meant for us.
#[derive(Debug)]
pub(super) struct SignIn<'a> {
    pub(super) wallet: Address,
    pub(super) nonce: String,
    pub(super) domain: &'a Domain,
}

/// Which check failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// The field.
    pub(super) check: &'static str,
    /// What is expected of it.
    pub(super) detail: &'static str,
}

/// What messages are checked against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) domains: &'a [Domain],
    pub(super) chain_id: u64,
    /// The request's `Origin`; only browsers send one.
    pub(super) origin: Option<&'a str>,
    pub(super) now: OffsetDateTime,
}

impl<'a> Expected<'a> {
    /// Checks everything but the nonce's origin. The version is checked by the parser, which knows no other than 1.
    pub(super) fn check(&self, text: &str, signature: &str) -> Result<SignIn<'a>, Refused> {
        if text.len() > MAX_MESSAGE {
            return Err(Refused { check: "size", detail: "the message is longer than 4096 bytes" });
        }
        let message: Message = text
            .parse()
            .map_err(|_| Refused { check: "format", detail: "this is no EIP-4361 message of version 1" })?;
        let domain = self.domain(&message)?;
        if message.chain_id != self.chain_id {
            return Err(Refused { check: "chain-id", detail: "Chain ID is not the one that GET /v1/config names" });
        }
        self.check_times(&message)?;
        let wallet = Address::from(message.address);
        // The bytes as they were sent: what was parsed from them is what was signed.
        let signer = parse_signature(signature).and_then(|s| s.recover_address_from_msg(text).ok());
        if signer != Some(wallet) {
            let detail = "the signature is not 65 bytes of 0x-hex by the message's address over the message (EIP-191)";
            return Err(Refused { check: "signature", detail });
        }
        Ok(SignIn { wallet, nonce: message.nonce, domain })
    }

    fn domain(&self, message: &Message) -> Result<&'a Domain, Refused> {
        let authority = message.domain.as_str();
        let mut known = self.domains.iter().filter(|domain| domain.authority == authority).peekable();
        if known.peek().is_none() {
            return Err(Refused { check: "domain", detail: "the domain is none that GET /v1/config names" });
        }
        let uri = Url::parse(message.uri.as_str()).ok();
        let domain = known.find(|domain| uri.is_some() && Url::parse(&domain.uri).ok() == uri);
        let domain = domain
            .ok_or(Refused { check: "uri", detail: "URI is not the one that GET /v1/config names for this domain" })?;
        let scheme = domain.uri.split("://").next();
        if message.scheme.as_deref().is_some_and(|given| Some(given) != scheme) {
            return Err(Refused { check: "scheme", detail: "the scheme is not the one of the domain's URI" });
        }
        if self.origin.is_some_and(|origin| origin != domain.origin) {
            return Err(Refused { check: "origin", detail: "the page that sent this is not the one in the message" });
        }
        Ok(domain)
    }

    fn check_times(&self, message: &Message) -> Result<(), Refused> {
        let issued_at = *message.issued_at.as_ref();
        if issued_at > self.now + MAX_AHEAD {
            return Err(Refused { check: "issued-at", detail: "Issued At lies in the future; check the clock" });
        }
        if issued_at < self.now - MAX_AGE {
            return Err(Refused { check: "issued-at", detail: "Issued At is more than ten minutes ago" });
        }
        if message.expiration_time.as_ref().is_some_and(|time| *time.as_ref() <= self.now) {
            return Err(Refused { check: "expiration-time", detail: "Expiration Time has passed" });
        }
        if message.not_before.as_ref().is_some_and(|time| *time.as_ref() > self.now) {
            return Err(Refused { check: "not-before", detail: "Not Before has not come yet" });
        }
        Ok(())
    }
}

fn parse_signature(text: &str) -> Option<Signature> {
    let bytes = hex::decode(text.strip_prefix("0x")?).ok()?;
    Signature::from_raw(&bytes).ok()
}
