//! The evidence log, as far as it is everybody's: what we attest is not in these answers.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use otp_core::{
    evidence::{entry_line, head_line},
    http::Problem,
};
use serde::Deserialize;

use super::{App, PAGE};

const JSON: &str = "application/json";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntryQuery {
    cursor: Option<u64>,
}

/// The last signed head, as it stands in an exported file.
pub(super) async fn head(State(app): State<App>) -> Result<Response, Problem> {
    let last = app.store.latest_evidence_head(&app.deployment).await.map_err(|e| Problem::internal(&e))?;
    let last = last.ok_or_else(Problem::not_found)?;
    Ok(json(head_line(&last)))
}

/// Entries in their order, as they stand in exported files.
pub(super) async fn entries(
    State(app): State<App>,
    query: Result<Query<EntryQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) =
        query.map_err(|_| Problem::bad_request("cursor is an earlier answer's next: an entry's index"))?;
    let first = query.cursor.unwrap_or_default();
    let found = app.store.evidence_entries(first, PAGE).await.map_err(|e| Problem::internal(&e))?;
    let more = u32::try_from(found.len()).is_ok_and(|count| count == PAGE);
    let next = found.last().filter(|_| more).map_or("null".to_owned(), |last| (last.index + 1).to_string());
    let lines: Vec<String> = found.iter().map(entry_line).collect();
    Ok(json(format!("{{\"entries\":[{}],\"next\":{next}}}", lines.join(","))))
}

/// The very bytes that are hashed over in files, so that nobody has to put them in order first.
fn json(text: String) -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, JSON)], text).into_response()
}
