//! The page behind the links "this was not me" and "cancel": one document with its script and style, compiled in. It
//! reads the token from the fragment, which no browser sends to any server.

use axum::{
    Router,
    http::{HeaderValue, header},
    response::IntoResponse,
    routing::get,
};

/// Nothing but its own script and style, and calls to this server alone; nobody can frame it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);

/// The page and what it loads. Paths are relative, so that a proxy may serve all under a path of its own.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/report", get(document))
        .route("/cancel", get(document))
        .route("/links.js", get(|| async { file("text/javascript; charset=utf-8", include_str!("links.js")) }))
        .route("/links.css", get(|| async { file("text/css; charset=utf-8", include_str!("links.css")) }))
}

async fn document() -> impl IntoResponse {
    file("text/html; charset=utf-8", include_str!("links.html"))
}

fn file(media_type: &'static str, text: &'static str) -> impl IntoResponse {
    let media_type = HeaderValue::from_static(media_type);
    ([(header::CONTENT_TYPE, media_type), (header::CONTENT_SECURITY_POLICY, POLICY)], text)
}
