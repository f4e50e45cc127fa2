//! Who signs mails.

use std::path::PathBuf;

use otp_core::config::Reader;

/// `mail.dkim_…`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DkimConfig {
    /// `mail.dkim_selector`
    pub selector: String,
    /// `mail.dkim_domain`: the sender's or one above it.
    pub domain: String,
    /// `mail.dkim_key_file`
    pub key_file: PathBuf,
}

/// The outer `None` is a fault. A signature of a domain that is not the sender's counts for nothing (RFC 7489).
pub(super) fn read(
    reader: &mut Reader,
    sender: &str,
    given: (Option<String>, Option<String>, Option<PathBuf>),
) -> Option<Option<DkimConfig>> {
    let (selector, domain, key_file) = match given {
        (None, None, None) => return Some(None),
        (Some(selector), domain, Some(key_file)) => (selector, domain.unwrap_or_else(|| sender.to_owned()), key_file),
        _ => {
            reader.fault("mail.dkim_selector and mail.dkim_key_file: set both or neither; mail.dkim_domain with them");
            return None;
        }
    };
    if sender != domain && !sender.ends_with(&format!(".{domain}")) {
        reader.fault("mail.dkim_domain: the domain of mail.from or one above it is expected");
    }
    let label = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if !label(&selector) || !label(&domain) || selector.is_empty() {
        reader.fault("mail.dkim_selector and mail.dkim_domain: DNS names are expected");
    }
    Some(Some(DkimConfig { selector, domain, key_file }))
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, LEAST};

    #[test]
    fn mails_are_signed_for_the_senders_domain_or_one_above_it_with_all_that_it_takes() {
        let dkim = |keys: &str| Config::parse(&LEAST.replace("from = ", &format!("{keys}\nfrom = ")));
        let own = dkim("dkim_selector = 's1'\ndkim_key_file = 'dkim.pem'").unwrap().mail.dkim.unwrap();
        assert_eq!((own.domain.as_str(), own.selector.as_str()), ("otp.example", "s1"));
        let above = dkim("dkim_selector = 's1'\ndkim_key_file = 'dkim.pem'\ndkim_domain = 'example'").unwrap();
        assert_eq!(above.mail.dkim.unwrap().domain, "example");
        for bad in [
            "dkim_selector = 's1'",
            "dkim_key_file = 'dkim.pem'",
            "dkim_domain = 'otp.example'",
            "dkim_selector = 's1'\ndkim_key_file = 'dkim.pem'\ndkim_domain = 'xotp.example'",
            "dkim_selector = 's1'\ndkim_key_file = 'dkim.pem'\ndkim_domain = 'p.example'",
            "dkim_selector = 's1; d=x'\ndkim_key_file = 'dkim.pem'",
        ] {
            assert!(dkim(bad).unwrap_err().to_string().contains("mail.dkim_"), "{bad}");
        }
    }
}
