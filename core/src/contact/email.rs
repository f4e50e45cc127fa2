//! E-mail addresses: RFC 5322 addr-specs of one recipient, with the letters of RFC 6531.

use email_address::{EmailAddress, Options};
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use super::BadContact;

/// RFC 5321's longest path, without its brackets.
const MAX_LENGTH: usize = 254;
/// More than any address has before it is normalised.
const MAX_GIVEN: usize = 1_024;
const PLAIN: BadContact = BadContact("one plain address such as name@example.com is expected");

/// Local part in NFC, domain in its ASCII form and lower case.
pub(super) fn parse(text: &str) -> Result<String, BadContact> {
    if text.len() > MAX_GIVEN {
        return Err(BadContact("the address is longer than 254 bytes"));
    }
    let (local, domain) = text.rsplit_once('@').ok_or(PLAIN)?;
    let local: String = local.nfc().collect();
    if !local.chars().all(is_plain) {
        return Err(PLAIN);
    }
    let domain = ascii_domain(domain)?;
    let address = format!("{local}@{domain}");
    if address.len() > MAX_LENGTH {
        return Err(BadContact("the address is longer than 254 bytes"));
    }
    let options = Options::default().without_display_text().without_domain_literal().with_required_tld();
    EmailAddress::parse_with_options(&address, options).map_err(|_| PLAIN)?;
    Ok(address)
}

/// Atoms alone: quoted local parts can hold spaces, commas and a second '@', which other mail software takes apart
/// otherwise; beyond ASCII, letters and digits with their marks, so nothing invisible and nothing that looks like '@'.
fn is_plain(c: char) -> bool {
    match c {
        c if c.is_ascii() => c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c),
        c => c.is_alphanumeric() || is_combining_mark(c),
    }
}

/// UTS 46, as browsers resolve it, with the letters of host names alone.
fn ascii_domain(domain: &str) -> Result<String, BadContact> {
    let ascii = Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
        .map_err(|_| BadContact("the part after the @ is no domain name"))?;
    let top = ascii.rsplit_once('.').map(|(_, top)| top);
    match top {
        Some(top) if !top.bytes().all(|b| b.is_ascii_digit()) => Ok(ascii.into_owned()),
        _ => Err(BadContact("the part after the @ is no full domain name")),
    }
}

/// The mailbox without tag, dots and case, as many providers deliver it.
pub(super) fn fold(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let base = local.split('+').next().filter(|base| !base.is_empty()).unwrap_or(local);
    let folded: String = base.chars().filter(|c| *c != '.').flat_map(char::to_lowercase).collect();
    format!("{folded}@{domain}")
}

/// `a***@e***.com`; an international domain keeps the sign that it is one.
pub(super) fn mask(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    format!("{}***@{}", local.chars().next().map(String::from).unwrap_or_default(), mask_host(domain))
}

/// The first letter of a host and its top-level domain.
pub(super) fn mask_host(host: &str) -> String {
    let letters = if host.starts_with("xn--") { 5 } else { 1 };
    let first: String = host.chars().take(letters).collect();
    let end = host.rsplit_once('.').map(|(_, end)| format!(".{end}")).unwrap_or_default();
    format!("{first}***{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_form() {
        for (given, kept) in [
            ("alice@example.com", "alice@example.com"),
            ("Alice+otp@EXAMPLE.Com", "Alice+otp@example.com"),
            ("a@bücher.example", "a@xn--bcher-kva.example"),
            ("a@BÜCHER.example", "a@xn--bcher-kva.example"),
            ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
            ("a@example。com", "a@example.com"),
            // e and a combining acute become one character
            ("jose\u{301}@example.com", "jos\u{e9}@example.com"),
            ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v"),
            ("o'neil!#$%&*+-/=?^_`{|}~@example.com", "o'neil!#$%&*+-/=?^_`{|}~@example.com"),
        ] {
            assert_eq!(parse(given).as_deref(), Ok(kept), "{given}");
        }
    }

    #[test]
    fn whatever_could_reach_a_second_recipient_or_header_is_refused() {
        let long = format!("{}@{}.com", "a".repeat(60), "b".repeat(200));
        let local = format!("{}@example.com", "a".repeat(65));
        for bad in [
            "",
            "alice",
            "@example.com",
            "alice@",
            "alice@localhost",
            "alice@example.com.",
            "alice@[127.0.0.1]",
            "alice@127.0.0.1",
            "alice@-example.com",
            "alice@exa_mple.com",
            "alice@xn--\u{fc}.example",
            "alice@example..com",
            ".alice@example.com",
            "al..ice@example.com",
            "a@b.com,c@d.com",
            "a@b.com;c@d.com",
            "a,c@d.com",
            "a@b.com\r\nBcc: c@d.com",
            "a\r\nBcc: c@d.com",
            "a@b.com\n",
            " a@b.com",
            "a@b.com ",
            "a b@c.com",
            "Alice <a@b.com>",
            "\"a@b.com\"@c.com",
            "\"a b\"@c.com",
            "a(comment)@b.com",
            "a@b@c.com",
            "a\u{0}@b.com",
            "a\u{200b}@b.com",
            "a\u{202e}@b.com",
            "a\u{ff20}b@c.com",
            "a\u{2028}@b.com",
            "a\u{a0}b@c.com",
            "\u{1f600}@b.com",
            &long,
            &local,
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_mask_keeps_three_letters_and_the_ending() {
        assert_eq!(mask("alice@example.com"), "a***@e***.com");
        assert_eq!(mask("b@mail.example.co.uk"), "b***@m***.uk");
        assert_eq!(mask("a@xn--bcher-kva.example"), "a***@xn--b***.example");
    }
}
