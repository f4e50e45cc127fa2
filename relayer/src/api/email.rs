//! E-mail addresses as contacts: parsed once, here.

use email_address::{EmailAddress, Options};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// RFC 5321's longest path, without its brackets.
const MAX_LENGTH: usize = 254;

/// One recipient's address, its domain in lower case. Never shown whole.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Email(String);

impl Email {
    /// Parses an address; the refusal is meant for the requester and does not repeat it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > MAX_LENGTH {
            return Err("the address is longer than 254 bytes");
        }
        if !text.is_ascii() {
            return Err("the address has characters outside ASCII; write an international domain in its xn-- form");
        }
        // Quoted local parts can hold spaces, commas and a second '@', which other mail software takes apart otherwise.
        if text.bytes().any(|b| b.is_ascii_control() || matches!(b, b' ' | b'"' | b',' | b';' | b'<' | b'>')) {
            return Err("one plain address such as name@example.com is expected");
        }
        let options = Options::default().without_display_text().without_domain_literal().with_required_tld();
        let address = EmailAddress::parse_with_options(text, options)
            .map_err(|_| "one plain address such as name@example.com is expected")?;
        Ok(Self(format!("{}@{}", address.local_part(), address.domain().to_ascii_lowercase())))
    }

    /// The address, to be sealed and hashed.
    pub(super) const fn expose(&self) -> &str {
        self.0.as_str()
    }

    /// What its owner may see of it.
    pub(super) fn masked(&self) -> String {
        mask(&self.0)
    }
}

/// `a***@e***.com`: enough to tell one's own addresses apart.
pub(super) fn mask(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let first = |text: &str| text.chars().next().map(String::from).unwrap_or_default();
    let end = domain.rsplit_once('.').map(|(_, end)| format!(".{end}")).unwrap_or_default();
    format!("{}***@{}***{end}", first(local), first(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_addresses_pass_and_domains_are_lower_cased() {
        for (given, kept) in [
            ("alice@example.com", "alice@example.com"),
            ("Alice+otp@EXAMPLE.Com", "Alice+otp@example.com"),
            ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
        ] {
            assert_eq!(Email::parse(given).ok().unwrap().expose(), kept);
        }
    }

    #[test]
    fn whatever_could_reach_a_second_recipient_or_header_is_refused() {
        let long = format!("{}@{}.com", "a".repeat(60), "b".repeat(200));
        for bad in [
            "",
            "alice",
            "@example.com",
            "alice@",
            "alice@localhost",
            "alice@[127.0.0.1]",
            "a@b.com,c@d.com",
            "a@b.com;c@d.com",
            "a@b.com\r\nBcc: c@d.com",
            "a@b.com\n",
            " a@b.com",
            "a@b.com ",
            "Alice <a@b.com>",
            "\"a@b.com\"@c.com",
            "a@b@c.com",
            "a\u{0}@b.com",
            "ä@example.com",
            "a@bücher.example",
            &long,
        ] {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_mask_keeps_three_letters_and_the_ending() {
        assert_eq!(mask("alice@example.com"), "a***@e***.com");
        assert_eq!(mask("b@mail.example.co.uk"), "b***@m***.uk");
    }
}
