//! What a caller sees of their requests.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use otp_core::{
    authorization::Authorization,
    clock::{rfc3339_ms, rfc3339_s},
    http::{Problem, answer},
    store::{Status, Story},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::openapi::shapes;
use super::{App, contacts::masked, paths::Id, session::Session};

const PAGE: u32 = 20;

/// `GET /v1/otps/{id}`
#[utoipa::path(get, path = "/v1/otps/{id}", tag = "otps", summary = "A request",
    security(("bearer" = []), ("cookie" = [])),
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "Where it stands", body = shapes::Otp),
        (status = 404, description = "`not-found`: none of this caller"),
    ))]
pub(super) async fn show(State(app): State<App>, session: Session, Id(id): Id) -> Result<Response, Problem> {
    let story = app.store.story(session.account_id, id).await?.ok_or_else(Problem::not_found)?;
    let status = story.status(app.chain_time_s());
    Ok(answer(StatusCode::OK, &shown(&app, &session, &story, status)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    cursor: Option<Uuid>,
}

/// `GET /v1/otps?cursor=`
#[utoipa::path(get, path = "/v1/otps", tag = "otps", summary = "The own requests, newest first",
    security(("bearer" = []), ("cookie" = [])),
    params(("cursor" = Option<Uuid>, Query, description = "An earlier page's nextCursor")),
    responses(
        (status = 200, description = "A page", body = shapes::Otps),
    ))]
pub(super) async fn list(
    State(app): State<App>,
    session: Session,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(page) = page.map_err(|_| Problem::bad_request("cursor is the nextCursor of the page before"))?;
    let ids = app.store.request_ids(session.account_id, page.cursor, PAGE).await?;
    let mut otps = Vec::with_capacity(ids.len());
    for id in &ids {
        if let Some(story) = app.store.story(session.account_id, *id).await? {
            otps.push(shown(&app, &session, &story, story.status(app.chain_time_s()))?);
        }
    }
    let full = u32::try_from(ids.len()) == Ok(PAGE);
    Ok(answer(StatusCode::OK, &json!({ "otps": otps, "nextCursor": ids.last().filter(|_| full) })))
}

/// A story as JSON. `status` is the one to be told, which in an event can be an earlier one than the last.
pub(super) fn shown(app: &App, session: &Session, story: &Story, status: Status) -> Result<Value, Problem> {
    let deployment = app.deployment();
    let reached = story.reached(app.chain_time_s());
    let history: Vec<_> =
        reached.iter().map(|(status, at_ms)| json!({ "status": status.as_str(), "at": rfc3339_ms(*at_ms) })).collect();
    let delivery = story.delivery.as_ref();
    let (channel, contact_id, address_sealed) = match delivery {
        Some(delivery) => (delivery.channel, delivery.contact_id, &delivery.address_sealed),
        None => (story.channel, story.contact_id, &story.address_sealed),
    };
    let mut body = json!({
        "id": story.id,
        "reference": story.reference,
        "status": status.as_str(),
        "history": history,
        "purpose": story.purpose.to_string(),
        "action": story.action,
        "verifier": deployment.verifier.to_checksum(None),
        "chainId": deployment.chain_id,
        "createdAt": rfc3339_ms(story.created_at_ms),
        "chainTime": rfc3339_s(i64::try_from(app.chain_time_s()).unwrap_or(i64::MAX)),
        "delivery": {
            "channel": channel.as_str(),
            "masked": masked(app, channel, contact_id, address_sealed)?,
            "state": delivery.map_or("queued", |delivery| delivery.state.as_str()),
            "attempts": delivery.map_or(0, |delivery| delivery.attempts),
        },
    });
    if let Some(members) = body.as_object_mut() {
        add_known(members, session, story);
        if let Some(authorization) = authorization(app, story) {
            members.insert("authorization".to_owned(), authorization);
        }
    }
    Ok(body)
}

/// What the code authorises: in words, and as the request gave it, so that a page can hash it and see that it is so. Left
/// out where it cannot be opened; the request stands all the same.
fn authorization(app: &App, story: &Story) -> Option<Value> {
    let sealed = Some(&story.authorization_sealed).filter(|sealed| !sealed.is_empty())?;
    let opened = app.keyring.open_sealed("authorization", story.id, sealed).ok()?;
    let it: Authorization = serde_json::from_slice(&opened).ok()?;
    let fields: Vec<_> = it.fields.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let mut shown = json!({ "title": it.title, "fields": fields });
    if let Some(typed) = it.typed {
        shown["typed"] = json!(typed);
    }
    if let Some(session) = it.session {
        shown["session"] = json!(session);
    }
    Some(shown)
}

/// What is only there once it is known.
fn add_known(members: &mut Map<String, Value>, session: &Session, story: &Story) {
    let mut add = |name: &str, value: Value| drop(members.insert(name.to_owned(), value));
    if let Some(hash) = story.payload_hash {
        add("payloadHash", json!(hash));
    }
    if let Some(issuance) = &story.issuance {
        add("onChainId", json!(issuance.on_chain_id));
        add("issuer", json!(issuance.issuer.to_checksum(None)));
        add("serial", json!(issuance.serial));
        if let Some(hash) = issuance.tx_hash {
            add("txHash", json!(hash));
        }
    }
    if let Some(issued) = &story.chain.issued {
        add("txHash", json!(issued.tx_hash));
        add("blockNumber", json!(issued.block_number));
        add("expiry", json!(rfc3339_s(issued.expiry_s)));
    }
    if let Some((_, why)) = &story.failed {
        add("failure", json!(why));
    }
    // Attempts are the making session's own (protocol.md §7.8).
    if story.session_id == session.id {
        add("attemptsLeft", json!(story.attempts_left));
    }
}
