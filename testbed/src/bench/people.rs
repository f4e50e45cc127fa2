//! People with a confirmed address.

use std::{sync::Arc, time::Duration};

use alloy::signers::local::PrivateKeySigner;
use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::sink::Sink;
use crate::{
    client::{Client, NewRequest, Otp},
    description::Description,
};

const MAIL_WITHIN: Duration = Duration::from_secs(30);

/// Somebody signed in, with a confirmed address.
#[derive(Clone)]
pub(super) struct Person {
    pub(super) client: Client,
    contact_id: Uuid,
}

impl Person {
    /// Asks for a code to sign in with; the key is new each time.
    pub(super) async fn ask(&self) -> Result<Otp> {
        let new = NewRequest { purpose: "login".to_owned(), action: None, contact_id: self.contact_id };
        Ok(self.client.ask(&new, &Uuid::now_v7().to_string()).await?)
    }

    /// Where a request stands.
    pub(super) async fn find(&self, id: Uuid) -> Result<Otp> {
        Ok(self.client.otp(id).await?)
    }
}

/// Signs `count` people in and confirms an address of each.
pub(super) async fn enter(description: &Description, sink: &Sink, count: usize) -> Result<Arc<[Person]>> {
    let mut people = Vec::with_capacity(count);
    for number in 0..count {
        let signer = PrivateKeySigner::random();
        let client = Client::sign_in(&description.relayer_url, &signer).await?;
        let address = format!("wallet-{number}@example.test");
        let contact = client.add_email(&address).await?;
        let digits = mailed(sink, &address).await?;
        client.confirm(contact.contact_id, &digits).await?;
        people.push(Person { client, contact_id: contact.contact_id });
    }
    Ok(people.into())
}

/// Waits for the message with a reference, or to an address.
pub(super) async fn mailed(sink: &Sink, of: &str) -> Result<String> {
    let deadline = Instant::now() + MAIL_WITHIN;
    loop {
        match sink.digits(of) {
            Some(digits) => return Ok(digits),
            None if Instant::now() > deadline => bail!("no mail for {of} within {MAIL_WITHIN:?}"),
            None => sleep(Duration::from_millis(10)).await,
        }
    }
}
