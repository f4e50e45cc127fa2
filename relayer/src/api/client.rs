//! Where a request comes from.

use std::{convert::Infallible, net::IpAddr};

use axum::{extract::FromRequestParts, http::request::Parts};

use super::App;
use crate::limits;

/// The client's address, as far as proxies can be trusted with it; `None` without a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client(pub(super) Option<IpAddr>);

impl Client {
    pub(super) fn of(app: &App, parts: &Parts) -> Self {
        Self(limits::address(&parts.extensions, &parts.headers, &app.limits.config().trusted_proxies))
    }
}

impl FromRequestParts<App> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self::of(app, parts))
    }
}
