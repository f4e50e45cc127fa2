//! What an audit found, for people and for programs.

use std::fmt::{self, Write as _};

use otp_core::cli;
use serde::Serialize;

/// Findings that are told one by one; of a log of another chain there are as many as entries.
const TOLD: usize = 200;

/// Something that is not as it has to be, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file below the export's root; none where the finding is about the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Bytes before the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// What is wrong.
    pub what: String,
}

/// Where in a file something stands.
#[derive(Debug, Clone, Default)]
pub struct Spot {
    /// The file below the export's root.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// Bytes before the line.
    pub offset: u64,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            f.write_str(file)?;
            if let (Some(line), Some(offset)) = (self.line, self.offset) {
                write!(f, ":{line} (byte {offset})")?;
            }
            f.write_str(": ")?;
        }
        if let Some(index) = self.index {
            write!(f, "entry {index}: ")?;
        }
        f.write_str(&self.what)
    }
}

/// The outcome of an audit.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What is wrong, at most the first [`TOLD`].
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub more_findings: u64,
    /// Why something could not be checked.
    pub unchecked: Option<String>,
    /// Entries read.
    pub entries: u64,
    /// The last entry that a head covers.
    pub signed_to: Option<u64>,
    /// Heads whose signature is right.
    pub heads: u64,
    /// Openings that fit their entry.
    pub openings: u64,
    /// Entries whose opening was erased, or is not shown.
    pub erased: u64,
    /// Steps that the chain has as the log says.
    pub steps_on_chain: u64,
    /// The first block that was compared.
    pub from_block: Option<u64>,
    /// The last block that was compared.
    pub to_block: Option<u64>,
    /// Steps that became final so lately that the log need not have them yet.
    pub pending_steps: u64,
}

impl Report {
    /// Something about the whole.
    pub fn find(&mut self, what: impl Into<String>) {
        self.add(Finding { file: None, line: None, offset: None, index: None, what: what.into() });
    }

    /// Something about a file.
    pub fn find_file(&mut self, file: &str, what: impl Into<String>) {
        self.add(Finding { file: Some(file.to_owned()), line: None, offset: None, index: None, what: what.into() });
    }

    /// Something about a line.
    pub fn find_at(&mut self, spot: &Spot, index: Option<u64>, what: impl Into<String>) {
        let (line, offset) = (Some(spot.line), Some(spot.offset));
        self.add(Finding { file: Some(spot.file.clone()), line, offset, index, what: what.into() });
    }

    fn add(&mut self, finding: Finding) {
        if self.findings.len() < TOLD {
            self.findings.push(finding);
        } else {
            self.more_findings += 1;
        }
    }

    /// The first reason why something could not be checked is the one that is told.
    pub fn could_not(&mut self, why: impl Into<String>) {
        self.unchecked.get_or_insert_with(|| why.into());
    }

    /// 0 good, 1 findings, 2 not everything could be checked.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match (self.findings.is_empty(), &self.unchecked) {
            (false, _) => cli::FAILED,
            (true, Some(_)) => cli::USAGE,
            (true, None) => 0,
        }
    }

    /// As text: a finding a line, and then what was checked.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let _ = writeln!(text, "{finding}");
        }
        if self.more_findings > 0 {
            let _ = writeln!(text, "and {} more", self.more_findings);
        }
        let signed = self.signed_to.map_or_else(|| "nothing".to_owned(), |index| format!("entry {index}"));
        let _ = writeln!(
            text,
            "{} entries, signed up to {signed} by {} heads; {} openings fit, {} are erased or not shown",
            self.entries, self.heads, self.openings, self.erased
        );
        if let (Some(from), Some(to)) = (self.from_block, self.to_block) {
            let _ = writeln!(
                text,
                "{} steps are on the chain as the log says, blocks {from} to {to}; {} more are final since and not due yet",
                self.steps_on_chain, self.pending_steps
            );
        }
        if let Some(why) = &self.unchecked {
            let _ = writeln!(text, "not everything could be checked: {why}");
        }
        let _ = write!(
            text,
            "{}",
            match self.code() {
                0 => "good",
                cli::FAILED => "NOT GOOD",
                _ => "no finding, but not everything was checked",
            }
        );
        text
    }
}
