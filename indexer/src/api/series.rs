//! Figures over time: `/v1/stats` and `/v1/series`.

use std::sync::Arc;

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use otp_core::http::{self, Problem};
use serde::Deserialize;
use serde_json::Value;

use super::App;
use crate::{
    csv::Csv,
    stats::{COLUMNS, Span},
};

const CSV: &str = "text/csv; charset=utf-8; header=present";

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    #[default]
    Json,
    Csv,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeriesQuery {
    window: Option<String>,
    #[serde(default)]
    format: Format,
}

/// Counts and rates over windows.
pub(super) async fn stats(State(app): State<App>) -> Result<Response, Problem> {
    let stats = app.stats.get().await.map_err(|e| Problem::internal(&e))?;
    Ok(http::answer(StatusCode::OK, &*known(stats)?))
}

/// One of these windows, in parts.
pub(super) async fn series(
    State(app): State<App>,
    query: Result<Query<SeriesQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let bad = || Problem::bad_request("window is hour, day or week, format json or csv");
    let Query(query) = query.map_err(|_| bad())?;
    let span: Span = query.window.as_deref().unwrap_or("day").parse().map_err(|_| bad())?;
    let series = known(app.stats.series(span).await.map_err(|e| Problem::internal(&e))?)?;
    Ok(match query.format {
        Format::Json => http::answer(StatusCode::OK, &*series),
        Format::Csv => file(&format!("otp-{}.csv", span.as_str()), table(&series)),
    })
}

/// A table to be saved under a name of ours.
pub(super) fn file(name: &str, table: Csv) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [(header::CONTENT_TYPE, CSV.to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    (StatusCode::OK, headers, table.finish()).into_response()
}

fn known(value: Option<Arc<Value>>) -> Result<Arc<Value>, Problem> {
    value.ok_or_else(unread)
}

/// Before the tail's first block.
pub(super) fn unread() -> Problem {
    let detail = "the chain was not read yet: ask again in a while";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Problem::new(status, "chain-unavailable", "Chain unavailable", detail).retry_after(5)
}

fn table(series: &Value) -> Csv {
    let names: Vec<String> = COLUMNS.iter().map(|column| column[1..].replace('/', ".")).collect();
    let mut csv = Csv::new(names.iter().map(String::as_str));
    for part in series["parts"].as_array().into_iter().flatten() {
        let fields: Vec<String> = COLUMNS.iter().map(|column| field(column, part.pointer(column))).collect();
        csv.row(fields.iter().map(String::as_str));
    }
    csv
}

/// What was counted is 0 where there was none; what was measured is nothing then.
fn field(column: &str, value: Option<&Value>) -> String {
    match value {
        None if column.starts_with("/delivered/") => "0".to_owned(),
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
