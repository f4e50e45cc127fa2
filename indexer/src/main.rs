//! Command line of the indexer.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use indexer::{config::Config, run};

#[derive(Parser)]
#[command(version, about = "Follows the verifier's events and delivers one-time codes once they are on the chain")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Follow the chain, deliver codes and serve the read-only API, until SIGTERM
    Run {
        /// TOML file; each key can also be set as OTP_INDEXER_<SECTION>_<KEY>
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Say everything that is wrong with a configuration, without starting
    CheckConfig {
        /// TOML file; each key can also be set as OTP_INDEXER_<SECTION>_<KEY>
        #[arg(long)]
        config: Option<PathBuf>,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
}

/// Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run { config } => run(config.as_deref()),
        Command::CheckConfig { config, json } => check(config.as_deref(), json),
    }
}

fn run(path: Option<&Path>) -> ExitCode {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(faults) => return fail(2, &faults.to_string()),
    };
    if let Err(e) = otp_core::telemetry::init(&config.log_filter) {
        return fail(2, &format!("log.filter: {e:#}"));
    }
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run::run(config)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the indexer ends");
            ExitCode::FAILURE
        }
    }
}

fn check(path: Option<&Path>, json: bool) -> ExitCode {
    match Config::load(path) {
        Ok(_) if json => say(&serde_json::json!({ "ok": true, "faults": [] }).to_string()),
        Ok(_) => say("the configuration is complete"),
        Err(faults) if json => {
            say(&serde_json::json!({ "ok": false, "faults": faults.0 }).to_string());
            ExitCode::from(2)
        }
        Err(faults) => fail(2, &faults.to_string()),
    }
}

fn say(line: &str) -> ExitCode {
    match writeln!(std::io::stdout(), "{line}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn fail(code: u8, line: &str) -> ExitCode {
    // Nothing is left to do where standard error is closed too.
    let _ = writeln!(std::io::stderr(), "indexer: {line}");
    ExitCode::from(code)
}
