//! `mail.*`

use std::{path::PathBuf, str::FromStr, time::Duration};

use lettre::message::Mailbox;
use otp_core::{config::Reader, secret::Secret};

use super::{DkimConfig, dkim, is_loopback};

/// How the connection to the SMTP server is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailSecurity {
    /// TLS after STARTTLS; never without.
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// None: for a loopback host alone.
    None,
}

/// `mail.*`
#[derive(Debug, Clone)]
pub struct MailConfig {
    /// `mail.smtp_host`
    pub host: String,
    /// `mail.smtp_port`
    pub port: u16,
    /// `mail.security`
    pub security: MailSecurity,
    /// `mail.username` and `mail.password`.
    pub credentials: Option<(String, Secret<String>)>,
    /// `mail.from`
    pub from: Mailbox,
    /// `mail.timeout_ms`: for one message, connection included.
    pub timeout: Duration,
    /// `mail.dkim_…`: who signs, where somebody does.
    pub dkim: Option<DkimConfig>,
    /// `mail.bounce_maildir`: where reports of mail servers come in.
    pub bounce_maildir: Option<PathBuf>,
}

impl FromStr for MailSecurity {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "starttls" => Ok(Self::StartTls),
            "tls" => Ok(Self::Tls),
            "none" => Ok(Self::None),
            _ => Err("starttls, tls or none is expected"),
        }
    }
}

pub(super) fn read(reader: &mut Reader) -> Option<MailConfig> {
    let host: Option<String> = reader.required("mail.smtp_host");
    let port = reader.or("mail.smtp_port", "587");
    let security = reader.or("mail.security", "starttls");
    let username: Option<Option<String>> = reader.optional("mail.username");
    let password = reader.optional("mail.password");
    let from = reader.required::<Sender>("mail.from");
    let timeout = reader.millis("mail.timeout_ms", "10000", 100..=60_000);
    let (selector, domain) = (reader.optional("mail.dkim_selector"), reader.optional("mail.dkim_domain"));
    let key_file = reader.optional("mail.dkim_key_file");
    let bounce_maildir = reader.optional("mail.bounce_maildir");
    let credentials = match (username?, password?) {
        (Some(username), Some(password)) => Some((username, password)),
        (None, None) => None,
        _ => {
            reader.fault("mail.username and mail.password: set both or neither");
            return None;
        }
    };
    let (host, security) = (host?, security?);
    if security == MailSecurity::None && !is_loopback(&host) {
        reader.fault("mail.security: none is for a loopback mail.smtp_host alone; set starttls or tls");
    }
    let from = from?.0;
    let dkim = dkim::read(reader, from.email.domain(), (selector?, domain?, key_file?))?;
    let bounce_maildir = bounce_maildir?;
    Some(MailConfig { host, port: port?, security, credentials, from, timeout: timeout?, dkim, bounce_maildir })
}

struct Sender(Mailbox);

impl FromStr for Sender {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        text.parse().map(Self).map_err(|_| "a sender such as `Codes <codes@otp.example>` is expected")
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, LEAST};

    #[test]
    fn mail_in_clear_goes_to_loopback_alone() {
        let remote = LEAST.replace("smtp_host = '127.0.0.1'", "smtp_host = 'smtp.example'");
        assert!(Config::parse(&remote).unwrap_err().to_string().contains("loopback"));
    }
}
