//! One line a step: what was done, how long it took, what came of it.

use std::{
    io::{self, Write},
    time::Instant,
};

use alloy::primitives::B256;
use anyhow::Result;

const TITLE_WIDTH: usize = 44;

/// Writes steps as they happen.
pub struct Report {
    out: Box<dyn Write + Send>,
    colour: bool,
    steps: usize,
    started: Instant,
}

/// What a step brought.
pub(super) struct Done<T> {
    pub(super) value: T,
    pub(super) said: String,
    pub(super) transaction: Option<B256>,
}

impl<T> Done<T> {
    pub(super) fn new(value: T, said: impl Into<String>) -> Self {
        Self { value, said: said.into(), transaction: None }
    }

    pub(super) fn by(self, transaction: B256) -> Self {
        Self { transaction: Some(transaction), ..self }
    }
}

impl Report {
    /// A report on `out`; plain unless somebody reads along on a terminal.
    #[must_use]
    pub fn new(out: impl Write + Send + 'static, colour: bool) -> Self {
        Self { out: Box::new(out), colour, steps: 0, started: Instant::now() }
    }

    /// How many steps held.
    #[must_use]
    pub const fn steps(&self) -> usize {
        self.steps
    }

    /// Since the report began, in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// A line of its own.
    ///
    /// # Errors
    /// When the output is gone.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// Starts a part.
    ///
    /// # Errors
    /// When the output is gone.
    pub fn heading(&mut self, text: &str) -> io::Result<()> {
        let text = self.painted("1", text);
        self.line(&format!("\n{text}"))
    }

    /// Runs a step and writes what came of it.
    pub(super) async fn step<T>(&mut self, title: &str, work: impl Future<Output = Result<Done<T>>>) -> Result<T> {
        let started = Instant::now();
        let outcome = work.await;
        let took = format!("{:6.2} s", started.elapsed().as_secs_f64());
        let number = self.steps + 1;
        match outcome {
            Ok(done) => {
                self.steps = number;
                let mark = self.painted("32", "ok  ");
                self.line(&format!("{mark}{number:3}  {title:TITLE_WIDTH$}{took}  {}", done.said))?;
                if let Some(hash) = done.transaction {
                    let hash = self.painted("2", &format!("tx {hash}"));
                    self.line(&format!("{:1$}{hash}", "", TITLE_WIDTH + 19))?;
                }
                Ok(done.value)
            }
            Err(error) => {
                let mark = self.painted("31", "FAIL");
                self.line(&format!("{mark}{number:3}  {title:TITLE_WIDTH$}{took}  {error:#}"))?;
                Err(error.context(format!("step {number}, {title}")))
            }
        }
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
