//! The relayer's interface as a wallet uses it.

mod error;
mod events;
mod model;

use std::time::Duration;

use alloy::{
    primitives::Address,
    signers::{SignerSync, local::PrivateKeySigner},
};
use otp_core::clock::{now_ms, rfc3339_ms};
use reqwest::{Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use url::Url;
use uuid::Uuid;

pub use self::{
    error::{CallError, Problem},
    events::Events,
    model::{Contact, Otp, RelayerConfig, Ticket, Unlocked},
};

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// How long the event stream may be silent; the relayer keeps it alive with comments.
const SILENCE: Duration = Duration::from_secs(60);

/// A signed-in wallet. No Debug: it holds the session's token.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: String,
}

/// What a code is asked for.
#[derive(Debug, Clone)]
pub struct NewRequest {
    /// The policy's name.
    pub purpose: String,
    /// What it authorises; a sign-in where there is none.
    pub action: Option<Value>,
    /// Who gets the message.
    pub contact_id: Uuid,
}

impl Client {
    /// Signs in with Ethereum (EIP-4361) at the first domain that the relayer names.
    ///
    /// # Errors
    /// When the relayer refuses or cannot be reached.
    pub async fn sign_in(base: &Url, signer: &PrivateKeySigner) -> Result<Self, CallError> {
        let http = reqwest::Client::builder().read_timeout(SILENCE).connect_timeout(ANSWER_WITHIN).build()?;
        let mut client = Self { http, base: base.clone(), token: String::new() };
        let config: RelayerConfig = client.call(Method::GET, "v1/config", None).await?;
        let nonce: model::Nonce = client.call(Method::GET, "v1/auth/nonce", None).await?;
        let message = sign_in_message(&config, signer.address(), &nonce.nonce)?;
        let signature = signer
            .sign_message_sync(message.as_bytes())
            .map_err(|e| CallError::Unexpected(format!("signing failed: {e}")))?;
        let body = json!({ "message": message, "signature": signature.to_string() });
        let session: model::Session = client.call(Method::POST, "v1/auth/login", Some(&body)).await?;
        client.token = session.token;
        Ok(client)
    }

    /// The session's token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Adds an email address, to which confirmation digits go out.
    ///
    /// # Errors
    /// When the relayer refuses or cannot be reached.
    pub async fn add_email(&self, address: &str) -> Result<Contact, CallError> {
        let body = json!({ "channel": "email", "address": address });
        self.call(Method::POST, "v1/contacts", Some(&body)).await
    }

    /// Confirms a contact.
    ///
    /// # Errors
    /// When the relayer refuses or cannot be reached.
    pub async fn confirm(&self, contact_id: Uuid, digits: &str) -> Result<(), CallError> {
        let path = format!("v1/contacts/{contact_id}/confirm");
        let request = self.request(Method::POST, &path)?.json(&json!({ "digits": digits }));
        accepted(timeout(ANSWER_WITHIN, request.send()).await??).await?;
        Ok(())
    }

    /// Asks for a code. Sent again with the same key, it is the same request.
    ///
    /// # Errors
    /// When the relayer refuses or cannot be reached.
    pub async fn ask(&self, new: &NewRequest, key: &str) -> Result<Otp, CallError> {
        let mut body = json!({ "purpose": new.purpose, "contactId": new.contact_id });
        if let Some(action) = &new.action {
            body["action"] = action.clone();
        }
        let request = self.request(Method::POST, "v1/otps")?.header("idempotency-key", key).json(&body);
        read(request).await
    }

    /// As [`Client::ask`], again and again until there is an answer that settles it: what a wallet does whose network or
    /// relayer comes and goes.
    ///
    /// # Errors
    /// When the relayer refuses for good, or `within` has passed.
    pub async fn ask_until_answered(&self, new: &NewRequest, key: &str, within: Duration) -> Result<Otp, CallError> {
        let asking = async {
            loop {
                match self.ask(new, key).await {
                    Err(error) if error.is_passing() => sleep(Duration::from_millis(200)).await,
                    settled => return settled,
                }
            }
        };
        timeout(within, asking).await?
    }

    /// Where a request stands.
    ///
    /// # Errors
    /// When the relayer refuses or cannot be reached.
    pub async fn otp(&self, id: Uuid) -> Result<Otp, CallError> {
        self.call(Method::GET, &format!("v1/otps/{id}"), None).await
    }

    /// Follows a request's status.
    ///
    /// # Errors
    /// When the relayer refuses or cannot be reached.
    pub async fn events(&self, id: Uuid, after: Option<&str>) -> Result<Events, CallError> {
        let mut request = self.request(Method::GET, &format!("v1/otps/{id}/events"))?;
        request = request.header("accept", "text/event-stream");
        if let Some(last) = after {
            request = request.header("last-event-id", last);
        }
        Ok(Events::new(accepted(timeout(ANSWER_WITHIN, request.send()).await??).await?))
    }

    /// Follows a request by its events until it is `wanted`, resuming where the stream breaks off.
    ///
    /// # Errors
    /// When it is not in time, or the relayer refuses.
    pub async fn follow_until(
        &self,
        id: Uuid,
        within: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Otp, CallError> {
        let following = async {
            let mut last = None;
            loop {
                match self.watch(id, &mut last, &wanted).await {
                    Ok(true) => return self.otp(id).await,
                    Err(error) if !error.is_passing() => return Err(error),
                    _ => sleep(Duration::from_millis(100)).await,
                }
            }
        };
        timeout(within, following).await?
    }

    /// One stream to its end, or to the status that is wanted.
    async fn watch(
        &self,
        id: Uuid,
        last: &mut Option<String>,
        wanted: &impl Fn(&str) -> bool,
    ) -> Result<bool, CallError> {
        let mut events = self.events(id, last.as_deref()).await?;
        while let Some(event) = events.next().await? {
            if wanted(&event.status) {
                return Ok(true);
            }
            *last = event.id.or(last.take());
        }
        Ok(false)
    }

    /// Gives the digits for the full code.
    ///
    /// # Errors
    /// When the relayer refuses or cannot be reached.
    pub async fn unlock(&self, id: Uuid, digits: &str) -> Result<Unlocked, CallError> {
        self.call(Method::POST, &format!("v1/otps/{id}/unlock"), Some(&json!({ "digits": digits }))).await
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, CallError> {
        let url = self.base.join(path).map_err(|e| CallError::Unexpected(format!("the path {path}: {e}")))?;
        let request = self.http.request(method, url);
        Ok(if self.token.is_empty() { request } else { request.bearer_auth(&self.token) })
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, CallError> {
        let request = self.request(method, path)?;
        read(body.into_iter().fold(request, |request, body| request.json(body))).await
    }
}

async fn read<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, CallError> {
    let reading = async { Ok(accepted(request.send().await?).await?.json().await?) };
    timeout(ANSWER_WITHIN, reading).await?
}

/// The answer, or the problem that it carries.
async fn accepted(answer: Response) -> Result<Response, CallError> {
    if answer.status().is_success() {
        return Ok(answer);
    }
    let status = answer.status().as_u16();
    let problem: Problem = answer
        .json()
        .await
        .map_err(|_| CallError::Unexpected(format!("status {status} without a problem (RFC 9457)")))?;
    Err(CallError::Refused(problem))
}

fn sign_in_message(config: &RelayerConfig, wallet: Address, nonce: &str) -> Result<String, CallError> {
    let domain = config.domains.first().ok_or_else(|| CallError::Unexpected("the relayer has no domain".into()))?;
    Ok(format!(
        "{domain} wants you to sign in with your Ethereum account:\n{wallet}\n\nSign in to receive one-time codes.\n\n\
         URI: {uri}\nVersion: 1\nChain ID: {chain_id}\nNonce: {nonce}\nIssued At: {now}",
        domain = domain.domain,
        uri = domain.uri,
        chain_id = config.chain_id,
        now = rfc3339_ms(now_ms()),
    ))
}
