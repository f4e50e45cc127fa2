//! Errors as clients see them, and bodies of a known shape.

use std::time::Duration;

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{current_request_id, header_text};
use crate::{seal::SealError, store::StoreError};

/// Bodies above this are refused.
pub const MAX_BODY: usize = 16 * 1024;
/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(10);

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
    challenge: &'static str,
}

impl Problem {
    /// `slug` makes the type `/problems/<slug>`; `detail` says what to do.
    #[must_use]
    pub fn new(status: StatusCode, slug: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            slug,
            title,
            detail: detail.into(),
            extensions: Map::new(),
            retry_after_s: None,
            challenge: "Bearer",
        }
    }

    /// Something broke inside: logs `error` and shows none of it.
    #[must_use]
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, request_id = %current_request_id(), "internal error");
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

    /// Sets what a 401 asks for (`WWW-Authenticate`, RFC 9110), which is a bearer token unless something else is said.
    #[must_use]
    pub const fn challenge(mut self, challenge: &'static str) -> Self {
        self.challenge = challenge;
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
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(self.challenge));
        }
        response
    }
}

/// A JSON body of a known shape: `application/json`, at most [`MAX_BODY`] bytes, no unknown fields (the types deny
/// them), else 400 (415 for another type, 408 where it does not arrive in time).
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let media_type = header_text(request.headers(), header::CONTENT_TYPE).unwrap_or_default();
        if !media_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Problem::new(status, "media-type", "Unsupported media type", "send application/json"));
        }
        let arrived = tokio::time::timeout(BODY_WITHIN, Bytes::from_request(request, state)).await;
        let bytes = arrived
            .map_err(|_| {
                let detail = format!("the body did not arrive within {} s", BODY_WITHIN.as_secs());
                Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", "Timed out", detail)
            })?
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

/// A JSON answer.
pub fn answer<T: Serialize>(status: StatusCode, body: &T) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => (status, [(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(e) => Problem::internal(&e).into_response(),
    }
}
