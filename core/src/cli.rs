//! What the command lines of both daemons share. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.

use std::{future::Future, io::Write, process::ExitCode};

use crate::config::Faults;

/// Something failed while running.
pub const FAILED: u8 = 1;
/// What was asked for, or the configuration, is wrong.
pub const USAGE: u8 = 2;

/// Prints a line on standard output.
pub fn say(line: &str) -> ExitCode {
    match writeln!(std::io::stdout(), "{line}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILED),
    }
}

/// Prints a line on standard error.
pub fn fail(program: &str, code: u8, line: &str) -> ExitCode {
    // Nothing is left to do where standard error is closed too.
    let _ = writeln!(std::io::stderr(), "{program}: {line}");
    ExitCode::from(code)
}

/// Says what is wrong with a configuration.
pub fn check(program: &str, faults: &[String], json: bool) -> ExitCode {
    match faults {
        faults if json => {
            let said = say(&serde_json::json!({ "ok": faults.is_empty(), "faults": faults }).to_string());
            if faults.is_empty() { said } else { ExitCode::from(USAGE) }
        }
        [] => say("the configuration is complete"),
        faults => fail(program, USAGE, &faults.join("\n")),
    }
}

/// Runs a daemon to its end: `serve` makes its future of the configuration, `filter` names its log filter.
pub fn run<C, F: Future<Output = anyhow::Result<()>>>(
    program: &str,
    config: Result<C, Faults>,
    filter: impl FnOnce(&C) -> &str,
    serve: impl FnOnce(C) -> F,
) -> ExitCode {
    let config = match config {
        Ok(config) => config,
        Err(faults) => return fail(program, USAGE, &faults.to_string()),
    };
    if let Err(e) = crate::telemetry::init(filter(&config)) {
        return fail(program, USAGE, &format!("log.filter: {e:#}"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(anyhow::Error::from);
    match runtime.and_then(|runtime| runtime.block_on(serve(config))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "{program} ends");
            ExitCode::from(FAILED)
        }
    }
}
