//! What a message says, derived from the account's seed and held against the chain: the same for every channel.

use otp_core::{
    authorization::Authorization,
    code::Seed,
    contact::{self, Channel},
    id::{Deployment, Slot},
    seal::{Keyring, SealError},
    store::{ChangeContent, CodeContent, Content, Job},
};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    channel::{ChangeWords, CodeWords, Failure, Message, Words},
    mail::link::{Linked, Page, link, token_link},
};

/// What messages are composed with.
#[derive(Debug, Clone, Copy)]
pub struct Composer<'a> {
    /// Opens seeds, addresses and authorizations.
    pub keyring: &'a Keyring,
    /// Chain and contract.
    pub deployment: Deployment,
    /// What links begin with.
    pub public_url: &'a str,
}

impl Composer<'_> {
    /// Derives and checks.
    ///
    /// # Errors
    /// [`Failure::Impossible`], [`Failure::KeyNotLoaded`]
    pub fn compose(&self, job: &Job) -> Result<Message, Failure> {
        let seed = self.open("seed", job.account_id, &job.seed_sealed)?;
        let seed = Seed::from_bytes(&seed).ok_or(Failure::Impossible("the seed has a wrong length"))?;
        let words = match &job.content {
            Content::Code(content) => Words::Code(Box::new(self.code(&seed, job, content)?)),
            Content::Confirmation { challenge } => {
                Words::Confirmation { digits: seed.contact_digits(job.contact_id, *challenge) }
            }
            Content::Change(content) => Words::Change(self.change(&seed, job, content)?),
        };
        Ok(Message {
            id: job.message_id.clone(),
            created_at_ms: job.created_at_ms,
            expires_at_ms: job.expires_at_ms,
            language: job.language,
            contact_id: job.contact_id,
            address: self.address(job.contact_id, &job.address_sealed)?,
            wallet: job.wallet,
            webhook_secret: seed.webhook_secret(job.contact_id),
            words,
        })
    }

    /// A code that the chain does not have under this id must never go out, nor words that the action does not mean.
    fn code(&self, seed: &Seed, job: &Job, content: &CodeContent) -> Result<CodeWords, Failure> {
        let authorization = self.open("authorization", content.request_id, &content.authorization_sealed)?;
        let authorization: Authorization = serde_json::from_slice(&authorization)
            .map_err(|_| Failure::Impossible("the authorization cannot be read"))?;
        let slot = Slot {
            deployment: self.deployment,
            issuer: content.issuer,
            purpose: content.purpose,
            serial: content.serial,
            subject: job.wallet,
            action: content.action,
        };
        let code = seed.code(&slot, content.request_id);
        if slot.id(code.hash()) != content.on_chain_id {
            return Err(Failure::Impossible("the derived code is not the one on the chain"));
        }
        if authorization.action != content.action {
            return Err(Failure::Impossible("the stored authorization is not the one on the chain"));
        }
        let (on_chain_id, issuer) = (content.on_chain_id, content.issuer);
        let linked = Linked { on_chain_id, issuer, code: &code, authorization: &authorization };
        let report_token = seed.report_token(content.request_id);
        Ok(CodeWords {
            digits: code.digits().clone(),
            reference: content.reference.clone(),
            purpose: content.purpose.to_string(),
            on_chain_id,
            issuer,
            expiry: content.expiry,
            link: link(self.public_url, &linked),
            report_link: token_link(self.public_url, Page::Report, content.request_id, &report_token),
            authorization,
        })
    }

    fn change(&self, seed: &Seed, job: &Job, content: &ChangeContent) -> Result<ChangeWords, Failure> {
        let mut about = None;
        if let Some((id, channel, sealed)) = &content.about {
            let channel: Channel =
                channel.parse().map_err(|_| Failure::Impossible("the changed contact has no known channel"))?;
            about = Some((channel, contact::mask(channel, &self.address(*id, sealed)?)));
        }
        let cancel_token = seed.cancel_token(content.change_id, job.contact_id);
        Ok(ChangeWords {
            change_id: content.change_id,
            kind: content.kind,
            stage: content.stage,
            about,
            due_at_ms: content.due_at_ms,
            digits: seed.change_digits(content.change_id, content.challenge),
            digits_until_ms: content.digits_until_ms,
            cancel_link: token_link(self.public_url, Page::Cancel, content.change_id, &cancel_token),
            cancel_token,
        })
    }

    fn address(&self, contact_id: Uuid, sealed: &[u8]) -> Result<Zeroizing<String>, Failure> {
        let address = self.open("contact", contact_id, sealed)?;
        let address = std::str::from_utf8(&address).map_err(|_| Failure::Impossible("the contact cannot be read"))?;
        Ok(Zeroizing::new(address.to_owned()))
    }

    fn open(&self, domain: &'static str, owner: Uuid, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failure> {
        self.keyring.open_sealed(domain, owner, sealed).map_err(|error| match error {
            SealError::UnknownKey { .. } => Failure::KeyNotLoaded,
            _ => Failure::Impossible("a sealed value does not open"),
        })
    }
}
