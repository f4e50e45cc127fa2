//! Command line of the relayer.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use otp_core::cli;
use relayer::{
    commands::{self, Operation, check},
    config::Config,
    keystore, serve,
};

#[derive(Parser)]
#[command(version, about = "Signs people in, takes their requests, and commits one-time codes to the chain")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the HTTP interface and issue codes, until SIGTERM
    Serve {
        /// TOML file; each key can also be set as OTP_RELAYER_<SECTION>_<KEY>
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Say everything that is wrong with a configuration, without starting
    CheckConfig {
        /// TOML file; each key can also be set as OTP_RELAYER_<SECTION>_<KEY>
        #[arg(long)]
        config: Option<PathBuf>,
        /// Ask node and key service too: chain, contract, role, funds
        #[arg(long)]
        online: bool,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Make an issuing key in an encrypted keystore file and print its address
    Keystore {
        /// Where to write it; never over a file that is there
        #[arg(long)]
        out: PathBuf,
        /// Its password
        #[arg(long, env = "OTP_RELAYER_SIGNER_KEYSTORE_PASSWORD", hide_env_values = true)]
        password: String,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    #[command(flatten)]
    Operate(Operation),
}

/// Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
pub(crate) fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve { config } => {
            cli::run("relayer", Config::load(config.as_deref()), |config| &config.log_filter, serve::serve)
        }
        Command::CheckConfig { config, online, json } => check::run(config.as_deref(), online, json),
        Command::Keystore { out, password, json } => match keystore::create(&out, &password) {
            Ok(address) if json => cli::say(&serde_json::json!({ "address": address, "keystore": out }).to_string()),
            Ok(address) => cli::say(&address.to_string()),
            Err(e) => cli::fail("relayer", cli::FAILED, &format!("{e:#}")),
        },
        Command::Operate(operation) => commands::run(&operation),
    }
}
