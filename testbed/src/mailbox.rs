//! The mailbox: what people would find in their inboxes.

use std::time::Duration;

use alloy::primitives::{Address, B256};
use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use url::Url;

/// maildev's REST interface.
#[derive(Debug, Clone)]
pub struct Mailbox {
    http: reqwest::Client,
    emails: Url,
}

/// A mail as it arrived. No Debug: it holds a code.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mail {
    /// RFC 5322 Message-ID.
    pub message_id: String,
    /// Subject.
    pub subject: String,
    /// Who it is for.
    pub to: Vec<Recipient>,
    /// The plain-text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
}

/// An address in a header.
#[derive(Clone, Deserialize)]
pub struct Recipient {
    /// `local@domain`
    pub address: String,
}

/// What the link of a code's mail carries in its fragment. No Debug: it holds a code.
#[derive(Clone, Deserialize)]
pub struct LinkedCode {
    /// The on-chain id.
    pub id: B256,
    /// Who issued it.
    pub issuer: Address,
    /// The full code.
    pub code: String,
}

impl Mailbox {
    /// The mailbox of a stack.
    ///
    /// # Errors
    /// When no HTTP client can be built on this machine.
    pub fn new(mail_url: &Url) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build()?;
        Ok(Self { http, emails: mail_url.join("email")? })
    }

    /// Everything that arrived.
    ///
    /// # Errors
    /// When the mailbox does not answer.
    pub async fn all(&self) -> Result<Vec<Mail>> {
        let answer = self.http.get(self.emails.clone()).send().await?.error_for_status()?;
        answer.json().await.context("the mailbox's list")
    }

    /// Everything for one address.
    ///
    /// # Errors
    /// When the mailbox does not answer.
    pub async fn of(&self, address: &str) -> Result<Vec<Mail>> {
        let mut url = self.emails.clone();
        url.query_pairs_mut().append_pair("to.address", address);
        let answer = self.http.get(url).send().await?.error_for_status()?;
        answer.json().await.context("the mailbox's list")
    }

    /// Waits for the first mail to `address` that is `wanted`.
    ///
    /// # Errors
    /// When none comes in time.
    pub async fn wait_for(&self, address: &str, within: Duration, wanted: impl Fn(&Mail) -> bool) -> Result<Mail> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(mail) = self.of(address).await?.into_iter().find(&wanted) {
                return Ok(mail);
            }
            if Instant::now() > deadline {
                bail!("no such mail to {address} within {within:?}");
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Mail {
    /// The only run of six digits in the text: what a person would type.
    ///
    /// # Errors
    /// When there is none or more than one.
    pub fn digits(&self) -> Result<String> {
        let mut six = self.text.split(|c: char| !c.is_ascii_digit()).filter(|run| run.len() == 6);
        let digits = six.next().context("the mail has no six digits")?;
        ensure!(six.next().is_none(), "the mail has several runs of six digits");
        Ok(digits.to_owned())
    }

    /// What the link carries; `None` in a mail without one, as those that confirm a contact are.
    #[must_use]
    pub fn linked_code(&self) -> Option<LinkedCode> {
        let (_, rest) = self.text.split_once("/verify#v1.")?;
        let fragment = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').next()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(fragment).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(text: &str) -> Mail {
        let (message_id, subject, html) = (String::new(), String::new(), String::new());
        Mail { message_id, subject, to: Vec::new(), text: text.to_owned(), html }
    }

    #[test]
    fn digits_are_found_and_two_runs_are_refused() {
        assert_eq!(mail("Your code: 042137.\nOf 0x12345ab, 1234567").digits().unwrap(), "042137");
        assert!(mail("nothing").digits().is_err());
        assert!(mail("123456 or 654321").digits().is_err());
    }

    #[test]
    fn the_link_gives_id_and_code() {
        let json = format!(r#"{{"id":"{}","issuer":"{}","code":"x","action":null}}"#, B256::ZERO, Address::ZERO);
        let text = format!("http://127.0.0.1:1/verify#v1.{}\nbye", URL_SAFE_NO_PAD.encode(json));
        assert_eq!(mail(&text).linked_code().unwrap().code, "x");
        assert!(mail("no link").linked_code().is_none());
    }
}
