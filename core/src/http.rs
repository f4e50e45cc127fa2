//! What the HTTP faces of both daemons share: problems (RFC 9457), request ids, strict JSON bodies, security headers,
//! ports with limits and TLS, serving with a drain, the pages, and the admin token.

mod admin;
mod guard;
mod listening;
pub mod pages;
mod patience;
mod problem;
mod serve;
mod shares;
mod tls;

use std::{convert::Infallible, io, net::SocketAddr};

use axum::{
    Json,
    http::{HeaderMap, header},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub use self::{
    admin::{admin, write_admin_token},
    guard::{Guard, complete, current_request_id, finish, guarded},
    listening::{Listening, Ports},
    problem::{Body, MAX_BODY, Problem, answer},
    serve::{Door, serve},
    tls::{Tls, TlsFiles},
};

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
