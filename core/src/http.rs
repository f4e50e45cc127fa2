//! What the HTTP faces of both daemons share: problems (RFC 9457), request ids, strict JSON bodies, serving with a
//! drain, and the admin token.

mod admin;
mod serve;

use std::{convert::Infallible, io, net::SocketAddr, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

pub use self::{
    admin::{admin, write_admin_token},
    serve::serve,
};
use crate::{seal::SealError, store::StoreError};

/// Bodies above this are refused.
pub const MAX_BODY: usize = 16 * 1024;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static CURRENT_REQUEST: Uuid;
}

/// An error as the client sees it (RFC 9457 `application/problem+json`). The inside of an error is logged where it
/// happens, never put in here.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    detail: String,
    extensions: Map<String, Value>,
    retry_after_s: Option<u64>,
}

impl Problem {
    /// `slug` makes the type `/problems/<slug>`; `detail` says what to do.
    #[must_use]
    pub fn new(status: StatusCode, slug: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, slug, title, detail: detail.into(), extensions: Map::new(), retry_after_s: None }
    }

    /// Something broke inside: logs `error` and shows none of it.
    #[must_use]
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "internal error");
        let detail = "the request was not carried out; try again, and name the requestId if it stays so";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
    }

    /// 400 for a request that breaks the interface.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "Bad request", detail)
    }

    /// 404: not there, or not the caller's.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", "there is no such thing for this caller")
    }

    /// Adds a member of the problem's own.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// Sets `Retry-After`, in seconds.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The status that it answers with.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl From<SealError> for Problem {
    fn from(error: SealError) -> Self {
        Self::internal(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": format!("/problems/{}", self.slug),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
            "requestId": current_request_id(),
        });
        if let Some(members) = body.as_object_mut() {
            members.extend(self.extensions);
        }
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// The id of the request that this task serves.
#[must_use]
pub fn current_request_id() -> Uuid {
    CURRENT_REQUEST.try_with(|id| *id).unwrap_or_default()
}

/// A JSON body of a known shape: `application/json`, at most [`MAX_BODY`] bytes, no unknown fields (the types deny
/// them), else 400 (413 over the limit, 415 for another type).
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if media_type.split(';').next().unwrap_or_default().trim() != "application/json" {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Problem::new(status, "media-type", "Unsupported media type", "send application/json"));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|_| Problem::bad_request(format!("the body is over {MAX_BODY} bytes or did not arrive whole")))?;
        // serde's text can repeat what was sent, digits included: the place is told, the value is not.
        serde_json::from_slice(&bytes).map(Self).map_err(|e| {
            let (line, column) = (e.line(), e.column());
            let why = match e.classify() {
                serde_json::error::Category::Data => "a field is missing, unknown, doubled or of the wrong type",
                _ => "this is not JSON",
            };
            Problem::bad_request(format!("{why} (line {line}, column {column})"))
        })
    }
}

/// [`complete`], then [`guarded`].
pub fn finish(router: Router, time_limit: Duration) -> Router {
    guarded(complete(router), time_limit)
}

/// Adds problems for unknown paths and methods, and a body limit. Layers that are to see these answers too come after.
pub fn complete(router: Router) -> Router {
    let unknown = || async { Problem::not_found() };
    let method = || async {
        let detail = "this path knows other methods";
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed", detail)
    };
    router.fallback(unknown).method_not_allowed_fallback(method).layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
}

/// Adds what every answer has: request id, security headers, a log line, a time limit and an answer for a panic. The
/// outermost layer.
pub fn guarded(router: Router, time_limit: Duration) -> Router {
    router.layer(middleware::from_fn(move |request, next| guard(request, next, time_limit)))
}

async fn guard(request: Request, next: Next, time_limit: Duration) -> Response {
    let id = Uuid::now_v7();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let started = std::time::Instant::now();
    let mut response = CURRENT_REQUEST
        .scope(id, async {
            // A task of its own, so that a panic in a handler becomes an answer and not a closed connection.
            let handled = tokio::spawn(CURRENT_REQUEST.scope(id, next.run(request)));
            match tokio::time::timeout(time_limit, handled).await {
                Ok(Ok(response)) => response,
                Ok(Err(panic)) => Problem::internal(&panic).into_response(),
                Err(_) => {
                    let detail = "the answer took too long; what was asked may have been done: ask for its state";
                    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", "Timed out", detail)
                        .retry_after(1)
                        .into_response()
                }
            }
        })
        .await;
    tracing::info!(
        request_id = %id, %method, path, status = response.status().as_u16(),
        duration_ms = started.elapsed().as_millis(), "answered"
    );
    let headers = response.headers_mut();
    if let Ok(value) = id.to_string().parse() {
        headers.insert(REQUEST_ID, value);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// A JSON answer.
pub fn answer<T: Serialize>(status: StatusCode, body: &T) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => (status, [(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(e) => Problem::internal(&e).into_response(),
    }
}

/// One header as text.
pub fn header_text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Binds an address; the error says which.
///
/// # Errors
/// When the address is taken or not ours.
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|e| anyhow::anyhow!("cannot listen on {address}: {e}; free it or set another"))
}

/// `GET /livez` for both daemons: answers as long as the process serves.
pub async fn livez() -> Result<Json<Value>, Infallible> {
    Ok(Json(json!({ "status": "live" })))
}

/// Waits for SIGINT or SIGTERM.
///
/// # Errors
/// When the signal handlers cannot be set.
pub async fn stop_signal() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
