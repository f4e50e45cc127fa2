//! Sign-In with Ethereum (EIP-4361): which messages are accepted ([`Expected::check`]), and whose signature counts
//! ([`signature::check`]). Whether the nonce is ours, and still unused, is asked elsewhere.

pub(super) mod contract;
mod grammar;
pub(super) mod signature;
#[cfg(test)]
mod vectors;

use alloy::primitives::Address;
use signinwithethereum::Message;
use time::{Duration, OffsetDateTime};
use url::Url;

use super::nonce;
use crate::config::Domain;

/// How far a wallet's clock may differ from ours.
const SKEW: Duration = Duration::seconds(60);

/// A message that is meant for us. Its signature is still to be checked.
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
    /// Checks everything that the message itself says but its nonce.
    pub(super) fn check(&self, text: &str) -> Result<SignIn<'a>, Refused> {
        let message = grammar::parse(text)?;
        let domain = self.domain(&message)?;
        if message.chain_id != self.chain_id {
            return Err(Refused { check: "chain-id", detail: "Chain ID is not the one that GET /v1/config names" });
        }
        self.check_age(&message)?;
        self.check_window(&message)?;
        Ok(SignIn { wallet: Address::from(message.address), nonce: message.nonce, domain })
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

    /// The message was made for a nonce, so it is no older than a nonce can be.
    fn check_age(&self, message: &Message) -> Result<(), Refused> {
        let issued_at = *message.issued_at.as_ref();
        if issued_at > self.now + SKEW {
            return Err(Refused { check: "issued-at", detail: "Issued At lies in the future; check the clock" });
        }
        if issued_at < self.now - nonce::TTL - SKEW {
            return Err(Refused { check: "issued-at", detail: "Issued At is longer ago than a nonce lives" });
        }
        Ok(())
    }

    fn check_window(&self, message: &Message) -> Result<(), Refused> {
        if message.expiration_time.as_ref().is_some_and(|time| *time.as_ref() <= self.now) {
            return Err(Refused { check: "expiration-time", detail: "Expiration Time has passed" });
        }
        if message.not_before.as_ref().is_some_and(|time| *time.as_ref() > self.now) {
            return Err(Refused { check: "not-before", detail: "Not Before has not come yet" });
        }
        Ok(())
    }
}
