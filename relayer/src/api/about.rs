//! What the relayer says of itself: configuration, readiness, and counts for operators.

use axum::{extract::State, http::StatusCode, response::Response};
use otp_core::{
    clock::rfc3339_s,
    http::{Problem, answer},
    store::{StoreError, Switch},
    ticket::{self, TicketPath},
};
use serde_json::{Map, Value, json};

use super::openapi::shapes;
use super::{App, otps::needs_action};
use crate::chain_view::Unavailable;

/// `GET /v1/config`
#[utoipa::path(get, path = "/v1/config", tag = "about", summary = "What this relayer serves",
    responses(
        (status = 200, description = "Chain, pages, purposes, channels", body = shapes::Config),
    ))]
pub(super) async fn config(State(app): State<App>) -> Result<Response, Problem> {
    let watched = app.view.watched();
    let domains: Vec<_> = app
        .http
        .domains
        .iter()
        .map(|domain| json!({ "domain": domain.authority, "uri": domain.uri, "origin": domain.origin }))
        .collect();
    let purposes: Vec<_> = app
        .otp
        .purposes
        .iter()
        .filter_map(|purpose| Some((*purpose, app.view.policy(*purpose).filter(|policy| policy.enabled)?)))
        .map(|(purpose, policy)| {
            json!({
                "name": purpose.to_string(),
                "ttl": policy.ttl_s,
                "maxAttempts": policy.max_attempts,
                "cooldown": app.limits.config().cooldown.0.as_secs(),
                "actionRequired": needs_action(purpose),
            })
        })
        .collect();
    let body = json!({
        "issuance": issuance(&app).await?,
        "chainId": watched.deployment.chain_id,
        "verifier": watched.deployment.verifier.to_checksum(None),
        "issuer": watched.issuer.to_checksum(None),
        "domains": domains,
        "purposes": purposes,
        "sponsoring": app.sponsor.is_some(),
        "actions": &app.actions,
        "channels": app.contacts.channels.iter().map(|channel| channel.as_str()).collect::<Vec<_>>(),
    });
    Ok(answer(StatusCode::OK, &body))
}

/// `{on, off: [{scope, name?}]}`: what operators switched off, without their reasons.
async fn issuance(app: &App) -> Result<Value, StoreError> {
    let off = app.store.switched_off().await?;
    let on = !off.iter().any(|off| off.switch == Switch::All);
    let off: Vec<_> = off
        .iter()
        .map(|off| match &off.switch {
            Switch::All => json!({ "scope": "all" }),
            other => json!({ "scope": other.scope(), "name": other.name() }),
        })
        .collect();
    Ok(json!({ "on": on, "off": off }))
}

/// `GET /v1/tickets/{issuer}/{onChainId}`, as the indexer has it too.
#[utoipa::path(get, path = "/v1/tickets/{issuer}/{onChainId}", tag = "about", summary = "A code's ticket, from the chain's logs",
    params(("issuer" = String, Path), ("onChainId" = String, Path)),
    responses(
        (status = 200, description = "What the contract asks for beside the code", body = shapes::IssuedTicket),
        (status = 404, description = "`not-found`: no such code is on the chain"),
    ))]
pub(super) async fn ticket(State(app): State<App>, path: TicketPath) -> Result<Response, Problem> {
    ticket::ticket(&app.store, app.deployment(), path, app.chain_time_s()).await
}

/// `GET /readyz`
#[utoipa::path(get, path = "/readyz", tag = "about", summary = "Whether codes can be issued",
    responses(
        (status = 200, description = "They can", body = shapes::Ready),
        (status = 503, description = "`not-ready`: dependencies says why"),
    ))]
pub(super) async fn readyz(State(app): State<App>) -> Result<Response, Problem> {
    let store = app.store.ping().await.is_ok();
    let (head_number, head_s) = app.view.head();
    let (chain, signer) = match app.view.available() {
        Ok(()) => ("ok", "ok"),
        Err(Unavailable::Chain) => ("unreachable", "unknown"),
        Err(Unavailable::Paused) => ("paused", "ok"),
        Err(Unavailable::NoRole) => ("ok", "lacks ISSUER_ROLE"),
        Err(Unavailable::Unfunded) => ("ok", "unfunded"),
        Err(Unavailable::Stalled) => ("ok", "not issuing"),
    };
    // What operators switched off is not unwell: codes that are out can still be unlocked here.
    let issuance = match app.store.switched_off().await {
        Ok(off) if off.is_empty() => "on",
        Ok(off) if off.iter().any(|off| off.switch == Switch::All) => "off",
        Ok(_) => "partly off",
        Err(_) => "unknown",
    };
    let answered_ms_ago = app.view.answered_ago().and_then(|ago| u64::try_from(ago.as_millis()).ok());
    let dependencies = json!({
        "store": { "state": if store { "ok" } else { "failing" } },
        "chain": {
            "state": chain,
            "headNumber": head_number,
            "headTime": rfc3339_s(i64::try_from(head_s).unwrap_or_default()),
            "answeredMsAgo": answered_ms_ago,
        },
        "signer": { "state": signer },
        "issuance": { "state": issuance },
    });
    let leaving = app.leaving.is_cancelled();
    if store && chain == "ok" && signer == "ok" && !leaving {
        let warnings = app.view.warnings().all();
        let status = if warnings.is_empty() { "ready" } else { "degraded" };
        let warnings: Map<String, Value> =
            warnings.into_iter().map(|(name, detail)| (name.to_owned(), detail.into())).collect();
        return Ok(answer(
            StatusCode::OK,
            &json!({ "status": status, "warnings": warnings, "dependencies": dependencies }),
        ));
    }
    let detail = if leaving { "this relayer is ending" } else { "a dependency is not well: see dependencies" };
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "Not ready", detail)
        .with("dependencies", dependencies)
        .retry_after(5))
}
