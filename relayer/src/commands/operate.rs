//! One function per command.

use std::{process::ExitCode, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use otp_core::cli::{self, Admin};
use serde_json::{Value, json};

use super::{Target, table};
use crate::typed::Typed;

/// How often progress is asked for.
const ASK: Duration = Duration::from_millis(500);

/// What is done to a running relayer.
#[derive(Debug, Subcommand)]
pub enum Operation {
    /// Show dependencies, queues, transactions, balance, switches and keys of a running relayer
    Status {
        /// Which relayer.
        #[command(flatten)]
        target: Target,
    },
    /// Switch issuance off or on, wholly or for a purpose or channel, in every relayer on the store; or show what is off
    Issuance {
        /// Off or on; without it, nothing is changed
        state: Option<State>,
        /// Only this purpose
        #[arg(long, conflicts_with = "channel", requires = "state")]
        purpose: Option<String>,
        /// Only this channel
        #[arg(long, requires = "state")]
        channel: Option<String>,
        /// Kept and shown to operators
        #[arg(long, default_value = "", requires = "state")]
        reason: String,
        /// Which relayer.
        #[command(flatten)]
        target: Target,
    },
    /// Give a wallet no codes, or let an issuer's key issue none
    Block {
        /// Whom.
        #[command(flatten)]
        whom: Whom,
        /// Kept and shown to operators
        #[arg(long, default_value = "")]
        reason: String,
        /// Which relayer.
        #[command(flatten)]
        target: Target,
    },
    /// Lift a block
    Unblock {
        /// Whom.
        #[command(flatten)]
        whom: Whom,
        /// Which relayer.
        #[command(flatten)]
        target: Target,
    },
    /// List who is blocked
    Blocked {
        /// Which relayer.
        #[command(flatten)]
        target: Target,
    },
    /// Make a new data key and seal everything anew under it, while serving
    RotateKeys {
        /// Instead wrap the data keys anew, under the wrapping key that the configuration now names
        #[arg(long)]
        rewrap: bool,
        /// Do not wait until everything is sealed anew
        #[arg(long)]
        no_wait: bool,
        /// Which relayer.
        #[command(flatten)]
        target: Target,
    },
    /// Let an account that too many wrong digits locked try again
    UnlockAccount {
        /// Its wallet
        wallet: Typed,
        /// Which relayer.
        #[command(flatten)]
        target: Target,
    },
    /// Revoke a code on the chain
    Revoke {
        /// The request's id, or the code's on the chain
        id: String,
        /// Which relayer.
        #[command(flatten)]
        target: Target,
    },
}

/// The two states of a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// Nothing is issued.
    Off,
    /// As the contract allows.
    On,
}

/// A wallet or an issuer.
#[derive(Debug, Args)]
pub struct Whom {
    /// As what
    #[arg(value_parser = ["wallet", "issuer"])]
    kind: String,
    /// Its address
    address: Typed,
}

impl Operation {
    const fn target(&self) -> &Target {
        match self {
            Self::Status { target }
            | Self::Issuance { target, .. }
            | Self::Block { target, .. }
            | Self::Unblock { target, .. }
            | Self::Blocked { target }
            | Self::RotateKeys { target, .. }
            | Self::UnlockAccount { target, .. }
            | Self::Revoke { target, .. } => target,
        }
    }
}

/// Carries the operation out and says what came of it.
pub fn run(operation: &Operation) -> ExitCode {
    let code = |answer: &Value| if answer["ready"] == Value::Bool(false) { cli::FAILED } else { 0 };
    cli::answer("relayer", operation.target().json, carry_out(operation), code)
}

/// The answer, and the same in words.
async fn carry_out(operation: &Operation) -> anyhow::Result<(Value, String)> {
    let admin = operation.target().admin()?;
    match operation {
        Operation::Status { .. } => {
            let (readiness, status) = (admin.readiness().await?, admin.get("/v1/status").await?);
            // A refusal has the HTTP status in this place, and "degraded" serves.
            let answer = json!({ "ready": readiness["status"].is_string(), "readiness": readiness, "status": status });
            let text = table::status(&answer);
            Ok((answer, text))
        }
        Operation::Issuance { state: None, .. } => {
            let answer = admin.get("/v1/issuance").await?;
            let text = table::issuance(&answer);
            Ok((answer, text))
        }
        Operation::Issuance { state: Some(state), purpose, channel, reason, .. } => {
            let on = *state == State::On;
            let body = json!({ "on": on, "purpose": purpose, "channel": channel, "reason": reason });
            let answer = admin.post("/v1/issuance", &body).await?;
            let text = format!("{}\n{} waiting requests were failed", table::issuance(&answer), answer["failed"]);
            Ok((answer, text))
        }
        Operation::Block { whom, reason, .. } => block(&admin, whom, true, reason).await,
        Operation::Unblock { whom, .. } => block(&admin, whom, false, "").await,
        Operation::Blocked { .. } => {
            let answer = admin.get("/v1/blocks").await?;
            let text = table::blocked(&answer);
            Ok((answer, text))
        }
        Operation::RotateKeys { rewrap: true, .. } => {
            let answer = admin.post("/v1/keys/rewrap", &json!({})).await?;
            let text = format!(
                "{} data keys are wrapped by the current wrapping key; keep the older one for as long as backups need it",
                answer["rewrapped"]
            );
            Ok((answer, text))
        }
        Operation::RotateKeys { no_wait, target, .. } => rotate(&admin, *no_wait, target.json).await,
        Operation::UnlockAccount { wallet, .. } => {
            let answer = admin.post("/v1/accounts/unlock", &json!({ "wallet": wallet.0 })).await?;
            let was = if answer["wasLocked"] == true { "is unlocked" } else { "was not locked" };
            let text = format!("account {} {was}", answer["accountId"].as_str().unwrap_or_default());
            Ok((answer, text))
        }
        Operation::Revoke { id, .. } => {
            let answer = admin.post("/v1/revocations", &json!({ "id": id })).await?;
            let text = match answer["outcome"].as_str() {
                Some("withdrawn") => "the request was failed before it got a code",
                Some("moot") => "its code never reached the chain and will not",
                _ => "its code is revoked as soon as the chain takes it",
            };
            Ok((answer, text.to_owned()))
        }
    }
}

async fn block(admin: &Admin, whom: &Whom, blocked: bool, reason: &str) -> anyhow::Result<(Value, String)> {
    let body = json!({ "kind": whom.kind, "address": whom.address.0, "blocked": blocked, "reason": reason });
    let answer = admin.post("/v1/blocks", &body).await?;
    let (kind, address) = (&whom.kind, whom.address.0);
    let text = match (blocked, answer["changed"] == true) {
        (true, _) => format!("{kind} {address} is blocked; {} waiting requests were failed", answer["failed"]),
        (false, true) => format!("{kind} {address} is not blocked any more"),
        (false, false) => format!("{kind} {address} was not blocked; nothing was changed"),
    };
    Ok((answer, text))
}

async fn rotate(admin: &Admin, no_wait: bool, json: bool) -> anyhow::Result<(Value, String)> {
    let version = admin.post("/v1/keys/rotate", &json!({})).await?["version"].clone();
    if no_wait {
        let text = format!("data key {version} was made; `relayer status` says how far it is");
        return Ok((json!({ "version": version, "finished": false }), text));
    }
    let mut told = String::new();
    loop {
        let answer = admin.get("/v1/keys").await?;
        let progress = table::resealed(&answer);
        if answer["finished"] == true && answer["version"] == version {
            return Ok((answer, format!("everything is sealed with data key {version}: {progress}")));
        }
        if !json && progress != told {
            let _ = cli::say(&progress);
            told = progress;
        }
        tokio::time::sleep(ASK).await;
    }
}
