//! The read-only API for auditors, health for load balancers, and status for operators.

mod evidence;
mod governance;
mod lost;
mod operations;
mod search;
mod series;
mod story;
mod twilio;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use alloy::primitives::{Address, B256};
use axum::{
    Router,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use otp_core::{
    clock::{now_ms, rfc3339_s},
    consumer::ConsumerAction,
    http::{
        self, Guard, Problem,
        pages::{self, Page},
    },
    id::Deployment,
    metrics::Recorder,
    seal::Keyring,
    secret::Secret,
    store::{ChainEvent, EventFilter, EventKind, Store, StoreError},
    ticket::{self, TicketPath},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

pub(crate) use self::story::purpose_name;
use crate::{
    bounces::Reports,
    channel::sms::callback::{self, Callback},
    governance::Governance,
    inquiry::Inquiry,
    progress::{Progress, Upload},
    stats::Stats,
};

/// The most events in one answer.
const PAGE: u32 = 200;
/// Events that a page looks through.
const SCANNED: u32 = 20_000;
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Not ready when the node has not answered for so long.
const FRESH: Duration = Duration::from_secs(30);
/// Not ready when so many blocks are not applied yet.
const LAG: u64 = 128;

/// What the handlers read; cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    /// The database.
    pub store: Store,
    /// Takes down what providers say of messages.
    pub reports: Reports,
    /// Chain and contract.
    pub deployment: Deployment,
    /// Blocks that are waited for on purpose.
    pub confirmations: u64,
    /// How old the head may be.
    pub max_head_age: Duration,
    /// Tail and mail.
    pub progress: Progress,
    /// What the page knows of contracts that spend codes.
    pub actions: Arc<Vec<ConsumerAction>>,
    /// What `/v1/stats` tells.
    pub stats: Stats,
    /// Where Twilio tells what became of texts, where it is to.
    pub sms_callback: Option<Callback>,
    /// What `/v1/governance` tells.
    pub governance: Governance,
    /// A node, for checks of what is stored.
    pub inquiry: Inquiry,
    /// The data keys, once they are there: the operator sees masked contacts.
    pub keyring: Arc<OnceLock<Arc<Keyring>>>,
    /// Whether the public port's clients speak TLS.
    pub is_tls: bool,
    /// Cancelled once the daemon was told to end, which is when it stops being ready.
    pub leaving: CancellationToken,
}

/// The public port.
pub fn public(app: App) -> Router {
    let guard = Guard { time_limit: TIME_LIMIT, is_tls: app.is_tls };
    let router = Router::new()
        .route("/v1/config", get(config))
        .route("/v1/events", get(events))
        .route("/v1/tickets/{issuer}/{onChainId}", get(ticket))
        .route("/v1/evidence", get(evidence::entries))
        .route("/v1/evidence/head", get(evidence::head))
        .route("/v1/stats", get(series::stats))
        .route("/v1/series", get(series::series))
        .route("/v1/search", get(search::public))
        .route("/v1/governance", get(governance::governance))
        .route(callback::PATH, post(twilio::status))
        .route("/livez", get(http::livez))
        .route("/readyz", get(readyz))
        .merge(pages::routes(&[("/", Page::Ops), ("/verify", Page::Wallet)]))
        .with_state(app);
    http::finish(router, guard)
}

/// The admin port, with the token that opens status and metrics.
pub fn admin(app: App, token: Secret<String>, recorder: Recorder) -> Router {
    let routes = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/stats", get(series::stats))
        .route("/v1/series", get(series::series))
        .route("/v1/search", post(search::operator))
        .route("/v1/governance", get(governance::governance))
        .route("/v1/operations", get(operations::operations))
        .route("/v1/deliveries/lost", get(lost::list))
        .route("/v1/deliveries/reports", post(lost::report));
    // The page is the same for everybody; what it shows asks for the token.
    let open = Router::new().route("/readyz", get(readyz)).merge(pages::routes(&[("/", Page::Ops)]));
    // In clear on loopback, where the command line reads it.
    let guard = Guard { time_limit: TIME_LIMIT, is_tls: false };
    http::finish(http::admin(routes, open, token, recorder).with_state(app), guard)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventQuery {
    from: Option<u64>,
    to: Option<u64>,
    id: Option<B256>,
    r#type: Option<String>,
    issuer: Option<Address>,
    cursor: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventPage {
    events: Vec<Value>,
    /// To be given as `cursor` for what follows, also after a page that is not full; null at the end of what is known.
    next: Option<String>,
}

async fn events(State(app): State<App>, query: Result<Query<EventQuery>, QueryRejection>) -> Result<Response, Problem> {
    let detail = "from and to are block numbers, id is 0x and 64 hex digits, issuer an address, type an event's name, \
                  cursor an earlier answer's next";
    let bad = || Problem::bad_request(detail);
    let Query(query) = query.map_err(|_| bad())?;
    let kind = query.r#type.map(|name| EventKind::from_name(&name).ok_or_else(bad)).transpose()?;
    let after = query.cursor.map(|cursor| read_cursor(&cursor).ok_or_else(bad)).transpose()?;
    let filter = EventFilter {
        from: query.from,
        to: query.to,
        on_chain_id: query.id,
        issuer: query.issuer,
        kind,
        after,
        ..EventFilter::default()
    };
    let until = until(&app.store, &filter).await.map_err(|e| Problem::internal(&e))?;
    let found = app.store.events(&EventFilter { until, ..filter }, PAGE).await.map_err(|e| Problem::internal(&e))?;
    let is_full = u32::try_from(found.len()).is_ok_and(|count| count == PAGE);
    let last = found.last().filter(|_| is_full).map(|event| (event.place.block_number, event.place.log_index));
    let next = last.or(until.filter(|(block, _)| query.to.is_none_or(|to| *block <= to)));
    let next = next.map(|(block, log)| format!("{block}.{log}"));
    Ok(http::answer(StatusCode::OK, &EventPage { events: found.iter().map(show).collect(), next }))
}

/// How far a page looks where no index leads to what is asked for; beyond it, `next` goes on.
async fn until(store: &Store, filter: &EventFilter) -> Result<Option<(u64, u64)>, StoreError> {
    let is_found = filter.on_chain_id.is_some() || filter.kind.is_some_and(EventKind::is_governance);
    let is_narrowed = filter.kind.is_some() || filter.issuer.is_some();
    if is_found || !is_narrowed { Ok(None) } else { store.place_after(filter, SCANNED).await }
}

fn read_cursor(text: &str) -> Option<(u64, u64)> {
    let (block, log) = text.split_once('.')?;
    Some((block.parse().ok()?, log.parse().ok()?))
}

/// Times in RFC 3339, bytes in hex, addresses in EIP-55; what an event does not have is left out.
pub(crate) fn show(event: &ChainEvent) -> Value {
    let (place, facts) = (&event.place, &event.facts);
    let time = |unix_s: u64| rfc3339_s(i64::try_from(unix_s).unwrap_or(i64::MAX));
    let mut shown = json!({
        "type": event.kind.name(),
        "blockNumber": place.block_number,
        "blockHash": place.block_hash,
        "txHash": place.tx_hash,
        "logIndex": place.log_index,
        "time": time(place.timestamp),
    });
    let (subject, action, party) = names(event.kind);
    let address = |address: Option<Address>| address.map(|a| a.to_checksum(None).into());
    let optional: [(&str, Option<Value>); 11] = [
        ("id", facts.on_chain_id.map(|id| json!(id))),
        ("root", facts.root.map(|root| json!(root))),
        ("issuer", address(facts.issuer)),
        ("purpose", facts.purpose.map(|purpose| json!(purpose))),
        ("serial", facts.serial.map(Value::from)),
        ("first", facts.first.map(Value::from)),
        ("size", facts.size.map(Value::from)),
        ("expiry", facts.expiry.map(|expiry| time(expiry).into())),
        (subject, address(facts.subject)),
        (action, facts.action.map(|action| json!(action))),
        (party, address(facts.party)),
    ];
    if let Some(members) = shown.as_object_mut() {
        members.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
    shown
}

/// What the members of an event are called that mean something else in each kind.
const fn names(kind: EventKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        EventKind::Consumed => ("subject", "action", "consumer"),
        EventKind::RoleGranted | EventKind::RoleRevoked => ("account", "role", "by"),
        EventKind::Upgraded => ("subject", "action", "implementation"),
        _ => ("subject", "action", "by"),
    }
}

/// What a page that this port serves has to know. There is no sign-in here.
async fn config(State(app): State<App>) -> Response {
    let body = json!({
        "chainId": app.deployment.chain_id,
        "verifier": app.deployment.verifier.to_checksum(None),
        "actions": app.actions.as_ref(),
    });
    http::answer(StatusCode::OK, &body)
}

async fn ticket(State(app): State<App>, path: TicketPath) -> Result<Response, Problem> {
    let now_s = app.progress.snapshot().head.map_or_else(|| now_ms().unsigned_abs() / 1_000, |head| head.timestamp);
    ticket::ticket(&app.store, app.deployment, path, now_s).await
}

async fn readyz(State(app): State<App>) -> Response {
    let chain = app.progress.snapshot();
    let queue = app.store.delivery_queue().await;
    let store_ok = queue.is_ok() && app.store.ping().await.is_ok();
    let (pending, oldest) = queue.unwrap_or_default();
    let lag = chain.lag_blocks();
    let chain_ok = chain.answered_ago().is_some_and(|ago| ago <= FRESH)
        && lag.is_some_and(|lag| lag <= LAG + app.confirmations)
        && !chain.stands_still(app.max_head_age);
    let mail_ok = app.progress.is_mail_up();
    let ready = store_ok && chain_ok && mail_ok && !app.leaving.is_cancelled();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let upload = app.progress.upload();
    let mut body = json!({
        "status": match upload {
            _ if !ready => "not ready",
            Some(Upload { ok: false, .. }) => "degraded",
            _ => "ready",
        },
        "store": { "ok": store_ok },
        "chain": { "ok": chain_ok, "headAgeSeconds": chain.head_age().map(|age| age.as_secs()), "lagBlocks": lag },
        "mail": {
            "ok": mail_ok,
            "pending": pending,
            "oldestPendingSeconds": oldest.map(|at_ms| now_ms().saturating_sub(at_ms) / 1_000),
        },
    });
    if let Some(Upload { ok, lag_heads }) = upload {
        body["evidence"] = json!({ "ok": ok, "uploadLagHeads": lag_heads });
    }
    http::answer(status, &body)
}

async fn status(State(app): State<App>) -> Result<Response, Problem> {
    let counts = app.store.delivery_counts().await.map_err(|e| Problem::internal(&e))?;
    let deliveries: Map<String, Value> = counts.into_iter().map(|row| (row.state, row.count.into())).collect();
    let chain = app.progress.snapshot();
    let body = json!({
        "chainId": app.deployment.chain_id,
        "verifier": app.deployment.verifier.to_checksum(None),
        "cursor": chain.cursor.map(|cursor| json!({ "number": cursor.number, "hash": cursor.hash })),
        "head": chain.head.map(|head| json!({ "number": head.number, "hash": head.hash, "timestamp": head.timestamp })),
        "lagBlocks": chain.lag_blocks(),
        "mailUp": app.progress.is_mail_up(),
        "deliveries": deliveries,
    });
    Ok(http::answer(StatusCode::OK, &body).into_response())
}
