//! better-auth with its email-otp plugin, for the same two steps: a code is asked for, a code is given.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};
use url::Url;

use crate::{ports, tools};

const READY_WITHIN: Duration = Duration::from_secs(120);
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// A running server; dropped, it is killed.
pub(super) struct Rival {
    _process: Child,
    http: reqwest::Client,
    base: Url,
}

impl Rival {
    /// Starts it on a database of its own. `synchronous` is SQLite's pragma.
    pub(super) async fn start(database: &Path, synchronous: &str, users: usize) -> Result<Self> {
        let folder = tools::checkout().join("testbed/bench/better-auth");
        let installed = folder.join("node_modules/better-auth").is_dir();
        ensure!(installed, "better-auth is not installed: run `make setup-bench`");
        let mut process = Command::new("node")
            .arg(folder.join("server.mjs"))
            .args([database.as_os_str(), synchronous.as_ref(), users.to_string().as_ref()])
            .env("NODE_ENV", "production")
            .env("BETTER_AUTH_TELEMETRY", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("node does not start")?;
        let output = process.stdout.take().context("node has no output")?;
        let line = timeout(READY_WITHIN, BufReader::new(output).lines().next_line()).await??;
        let port: u16 = line.context("the server ended before it listened")?.parse()?;
        let http = reqwest::Client::builder().timeout(ANSWER_WITHIN).build()?;
        Ok(Self { _process: process, http, base: ports::http(port)? })
    }

    /// Has a code sent to a user.
    pub(super) async fn issue(&self, user: usize) -> Result<()> {
        let body = json!({ "email": email(user), "type": "email-verification" });
        self.post("api/auth/email-otp/send-verification-otp", &body).await
    }

    /// What the mail to a user says.
    pub(super) async fn digits(&self, user: usize) -> Result<String> {
        let url = self.base.join(&format!("codes/{}", email(user)))?;
        Ok(self.http.get(url).send().await?.error_for_status()?.text().await?)
    }

    /// Gives the code, which uses it up.
    pub(super) async fn verify(&self, user: usize, digits: &str) -> Result<()> {
        self.post("api/auth/email-otp/verify-email", &json!({ "email": email(user), "otp": digits })).await
    }

    async fn post(&self, path: &str, body: &serde_json::Value) -> Result<()> {
        let answer = self.http.post(self.base.join(path)?).json(body).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "better-auth answers {status} to {path}: {text}");
        Ok(())
    }
}

fn email(user: usize) -> String {
    format!("wallet-{user}@example.test")
}
