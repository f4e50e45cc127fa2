//! The commands beside `run`: reading the chain again, comparing with it, and asking a running daemon how it is.
//!
//! What a command says is on standard output, how far it is on standard error. Those that write take the daemon's lock,
//! so they and a daemon never work on one database at once.

mod backfill;
mod bar;
mod differences;
mod export;
mod rebuild;
mod site;
mod status;
mod verify;
mod walk;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use otp_core::{chain::RpcUrl, cli};
use serde_json::Value;
use url::Url;

/// What is asked for beside the daemon itself.
#[derive(Debug, Subcommand)]
pub enum Operation {
    /// Read the chain's events into the database, while no daemon runs
    ///
    /// Blocks up to the cursor are read again and compared: events that are missing are added, those that the chain does
    /// not have are marked as orphaned, and the cursor stays where it is. Above the cursor the events are applied as the
    /// daemon does it, and the cursor moves. Nothing between is skipped: --from above the cursor's next block is refused.
    Backfill {
        /// The first block; the one after the cursor where it is not given
        #[arg(long)]
        from: Option<u64>,
        /// The last block; the head, less chain.confirmations, where it is not given
        #[arg(long)]
        to: Option<u64>,
        /// Which indexer.
        #[command(flatten)]
        target: Target,
    },
    /// Read the chain again and name everything in which the database differs from it; ends with 3 where anything does
    ///
    /// A daemon may run meanwhile. Nothing is written.
    Verify {
        /// The first block; the contract's where it is not given
        #[arg(long)]
        from: Option<u64>,
        /// The last block; the cursor's where it is not given
        #[arg(long)]
        to: Option<u64>,
        /// The node that is asked; the last one of chain.rpc_urls where it is not given, which the daemon asks last
        #[arg(long)]
        rpc_url: Option<RpcUrl>,
        /// Which indexer.
        #[command(flatten)]
        target: Target,
    },
    /// Drop everything that came from the chain and derive it anew, while no daemon runs
    ///
    /// It goes stretch by stretch, each in one transaction, so it can be broken off and begun again at any time. What was
    /// sent is not sent again. Orphaned events stay, since no chain tells of them any more.
    Rebuild {
        /// Which indexer.
        #[command(flatten)]
        target: Target,
    },
    /// Print what the database has of the canonical chain, one JSON object a line, in the chain's order
    ///
    /// Two databases that followed one chain print the same, whatever they went through.
    Export {
        /// The first block; the first there is where it is not given
        #[arg(long)]
        from: Option<u64>,
        /// The last block; the last there is where it is not given
        #[arg(long)]
        to: Option<u64>,
        /// Which indexer.
        #[command(flatten)]
        target: Target,
    },
    /// Show cursor, head, queues and dependencies of a running indexer; ends with 1 where it is not ready
    Status {
        /// The admin port's URL, where it is not the configuration's
        #[arg(long)]
        admin_url: Option<Url>,
        /// Which indexer.
        #[command(flatten)]
        target: Target,
    },
}

/// Which indexer.
#[derive(Debug, Args)]
pub struct Target {
    /// Its configuration; each key can also be set as `OTP_INDEXER_<SECTION>_<KEY>`
    #[arg(long)]
    config: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Blocks, both included.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: Option<u64>,
    to: Option<u64>,
}

impl Operation {
    const fn target(&self) -> &Target {
        match self {
            Self::Backfill { target, .. }
            | Self::Verify { target, .. }
            | Self::Rebuild { target }
            | Self::Export { target, .. }
            | Self::Status { target, .. } => target,
        }
    }
}

/// Carries the operation out and says what came of it.
pub fn run(operation: Operation) -> ExitCode {
    let json = operation.target().json;
    cli::answer("indexer", json, carry_out(operation), code)
}

fn code(answer: &Value) -> u8 {
    match (answer["equal"].as_bool(), answer["ready"].as_bool()) {
        (Some(false), _) => cli::DIFFERS,
        (_, Some(false)) => cli::FAILED,
        _ => 0,
    }
}

/// The answer, and the same in words.
async fn carry_out(operation: Operation) -> anyhow::Result<(Value, String)> {
    match operation {
        Operation::Backfill { from, to, target } => Box::pin(backfill::run(&target, Span { from, to })).await,
        Operation::Verify { from, to, rpc_url, target } => {
            Box::pin(verify::run(&target, Span { from, to }, rpc_url)).await
        }
        Operation::Rebuild { target } => Box::pin(rebuild::run(&target)).await,
        Operation::Export { from, to, target } => export::run(&target, Span { from, to }).await,
        Operation::Status { admin_url, target } => status::run(&target, admin_url.as_ref()).await,
    }
}
