//! Contacts. The first one is taken on trust; once it is confirmed the wallet key alone changes nothing here
//! (protocol.md §7.8). What may happen is decided in the store, inside the write.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use otp_core::{
    clock::{now_ms, rfc3339_ms},
    http::{Body, Problem, answer},
    seal::SealError,
    store::{Challenge, Confirmation, ContactRow, NewContact, Removal},
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{App, DigitsBody, email, email::Email, paths::Id, session::Session, unlock::seed};

/// The channels that codes can go out on.
pub(super) const CHANNELS: [&str; 1] = [EMAIL];
const EMAIL: &str = "email";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AddContact {
    channel: String,
    address: String,
}

/// `GET /v1/contacts`
pub(super) async fn list(State(app): State<App>, session: Session) -> Result<Response, Problem> {
    let rows = app.store.contacts(session.account_id).await?;
    let contacts = rows.iter().map(|row| shown(&app, row)).collect::<Result<Vec<_>, _>>()?;
    Ok(answer(StatusCode::OK, &json!({ "contacts": contacts })))
}

/// `POST /v1/contacts`
pub(super) async fn add(
    State(app): State<App>,
    session: Session,
    Body(body): Body<AddContact>,
) -> Result<Response, Problem> {
    let address = Zeroizing::new(body.address);
    if !CHANNELS.contains(&body.channel.as_str()) {
        return Err(invalid("channel: this relayer sends by email alone"));
    }
    let email = Email::parse(&address).map_err(invalid)?;
    let id = Uuid::now_v7();
    let address_sealed = app.keyring.seal("contact", id, email.expose().as_bytes())?;
    let now_ms = now_ms();
    let ttl_ms = i64::try_from(app.otp.confirmation_ttl.as_millis()).unwrap_or(i64::MAX);
    let new = NewContact {
        id,
        account_id: session.account_id,
        channel: EMAIL,
        address_sealed: &address_sealed,
        address_tag: app
            .keyring
            .tag("contact-lookup", &Zeroizing::new([b"email\0", email.expose().as_bytes()].concat())),
        now_ms,
        expires_at_ms: now_ms.saturating_add(ttl_ms),
    };
    match app.store.challenge_contact(&new).await? {
        Challenge::Started { contact_id } => {
            let body =
                json!({ "contactId": contact_id, "channel": EMAIL, "masked": email.masked(), "confirmed": false });
            Ok(answer(StatusCode::ACCEPTED, &body))
        }
        Challenge::NeedsApproval => Err(needs_approval()),
        Challenge::TooSoon { retry_after_s } => Err(too_many("confirmation messages", retry_after_s)),
    }
}

/// `POST /v1/contacts/{id}/confirm`
pub(super) async fn confirm(
    State(app): State<App>,
    session: Session,
    Id(contact_id): Id,
    Body(body): Body<DigitsBody>,
) -> Result<Response, Problem> {
    let given = body.parse()?;
    let account_id = session.account_id;
    let seed = seed(&app, account_id).await?;
    let _turn = app.turns.take(account_id).await?;
    let mut outcome = app.store.begin_confirmation(account_id, contact_id, now_ms()).await?;
    if let Confirmation::Guess { guess, challenge, attempts_left } = outcome {
        if !seed.contact_digits(contact_id, challenge).matches(&given) {
            return Err(wrong_digits(attempts_left));
        }
        outcome = app.store.confirm_contact(account_id, contact_id, guess, now_ms()).await?;
    }
    match outcome {
        Confirmation::Confirmed => confirmed(&app, account_id, contact_id).await,
        Confirmation::NeedsApproval => Err(needs_approval()),
        Confirmation::Expired => {
            let detail = "the digits have expired: add the address again for new ones";
            Err(Problem::new(StatusCode::GONE, "expired", "Expired", detail))
        }
        Confirmation::Locked => {
            let detail = "too many wrong digits: add the address again for new ones";
            Err(Problem::new(StatusCode::LOCKED, "locked", "Locked", detail))
        }
        Confirmation::TooMany { retry_after_s } => Err(too_many("wrong digits", retry_after_s)),
        Confirmation::NotFound | Confirmation::Guess { .. } => Err(Problem::not_found()),
    }
}

/// `DELETE /v1/contacts/{id}`
pub(super) async fn remove(State(app): State<App>, session: Session, Id(id): Id) -> Result<Response, Problem> {
    match app.store.remove_contact(session.account_id, id, now_ms()).await? {
        Removal::Removed => Ok(StatusCode::NO_CONTENT.into_response()),
        Removal::NotFound => Err(Problem::not_found()),
        Removal::NeedsApproval => Err(needs_approval()),
    }
}

async fn confirmed(app: &App, account_id: Uuid, contact_id: Uuid) -> Result<Response, Problem> {
    let rows = app.store.contacts(account_id).await?;
    let row = rows.iter().find(|row| row.id == contact_id).ok_or_else(Problem::not_found)?;
    Ok(answer(StatusCode::OK, &shown(app, row)?))
}

fn shown(app: &App, row: &ContactRow) -> Result<Value, Problem> {
    Ok(json!({
        "contactId": row.id,
        "channel": row.channel,
        "masked": masked(app, row.id, &row.address_sealed)?,
        "confirmed": row.confirmed_at_ms.is_some(),
        "createdAt": rfc3339_ms(row.created_at_ms),
    }))
}

/// What may be shown of a contact's sealed address.
pub(super) fn masked(app: &App, contact_id: Uuid, sealed: &[u8]) -> Result<String, SealError> {
    let address = app.keyring.open_sealed("contact", contact_id, sealed)?;
    Ok(email::mask(std::str::from_utf8(&address).unwrap_or_default()))
}

/// 422 with the attempts that are left.
pub(super) fn wrong_digits(attempts_left: u64) -> Problem {
    let detail = "these are not the digits of the message";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "wrong-digits", "Wrong digits", detail)
        .with("attemptsLeft", attempts_left)
}

/// 429: `what` names what there were too many of.
pub(super) fn too_many(what: &str, retry_after_s: u64) -> Problem {
    let detail = format!("too many {what}: try again in {retry_after_s} s");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", "Too many requests", detail).retry_after(retry_after_s)
}

fn invalid(detail: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "contact-invalid", "Contact refused", detail)
}

fn needs_approval() -> Problem {
    let detail = "this account has a confirmed contact; changing contacts needs its approval, which this version does \
                  not offer yet";
    Problem::new(StatusCode::FORBIDDEN, "contact-change-needs-approval", "Approval needed", detail)
}
