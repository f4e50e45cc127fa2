//! `GET /v1/governance`.

use axum::{extract::State, http::StatusCode, response::Response};
use otp_core::http::{self, Problem};

use super::{App, series::unread};

/// Who may do what, and what waits in the timelock.
pub(super) async fn governance(State(app): State<App>) -> Result<Response, Problem> {
    let governance = app.governance.get().await.map_err(|e| Problem::internal(&e))?;
    Ok(http::answer(StatusCode::OK, &*governance.ok_or_else(unread)?))
}
