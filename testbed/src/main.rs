//! Command line of the testbed.

use std::{
    ffi::OsString,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    pin::{Pin, pin},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use otp_core::http::stop_signal;
use testbed::{
    bench::{Bench, Part},
    control,
    demo::{self, Report},
    description::text,
    stack::{Options, Stack},
    tools,
};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(version, about = "The whole system on this machine: chain, contracts, mailbox, relayer and indexer")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Bring everything up and keep it up until Ctrl-C
    Up {
        #[command(flatten)]
        stack: StackArgs,
        /// Obey `stop relayer`, `start indexer` and so on, a line each on standard input, and end where that ends
        #[arg(long)]
        control: bool,
    },
    /// Bring everything up, walk the path of a code, and try the attacks that must fail
    Demo {
        #[command(flatten)]
        stack: StackArgs,
        /// End after the last step also on a terminal
        #[arg(long)]
        once: bool,
    },
    /// Measure, and print tables of what was measured
    Bench {
        /// What to measure: everything unless named
        parts: Vec<Part>,
        /// The longest runs and the largest stores
        #[arg(long)]
        full: bool,
        /// Repeats of what is compared
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=20))]
        repeats: u8,
        /// Where stacks and figures.json go: target/bench in the checkout unless set
        #[arg(long)]
        dir: Option<PathBuf>,
    },
}

#[derive(Args)]
struct StackArgs {
    /// Where data, logs and stack.json go: .stack in the checkout unless set
    #[arg(long, env = "STACK_DIR")]
    dir: Option<OsString>,
    /// The first of seven consecutive ports: free ones unless set
    #[arg(long, env = "PORT_BASE")]
    port_base: Option<String>,
    /// How long codes live, in seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(30..=180))]
    ttl: u32,
}

impl StackArgs {
    /// What is empty counts as unset: so a variable is taken back for one command.
    fn options(self) -> Result<Options> {
        let folder = self.dir.filter(|dir| !dir.is_empty());
        let folder = folder.map_or_else(|| tools::checkout().join(".stack"), PathBuf::from);
        let port_base = self.port_base.filter(|base| !base.is_empty()).map(|base| base.parse());
        let port_base = port_base.transpose().context("PORT_BASE: a port is expected")?;
        Ok(Options { port_base, code_ttl_s: self.ttl, sponsoring: true, ..Options::new(folder) })
    }
}

/// SIGINT, SIGTERM or SIGHUP, listened for from the start, so that none is missed between two waits.
type Stop<'a> = Pin<&'a mut dyn Future<Output = io::Result<()>>>;

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(run(Cli::parse().command)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be done where even standard error is gone.
            let _ = writeln!(io::stderr(), "testbed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    let stop = pin!(stopped());
    match command {
        Command::Up { stack, control } => Box::pin(up(&stack.options()?, control, stop)).await,
        Command::Demo { stack, once } => Box::pin(demo(&stack.options()?, once, stop)).await,
        Command::Bench { parts, full, repeats, dir } => {
            let parts = if parts.is_empty() { Part::value_variants() } else { &parts };
            let folder = dir.unwrap_or_else(|| tools::checkout().join("target/bench"));
            let bench = Bench { folder, repeats: repeats.into(), full };
            tokio::select! {
                measured = Box::pin(bench.run(parts)) => measured,
                stopped = stop => stopped.map_err(Into::into).and_then(|()| bail!("stopped before the last table")),
            }
        }
    }
}

/// A terminal that is closed ends the stack as Ctrl-C on it does.
async fn stopped() -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        stopped = stop_signal() => stopped,
        _ = hangup.recv() => Ok(()),
    }
}

async fn up(options: &Options, control: bool, mut stop: Stop<'_>) -> Result<()> {
    let mut stack = start(options, &mut stop).await?;
    let outcome = match tell(&stack, options).await {
        Ok(()) if control => tokio::select! {
            obeyed = control::obey(&mut stack) => obeyed,
            stopped = stop => stopped.map_err(Into::into),
        },
        Ok(()) => stay(&mut stack, stop).await,
        failed => failed,
    };
    outcome.and(stack.stop().await)
}

async fn demo(options: &Options, once: bool, mut stop: Stop<'_>) -> Result<()> {
    let terminal = io::stdout().is_terminal();
    let mut report = Report::new(io::stdout(), terminal);
    report.line("bringing the stack up")?;
    let mut stack = start(options, &mut stop).await?;
    report.line(&format!("up after {:.1} s", report.seconds()))?;
    let description = stack.description.clone();
    let walked = tokio::select! {
        walked = demo::run(&description, &mut report) => walked,
        broken = stack.broken() => broken,
        stopped = &mut stop => stopped.map_err(Into::into).and_then(|()| bail!("stopped before the last step")),
    };
    let outcome = match walked {
        Ok(()) => conclude(&mut stack, options, &mut report, terminal && !once, stop).await,
        failed => failed,
    };
    outcome.and(stack.stop().await)
}

async fn conclude(
    stack: &mut Stack,
    options: &Options,
    report: &mut Report,
    stays: bool,
    stop: Stop<'_>,
) -> Result<()> {
    report.line(&format!("\nall {} steps held, {:.1} s in all", report.steps(), report.seconds()))?;
    if stays {
        tell(stack, options).await?;
        return stay(stack, stop).await;
    }
    Ok(report.line(&format!("logs and database stay in {}", options.folder.display()))?)
}

async fn start(options: &Options, stop: &mut Stop<'_>) -> Result<Stack> {
    tokio::select! {
        stack = Stack::start(options) => stack,
        stopped = stop => {
            stopped?;
            bail!("stopped before the stack was up")
        }
    }
}

async fn stay(stack: &mut Stack, stop: Stop<'_>) -> Result<()> {
    writeln!(io::stdout(), "\nCtrl-C ends it")?;
    tokio::select! {
        broken = stack.broken() => broken,
        stopped = stop => Ok(stopped?),
    }
}

async fn tell(stack: &Stack, options: &Options) -> Result<()> {
    let it = &stack.description;
    let wallet = Box::pin(demo::prepared_wallet(it)).await?;
    let mut out = io::stdout().lock();
    writeln!(out)?;
    let file = options.folder.join("stack.json").display().to_string();
    let rows = [
        ("page", format!("{}/", text(&it.relayer_url))),
        ("relayer", text(&it.relayer_url).to_owned()),
        ("indexer", text(&it.indexer_url).to_owned()),
        ("mailbox", text(&it.mail_url).to_owned()),
        ("chain", text(&it.rpc_url).to_owned()),
        ("verifier", it.verifier.to_checksum(None)),
        ("vault", it.vault.to_checksum(None)),
        ("all of it", file),
    ];
    for (name, value) in rows {
        writeln!(out, "  {name:10} {value}")?;
    }
    writeln!(
        out,
        "\nTo try the page, add to a browser's wallet the chain and this account of it, which has ether and 5 in the vault:\n"
    )?;
    let chain = format!("{}, chain id {}", text(&it.rpc_url), it.chain_id);
    let rows = [("network", chain), ("account", wallet.address.to_checksum(None)), ("its key", wallet.key.to_string())];
    for (name, value) in rows {
        writeln!(out, "  {name:10} {value}")?;
    }
    Ok(())
}
