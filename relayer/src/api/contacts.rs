//! Contacts. The first one is taken on trust; once it is confirmed the wallet key alone changes nothing here
//! (protocol.md §7.8). What may happen is decided in the store, inside the write.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use otp_core::{
    clock::{now_ms, rfc3339_ms},
    code::WebhookSecret,
    contact::{self, Channel, Contact, network},
    http::{Body, Problem, answer},
    language::Language,
    metrics,
    seal::SealError,
    store::{Challenge, Confirmation, ContactRow, Delay, NewContact, Removal},
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::openapi::shapes;
use super::{App, DigitsBody, changes, client::Client, paths::Id, session::Session, unlock::seed};

/// The port of a webhook's resolution, which no answer depends on.
const HTTPS: u16 = 443;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AddContact {
    channel: String,
    address: String,
    language: Option<String>,
}

/// `GET /v1/contacts`
#[utoipa::path(get, path = "/v1/contacts", tag = "contacts", summary = "The own contacts",
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, description = "Addresses are masked", body = shapes::Contacts),
    ))]
pub(super) async fn list(State(app): State<App>, session: Session) -> Result<Response, Problem> {
    let rows = app.store.contacts(session.account_id).await?;
    let contacts = rows.iter().map(|row| shown(&app, row)).collect::<Result<Vec<_>, _>>()?;
    Ok(answer(StatusCode::OK, &json!({ "contacts": contacts })))
}

/// `POST /v1/contacts`
#[utoipa::path(post, path = "/v1/contacts", tag = "contacts", summary = "Add a contact; digits go to it",
    security(("bearer" = []), ("cookie" = [])),
    request_body = shapes::NewContact,
    responses(
        (status = 202, description = "A confirmation goes out", body = shapes::AddedContact),
        (status = 400, description = "`contact-invalid`, `contact-disposable`, `channel-unavailable`, `bad-request`"),
        (status = 409, description = "`too-many-contacts`"),
    ))]
pub(super) async fn add(
    State(app): State<App>,
    session: Session,
    Client(ip): Client,
    Body(body): Body<AddContact>,
) -> Result<Response, Problem> {
    app.limits.contact_mail(&app.store, session.account_id, ip).await?;
    let language = language(&app, body.language.as_deref())?;
    let contact = parse(&app, body).await?;
    let id = Uuid::now_v7();
    let delay = app.delay();
    let ttl_ms = i64::try_from(app.otp.confirmation_ttl.as_millis()).unwrap_or(i64::MAX);
    let new = NewContact {
        id,
        account_id: session.account_id,
        channel: contact.channel(),
        address_sealed: &app.keyring.seal("contact", id, contact.expose().as_bytes())?,
        address_tag: app.keyring.tag("contact-lookup", &lookup(&contact)),
        language,
        default_language: app.contacts.language,
        expires_at_ms: delay.now_ms.saturating_add(ttl_ms),
        delay,
        mail: app.limits.mail(contact.limit_key().as_bytes()),
    };
    match app.store.challenge_contact(&new).await? {
        Challenge::Started { contact_id, change } => {
            let mut body = json!({
                "contactId": contact_id,
                "channel": contact.channel().as_str(),
                "masked": contact.masked(),
                "confirmed": false,
            });
            if let Some(change) = &change {
                changes::proposed(&session, change);
                body["change"] = changes::shown(&app, change)?;
            }
            Ok(answer(StatusCode::ACCEPTED, &body))
        }
        Challenge::TooMany { what, retry_after_s } => Err(too_many(what, retry_after_s)),
        Challenge::Full => {
            let detail = "this account has as many contacts as it may have: remove one first";
            Err(Problem::new(StatusCode::CONFLICT, "too-many-contacts", "Too many contacts", detail))
        }
        Challenge::Closed => Err(changes::closed()),
    }
}

/// What a contact asks to be written to in; the default where messages are not written in that.
fn language(app: &App, tag: Option<&str>) -> Result<Option<Language>, Problem> {
    let asked = tag.map(Language::lookup).transpose().map_err(|e| invalid(format!("language: {e}")))?;
    Ok(asked.map(|language| language.unwrap_or(app.contacts.language)))
}

/// The address in its one form, where it can be a contact here.
async fn parse(app: &App, body: AddContact) -> Result<Contact, Problem> {
    let address = Zeroizing::new(body.address);
    let channel: Channel = body.channel.parse().map_err(|e| invalid(format!("channel: {e}")))?;
    if !app.contacts.channels.contains(&channel) {
        let detail = format!("this relayer sends nothing over {channel}: GET /v1/config names its channels");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "channel-unavailable", "Channel unavailable", detail));
    }
    let contact = Contact::parse(channel, &address).map_err(|e| invalid(format!("address: {e}")))?;
    match (channel, contact.host()) {
        (Channel::Email, Some(domain)) if app.contacts.disposable.contains(&domain) => {
            let detail = "anybody can read mailboxes of this domain: use another one";
            Err(Problem::new(StatusCode::BAD_REQUEST, "contact-disposable", "Disposable address", detail))
        }
        (Channel::Webhook, Some(host)) => {
            network::resolve_public(&host, HTTPS).await.map_err(|e| invalid(format!("address: {e}")))?;
            Ok(contact)
        }
        _ => Ok(contact),
    }
}

/// What an address is looked up by.
fn lookup(contact: &Contact) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([contact.channel().as_str().as_bytes(), b"\0", contact.expose().as_bytes()].concat())
}

/// `POST /v1/contacts/{id}/confirm`
#[utoipa::path(post, path = "/v1/contacts/{id}/confirm", tag = "contacts", summary = "Show the digits that were sent to a contact",
    security(("bearer" = []), ("cookie" = [])),
    params(("id" = Uuid, Path)),
    request_body = shapes::Digits,
    responses(
        (status = 200, description = "It is the caller's; a webhook's secret is told this once", body = shapes::ProvedContact),
        (status = 404, description = "`not-found`: none of this caller"),
        (status = 422, description = "`wrong-digits`, with attemptsLeft"),
        (status = 423, description = "`locked`, `account-locked`"),
        (status = 410, description = "`expired`"),
    ))]
pub(super) async fn confirm(
    State(app): State<App>,
    session: Session,
    Client(ip): Client,
    Id(contact_id): Id,
    Body(body): Body<DigitsBody>,
) -> Result<Response, Problem> {
    app.limits.unlock(&app.store, ip).await?;
    let given = body.parse()?;
    let account_id = session.account_id;
    // Asked before the turn too, so that what is nobody's makes nobody wait.
    if !app.store.contacts(account_id).await?.iter().any(|row| row.id == contact_id) {
        return Err(Problem::not_found());
    }
    let seed = seed(&app, account_id).await?;
    let _turn = app.turn(account_id).await?;
    let mut secret = None;
    let mut outcome = app.store.begin_confirmation(account_id, contact_id, now_ms()).await?;
    if let Confirmation::Guess { guess, challenge, attempts_left } = outcome {
        let right = seed.contact_digits(contact_id, challenge).matches(&given);
        app.limits.observe(ip, right);
        counted("contact", right);
        if !right {
            app.tell_if_locked(account_id).await?;
            return Err(wrong_digits(attempts_left));
        }
        let proved_at_ms = now_ms();
        outcome = app.store.confirm_contact((account_id, session.id), contact_id, guess, proved_at_ms).await?;
        // To whoever has just shown what was sent there, and to nobody who asks later.
        secret = Some(seed.webhook_secret(contact_id));
        tracing::info!(%account_id, %contact_id, "contact proved");
        if let Some(after_ms) = app.store.bound_after_ms(contact_id, proved_at_ms).await? {
            let after = std::time::Duration::from_millis(u64::try_from(after_ms).unwrap_or_default());
            ::metrics::histogram!(metrics::WALLET_BIND_SECONDS).record(after);
        }
    }
    match outcome {
        Confirmation::Proved { contact_id: stands } => {
            // Where the same address was confirmed before, that contact stands, with its own secret.
            let secret = secret.filter(|_| stands == contact_id);
            proved(&app, account_id, stands, secret.as_ref()).await
        }
        Confirmation::NeedsChange => Err(needs_change()),
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

/// Counts digits that were compared; `what` they were for.
pub(super) fn counted(what: &'static str, right: bool) {
    let outcome = if right { "right" } else { "wrong" };
    ::metrics::counter!(metrics::GUESSES, "for" => what, "outcome" => outcome).increment(1);
}

/// `DELETE /v1/contacts/{id}`
#[utoipa::path(delete, path = "/v1/contacts/{id}", tag = "contacts", summary = "Remove a contact",
    security(("bearer" = []), ("cookie" = [])),
    params(("id" = Uuid, Path)),
    responses(
        (status = 202, description = "A change waits", body = shapes::AcceptedChange),
        (status = 204, description = "Removed: it was never confirmed"),
        (status = 404, description = "`not-found`: none of this caller"),
    ))]
pub(super) async fn remove(State(app): State<App>, session: Session, Id(id): Id) -> Result<Response, Problem> {
    match app.store.remove_contact(session.account_id, id, app.delay()).await? {
        Removal::Removed => Ok(StatusCode::NO_CONTENT.into_response()),
        Removal::Waits(change) => changes::accepted(&app, &session, &change),
        Removal::NotFound => Err(Problem::not_found()),
        Removal::Closed => Err(changes::closed()),
        Removal::TooMany { retry_after_s } => Err(too_many("changes", retry_after_s)),
    }
}

async fn proved(
    app: &App,
    account_id: Uuid,
    contact_id: Uuid,
    secret: Option<&WebhookSecret>,
) -> Result<Response, Problem> {
    let rows = app.store.contacts(account_id).await?;
    let row = rows.iter().find(|row| row.id == contact_id).ok_or_else(Problem::not_found)?;
    let mut body = shown(app, row)?;
    if let Some(secret) = secret.filter(|_| row.channel == Channel::Webhook) {
        body["signingSecret"] = secret.expose().as_str().into();
    }
    Ok(answer(StatusCode::OK, &body))
}

fn shown(app: &App, row: &ContactRow) -> Result<Value, Problem> {
    Ok(json!({
        "contactId": row.id,
        "channel": row.channel.as_str(),
        "masked": masked(app, row.channel, row.id, &row.address_sealed)?,
        "language": row.language.tag(),
        "proved": row.proved_at_ms.is_some(),
        "confirmed": row.confirmed_at_ms.is_some(),
        "createdAt": rfc3339_ms(row.created_at_ms),
    }))
}

/// What may be shown of a contact's sealed address; nothing of one that was erased.
pub(super) fn masked(app: &App, channel: Channel, contact_id: Uuid, sealed: &[u8]) -> Result<String, SealError> {
    if sealed.is_empty() {
        return Ok("***".to_owned());
    }
    let address = app.keyring.open_sealed("contact", contact_id, sealed)?;
    Ok(contact::mask(channel, std::str::from_utf8(&address).unwrap_or_default()))
}

impl App {
    /// From when and how long a change waits.
    pub(super) fn delay(&self) -> Delay {
        let delay_ms = i64::try_from(self.contacts.change_delay.as_millis()).unwrap_or(i64::MAX);
        Delay { now_ms: now_ms(), delay_ms }
    }
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

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "contact-invalid", "Contact refused", detail)
}

fn needs_change() -> Problem {
    let detail = "another contact was confirmed first: add this address again, and it asks that one for approval";
    Problem::new(StatusCode::FORBIDDEN, "contact-change-needs-approval", "Approval needed", detail)
}
