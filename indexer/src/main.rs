//! Command line of the indexer.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use indexer::{
    audit,
    commands::{self, Operation},
    config::Config,
    run,
};
use otp_core::cli;

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
    /// Check an exported evidence log: its hashes, its signatures, and every entry against the chain. Needs no access to
    /// the database. Exit codes: 0 good, 1 findings, 2 not everything could be checked
    Audit(audit::Options),
    #[command(flatten)]
    Operate(Operation),
}

/// Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 the database differs from the chain.
pub(crate) fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run { config } => {
            cli::run("indexer", Config::load(config.as_deref()), |config| &config.log_filter, run::run)
        }
        Command::CheckConfig { config, json } => {
            let faults = Config::load(config.as_deref()).map_or_else(|faults| faults.0, |_| Vec::new());
            cli::check("indexer", &faults, json)
        }
        Command::Operate(operation) => commands::run(operation),
        Command::Audit(options) => audit::run(&options),
    }
}
