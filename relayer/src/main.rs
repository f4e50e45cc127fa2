//! Command line of the relayer.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use relayer::{config::Config, keystore, serve};

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
}

/// Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve { config } => run(config.as_deref()),
        Command::CheckConfig { config, json } => check(config.as_deref(), json),
        Command::Keystore { out, password, json } => match keystore::create(&out, &password) {
            Ok(address) if json => say(&serde_json::json!({ "address": address, "keystore": out }).to_string()),
            Ok(address) => say(&address.to_string()),
            Err(e) => fail(1, &format!("{e:#}")),
        },
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
        .and_then(|runtime| runtime.block_on(serve::serve(config)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the relayer ends");
            ExitCode::FAILURE
        }
    }
}

fn check(path: Option<&Path>, json: bool) -> ExitCode {
    let faults = Config::load(path).map_or_else(|faults| faults.0, |_| Vec::new());
    if json {
        say(&serde_json::json!({ "ok": faults.is_empty(), "faults": faults }).to_string());
    } else if faults.is_empty() {
        say("the configuration is complete");
    }
    match faults.as_slice() {
        [] => ExitCode::SUCCESS,
        _ if json => ExitCode::from(2),
        faults => fail(2, &faults.join("\n")),
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
    let _ = writeln!(std::io::stderr(), "relayer: {line}");
    ExitCode::from(code)
}
