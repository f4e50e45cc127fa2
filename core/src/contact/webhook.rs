//! Webhooks: HTTPS URLs at hosts that everybody can reach.

use std::net::IpAddr;

use url::{Host, Url};

use super::{BadContact, email::mask_host, network::is_public};

const MAX_LENGTH: usize = 2_048;

/// The URL as the WHATWG standard writes it.
pub(super) fn parse(text: &str) -> Result<String, BadContact> {
    let visible = text.bytes().all(|b| b.is_ascii_graphic());
    if text.len() > MAX_LENGTH || !visible || text.contains('\\') {
        return Err(BadContact("a URL of at most 2,048 visible ASCII characters is expected"));
    }
    let url = Url::parse(text).map_err(|_| BadContact("a URL such as https://example.com/hook is expected"))?;
    if url.scheme() != "https" {
        return Err(BadContact("the URL must begin with https://"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(BadContact("the URL must have neither user nor fragment"));
    }
    let at_public_host = match url.host() {
        Some(Host::Domain(name)) => name.contains('.') && !name.ends_with('.'),
        Some(Host::Ipv4(address)) => is_public(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => is_public(IpAddr::V6(address)),
        None => false,
    };
    if at_public_host && url.port() != Some(0) {
        Ok(url.into())
    } else {
        Err(BadContact("the URL's host must be a public one"))
    }
}

/// The host of a URL that was parsed here, a literal IPv6 address in brackets.
pub(super) fn host(url: &str) -> Option<String> {
    Url::parse(url).ok()?.host_str().map(str::to_owned)
}

/// `https://e***.com/***`: a path may be a secret.
pub(super) fn mask(url: &str) -> String {
    format!("https://{}/***", mask_host(&host(url).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_one_form() {
        for (given, kept) in [
            ("https://hooks.example.com", "https://hooks.example.com/"),
            ("HTTPS://Hooks.Example.com:443/a?b=c", "https://hooks.example.com/a?b=c"),
            ("https://hooks.example.com:8443/a", "https://hooks.example.com:8443/a"),
            ("https://8.8.8.8/x", "https://8.8.8.8/x"),
        ] {
            assert_eq!(parse(given).as_deref(), Ok(kept), "{given}");
        }
        assert_eq!(mask("https://hooks.example.com/secret"), "https://h***.com/***");
    }

    #[test]
    fn what_reaches_the_inside_or_carries_a_login_is_refused() {
        let long = format!("https://example.com/{}", "a".repeat(2_048));
        for bad in [
            "",
            "example.com",
            "http://example.com/",
            "ftp://example.com/",
            "javascript:alert(1)",
            "https://",
            "https://user@example.com/",
            "https://user:password@example.com/",
            "https://example.com@127.0.0.1/",
            "https://example.com/#fragment",
            "https://localhost/",
            "https://intranet/",
            "https://example.com./",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://10.0.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://[fd00:ec2::254]/",
            "https://[64:ff9b::7f00:1]/",
            "https://example.com:0/",
            "https://example.com/a b",
            "https://example.com/\r\nHost: x",
            "https:\\\\example.com\\",
            &long,
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
