//! The HTTP interface (api.md): parse, authenticate, store, answer.
//!
//! A handler gets at a user by the [`session::Session`] extractor alone. Errors are [`Problem`]s; what broke inside is
//! logged where it happens and not shown.

mod about;
mod auth;
mod changes;
mod client;
mod contacts;
mod cookie;
mod dpop;
mod events;
mod fingerprint;
mod inapp;
mod links;
mod nonce;
pub mod openapi;
mod operate;
mod otps;
mod pages;
mod paths;
mod session;
mod siwe;
mod sponsor;
mod streams;
mod tokens;
mod turns;
mod unlock;
mod view;

use std::{ops::Deref, sync::Arc, time::Duration};

use axum::{
    Router,
    http::{HeaderName, HeaderValue, Method, header},
    middleware,
    routing::{delete, get, post},
};
use otp_core::{
    chain::Node,
    code::Digits,
    consumer::ConsumerAction,
    http::{
        self, Guard, Problem,
        pages::{self as site, Page},
    },
    id::Deployment,
    metrics::Recorder,
    seal::Keyring,
    secret::Secret,
    store::Store,
};
use serde::Deserialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tower_http::cors::CorsLayer;
use zeroize::Zeroizing;

use self::{siwe::contract::ContractCheck, streams::Streams, tokens::Tokens, turns::Turns};
use crate::{
    chain_view::ChainView,
    config::{ContactsConfig, HttpConfig, LimitsConfig, OtpConfig, SessionConfig},
    issuing::SponsorDesk,
    limits::{self, Limits},
};

/// How long a handler may take; a stream's body is not under it.
const TIME_LIMIT: Duration = Duration::from_secs(15);
/// What a page may read of an answer beside its body.
const EXPOSED: [&str; 5] = ["location", "retry-after", "ratelimit", "ratelimit-policy", "x-request-id"];
/// How long a browser may remember a preflight's answer.
const CORS_MAX_AGE: Duration = Duration::from_secs(3_600);

/// What the interface is made of.
#[derive(Debug)]
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The data keys.
    pub keyring: Arc<Keyring>,
    /// What is known of the chain, and which contract and issuer it is of.
    pub view: ChainView,
    /// Where people sign in.
    pub http: HttpConfig,
    /// Requests.
    pub otp: OtpConfig,
    /// How much of it anybody may ask for.
    pub limits: LimitsConfig,
    /// Contacts and their changes.
    pub contacts: ContactsConfig,
    /// Sessions.
    pub session: SessionConfig,
    /// What the page knows of contracts that spend codes.
    pub actions: Vec<ConsumerAction>,
    /// Asked whether a contract account signed.
    pub node: Node,
    /// Notified after each request that was stored.
    pub wake: Arc<Notify>,
    /// Cancelled once the daemon was told to end, which is when it stops being ready.
    pub leaving: CancellationToken,
    /// Pays for verifications, where that is configured.
    pub sponsor: Option<SponsorDesk>,
    /// Ends the event streams.
    pub shutdown: CancellationToken,
}

/// The interface's shared state; cheap to clone.
#[derive(Clone)]
pub struct App {
    parts: Arc<Parts>,
    tokens: Arc<Tokens>,
    contracts: Arc<ContractCheck>,
    limits: Arc<Limits>,
    turns: Arc<Turns>,
    streams: Arc<Streams>,
}

impl App {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let tokens = Arc::new(Tokens::new(parts.keyring.clone(), &parts.http.domains));
        let contracts = Arc::new(ContractCheck::new(parts.node.clone()));
        let limits = Arc::new(Limits::new(parts.limits.clone(), parts.keyring.clone()));
        Self { parts: Arc::new(parts), tokens, contracts, limits, turns: Arc::default(), streams: Arc::default() }
    }

    fn deployment(&self) -> Deployment {
        self.view.watched().deployment
    }

    /// The chain's time in Unix seconds; this server's until the chain has answered, so that no code seems to live again
    /// after a start without a node.
    fn chain_time_s(&self) -> u64 {
        match self.view.head() {
            (_, 0) => u64::try_from(otp_core::clock::now_ms() / 1_000).unwrap_or_default(),
            (_, timestamp_s) => timestamp_s,
        }
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// The public interface.
pub fn router(app: App) -> Router {
    let cors = cors(&app.http);
    let guard = Guard { time_limit: TIME_LIMIT, is_tls: app.http.listening.is_public_tls() };
    let routes = Router::new()
        .route("/v1/config", get(about::config))
        .route("/v1/auth/nonce", get(auth::nonce))
        .route("/v1/auth/login", post(auth::login))
        .route("/v1/auth/logout", post(auth::logout))
        .route("/v1/contacts", get(contacts::list).post(contacts::add))
        .route("/v1/contacts/{id}", delete(contacts::remove))
        .route("/v1/contacts/{id}/confirm", post(contacts::confirm))
        .route("/v1/contact-changes", get(changes::list))
        .route("/v1/contact-changes/{id}/approve", post(changes::approve))
        .route("/v1/contact-changes/{id}/digits", post(changes::renew))
        .route("/v1/contact-changes/{id}/cancel", post(changes::cancel))
        .route("/v1/account", delete(changes::delete_account))
        .route("/v1/inapp/messages", get(inapp::messages))
        .route("/v1/otps", get(view::list).post(otps::submit))
        .route("/v1/otps/{id}", get(view::show))
        .route("/v1/otps/{id}/events", get(events::follow))
        .route("/v1/otps/{id}/unlock", post(unlock::unlock))
        .route("/v1/otps/{id}/sponsor", post(sponsor::sponsor))
        .route("/v1/otps/{id}/report", post(links::report))
        .route("/v1/tickets/{issuer}/{onChainId}", get(about::ticket))
        .merge(pages::routes())
        .merge(site::routes(&[("/", Page::Wallet), ("/verify", Page::Wallet)]))
        .route("/openapi.json", get(openapi::openapi))
        .route("/livez", get(http::livez))
        .route("/readyz", get(about::readyz))
        .with_state(app)
        .layer(middleware::from_fn(limits::tell));
    // After the answers for unknown methods, one of which a preflight would else get.
    http::guarded(http::complete(routes).layer(cors), guard)
}

/// The operators' interface: all but liveness and readiness asks for the token.
pub fn admin_router(app: App, token: Secret<String>, recorder: Recorder) -> Router {
    let routes = operate::routes();
    let open = Router::new().route("/readyz", get(about::readyz));
    let guard = Guard { time_limit: TIME_LIMIT, is_tls: app.http.listening.is_admin_tls() };
    http::finish(http::admin(routes, open, token, recorder).with_state(app), guard)
}

fn cors(config: &HttpConfig) -> CorsLayer {
    let origins = config.domains.iter().filter_map(|domain| HeaderValue::from_str(&domain.origin).ok());
    let idempotency_key = HeaderName::from_static("idempotency-key");
    let last_event_id = HeaderName::from_static("last-event-id");
    let dpop = HeaderName::from_static(dpop::HEADER);
    CorsLayer::new()
        .allow_origin(origins.collect::<Vec<_>>())
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, idempotency_key, last_event_id, dpop])
        .expose_headers(EXPOSED.map(HeaderName::from_static))
        .max_age(CORS_MAX_AGE)
}

/// `{digits}`: what confirms a contact or unlocks a code.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DigitsBody {
    digits: String,
}

impl DigitsBody {
    fn parse(self) -> Result<Digits, Problem> {
        let text = Zeroizing::new(self.digits);
        Digits::parse(&text).map_err(|e| Problem::bad_request(e.to_string()))
    }
}
