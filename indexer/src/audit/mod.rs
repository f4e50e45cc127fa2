//! `indexer audit`: an exported evidence log against itself, against its signatures, and against the chain. It needs the
//! files, the public key and a node of the auditor's choice, and nothing of ours beside.

mod chain;
mod files;
mod heads;
mod log;
mod report;
mod steps;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use alloy::primitives::B256;
use clap::Args;
use otp_core::{
    chain::{RpcConfig, RpcUrl, connect},
    cli,
    evidence::{SignedHead, read_head},
};

pub use self::report::{Finding, Report};
use self::{chain::Scope, files::Listing, log::Walked, steps::Steps};

/// How long a fetched head may take.
const FETCH: Duration = Duration::from_secs(10);
/// A head is a few hundred bytes.
const LONGEST_HEAD: usize = 8_192;
const TELL_EVERY: Duration = Duration::from_secs(2);

/// What to audit, and with what.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The exported log: the folder with entries/ and heads/
    #[arg(long)]
    pub directory: PathBuf,
    /// The Ed25519 key of the log, 0x and 64 hex digits, as its operator has published it
    #[arg(long)]
    pub public_key: B256,
    /// A node of your choice, of the log's chain
    #[arg(long)]
    pub rpc_url: RpcUrl,
    /// A head that you have, as file or as URL (…/v1/evidence/head): a log that was cut off below it is found
    #[arg(long)]
    pub head: Option<String>,
    /// Take blocks so far below the latest one for final, instead of asking the node which one is
    #[arg(long)]
    pub depth: Option<u64>,
    /// How long after its block a step may be missing at the log's end, in seconds
    #[arg(long, default_value_t = 3_600)]
    pub lag_seconds: u64,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs the audit and tells the outcome. Exit codes: 0 good, 1 findings, 2 not everything could be checked.
pub fn run(options: &Options) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return cli::fail("indexer", cli::USAGE, &e.to_string()),
    };
    let report = runtime.block_on(audit(options));
    let text = if options.json { json(&report) } else { report.text() };
    cli::say(&text);
    ExitCode::from(report.code())
}

fn json(report: &Report) -> String {
    let mut value = serde_json::to_value(report).unwrap_or_default();
    if let Some(members) = value.as_object_mut() {
        members.insert("ok".to_owned(), (report.code() == 0).into());
    }
    value.to_string()
}

/// The audit itself.
pub async fn audit(options: &Options) -> Report {
    let mut report = Report::default();
    if let Err(why) = check(options, &mut report).await {
        report.could_not(why);
    }
    report
}

/// An export against itself alone, without the chain.
#[must_use]
pub fn audit_files(root: &Path, public_key: B256, given: Option<SignedHead>) -> Report {
    let mut report = Report::default();
    if let Err(why) = walk(root, public_key, given, &mut report, &mut Progress::new(true)) {
        report.could_not(why);
    }
    report
}

fn walk(
    root: &Path,
    public_key: B256,
    given: Option<SignedHead>,
    report: &mut Report,
    progress: &mut Progress,
) -> Result<(Listing, Walked), String> {
    let unreadable = |e: std::io::Error| format!("{}: {e}", root.display());
    let listing = files::list(root, report).map_err(unreadable)?;
    let walked = log::walk(root, &listing, public_key, given, report, |entries| {
        progress.tell(|| format!("{entries} entries read"));
    });
    Ok((listing, walked.map_err(unreadable)?))
}

async fn check(options: &Options, report: &mut Report) -> Result<(), String> {
    let root = options.directory.as_path();
    let given = match &options.head {
        Some(place) => Some(fetch_head(place).await?),
        None => None,
    };
    let mut progress = Progress::new(options.json);
    let (listing, walked) = walk(root, options.public_key, given, report, &mut progress)?;
    let Some(scope) = scope(options, &walked) else {
        return Err("the log does not say of which contract it is, so the chain was not asked".to_owned());
    };
    let (node, pool) = connect(&RpcConfig::one(options.rpc_url.0.clone()), scope.deployment.chain_id)
        .map_err(|e| format!("no HTTP client: {e}"))?;
    otp_core::chain::check(&node, &pool, &scope.deployment).await.map_err(|e| e.to_string())?;
    let steps = Steps::new(root, listing.entries);
    let compared = chain::compare(&node, &scope, steps, report, |to, last| {
        progress.tell(|| format!("block {to} of {last} compared"));
    });
    compared.await.map_err(|e| e.to_string())
}

/// `None` where the first entry is not there or cannot be read.
fn scope(options: &Options, walked: &Walked) -> Option<Scope> {
    let (deployment, from) = walked.deployment?;
    let last = walked.last_place.unwrap_or_default();
    let head = walked.head.map(|signed| signed.head).filter(|head| head.complete);
    let complete_to = head.map_or(last, |head| last.max((head.final_number, u64::MAX)));
    let lag = Duration::from_secs(options.lag_seconds);
    Some(Scope { deployment, from, complete_to, lag, depth: options.depth })
}

async fn fetch_head(place: &str) -> Result<SignedHead, String> {
    let text = if place.starts_with("http://") || place.starts_with("https://") {
        let failed = |e: reqwest::Error| format!("the head cannot be fetched: {}", e.without_url());
        let client = reqwest::Client::builder().timeout(FETCH).build().map_err(failed)?;
        let answer = client.get(place).send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
        let bytes = answer.bytes().await.map_err(failed)?;
        String::from_utf8_lossy(bytes.get(..LONGEST_HEAD.min(bytes.len())).unwrap_or_default()).into_owned()
    } else {
        std::fs::read_to_string(Path::new(place)).map_err(|e| format!("{place}: {e}"))?
    };
    read_head(text.trim_end()).ok_or_else(|| format!("{place}: no head stands there"))
}

/// A line now and then on standard error, where somebody waits.
struct Progress {
    silent: bool,
    told: Instant,
}

impl Progress {
    fn new(silent: bool) -> Self {
        Self { silent, told: Instant::now() }
    }

    fn tell(&mut self, line: impl FnOnce() -> String) {
        if !self.silent && self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            // Nothing is lost where nobody reads it.
            let _ = writeln!(std::io::stderr(), "{}", line());
        }
    }
}
