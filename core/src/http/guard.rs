//! What every answer has, whatever route it comes from: a request id, the security headers, a log line, a measurement, a
//! time limit, and an answer where a handler panics.

use std::time::{Duration, Instant};

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use uuid::Uuid;

use super::{MAX_BODY, Problem};
use crate::metrics::{HTTP_ANSWER_SECONDS, HTTP_ANSWERS};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What an answer has unless its handler set its own: a page needs a policy that lets it run.
const DEFAULTS: [(HeaderName, HeaderValue); 2] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    ),
];
/// What every answer has.
const ALWAYS: [(HeaderName, HeaderValue); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];
/// RFC 6797, for two years: sent where the client's connection is TLS.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000");

tokio::task_local! {
    static CURRENT_REQUEST: Uuid;
}

/// The id of the request that this task serves; nil where it serves none.
#[must_use]
pub fn current_request_id() -> Uuid {
    CURRENT_REQUEST.try_with(|id| *id).unwrap_or_default()
}

/// How a router is guarded.
#[derive(Debug, Clone, Copy)]
pub struct Guard {
    /// How long a handler may take; a stream's body is not under it.
    pub time_limit: Duration,
    /// Whether clients reach it by TLS alone, ours or a declared proxy's.
    pub is_tls: bool,
}

/// [`complete`], then [`guarded`].
pub fn finish(router: Router, guard: Guard) -> Router {
    guarded(complete(router), guard)
}

/// Adds problems for unknown paths and methods, and a body limit. Layers that are to see these answers too come after.
pub fn complete(router: Router) -> Router {
    let unknown = || async { Problem::not_found() };
    let method = || async {
        let detail = "this path knows other methods; Allow names them";
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed", detail)
    };
    router.fallback(unknown).method_not_allowed_fallback(method).layer(DefaultBodyLimit::max(MAX_BODY))
}

/// Adds what every answer has. The outermost layer.
pub fn guarded(router: Router, guard: Guard) -> Router {
    router.layer(middleware::from_fn(move |request, next| guard.answer(request, next)))
}

impl Guard {
    async fn answer(self, request: Request, next: Next) -> Response {
        let id = Uuid::now_v7();
        let method = known(request.method());
        let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str).to_owned();
        let started = Instant::now();
        let mut response = CURRENT_REQUEST.scope(id, self.run(id, request, next)).await;
        let (status, took) = (response.status().as_u16(), started.elapsed());
        // The path itself could hold what somebody mistook it for; the route cannot.
        tracing::info!(request_id = %id, method, route, status, duration_ms = took.as_millis(), "answered");
        metrics::counter!(HTTP_ANSWERS, "method" => method, "route" => route.clone(), "status" => status.to_string())
            .increment(1);
        metrics::histogram!(HTTP_ANSWER_SECONDS, "route" => route).record(took);
        self.add_headers(id, &mut response);
        response
    }

    /// In a task of its own, so that a panic in a handler becomes an answer and not a closed connection, and what a
    /// handler began is finished though its client went away.
    async fn run(self, id: Uuid, request: Request, next: Next) -> Response {
        let handled = tokio::spawn(CURRENT_REQUEST.scope(id, next.run(request)));
        match tokio::time::timeout(self.time_limit, handled).await {
            Ok(Ok(response)) => response,
            // The panic's own text can hold anything; its place was logged by the hook.
            Ok(Err(_)) => Problem::internal(&"a handler panicked").into_response(),
            Err(_) => {
                let detail = "the answer took too long; what was asked may have been done: ask for its state";
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", "Timed out", detail)
                    .retry_after(1)
                    .into_response()
            }
        }
    }

    fn add_headers(self, id: Uuid, response: &mut Response) {
        let mut text = Uuid::encode_buffer();
        let id = HeaderValue::from_str(id.hyphenated().encode_lower(&mut text));
        let headers = response.headers_mut();
        headers.extend(id.map(|id| (REQUEST_ID, id)));
        for (name, value) in DEFAULTS {
            headers.entry(name).or_insert(value);
        }
        headers.extend(ALWAYS);
        if self.is_tls {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
        }
    }
}

/// The method as a label; a client can make up any number of them.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}
