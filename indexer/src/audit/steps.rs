//! The log's steps once more, in the order of their files, a range of blocks at a time.

use std::{
    io,
    path::{Path, PathBuf},
};

use otp_core::evidence::{Fields, Step, read_entry};

use super::{
    files::{Line, Lines},
    report::Spot,
};
use crate::evidence::entries_name;

/// A step and where it is logged.
#[derive(Debug)]
pub(super) struct LoggedStep {
    pub(super) spot: Spot,
    pub(super) index: u64,
    pub(super) step: Step,
}

/// Reads the steps of an export. What the walk found to be no entry, or out of order, is passed over.
pub(super) struct Steps {
    root: PathBuf,
    files: std::vec::IntoIter<u64>,
    lines: Option<Lines>,
    next: Option<LoggedStep>,
    last: Option<(u64, u64)>,
}

impl Steps {
    pub(super) fn new(root: &Path, files: Vec<u64>) -> Self {
        Self { root: root.to_owned(), files: files.into_iter(), lines: None, next: None, last: None }
    }

    /// The steps up to this block that were not given yet.
    pub(super) fn up_to(&mut self, block_number: u64) -> io::Result<Vec<LoggedStep>> {
        let mut found = Vec::new();
        loop {
            if self.next.is_none() {
                self.next = self.read()?;
            }
            match self.next.take_if(|next| next.step.block_number <= block_number) {
                Some(step) => found.push(step),
                None => return Ok(found),
            }
        }
    }

    fn read(&mut self) -> io::Result<Option<LoggedStep>> {
        loop {
            let Some(lines) = &mut self.lines else {
                let Some(first) = self.files.next() else { return Ok(None) };
                self.lines = Some(Lines::open(&self.root, entries_name(first))?);
                continue;
            };
            let Some(Line { spot, text }) = lines.next()? else {
                self.lines = None;
                continue;
            };
            let Some(entry) = text.as_deref().and_then(read_entry) else { continue };
            if let Fields::Step(step) = entry.fields
                && self.last.is_none_or(|last| last < step.place())
            {
                self.last = Some(step.place());
                return Ok(Some(LoggedStep { spot, index: entry.index, step }));
            }
        }
    }
}
