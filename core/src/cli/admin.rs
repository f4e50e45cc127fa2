//! The commands' way to a running daemon: its admin port, with the token from the file that it wrote at its start.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use reqwest::{Method, Response};
use serde_json::Value;
use url::Url;

use crate::{http::Listening, secret::Secret};

/// An answer of the admin port takes milliseconds; wrapping keys anew takes KMS's time.
const PATIENCE: Duration = Duration::from_secs(60);

/// The admin port of a running daemon.
#[derive(Debug)]
pub struct Admin {
    program: &'static str,
    url: Url,
    token: Secret<String>,
    client: reqwest::Client,
}

/// The daemon answered with a problem.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0["detail"].as_str().unwrap_or("the daemon refused"))]
pub struct Refused(pub Value);

impl Admin {
    /// Reads the token. `url` is the port's where it is not the one of the configuration.
    ///
    /// # Errors
    /// When there is no token to read.
    pub fn open(program: &'static str, listening: &Listening, url: Option<&Url>) -> anyhow::Result<Self> {
        let path = &listening.admin_token_file;
        let token = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}: a running {program} writes it at its start", path.display()))?;
        let scheme = if listening.is_admin_tls() { "https" } else { "http" };
        let mut address = listening.admin_listen;
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
        }
        let url = url.cloned().map_or_else(|| format!("{scheme}://{address}").parse(), Ok)?;
        let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
        Ok(Self { program, url, token: Secret::new(token), client })
    }

    /// Asks.
    ///
    /// # Errors
    /// When the daemon is not reached; [`Refused`] when it answers with a problem.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        read(self.send(Method::GET, path, None).await?).await
    }

    /// Has something done.
    ///
    /// # Errors
    /// As [`Admin::get`].
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        read(self.send(Method::POST, path, Some(body)).await?).await
    }

    /// `/readyz`, which says the same with another status when something is not well.
    ///
    /// # Errors
    /// When the daemon is not reached.
    pub async fn readiness(&self) -> anyhow::Result<Value> {
        match self.get("/readyz").await {
            Err(error) => error.downcast::<Refused>().map(|Refused(problem)| problem),
            ready => ready,
        }
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Response> {
        let mut request = self.client.request(method, self.url.join(path)?).bearer_auth(self.token.expose());
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.map_err(|error| {
            let why = if error.is_timeout() { "does not answer" } else { "cannot be reached" };
            anyhow!("the admin port at {} {why}: does the {} run?", self.url, self.program)
        })
    }
}

async fn read(response: Response) -> anyhow::Result<Value> {
    let is_success = response.status().is_success();
    let status = response.status();
    let body: Value = response.json().await.with_context(|| format!("status {status}, and no JSON"))?;
    if !is_success {
        bail!(Refused(body));
    }
    Ok(body)
}
