//! Changes of contacts, and the account's deletion, while they wait (protocol.md §5.1): shown, approved by the digits
//! that a confirmed contact got, or cancelled by the link in an announcement.

use axum::{extract::State, http::StatusCode, response::Response};
use otp_core::{
    clock::{now_ms, rfc3339_ms},
    http::{Body, Problem, answer},
    metrics,
    store::{Approval, Cancellation, ChangeRow, MOST_CONTACTS, Removal, Renewal},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::openapi::shapes;
use super::{
    App, DigitsBody,
    client::Client,
    contacts::{counted, masked, too_many, wrong_digits},
    links::{TokenBody, opened_or_decoy},
    paths::Id,
    session::Session,
    unlock::seed,
};

/// `GET /v1/contact-changes`
#[utoipa::path(get, path = "/v1/contact-changes", tag = "contacts", summary = "Changes that wait",
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, description = "Until when each waits", body = shapes::Changes),
    ))]
pub(super) async fn list(State(app): State<App>, session: Session) -> Result<Response, Problem> {
    let rows = app.store.changes(session.account_id).await?;
    let changes = rows.iter().map(|row| shown(&app, row)).collect::<Result<Vec<_>, _>>()?;
    Ok(answer(StatusCode::OK, &json!({ "changes": changes })))
}

/// `POST /v1/contact-changes/{id}/approve`
#[utoipa::path(post, path = "/v1/contact-changes/{id}/approve", tag = "contacts", summary = "Approve a change by the digits of its announcement",
    security(("bearer" = []), ("cookie" = [])),
    params(("id" = Uuid, Path)),
    request_body = shapes::Digits,
    responses(
        (status = 200, description = "Done at once", body = shapes::ChangeOutcome),
        (status = 404, description = "`not-found`: none of this caller"),
        (status = 409, description = "`last-contact`: it would remove the only confirmed one"),
        (status = 422, description = "`wrong-digits`, with attemptsLeft"),
        (status = 423, description = "`locked`, `account-locked`"),
        (status = 410, description = "`expired`"),
    ))]
pub(super) async fn approve(
    State(app): State<App>,
    session: Session,
    Client(ip): Client,
    Id(change_id): Id,
    Body(body): Body<DigitsBody>,
) -> Result<Response, Problem> {
    app.limits.unlock(&app.store, ip).await?;
    let given = body.parse()?;
    let account_id = session.account_id;
    // Asked before the turn too, so that what is nobody's makes nobody wait.
    if !app.store.is_change_of(account_id, change_id).await? {
        return Err(Problem::not_found());
    }
    let seed = seed(&app, account_id).await?;
    let _turn = app.turn(account_id).await?;
    let mut outcome = app.store.begin_approval(account_id, change_id, now_ms()).await?;
    if let Approval::Guess { guess, challenge, attempts_left } = outcome {
        let right = seed.change_digits(change_id, challenge).matches(&given);
        app.limits.observe(ip, right);
        counted("change", right);
        if !right {
            app.tell_if_locked(account_id).await?;
            return Err(wrong_digits(attempts_left));
        }
        outcome = app.store.approve_change((account_id, session.id), change_id, guess, now_ms()).await?;
        if outcome == Approval::Done {
            ::metrics::counter!(metrics::CONTACT_CHANGES, "outcome" => "approved").increment(1);
            tracing::info!(
                target: "security", event = "contact-change-approved", %account_id, %change_id,
                "a confirmed contact approved a change"
            );
        }
    }
    let again = "ask for new digits at POST /v1/contact-changes/{id}/digits once these have expired, or wait";
    match outcome {
        Approval::Done => Ok(answer(StatusCode::OK, &json!({ "id": change_id, "state": "done" }))),
        Approval::LastContact => {
            let detail = "the only confirmed contact stays until another one is confirmed; nothing was counted";
            Err(Problem::new(StatusCode::CONFLICT, "last-contact", "Last contact", detail))
        }
        Approval::Expired => {
            let detail = format!("the digits have expired: {again}");
            Err(Problem::new(StatusCode::GONE, "expired", "Expired", detail))
        }
        Approval::Locked => {
            let detail = format!("too many wrong digits: {again}");
            Err(Problem::new(StatusCode::LOCKED, "locked", "Locked", detail))
        }
        Approval::TooMany { retry_after_s } => Err(too_many("wrong digits", retry_after_s)),
        Approval::NotFound | Approval::Guess { .. } => Err(Problem::not_found()),
    }
}

/// `POST /v1/contact-changes/{id}/digits`
#[utoipa::path(post, path = "/v1/contact-changes/{id}/digits", tag = "contacts", summary = "Have new digits sent",
    security(("bearer" = []), ("cookie" = [])),
    params(("id" = Uuid, Path)),
    responses(
        (status = 202, description = "On their way", body = shapes::ChangeDigits),
        (status = 404, description = "`not-found`: none of this caller"),
        (status = 423, description = "`locked`"),
    ))]
pub(super) async fn renew(State(app): State<App>, session: Session, Id(change_id): Id) -> Result<Response, Problem> {
    match app.store.renew_change(session.account_id, change_id, now_ms()).await? {
        Renewal::Sent { expires_at_ms } => {
            let body = json!({ "id": change_id, "digitsExpireAt": rfc3339_ms(expires_at_ms) });
            Ok(answer(StatusCode::ACCEPTED, &body))
        }
        Renewal::TooSoon { retry_after_s } => Err(too_many("messages for this change", retry_after_s)),
        Renewal::UsedUp => {
            let detail = "this change has had all its digits: it is made when its time has come";
            Err(Problem::new(StatusCode::LOCKED, "locked", "Locked", detail))
        }
        Renewal::NotFound => Err(Problem::not_found()),
    }
}

/// `POST /v1/contact-changes/{id}/cancel`: no session is needed, the token is from a link in an announcement.
#[utoipa::path(post, path = "/v1/contact-changes/{id}/cancel", tag = "contacts", summary = "Cancel a change by the link of its announcement",
    params(("id" = Uuid, Path)),
    request_body = shapes::Token,
    responses(
        (status = 200, description = "Cancelled", body = shapes::ChangeOutcome),
        (status = 404, description = "`not-found`: none of this caller"),
        (status = 410, description = "`expired`: it has happened"),
    ))]
pub(super) async fn cancel(
    State(app): State<App>,
    Id(change_id): Id,
    Body(body): Body<TokenBody>,
) -> Result<Response, Problem> {
    let given = body.parse()?;
    let row = app.store.cancellable(change_id).await?;
    let (account_id, contacts) =
        row.as_ref().map_or((Uuid::nil(), [].as_slice()), |row| (row.account_id, &row.contacts));
    let seed = opened_or_decoy(&app, account_id, row.as_ref().map(|row| row.seed_sealed.as_slice()))?;
    // As many comparisons whether the change is there or not, and all of them.
    let mut right = false;
    for place in 0..usize::try_from(MOST_CONTACTS).unwrap_or_default() {
        let contact = contacts.get(place);
        let token = seed.cancel_token(change_id, contact.copied().unwrap_or_default());
        right |= token.matches(&given) & contact.is_some();
    }
    if !right {
        return Err(Problem::not_found());
    }
    match app.store.cancel_change(change_id, now_ms()).await? {
        Cancellation::Cancelled { sessions_ended } => {
            ::metrics::counter!(metrics::CONTACT_CHANGES, "outcome" => "cancelled").increment(1);
            tracing::warn!(
                target: "security", event = "contact-change-cancelled", %account_id, %change_id,
                "a confirmed contact cancelled a change"
            );
            let body = json!({ "id": change_id, "state": "cancelled", "sessionsEnded": sessions_ended });
            Ok(answer(StatusCode::OK, &body))
        }
        Cancellation::TooLate => {
            let detail = "the change was made before: it can be undone by another one alone";
            Err(Problem::new(StatusCode::GONE, "expired", "Too late", detail))
        }
    }
}

/// `DELETE /v1/account`
#[utoipa::path(delete, path = "/v1/account", tag = "contacts", summary = "Delete the account, after the delay of a change",
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 202, description = "It waits", body = shapes::AcceptedChange),
    ))]
pub(super) async fn delete_account(State(app): State<App>, session: Session) -> Result<Response, Problem> {
    match app.store.delete_account(session.account_id, app.delay()).await? {
        Removal::Waits(change) => accepted(&app, &session, &change),
        Removal::TooMany { retry_after_s } => Err(too_many("changes", retry_after_s)),
        Removal::Closed | Removal::NotFound | Removal::Removed => Err(closed()),
    }
}

/// 202 with a change that now waits.
pub(super) fn accepted(app: &App, session: &Session, change: &ChangeRow) -> Result<Response, Problem> {
    proposed(session, change);
    Ok(answer(StatusCode::ACCEPTED, &json!({ "change": shown(app, change)? })))
}

/// Tells the log of a change that waits.
pub(super) fn proposed(session: &Session, change: &ChangeRow) {
    let (session_id, account_id, change_id, kind) = (session.id, session.account_id, change.id, change.kind.as_str());
    ::metrics::counter!(metrics::CONTACT_CHANGES, "outcome" => "announced").increment(1);
    tracing::info!(
        target: "security", event = "contact-change-announced", %account_id, %session_id, %change_id, kind,
        "a change of contacts waits"
    );
}

/// 403: the account ends.
pub(super) fn closed() -> Problem {
    let detail = "this account is being deleted; sign in again for a new one";
    Problem::new(StatusCode::FORBIDDEN, "account-closed", "Account closed", detail)
}

/// A change as JSON.
pub(super) fn shown(app: &App, change: &ChangeRow) -> Result<Value, Problem> {
    let mut body = json!({
        "id": change.id,
        "kind": change.kind.as_str(),
        "state": change.state,
        "createdAt": rfc3339_ms(change.created_at_ms),
        "dueAt": rfc3339_ms(change.due_at_ms),
        "digitsExpireAt": rfc3339_ms(change.challenge_expires_at_ms),
    });
    if let (Some(id), Some(channel), Some(sealed)) = (change.contact_id, change.channel(), &change.address_sealed) {
        body["contactId"] = json!(id);
        body["channel"] = json!(channel.as_str());
        body["masked"] = json!(masked(app, channel, id, sealed)?);
    }
    Ok(body)
}
