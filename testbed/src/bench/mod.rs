//! Benchmarks: ratios in one run on one machine, medians of interleaved repeats, the load printed beside them. Nothing
//! here asserts a speed: machines are shared and noisy.

mod backfill;
mod chains;
mod growth;
mod heads;
mod indexer;
mod interface;
mod load;
mod memory;
mod naive;
mod people;
mod pipeline;
mod ponder;
mod rival;
mod settled;
mod sink;
mod stats;
mod store_growth;
mod tip;

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde_json::{Value, json};
use tokio::{process::Command, time::timeout};

use crate::stack::Options;

const SYNCED_WITHIN: Duration = Duration::from_secs(120);

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The HTTP interface beside better-auth
    Interface,
    /// From accepted to mined, beside one transaction per request
    Pipeline,
    /// Time and memory of the relayer with a large store
    Growth,
    /// From nothing to the head of three chains, beside ponder
    Backfill,
    /// From the announcement of a head to the outbox and to the mail server, beside ponder
    Tip,
    /// Time and memory of the indexer with a large store
    StoreGrowth,
}

/// How to measure.
#[derive(Debug, Clone)]
pub struct Bench {
    /// Where stacks and databases go; each part clears its own folder.
    pub folder: PathBuf,
    /// Repeats of what is compared.
    pub repeats: usize,
    /// The longest runs and the largest stores.
    pub full: bool,
}

impl Bench {
    /// Measures `parts`, prints the tables, and writes the figures to `figures.json` in the folder.
    ///
    /// # Errors
    /// When a part of the system fails: then there are no figures of it.
    pub async fn run(&self, parts: &[Part]) -> Result<()> {
        fs::create_dir_all(&self.folder).with_context(|| self.folder.display().to_string())?;
        let mut figures = json!({ "loadBefore": load_average(), "cores": cores() });
        self.tell(&format!("{} cores, load {}", cores(), load_average()));
        for part in parts {
            let (name, value) = match part {
                Part::Interface => {
                    let measured = Box::pin(interface::run(self)).await?;
                    measured.print(self);
                    ("interface", serde_json::to_value(measured)?)
                }
                Part::Pipeline => {
                    let measured = Box::pin(pipeline::run(self)).await?;
                    measured.print(self);
                    ("pipeline", serde_json::to_value(measured)?)
                }
                Part::Growth => {
                    let measured = Box::pin(growth::run(self)).await?;
                    measured.print(self);
                    ("growth", serde_json::to_value(measured)?)
                }
                Part::Backfill => {
                    let measured = Box::pin(backfill::run(self)).await?;
                    measured.print(self);
                    ("backfill", serde_json::to_value(measured)?)
                }
                Part::Tip => {
                    let measured = Box::pin(tip::run(self)).await?;
                    measured.print(self);
                    ("tip", serde_json::to_value(measured)?)
                }
                Part::StoreGrowth => {
                    let measured = Box::pin(store_growth::run(self)).await?;
                    measured.print(self);
                    ("storeGrowth", serde_json::to_value(measured)?)
                }
            };
            self.keep(&mut figures, name, value)?;
        }
        self.tell(&format!("load {}; figures in {}", load_average(), self.folder.join("figures.json").display()));
        Ok(())
    }

    /// What is measured is on the disk after each part: the next one may fail.
    fn keep(&self, figures: &mut Value, name: &str, value: Value) -> Result<()> {
        figures[name] = value;
        figures["loadAfter"] = json!(load_average());
        Ok(fs::write(self.folder.join("figures.json"), serde_json::to_vec_pretty(figures)?)?)
    }

    /// A stack for a part, with limits that a benchmark does not meet.
    fn options(&self, part: &str, smtp_port: Option<u16>) -> Result<Options> {
        let mut options = Options::new(self.scratch(part)?);
        options.code_ttl_s = 180;
        options.smtp_port = smtp_port;
        Ok(options)
    }

    /// Waits until what was written so far is on the disk, which else is written while something else is measured.
    async fn settle_disk(&self) -> Result<()> {
        let synced = timeout(SYNCED_WITHIN, Command::new("sync").stdin(Stdio::null()).kill_on_drop(true).status());
        ensure!(synced.await.context("the disk takes too long")??.success(), "sync(1) failed");
        Ok(())
    }

    /// An empty folder for a part.
    fn scratch(&self, part: &str) -> Result<PathBuf> {
        let folder = self.folder.join(part);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => fs::create_dir_all(&folder)?,
        }
        Ok(folder)
    }

    fn heading(&self, text: &str) {
        self.tell(&format!("\n{text}"));
    }

    fn row(&self, cells: &[impl AsRef<str>]) {
        let cells = cells.iter().enumerate().map(|(column, cell)| match column {
            0 => format!("{:24}", cell.as_ref()),
            _ => format!("{:>10}", cell.as_ref()),
        });
        self.tell(&cells.collect::<String>());
    }

    /// A line of progress or of a table. Where standard output is gone, the figures still go to their file.
    fn tell(&self, line: &str) {
        let _ = writeln!(io::stdout(), "{line}");
    }
}

/// The load of the last minute, where the system tells it: a figure from a busy machine is to be seen as one.
fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned()
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(0, std::num::NonZero::get)
}
