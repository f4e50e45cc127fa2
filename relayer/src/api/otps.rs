//! Asking for a code.

use std::net::IpAddr;

use alloy::primitives::{B256, keccak256};
use axum::{
    extract::{FromRequestParts, State},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use otp_core::{
    authorization::{Authorization, TypedAction},
    clock::{now_ms, rfc3339_ms},
    contact::Channel,
    failpoint,
    http::{Body, Problem, answer, header_text},
    id::Purpose,
    metrics::{REQUESTS, REQUESTS_ACCEPTED},
    store::{Accepted, NewRequest, Refusal, Rules, Status, Submission},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::openapi::shapes;
use super::{App, client::Client, session::Session};
use crate::{
    chain_view::Unavailable,
    limits::{self, Asking},
};

/// The one purpose whose codes authorise nothing but a sign-in.
const LOGIN: &str = "login";
/// Capitals that are not mistaken for one another or for digits.
const ALPHABET: &[u8; 22] = b"ABCDEFGHJKMNPRSTUVWXYZ";
const REFERENCE_LENGTH: usize = 6;
/// How often a reference is drawn before giving up; one draw in a hundred million meets one of the account's own.
const DRAWS: usize = 5;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewOtp {
    purpose: String,
    action: Option<Action>,
    contact_id: Uuid,
    /// Left out of what a repetition is compared by where it is not set, as it was before there was one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    fallback: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Action {
    Typed(TypedAction),
    Blind(String),
}

/// The `Idempotency-Key` header: 1 to 255 visible ASCII characters.
pub(super) struct IdempotencyKey(String);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let key = header_text(&parts.headers, "idempotency-key").unwrap_or_default();
        if matches!(key.len(), 1..=255) && key.bytes().all(|b| b.is_ascii_graphic()) {
            return Ok(Self(key.to_owned()));
        }
        let detail = "send an Idempotency-Key header of 1 to 255 visible ASCII characters, the same one when repeating";
        Err(Problem::new(StatusCode::BAD_REQUEST, "idempotency-key-missing", "Idempotency-Key missing", detail))
    }
}

/// `POST /v1/otps`
#[utoipa::path(post, path = "/v1/otps", tag = "otps", summary = "Ask for a code",
    security(("bearer" = []), ("cookie" = [])),
    params(("idempotency-key" = String, Header, description = "1 to 255 visible ASCII characters; the same one when repeating", min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    request_body = shapes::NewOtp,
    responses(
        (status = 202, description = "Accepted: it ends on the chain or with a reason", body = shapes::AcceptedOtp, headers(("location" = String, description = "The request"))),
        (status = 400, description = "`idempotency-key-missing`, `action-invalid`, `bad-request`"),
        (status = 403, description = "`contact-unconfirmed`, `wallet-blocked`, `origin-mismatch`"),
        (status = 404, description = "`purpose-unknown`"),
        (status = 409, description = "`idempotency-conflict`"),
        (status = 422, description = "`idempotency-mismatch`"),
        (status = 503, description = "`chain-unavailable`, `issuance-disabled`, `busy`: nothing was queued"),
    ))]
pub(super) async fn submit(
    State(app): State<App>,
    session: Session,
    Client(ip): Client,
    IdempotencyKey(key): IdempotencyKey,
    Body(body): Body<NewOtp>,
) -> Result<Response, Problem> {
    let body_hash = keccak256(serde_json::to_vec(&body).map_err(|e| Problem::internal(&e))?);
    let asked = match check(&app, &session, body) {
        Ok(asked) => asked,
        // What was accepted once is answered the same, whatever has changed since, also while the chain is away.
        Err(problem) => {
            let earlier = app.store.find_submission(session.account_id, &key, body_hash, now_ms()).await?;
            return earlier.map_or(Err(problem), |earlier| settle(&app, earlier));
        }
    };
    let rules = rules(&app, &session, ip, &asked).await?;
    let submission = store(&app, &session, Wanted { key, body_hash, asked, rules }).await?;
    settle(&app, submission)
}

/// All that can be told of a request without the store.
fn check(app: &App, session: &Session, body: NewOtp) -> Result<Asked, Problem> {
    let purpose = purpose(app, &body.purpose)?;
    let authorization = authorization(app, session, purpose, body.action)?;
    app.view.available().map_err(unavailable)?;
    let policy = app.view.policy(purpose).ok_or_else(|| unavailable(Unavailable::Chain))?;
    let NewOtp { contact_id, fallback, .. } = body;
    Ok(Asked { purpose, contact_id, fallback, authorization, max_attempts: policy.max_attempts })
}

/// What is asked for.
struct Asked {
    purpose: Purpose,
    contact_id: Uuid,
    fallback: bool,
    authorization: Authorization,
    max_attempts: u8,
}

/// A request that passed every check but the store's.
struct Wanted {
    key: String,
    body_hash: B256,
    asked: Asked,
    rules: Rules,
}

/// What the request has to keep to; what it takes is noted for the answer.
async fn rules(app: &App, session: &Session, ip: Option<IpAddr>, asked: &Asked) -> Result<Rules, Problem> {
    let phone = match app.contacts.channels.contains(&Channel::Sms) {
        true => app.store.phone(session.account_id, asked.contact_id, asked.fallback).await?,
        false => None,
    };
    let phone = phone.map(|(id, sealed)| app.keyring.open_sealed("contact", id, &sealed)).transpose()?;
    let phone = phone.as_ref().and_then(|phone| std::str::from_utf8(phone).ok());
    let asking = Asking { account_id: session.account_id, device: &session.device, ip, purpose: asked.purpose, phone };
    let rules = app.limits.for_request(asking);
    limits::note_policy(&rules.takes);
    Ok(rules)
}

async fn store(app: &App, session: &Session, wanted: Wanted) -> Result<Submission, Problem> {
    let id = Uuid::now_v7();
    let Wanted { key, body_hash, asked, rules } = wanted;
    let plain = serde_json::to_vec(&asked.authorization).map_err(|e| Problem::internal(&e))?;
    let authorization_sealed = app.keyring.seal("authorization", id, &plain)?;
    let mut new = NewRequest {
        id,
        account_id: session.account_id,
        session_id: session.id,
        contact_id: asked.contact_id,
        idempotency_key: key,
        body_hash,
        reference: String::new(),
        purpose: asked.purpose,
        action: asked.authorization.action,
        payload_hash: asked.authorization.payload_hash,
        authorization_sealed,
        max_attempts: asked.max_attempts,
        fallback: asked.fallback,
        now_ms: now_ms(),
        issuer: app.view.watched().issuer,
        rules,
    };
    for _ in 0..DRAWS {
        new.reference = reference()?;
        match app.store.submit(new.clone()).await? {
            Submission::ReferenceTaken => {}
            outcome => return Ok(outcome),
        }
    }
    Ok(Submission::ReferenceTaken)
}

fn settle(app: &App, submission: Submission) -> Result<Response, Problem> {
    match submission {
        Submission::Accepted(accepted) => {
            failpoint::hit("request-stored");
            if let Some(channel) = accepted.channel {
                metrics::counter!(REQUESTS, "channel" => channel.as_str()).increment(1);
            }
            app.wake.notify_one();
            limits::note(&accepted.levels);
            tracing::info!(otp_id = %accepted.id, purpose = %accepted.purpose, "request accepted");
            metrics::counter!(REQUESTS_ACCEPTED, "purpose" => accepted.purpose.to_string()).increment(1);
            Ok(acceptance(app, &accepted))
        }
        Submission::Replayed(accepted) => Ok(acceptance(app, &accepted)),
        Submission::Mismatch => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            let detail = "this Idempotency-Key was used for another request in the last 24 hours";
            Err(Problem::new(status, "idempotency-mismatch", "Idempotency-Key used", detail))
        }
        Submission::Unconfirmed => {
            let detail = "contactId names no confirmed contact of this account";
            Err(Problem::new(StatusCode::FORBIDDEN, "contact-unconfirmed", "Contact not confirmed", detail))
        }
        Submission::Refused(refusal) => Err(refused(refusal)),
        Submission::ReferenceTaken => Err(Problem::internal(&"no free reference was drawn")),
    }
}

fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::SwitchedOff(switch) => disabled(&format!("{switch} is switched off"), 60),
        Refusal::IssuerBlocked => unavailable(Unavailable::NoRole),
        Refusal::WalletBlocked => {
            let detail = "this wallet gets no codes at the moment: ask those who run this service";
            Problem::new(StatusCode::FORBIDDEN, "wallet-blocked", "Wallet blocked", detail)
        }
        Refusal::QueueFull => {
            let detail = "more is asked for than the chain takes; nothing was queued";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy", detail).retry_after(5)
        }
        Refusal::TooMany { scope, retry_after_s, levels } => {
            limits::note(&levels);
            limits::refused(scope, retry_after_s)
        }
    }
}

/// The same for a request and for each repetition of it, whatever became of it since.
fn acceptance(app: &App, accepted: &Accepted) -> Response {
    let deployment = app.deployment();
    let body = json!({
        "id": accepted.id,
        "reference": accepted.reference,
        "status": Status::Queued.as_str(),
        "purpose": accepted.purpose.to_string(),
        "action": accepted.action,
        "verifier": deployment.verifier.to_checksum(None),
        "chainId": deployment.chain_id,
        "createdAt": rfc3339_ms(accepted.created_at_ms),
    });
    let location = format!("/v1/otps/{}", accepted.id);
    ([(header::LOCATION, location)], answer(StatusCode::ACCEPTED, &body)).into_response()
}

/// A purpose that this relayer serves and the contract has not disabled. What the contract says is not known before the
/// chain first answered; that is told later, as its own problem.
fn purpose(app: &App, name: &str) -> Result<Purpose, Problem> {
    let served = name.parse().ok().filter(|purpose| app.otp.purposes.contains(purpose));
    let enabled = |purpose: &Purpose| app.view.policy(*purpose).is_none_or(|policy| policy.enabled);
    served.filter(enabled).ok_or_else(|| {
        let detail = "purpose is none of those that GET /v1/config names";
        Problem::new(StatusCode::NOT_FOUND, "purpose-unknown", "Unknown purpose", detail)
    })
}

/// Whether a request for a purpose must say what it authorises.
pub(super) fn needs_action(purpose: Purpose) -> bool {
    purpose.to_string() != LOGIN
}

fn authorization(
    app: &App,
    session: &Session,
    purpose: Purpose,
    action: Option<Action>,
) -> Result<Authorization, Problem> {
    match action {
        None if needs_action(purpose) => Err(bad_action("this purpose needs an action; without one it is a sign-in")),
        None => Ok(Authorization::sign_in(&session.domain.origin, session.word())),
        Some(Action::Typed(typed)) => Authorization::try_from(typed).map_err(|e| bad_action(e.to_string())),
        Some(Action::Blind(_)) if !app.otp.allow_blind_actions => {
            Err(bad_action("action must say what it authorises: {consumer, primaryType, types, message}"))
        }
        Some(Action::Blind(text)) => {
            let word = text.strip_prefix("0x").and_then(|digits| digits.parse().ok());
            word.map(Authorization::blind).ok_or_else(|| bad_action("action: 0x and 64 hexadecimal digits"))
        }
    }
}

fn bad_action(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "action-invalid", "Action refused", detail)
}

fn unavailable(why: Unavailable) -> Problem {
    match why {
        Unavailable::Chain => {
            let detail = "the chain cannot be reached; nothing was queued";
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Problem::new(status, "chain-unavailable", "Chain unavailable", detail).retry_after(5)
        }
        Unavailable::Paused => disabled("the contract is paused", 30),
        Unavailable::NoRole | Unavailable::Unfunded | Unavailable::Stalled => {
            disabled("the issuer cannot issue at the moment", 30)
        }
    }
}

fn disabled(why: &str, retry_after_s: u64) -> Problem {
    let (status, detail) = (StatusCode::SERVICE_UNAVAILABLE, format!("{why}; nothing was queued"));
    Problem::new(status, "issuance-disabled", "Issuance disabled", detail).retry_after(retry_after_s)
}

/// Letters alone, so that nobody takes them for the digits.
fn reference() -> Result<String, Problem> {
    // Bytes from here on would make the first letters likelier.
    const FAIR_LIMIT: u8 = 242;
    let mut text = String::with_capacity(REFERENCE_LENGTH);
    while text.len() < REFERENCE_LENGTH {
        let mut byte = [0];
        getrandom::fill(&mut byte).map_err(|e| Problem::internal(&e))?;
        if byte[0] < FAIR_LIMIT {
            text.push(char::from(ALPHABET[usize::from(byte[0]) % ALPHABET.len()]));
        }
    }
    Ok(text)
}
