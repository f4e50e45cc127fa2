//! What the command lines of both daemons share. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 what was
//! compared is not the same.

mod admin;
pub mod table;

use std::{future::Future, io::Write, process::ExitCode};

use serde_json::{Value, json};

pub use self::admin::{Admin, Refused};
use crate::config::Faults;

/// Something failed while running.
pub const FAILED: u8 = 1;
/// What was asked for, or the configuration, is wrong.
pub const USAGE: u8 = 2;
/// What was compared is not the same.
pub const DIFFERS: u8 = 3;

/// What was asked for makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadUsage(pub String);

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
            let said = say(&json!({ "ok": faults.is_empty(), "faults": faults }).to_string());
            if faults.is_empty() { said } else { ExitCode::from(USAGE) }
        }
        [] => say("the configuration is complete"),
        faults => fail(program, USAGE, &faults.join("\n")),
    }
}

/// Runs a command to its end and says what came of it: the answer where `json` is asked for, its text else; nothing
/// where the answer is null.
/// `code` is of the answer; of a failure, it is [`USAGE`] where the asking or the configuration was wrong.
pub fn answer(
    program: &str,
    json: bool,
    command: impl Future<Output = anyhow::Result<(Value, String)>>,
    code: impl FnOnce(&Value) -> u8,
) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(anyhow::Error::from);
    match runtime.and_then(|runtime| runtime.block_on(command)) {
        Ok((Value::Null, _)) => ExitCode::SUCCESS,
        Ok((answer, text)) => {
            let said = say(&if json { answer.to_string() } else { text });
            if said == ExitCode::SUCCESS { ExitCode::from(code(&answer)) } else { said }
        }
        Err(error) => refuse(program, json, &error),
    }
}

/// Says why a command failed.
fn refuse(program: &str, json: bool, error: &anyhow::Error) -> ExitCode {
    let refused = error.downcast_ref::<Refused>();
    let code = match refused.map(|Refused(problem)| problem["status"].as_u64()) {
        Some(Some(400)) => USAGE,
        _ if error.is::<Faults>() || error.is::<BadUsage>() => USAGE,
        _ => FAILED,
    };
    match refused {
        Some(Refused(problem)) if json => drop(say(&problem.to_string())),
        _ if json => drop(say(&json!({ "detail": format!("{error:#}") }).to_string())),
        _ => drop(fail(program, code, &format!("{error:#}"))),
    }
    ExitCode::from(code)
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
