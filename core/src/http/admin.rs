//! The admin port: its token, and the metrics behind it.

use std::{io, path::Path, sync::Arc};

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use subtle::ConstantTimeEq;

use super::{Problem, header_text, livez};
use crate::{metrics::Recorder, secret::Secret};

/// Prometheus' text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Makes the admin token and writes it to `path` with mode 0600, anew at each start.
///
/// # Errors
/// When the file cannot be written or the OS gives no randomness.
pub fn write_admin_token(path: &Path) -> io::Result<Secret<String>> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let token = hex::encode(bytes);
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(token.as_bytes())?;
    Ok(Secret::new(token))
}

/// The admin port's routes: `routes` and `GET /metrics` ask for `token` as bearer, `/livez` does not, and neither does
/// `open`, which is where `/readyz` belongs.
pub fn admin<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    open: Router<S>,
    token: Secret<String>,
    recorder: Recorder,
) -> Router<S> {
    let render = move || async move { ([(header::CONTENT_TYPE, METRICS_TYPE)], recorder.render()) };
    let token = Arc::new(token);
    let check = move |request: Request, next: Next| {
        let known = is_admin(request.headers(), &token);
        async move { if known { next.run(request).await } else { refused() } }
    };
    let routes = routes.route("/metrics", get(render)).route_layer(middleware::from_fn(check));
    routes.merge(open).route("/livez", get(livez))
}

/// Compared in constant time.
fn is_admin(headers: &HeaderMap, token: &Secret<String>) -> bool {
    let given = header_text(headers, header::AUTHORIZATION).and_then(|v| v.strip_prefix("Bearer ")).unwrap_or_default();
    given.as_bytes().ct_eq(token.expose().as_bytes()).into()
}

fn refused() -> Response {
    tracing::warn!(target: "security", event = "admin-refused", "the admin port was called without its token");
    let detail = "send the token of http.admin_token_file as bearer";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Token needed", detail).into_response()
}
