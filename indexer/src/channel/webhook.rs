//! Webhooks: the document as JSON to a person's own HTTPS URL, signed so that nobody else can speak in our name.
//!
//! The URL is a stranger's choice, so it must not be a way in (SSRF): HTTPS alone, no redirect, no proxy, and the addresses
//! that are connected to are the very ones that were looked at: the client has no other resolver.

use std::{net::IpAddr, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use otp_core::{
    clock::now_ms,
    contact::network::{is_public, resolve_public},
};
use reqwest::{
    Certificate, Client,
    dns::{Addrs, Name, Resolve, Resolving},
    header,
};
use sha2::Sha256;
use url::{Host, Url};

use super::{
    Failure, HandedOver, Message, document,
    http::{self, HttpFailure},
};

/// Unix seconds of this attempt; receivers refuse what is older than five minutes.
pub const TIMESTAMP: &str = "otp-timestamp";
/// `v1=` and HMAC-SHA-256 over timestamp, dot and body, in hex.
pub const SIGNATURE: &str = "otp-signature";

/// Posts documents; cheap to clone.
#[derive(Debug, Clone)]
pub struct Webhook {
    client: Client,
    /// `webhook.timeout_ms`
    pub timeout: Duration,
}

/// Resolves a name where all of its addresses are public, and not otherwise.
#[derive(Debug, Clone, Copy)]
pub struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The port is the URL's: the client puts it in.
            let found = resolve_public(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

impl Webhook {
    /// For public addresses and the certificates that this machine trusts.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(timeout: Duration) -> Result<Self, reqwest::Error> {
        Self::reaching(PublicOnly, None, timeout)
    }

    /// The same with another resolver, and one certificate that is trusted beside: tests have their receivers on loopback.
    ///
    /// # Errors
    /// As [`Webhook::new`].
    pub fn reaching(
        resolver: impl Resolve + 'static,
        trusted: Option<Certificate>,
        timeout: Duration,
    ) -> Result<Self, reqwest::Error> {
        let client = http::client(timeout).https_only(true).dns_resolver(resolver);
        Ok(Self { client: client.tls_certs_merge(trusted).build()?, timeout })
    }

    /// Posts a message.
    ///
    /// # Errors
    /// [`Failure::Http`], or [`Failure::Impossible`] where it cannot go there at all.
    pub async fn send(&self, message: &Message) -> Result<HandedOver, Failure> {
        let url = Url::parse(&message.address).map_err(|_| Failure::Impossible("the contact is no URL"))?;
        // No resolver is asked about a literal address.
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            _ => None,
        };
        if literal.is_some_and(|address| !is_public(address)) {
            return Err(Failure::Impossible("the contact's host is not public"));
        }
        let body = document::write(message)?;
        let timestamp = (now_ms() / 1_000).to_string();
        let signature = sign(message.webhook_secret.expose().as_bytes(), &timestamp, &body)?;
        let request = self
            .client
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", &message.id)
            .header(TIMESTAMP, timestamp)
            .header(SIGNATURE, signature)
            .body(body.to_vec());
        let answer = request.send().await.map_err(|error| HttpFailure::of("webhook", &error))?;
        let status = answer.status();
        // The body is not read: it says nothing that we need.
        match status {
            status if status.is_success() => Ok(HandedOver::Accepted { provider_id: None }),
            status if http::is_passing(status) => Err(http::later(&answer).into()),
            status => Err(HttpFailure::Refused(status.as_u16()).into()),
        }
    }
}

fn sign(secret: &[u8], timestamp: &str, body: &[u8]) -> Result<String, Failure> {
    let mac =
        Hmac::<Sha256>::new_from_slice(secret).map_err(|_| Failure::Impossible("the webhook's secret is none"))?;
    let mac = mac.chain_update(timestamp).chain_update(b".").chain_update(body).finalize();
    Ok(format!("v1={}", hex::encode(mac.into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `printf '1700000000.{}' | openssl dgst -sha256 -hmac whsec_00`.
    #[test]
    fn a_signature_is_what_openssl_gives() {
        let signature = sign(b"whsec_00", "1700000000", b"{}").unwrap();
        assert_eq!(signature, "v1=c791ae52b1eb1cbec8b09acda76af1aa69e37fcc2005fa9b8cdd04295fb15583");
    }

    #[tokio::test]
    async fn names_of_the_inside_do_not_resolve() {
        for name in ["localhost", "name.invalid"] {
            assert!(PublicOnly.resolve(name.parse().unwrap()).await.is_err(), "{name}");
        }
    }
}
