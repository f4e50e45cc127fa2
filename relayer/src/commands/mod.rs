//! The commands that act on a running relayer, through its admin port: so each table keeps its one writer, and an operator
//! needs neither the database nor a key.

pub mod check;
mod operate;
mod table;

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use otp_core::secret::Secret;
use reqwest::{Method, Response};
use serde_json::Value;
use url::Url;

pub use self::operate::{Operation, run};
use crate::config::Config;

/// An answer of the admin port takes milliseconds; wrapping keys anew takes KMS's time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which relayer.
#[derive(Debug, Args)]
pub struct Target {
    /// Its configuration, which says where the admin port and its token are
    #[arg(long)]
    config: Option<PathBuf>,
    /// The admin port's URL, where it is not the configuration's
    #[arg(long)]
    admin_url: Option<Url>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// The admin port of a running relayer.
struct Admin {
    url: Url,
    token: Secret<String>,
    client: reqwest::Client,
}

/// The relayer answered with a problem.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0["detail"].as_str().unwrap_or("the relayer refused"))]
struct Refused(Value);

impl Admin {
    fn open(target: &Target) -> anyhow::Result<Self> {
        let listening = Config::listening(target.config.as_deref())?;
        let path = &listening.admin_token_file;
        let token = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}: a running relayer writes it at its start", path.display()))?;
        let scheme = if listening.is_admin_tls() { "https" } else { "http" };
        let mut address = listening.admin_listen;
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
        }
        let url = target.admin_url.clone().map_or_else(|| format!("{scheme}://{address}").parse(), Ok)?;
        Ok(Self { url, token: Secret::new(token), client: reqwest::Client::builder().timeout(PATIENCE).build()? })
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        read(self.send(Method::GET, path, None).await?).await
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        read(self.send(Method::POST, path, Some(body)).await?).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Response> {
        let mut request = self.client.request(method, self.url.join(path)?).bearer_auth(self.token.expose());
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.map_err(|error| {
            let why = if error.is_timeout() { "does not answer" } else { "cannot be reached" };
            anyhow!("the admin port at {} {why}: does the relayer run?", self.url)
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
