//! Ids in paths.

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use otp_core::http::Problem;
use uuid::Uuid;

/// The `{id}` of a path. What is no UUID names nothing, so it is a 404 like any id that is not the caller's.
pub(super) struct Id(pub(super) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(id) = Path::<Uuid>::from_request_parts(parts, state).await.map_err(|_| Problem::not_found())?;
        Ok(Self(id))
    }
}
