//! `session.*`: how long a sign-in lasts, and under which URLs it is used.

use std::{str::FromStr, time::Duration};

use otp_core::{config::Reader, http::Listening};
use url::Url;

/// `session.*`
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// `session.ttl_seconds`: how long a session lives.
    pub ttl: Duration,
    /// `session.public_urls`: where clients reach this interface, which a proof of a device's key has to name. By default
    /// the address that it listens on.
    pub public_urls: Vec<Url>,
}

struct Base(Url);

impl FromStr for Base {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| "a URL such as https://otp.example/ is expected")?;
        let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        let usable = matches!(url.scheme(), "http" | "https") && url.has_host() && plain;
        if usable { Ok(Self(url)) } else { Err("an http or https URL without user, query and fragment is expected") }
    }
}

pub(super) fn read(reader: &mut Reader, listening: Option<&Listening>) -> Option<SessionConfig> {
    let ttl = reader.seconds("session.ttl_seconds", "900", 1..=86_400);
    let given: Option<Vec<Base>> = reader.list("session.public_urls", Some(""));
    let mut public_urls: Vec<Url> = given?.into_iter().map(|Base(url)| url).collect();
    if public_urls.is_empty() {
        let listening = listening?;
        let scheme = if listening.tls.is_some() { "https" } else { "http" };
        public_urls.extend(Url::parse(&format!("{scheme}://{}", listening.listen)));
    }
    Some(SessionConfig { ttl: ttl?, public_urls })
}
