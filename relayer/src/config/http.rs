//! `http.*`: ports, and where people sign in.

use std::str::FromStr;

use otp_core::{
    config::Reader,
    http::{Listening, Ports},
};
use url::Url;

const PORTS: Ports =
    Ports { listen: "127.0.0.1:8080", admin_listen: "127.0.0.1:8081", admin_token_file: "data/relayer-admin.token" };

/// `http.*`
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Ports, TLS, the admin token.
    pub listening: Listening,
    /// `http.domains`: where people sign in.
    pub domains: Vec<Domain>,
}

/// A page that signs people in, given as its URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// RFC 3986 authority, as EIP-4361 has it in its first line.
    pub authority: String,
    /// The URI that a sign-in message must name.
    pub uri: String,
    /// The CORS origin.
    pub origin: String,
}

impl Domain {
    /// Whether the page is served over TLS; one that is not is on this machine.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.uri.starts_with("https:")
    }
}

impl FromStr for Domain {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri = Url::parse(text).map_err(|e| format!("a URI such as https://app.example/ is expected ({e})"))?;
        let local = matches!(uri.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        match uri.scheme() {
            "https" => {}
            "http" if local => {}
            _ => return Err("https is expected; http is for localhost alone".to_owned()),
        }
        let authority = uri.authority().to_owned();
        if authority.is_empty() || authority.contains('@') || uri.fragment().is_some() {
            return Err("a URI with a host and without user or fragment is expected".to_owned());
        }
        Ok(Self { authority, uri: text.to_owned(), origin: uri.origin().ascii_serialization() })
    }
}

pub(super) fn listening(reader: &mut Reader) -> Option<Listening> {
    Listening::read(reader, PORTS)
}

pub(super) fn read(reader: &mut Reader) -> Option<HttpConfig> {
    let listening = listening(reader);
    let domains = reader.list("http.domains", None);
    Some(HttpConfig { listening: listening?, domains: domains? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_https_or_local_and_names_no_user() {
        let domain: Domain = "https://app.example:8443/sign-in".parse().unwrap();
        assert_eq!(
            (domain.authority.as_str(), domain.origin.as_str()),
            ("app.example:8443", "https://app.example:8443")
        );
        assert!("http://localhost:8080/".parse::<Domain>().is_ok());
        for bad in ["app.example", "http://app.example/", "https://user@app.example/", "ftp://app.example/"] {
            assert!(bad.parse::<Domain>().is_err(), "{bad}");
        }
    }
}
