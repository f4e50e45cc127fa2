//! A stack that is told what to do: for tests that are no Rust and take a daemon away under a page.

use std::{
    io::{self, Write},
    thread,
};

use anyhow::{Result, bail};
use tokio::sync::mpsc;

use crate::stack::{Daemon, Stack};

/// Obeys the lines of standard input until it ends, and answers each on standard output once it is done.
///
/// # Errors
/// When a line is none that is known, a daemon does not start or stop, or a process ends by itself.
pub async fn obey(stack: &mut Stack) -> Result<()> {
    let mut lines = standard_input();
    loop {
        let line = tokio::select! {
            broken = stack.broken() => return broken,
            line = lines.recv() => line,
        };
        let Some(line) = line else { return Ok(()) };
        let line = line?;
        match line.split_once(' ') {
            Some(("stop", name)) => stack.stop_daemon(daemon(name)?).await?,
            Some(("start", name)) => stack.restart(daemon(name)?).await?,
            _ => bail!("`{line}`: expected `stop` or `start`, and the name of a daemon"),
        }
        writeln!(io::stdout(), "done: {line}")?;
    }
}

fn daemon(name: &str) -> Result<Daemon> {
    match name {
        "relayer" => Ok(Daemon::Relayer),
        "indexer" => Ok(Daemon::Indexer),
        _ => bail!("`{name}`: expected relayer or indexer"),
    }
}

/// Read by a thread of its own: a read that waits would keep tokio's runtime from ending.
fn standard_input() -> mpsc::Receiver<io::Result<String>> {
    let (sender, receiver) = mpsc::channel(1);
    thread::spawn(move || {
        for line in io::stdin().lines() {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
