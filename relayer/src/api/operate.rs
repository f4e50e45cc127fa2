//! What operators ask of a running relayer, on the admin port: the commands of `relayer` call these. The daemon does it, so
//! each table keeps its one writer.

use alloy::primitives::B256;
use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use otp_core::{
    clock::rfc3339_ms,
    http::{Body, Problem, answer},
    seal::{Progress, Resealing},
    store::{BlockKind, Revocation, Switch},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::App;
use crate::typed::Typed;

/// A reason is shown to operators alone.
const LONGEST_REASON: usize = 200;
/// What those who waited for a code are told that an operator revoked.
const REVOKED: &str = "revoked by the operator";

/// The routes, all behind the token.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/issuance", get(issuance).post(switch))
        .route("/v1/blocks", get(blocks).post(block))
        .route("/v1/keys", get(keys))
        .route("/v1/keys/rotate", post(rotate))
        .route("/v1/keys/rewrap", post(rewrap))
        .route("/v1/accounts/unlock", post(unlock_account))
        .route("/v1/revocations", post(revoke))
}

/// `GET /v1/status`: beside what `/readyz` says, what is where.
async fn status(State(app): State<App>) -> Result<Response, Problem> {
    let counts: Map<String, Value> =
        app.store.counts().await?.into_iter().map(|(state, count)| (state, count.into())).collect();
    let watched = app.view.watched();
    let indexed = app.store.cursor(&watched.deployment).await?.map(|cursor| cursor.number);
    let (head, _) = app.view.head();
    let progress = resealing(&app).progress().await?;
    let body = json!({
        "counts": counts,
        "issuance": switched(&app).await?,
        "blocked": app.store.blocked().await?.len(),
        "limitsDividedBy": app.limits.divisor(),
        "signer": {
            "address": watched.issuer.to_checksum(None),
            "balanceWei": app.view.balance_wei().to_string(),
            "minBalanceWei": watched.min_balance_wei.to_string(),
        },
        "indexer": { "block": indexed, "lag": indexed.map(|block| head.saturating_sub(block)) },
        "dataKeys": shown(&progress),
    });
    Ok(answer(StatusCode::OK, &body))
}

/// `{on, off: [{scope, name, reason, since}]}`
async fn switched(app: &App) -> Result<Value, Problem> {
    let off = app.store.switched_off().await?;
    let on = !off.iter().any(|off| off.switch == Switch::All);
    let off: Vec<_> = off
        .iter()
        .map(|off| {
            json!({
                "scope": off.switch.scope(),
                "name": off.switch.name(),
                "reason": off.reason,
                "since": rfc3339_ms(off.since_ms),
            })
        })
        .collect();
    Ok(json!({ "on": on, "off": off }))
}

async fn issuance(State(app): State<App>) -> Result<Response, Problem> {
    Ok(answer(StatusCode::OK, &switched(&app).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSwitch {
    on: bool,
    purpose: Option<String>,
    channel: Option<String>,
    #[serde(default)]
    reason: String,
}

/// `POST /v1/issuance`: takes effect with the next request, in every relayer on this store.
async fn switch(State(app): State<App>, Body(body): Body<NewSwitch>) -> Result<Response, Problem> {
    let reason = reason(body.reason)?;
    let switch = match (body.purpose, body.channel) {
        (None, None) => Switch::All,
        (Some(purpose), None) => {
            let known = purpose.parse().ok().filter(|purpose| app.otp.purposes.contains(purpose));
            Switch::Purpose(known.ok_or_else(|| Problem::bad_request("purpose is none of otp.purposes"))?)
        }
        (None, Some(channel)) => {
            let known: otp_core::contact::Channel =
                channel.parse().map_err(|e| Problem::bad_request(format!("channel: {e}")))?;
            Switch::Channel(known.as_str().to_owned())
        }
        (Some(_), Some(_)) => return Err(Problem::bad_request("a purpose or a channel, not both")),
    };
    let failed = if body.on {
        app.store.switch_on(&switch).await?;
        0
    } else {
        app.store.switch_off(&switch, &reason).await?
    };
    tracing::warn!(
        target: "security", event = "issuance-switched", on = body.on, scope = switch.scope(), name = switch.name(),
        failed, "an operator switched issuance"
    );
    let mut body = switched(&app).await?;
    body["failed"] = failed.into();
    Ok(answer(StatusCode::OK, &body))
}

async fn blocks(State(app): State<App>) -> Result<Response, Problem> {
    let blocked: Vec<_> = app
        .store
        .blocked()
        .await?
        .into_iter()
        .map(|blocked| {
            json!({
                "kind": blocked.kind.as_str(),
                "address": blocked.address.to_checksum(None),
                "reason": blocked.reason,
                "since": rfc3339_ms(blocked.since_ms),
            })
        })
        .collect();
    Ok(answer(StatusCode::OK, &json!({ "blocked": blocked })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBlock {
    kind: String,
    address: Typed,
    blocked: bool,
    #[serde(default)]
    reason: String,
}

/// `POST /v1/blocks`: a wallet still signs in, so that nobody learns of it by trying; it is told when it asks for a code.
async fn block(State(app): State<App>, Body(body): Body<NewBlock>) -> Result<Response, Problem> {
    let reason = reason(body.reason)?;
    let kind: BlockKind = body.kind.parse().map_err(|e| Problem::bad_request(format!("kind: {e}")))?;
    let address = body.address.0;
    let (changed, failed) = if body.blocked {
        (true, app.store.block(kind, address, &reason).await?)
    } else {
        (app.store.unblock(kind, address).await?, 0)
    };
    if changed {
        tracing::warn!(
            target: "security", event = "block-changed", kind = kind.as_str(), blocked = body.blocked, failed,
            "an operator changed who is blocked"
        );
    }
    let body = json!({ "kind": kind.as_str(), "address": address.to_checksum(None), "blocked": body.blocked,
                       "changed": changed, "failed": failed });
    Ok(answer(StatusCode::OK, &body))
}

fn resealing(app: &App) -> Resealing {
    Resealing::new(app.store.clone(), app.keyring.clone())
}

fn shown(progress: &Progress) -> Value {
    let columns: Vec<_> = progress
        .columns
        .iter()
        .map(|(place, done)| {
            json!({
                "place": place,
                "resealed": done.resealed,
                "unopened": done.unopened,
                "finished": done.finished_at_ms.is_some(),
            })
        })
        .collect();
    json!({
        "version": progress.version,
        "versions": progress.versions,
        "finished": progress.is_finished(),
        "columns": columns,
    })
}

async fn keys(State(app): State<App>) -> Result<Response, Problem> {
    Ok(answer(StatusCode::OK, &shown(&resealing(&app).progress().await?)))
}

/// `POST /v1/keys/rotate`: how far it has come, `GET /v1/keys` tells.
async fn rotate(State(app): State<App>) -> Result<Response, Problem> {
    if !resealing(&app).progress().await?.is_finished() {
        let detail = "the last rotation is not finished: see GET /v1/keys";
        return Err(Problem::new(StatusCode::CONFLICT, "rotation-running", "Rotation running", detail));
    }
    let version = app.keyring.rotate().await?;
    tracing::warn!(target: "security", event = "data-key-rotated", version, "a new data key was made");
    Ok(answer(StatusCode::ACCEPTED, &json!({ "version": version })))
}

/// `POST /v1/keys/rewrap`
async fn rewrap(State(app): State<App>) -> Result<Response, Problem> {
    let rewrapped = app.keyring.rewrap().await?;
    tracing::warn!(target: "security", event = "data-keys-rewrapped", rewrapped, "the data keys were wrapped anew");
    Ok(answer(StatusCode::OK, &json!({ "rewrapped": rewrapped })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wallet {
    wallet: Typed,
}

/// `POST /v1/accounts/unlock`
async fn unlock_account(State(app): State<App>, Body(body): Body<Wallet>) -> Result<Response, Problem> {
    let unlocked = app.store.unlock_account(body.wallet.0).await?;
    let (account_id, was_locked) = unlocked.ok_or_else(|| missing("no account has this wallet"))?;
    tracing::warn!(target: "security", event = "account-unlocked", %account_id, was_locked, "an operator unlocked an account");
    Ok(answer(StatusCode::OK, &json!({ "accountId": account_id, "wasLocked": was_locked })))
}

/// A request's id, or a code's on the chain.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoked {
    id: String,
}

/// `POST /v1/revocations`
async fn revoke(State(app): State<App>, Body(body): Body<Revoked>) -> Result<Response, Problem> {
    let otp_id = match (body.id.parse::<Uuid>(), body.id.parse::<B256>()) {
        (Ok(id), _) => Some(id),
        (_, Ok(on_chain_id)) => app.store.request_of(on_chain_id).await?,
        _ => return Err(Problem::bad_request("id: a request's UUID or a code's id on the chain is expected")),
    };
    let otp_id = otp_id.ok_or_else(|| missing("no code of this relayer has this id on the chain"))?;
    let done = app.store.owe_revocation(otp_id, REVOKED).await?.ok_or_else(|| missing("no request has this id"))?;
    app.wake.notify_one();
    let outcome = match done {
        Revocation::Withdrawn => "withdrawn",
        Revocation::Owed => "owed",
        Revocation::Moot => "moot",
    };
    tracing::warn!(target: "security", event = "revocation-ordered", %otp_id, outcome, "an operator revokes a code");
    Ok(answer(StatusCode::ACCEPTED, &json!({ "id": otp_id, "outcome": outcome })))
}

/// 404, in words for an operator.
fn missing(detail: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
}

fn reason(text: String) -> Result<String, Problem> {
    if text.len() > LONGEST_REASON || text.chars().any(char::is_control) {
        return Err(Problem::bad_request(format!("reason: at most {LONGEST_REASON} bytes of plain text")));
    }
    Ok(text)
}
