//! A process that the testbed starts, watches and ends: never one that it did not start.
//!
//! Children stand in process groups of their own, so that Ctrl-C on a terminal reaches the testbed alone and it ends them
//! in order. Each has a guard: a shell that reads signal names from a pipe and passes them on, and that kills the child
//! when the pipe closes. So a child goes also when the testbed itself is killed with SIGKILL, on Linux and macOS alike.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use reqwest::Client;
use serde_json::json;
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, Command},
    time::{Instant, sleep, timeout},
};
use url::Url;

const GUARD: &str = r#"while read -r signal; do kill -s "$signal" "$0"; done; kill -s KILL "$0""#;
/// How long a process may take to end after SIGTERM.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// How long a process may take to be ready. A debug build's key derivation takes seconds on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(60);
const LAST_LINES: usize = 15;

/// How readiness shows.
#[derive(Debug, Clone)]
pub enum Probe {
    /// `GET` answers with a status of success.
    Get(Url),
    /// `eth_chainId` is answered.
    Rpc(Url),
}

/// What to start. No Debug: the environment holds a password.
pub struct Spec {
    /// Short name, also the log's.
    pub name: &'static str,
    /// Path or name of the program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// What its environment has beside the testbed's.
    pub env: Vec<(&'static str, String)>,
    /// Where its output goes; appended to, so that a restart keeps what was.
    pub log: PathBuf,
    /// How readiness shows.
    pub probe: Probe,
}

/// A process by its [`Spec`], running or not.
pub struct Service {
    spec: Spec,
    running: Option<Running>,
}

struct Running {
    // Dropped in this order: the guard is killed before its pipe closes, so it does not signal a pid that is gone.
    guard: Child,
    pipe: ChildStdin,
    child: Child,
}

impl Service {
    /// A service that does not run yet.
    #[must_use]
    pub const fn new(spec: Spec) -> Self {
        Self { spec, running: None }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.spec.name
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.spec.log
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().and_then(|running| running.child.id())
    }

    /// Lets it be another program from its next start on, with `env` beside its own.
    pub fn become_program(&mut self, program: PathBuf, env: Vec<(&'static str, String)>) {
        self.spec.program = program;
        for (name, value) in env {
            self.spec.env.retain(|(known, _)| *known != name);
            self.spec.env.push((name, value));
        }
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it does not within `limit`, or does not run.
    pub async fn until_ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let name = self.spec.name;
        let running = self.running.as_mut().with_context(|| format!("{name} does not run"))?;
        let status = timeout(limit, running.child.wait()).await.with_context(|| format!("{name} does not end"))??;
        self.running = None;
        Ok(status)
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// When it cannot be started, ends, or is not ready in time: then with the last lines of its log.
    pub async fn start(&mut self) -> Result<()> {
        self.spawn()?;
        self.until_ready().await
    }

    /// Starts it and does not wait.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&mut self) -> Result<()> {
        let name = self.spec.name;
        let log = OpenOptions::new().create(true).append(true).open(&self.spec.log);
        let log = log.with_context(|| format!("the log {}", self.spec.log.display()))?;
        let child = Command::new(&self.spec.program)
            .args(&self.spec.args)
            .envs(self.spec.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name}: {} does not start", self.spec.program.display()))?;
        let pid = child.id().with_context(|| format!("{name} has no process id"))?;
        let mut guard = Command::new("/bin/sh")
            .args(["-c", GUARD, &pid.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("the guard's shell does not start")?;
        let pipe = guard.stdin.take().context("the guard has no pipe")?;
        self.running = Some(Running { guard, pipe, child });
        Ok(())
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// When it ends or is not ready in time: with the last lines of its log.
    pub async fn until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        let http = Client::builder().timeout(Duration::from_secs(2)).build()?;
        while !self.spec.probe.answers(&http).await {
            if let Some(status) = self.ended()? {
                bail!("{} ended with {status} before it was ready\n{}", self.name(), self.last_words());
            }
            if Instant::now() > deadline {
                bail!("{} was not ready after {READY_WITHIN:?}\n{}", self.name(), self.last_words());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// How it ended, if it ended without being asked to.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        match &mut self.running {
            Some(running) => Ok(running.child.try_wait()?),
            None => Ok(None),
        }
    }

    /// Ends it: SIGTERM, and SIGKILL where that does not help in time. Does nothing when it does not run.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn stop(&mut self) -> Result<()> {
        let Some(mut running) = self.running.take() else { return Ok(()) };
        if running.child.try_wait()?.is_none() {
            let asked = running.pipe.write_all(b"TERM\n").await;
            if asked.is_err() || timeout(STOP_WITHIN, running.child.wait()).await.is_err() {
                running.child.kill().await?;
            }
        }
        Ok(running.guard.kill().await?)
    }

    /// SIGKILL, at once.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn kill(&mut self) -> Result<()> {
        let Some(mut running) = self.running.take() else { return Ok(()) };
        running.child.kill().await?;
        Ok(running.guard.kill().await?)
    }

    /// The end of its log.
    #[must_use]
    pub fn last_words(&self) -> String {
        let text = fs::read(&self.spec.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        format!("the end of {}:\n  {}", self.spec.log.display(), last.join("\n  "))
    }
}

impl Probe {
    async fn answers(&self, http: &Client) -> bool {
        let request = match self {
            Self::Get(url) => http.get(url.clone()),
            Self::Rpc(url) => {
                http.post(url.clone()).json(&json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_chainId" }))
            }
        };
        request.send().await.is_ok_and(|answer| answer.status().is_success())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{Ports, http};

    fn shell(script: &str, log: &Path) -> Service {
        Service::new(Spec {
            name: "shell",
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env: Vec::new(),
            log: log.to_owned(),
            probe: Probe::Get(http(Ports::free().unwrap().relayer()).unwrap()),
        })
    }

    #[tokio::test]
    async fn a_process_that_ends_before_it_is_ready_is_told_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let error =
            shell("echo no such key; exit 7", &folder.path().join("log")).start().await.unwrap_err().to_string();
        assert!(error.contains("shell ended with exit status: 7") && error.contains("no such key"), "{error}");
    }

    #[tokio::test]
    async fn a_process_is_asked_to_end_before_it_is_made_to() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut service = shell("trap 'echo asked; exit 0' TERM; echo up; while :; do sleep 0.05; done", &log);
        service.spawn().unwrap();
        while !service.last_words().contains("up") {
            sleep(Duration::from_millis(20)).await;
        }
        service.stop().await.unwrap();
        assert!(service.last_words().contains("asked"));
    }
}
