//! Messages to in-app keys. They are sealed: what is handed out here only the key's holder can read.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use otp_core::{
    clock::rfc3339_ms,
    http::{Problem, answer},
    inapp::SUITE,
    store::InappMessage,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::openapi::shapes;
use super::{App, session::Session};

const PAGE: u32 = 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Since {
    after: Option<u64>,
}

/// `GET /v1/inapp/messages?after=`
#[utoipa::path(get, path = "/v1/inapp/messages", tag = "contacts", summary = "Messages sealed to the own in-app keys, oldest first",
    security(("bearer" = []), ("cookie" = [])),
    params(("after" = Option<u64>, Query, description = "An earlier answer's next")),
    responses(
        (status = 200, description = "A page of them; ask again with its next, at once where it is full", body = shapes::InappMessages),
    ))]
pub(super) async fn messages(
    State(app): State<App>,
    session: Session,
    since: Result<Query<Since>, QueryRejection>,
) -> Result<Response, Problem> {
    let bad = |_| Problem::bad_request("after is the next of an earlier answer");
    let after = since.map_err(bad)?.0.after.unwrap_or_default();
    let messages = app.store.inapp_messages(session.account_id, after, PAGE).await?;
    let next = messages.last().map_or(after, |message| message.number);
    let messages: Vec<_> = messages.iter().map(shown).collect();
    Ok(answer(StatusCode::OK, &json!({ "suite": SUITE, "messages": messages, "next": next })))
}

fn shown(message: &InappMessage) -> Value {
    json!({
        "id": message.message_id,
        "contactId": message.contact_id,
        "createdAt": rfc3339_ms(message.created_at_ms),
        "expiresAt": rfc3339_ms(message.expires_at_ms),
        "enc": hex::encode_prefixed(&message.sealed.enc),
        "ciphertext": hex::encode_prefixed(&message.sealed.ciphertext),
    })
}
