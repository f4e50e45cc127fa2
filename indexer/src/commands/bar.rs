//! How far a command is: a bar on a terminal, a line now and then elsewhere; on standard error, so that standard output
//! is the answer alone.

use std::{
    io::{IsTerminal, Write, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const LOOK: &str = "{msg} {bar:32} block {pos} of {len}, {per_sec}, {eta} to go";
/// Between two lines where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

/// The progress through a range of blocks.
pub(super) struct Bar {
    bar: ProgressBar,
    what: &'static str,
    to: u64,
    /// When a line is due; `None` where nothing reads lines.
    due: Option<Instant>,
}

impl Bar {
    /// Begins at `from`. Whoever asked for JSON and watches no terminal is told nothing.
    pub(super) fn new(what: &'static str, from: u64, to: u64, json: bool) -> Self {
        let terminal = stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(to), target).with_position(from).with_message(what);
        if let Ok(style) = ProgressStyle::with_template(LOOK) {
            bar.set_style(style);
        }
        bar.reset_eta();
        Self { bar, what, to, due: (!terminal && !json).then(|| Instant::now() + EVERY) }
    }

    /// Everything up to `block` is done.
    pub(super) fn at(&mut self, block: u64) {
        self.bar.set_position(block);
        if self.due.is_some_and(|due| due <= Instant::now()) {
            self.due = Some(Instant::now() + EVERY);
            // Who closed standard error does not want to know.
            let _ = writeln!(stderr(), "{}: block {block} of {}", self.what, self.to);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
