//! The log against itself: its hashes, its order, its keys, its heads, and what is attested of it.

use std::{io, path::Path};

use alloy::primitives::B256;
use otp_core::{
    evidence::{Entry, Fields, KeyChange, SignedHead, read_attested, read_entry},
    id::Deployment,
};

use super::{
    files::{Line, Lines, Listing},
    heads::Heads,
    report::{Report, Spot},
};
use crate::evidence::{attested_name, entries_name};

/// What the rest of the audit needs to know.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// From the first entry.
    pub(super) deployment: Option<(Deployment, u64)>,
    /// The last head that fits the log.
    pub(super) head: Option<SignedHead>,
    /// The place of the last step.
    pub(super) last_place: Option<(u64, u64)>,
}

/// A walk along the entries.
struct Walk<'a> {
    root: &'a Path,
    report: &'a mut Report,
    heads: Heads<'a>,
    trusted: B256,
    saw_trusted: bool,
    key: Option<B256>,
    next: u64,
    /// What the next entry may name as the one before: the hash as it stands there, and as it has to be.
    hashes: [B256; 2],
    /// The line before this one could not be read, so nobody can say what this one follows.
    after_unreadable: bool,
    walked: Walked,
}

/// Walks along the whole log. `given` is a head that the auditor brings along.
pub(super) fn walk(
    root: &Path,
    listing: &Listing,
    trusted: B256,
    given: Option<SignedHead>,
    report: &mut Report,
    mut progress: impl FnMut(u64),
) -> io::Result<Walked> {
    let heads = Heads::new(root, &listing.heads, given);
    let mut walk = Walk {
        root,
        report,
        heads,
        trusted,
        saw_trusted: false,
        key: None,
        next: 0,
        hashes: [B256::ZERO; 2],
        after_unreadable: false,
        walked: Walked::default(),
    };
    for first in &listing.entries {
        walk.file(*first, listing.attested.binary_search(first).is_ok())?;
        progress(walk.next);
    }
    for first in listing.attested.iter().filter(|first| listing.entries.binary_search(first).is_err()) {
        walk.report.find_file(&attested_name(*first), "there are no entries of this name");
    }
    let Walk { mut heads, report, next, saw_trusted, mut walked, .. } = walk;
    heads.finish(next, report);
    walked.head = heads.last_good;
    if next == 0 {
        report.find("there is no entry: the log is not there");
    } else if !saw_trusted {
        report.find(format!("the public key {trusted} is none of this log's: somebody else's log, or a forged one"));
    }
    Ok(walked)
}

impl Walk<'_> {
    fn file(&mut self, first: u64, has_attested: bool) -> io::Result<()> {
        let name = entries_name(first);
        let mut lines = Lines::open(self.root, name.clone())?;
        let mut openings = Openings::open(self.root, first, has_attested)?;
        if first != self.next {
            let what = format!("this file should begin with entry {}: a file is missing or too many", self.next);
            self.report.find_file(&name, what);
        }
        let mut read = 0_u64;
        while let Some(Line { spot, text }) = lines.next()? {
            read += 1;
            let Some(text) = text else {
                self.report.find_at(&spot, Some(self.next), "cut off: no whole line stands here");
                self.next += 1;
                break;
            };
            let Some(entry) = read_entry(&text) else {
                self.report.find_at(&spot, Some(self.next), "this line is no entry as it was written");
                self.skip();
                continue;
            };
            self.entry(&spot, &entry);
            openings.check(&entry, self.report)?;
        }
        if read == 0 {
            self.report.find_file(&name, "it is empty");
        }
        openings.finish(self.report)?;
        if self.next > 0 && self.heads.signed_to.is_none_or(|signed| signed + 1 < self.next) {
            let from = self.heads.signed_to.map_or(0, |signed| signed + 1);
            let what = format!("no head signs entries {from} to {}: a head is missing", self.next - 1);
            self.report.find_file(&name, what);
            self.heads.signed_to = Some(self.next - 1);
        }
        Ok(())
    }

    /// What follows an entry that cannot be read is not measured by it.
    fn skip(&mut self) {
        self.next += 1;
        self.after_unreadable = true;
    }

    fn entry(&mut self, spot: &Spot, entry: &Entry) {
        self.report.entries += 1;
        let computed = entry.computed_hash();
        if entry.index != self.next {
            let what = match entry.index.checked_sub(self.next) {
                Some(missing) => {
                    format!("out of its place: {missing} entries before it are missing, from {}", self.next)
                }
                None => format!("out of its place: entry {} should stand here", self.next),
            };
            self.report.find_at(spot, Some(entry.index), what);
        } else if !self.hashes.contains(&entry.previous) && !self.after_unreadable {
            self.report.find_at(spot, Some(entry.index), "it does not follow the entry before it");
        }
        if computed != entry.hash {
            self.report.find_at(spot, Some(entry.index), "its hash is not that of what it says: it was changed");
        }
        match &entry.fields {
            Fields::Key(key) => self.key_entry(spot, entry.index, key),
            Fields::Step(step) => {
                if entry.index == 0 {
                    self.report.find_at(spot, Some(0), "the first entry has to name the deployment and the key");
                }
                if self.walked.last_place.is_some_and(|last| step.place() <= last) {
                    self.report.find_at(spot, Some(entry.index), "out of the chain's order, or there twice");
                }
                self.walked.last_place = self.walked.last_place.max(Some(step.place()));
            }
        }
        self.hashes = [entry.hash, computed];
        self.next = entry.index.saturating_add(1);
        self.after_unreadable = false;
        self.heads.check(entry.index, self.hashes, self.key, self.walked.deployment, self.report);
    }

    fn key_entry(&mut self, spot: &Spot, index: u64, key: &KeyChange) {
        let of_log = (key.deployment, key.deployment_block);
        if self.walked.deployment.get_or_insert(of_log) != &of_log {
            self.report.find_at(spot, Some(index), "it is of another deployment than the first entry");
        }
        if !key.follows(index, self.key) {
            self.report.find_at(spot, Some(index), "the key before did not sign for this key");
        }
        self.saw_trusted |= key.public_key == self.trusted;
        self.key = Some(key.public_key);
    }
}

/// What is attested of one file's entries.
struct Openings {
    lines: Option<Lines>,
    next: Option<(Spot, u64, B256)>,
    last: Option<u64>,
}

impl Openings {
    fn open(root: &Path, first: u64, is_there: bool) -> io::Result<Self> {
        let lines = if is_there { Some(Lines::open(root, attested_name(first))?) } else { None };
        Ok(Self { lines, next: None, last: None })
    }

    /// Reads on to the next opening.
    fn advance(&mut self, report: &mut Report) -> io::Result<()> {
        while self.next.is_none()
            && let Some(lines) = &mut self.lines
        {
            let Some(Line { spot, text }) = lines.next()? else {
                self.lines = None;
                return Ok(());
            };
            match text.as_deref().and_then(read_attested) {
                Some((index, attested)) if self.last.is_none_or(|last| last < index) => {
                    self.last = Some(index);
                    self.next = Some((spot, index, attested.commitment()));
                }
                Some((index, _)) => report.find_at(&spot, Some(index), "out of its place, or there twice"),
                None => report.find_at(&spot, None, "this line is no opening as it was written"),
            }
        }
        Ok(())
    }

    fn check(&mut self, entry: &Entry, report: &mut Report) -> io::Result<()> {
        self.advance(report)?;
        while let Some((spot, index, _)) = self.next.take_if(|(_, index, _)| *index < entry.index) {
            report.find_at(&spot, Some(index), "it opens an entry that is not in the file of its name");
            self.advance(report)?;
        }
        match (entry.commitment, self.next.take_if(|(_, index, _)| *index == entry.index)) {
            (Some(commitment), Some((_, _, opened))) if commitment == opened => report.openings += 1,
            (_, Some((spot, index, _))) => report.find_at(&spot, Some(index), "it is not what the entry commits to"),
            (Some(_), None) => report.erased += 1,
            (None, None) => {}
        }
        Ok(())
    }

    fn finish(&mut self, report: &mut Report) -> io::Result<()> {
        self.advance(report)?;
        while let Some((spot, index, _)) = self.next.take() {
            report.find_at(&spot, Some(index), "it opens an entry that is not in the file of its name");
            self.advance(report)?;
        }
        Ok(())
    }
}
