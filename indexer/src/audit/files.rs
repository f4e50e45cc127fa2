//! The files of an export, read line by line: a log may be longer than memory.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use super::report::{Report, Spot};
use crate::evidence::{attested_name, entries_name, head_name};

/// No line of ours is half as long; a longer one is not read to its end.
const LONGEST: u64 = 8_192;

/// The numbers in the names of an export's files, ascending.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) entries: Vec<u64>,
    pub(super) heads: Vec<u64>,
    pub(super) attested: Vec<u64>,
}

/// Lists the files; what has no name of ours is a finding.
pub(super) fn list(root: &Path, report: &mut Report) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for (folder, numbers, name) in [
        ("entries", &mut listing.entries, entries_name as fn(u64) -> String),
        ("heads", &mut listing.heads, head_name),
        ("attested", &mut listing.attested, attested_name),
    ] {
        let path = root.join(folder);
        if folder == "attested" && !path.exists() {
            continue;
        }
        for file in path.read_dir()? {
            let file = format!("{folder}/{}", file?.file_name().to_string_lossy());
            // Half written by an export that runs, or that died.
            if file.starts_with(&format!("{folder}/.")) {
                continue;
            }
            let digits: String = file.chars().filter(char::is_ascii_digit).collect();
            match digits.parse().ok().filter(|number| name(*number) == file) {
                Some(number) => numbers.push(number),
                None => report.find_file(&file, "no file of an export has this name"),
            }
        }
        numbers.sort_unstable();
    }
    Ok(listing)
}

/// A line without its end.
pub(super) struct Line {
    pub(super) spot: Spot,
    /// `None`: it is too long, not UTF-8, or has no newline at its end.
    pub(super) text: Option<String>,
}

/// The lines of one file.
pub(super) struct Lines {
    reader: BufReader<File>,
    spot: Spot,
    ended: bool,
}

impl Lines {
    pub(super) fn open(root: &Path, file: String) -> io::Result<Self> {
        let reader = BufReader::new(File::open(root.join(&file))?);
        Ok(Self { reader, spot: Spot { file, line: 0, offset: 0 }, ended: false })
    }

    /// The next line; `None` at the end. After a line that is none, the rest of the file is not looked at.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        if self.ended || self.reader.by_ref().take(LONGEST).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        self.spot.line += 1;
        let spot = self.spot.clone();
        self.spot.offset += bytes.len() as u64;
        let whole = bytes.pop() == Some(b'\n');
        self.ended = !whole;
        let text = if whole { String::from_utf8(bytes).ok() } else { None };
        Ok(Some(Line { spot, text }))
    }
}
