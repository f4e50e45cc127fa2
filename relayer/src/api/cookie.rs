//! The session's cookie, for pages.

use axum::http::{HeaderMap, header};

use crate::config::Domain;

/// Browsers take the prefix only with Secure, Path=/ and no Domain: no sibling host can plant it.
const OVER_TLS: &str = "__Host-otp-session";
/// For http, which is localhost alone ([`Domain`]): not every browser takes the prefix there.
const IN_CLEAR: &str = "otp-session";

fn name(domain: &Domain) -> &'static str {
    if domain.is_https() { OVER_TLS } else { IN_CLEAR }
}

/// `Set-Cookie` for a session that lives `ttl_s` seconds; 0 takes the cookie away.
pub(super) fn set(domain: &Domain, token: &str, ttl_s: u64) -> String {
    format!("{}={token}; Path=/; Max-Age={ttl_s}; Secure; HttpOnly; SameSite=Strict", name(domain))
}

/// The tokens in a request's cookies: the one for pages over TLS first.
pub(super) fn tokens(headers: &HeaderMap) -> impl Iterator<Item = Cookie<'_>> {
    let pairs = || {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='))
    };
    [OVER_TLS, IN_CLEAR].into_iter().filter_map(move |wanted| {
        let token = pairs().find_map(|(name, token)| (name == wanted).then_some(token))?;
        Some(Cookie { name: wanted, token })
    })
}

/// A cookie with a token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cookie<'a> {
    name: &'static str,
    pub(super) token: &'a str,
}

impl Cookie<'_> {
    /// Whether a session of this page has its cookie under this name: the other one could be planted.
    pub(super) fn is_for(&self, domain: &Domain) -> bool {
        self.name == name(domain)
    }
}
