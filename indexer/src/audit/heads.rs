//! The heads, read beside the entries that they sign.

use std::{io, path::Path};

use alloy::primitives::B256;
use otp_core::{
    evidence::{SignedHead, read_head},
    id::Deployment,
};

use super::{
    files::Lines,
    report::{Report, Spot},
};
use crate::evidence::head_name;

/// How a head that the auditor brings along is called in findings.
const GIVEN: &str = "the head given by --head";

/// A head and where it stands.
struct Found {
    file: String,
    signed: SignedHead,
}

/// The heads of an export in order, and one that the auditor brings along.
pub(super) struct Heads<'a> {
    root: &'a Path,
    numbers: std::iter::Peekable<std::slice::Iter<'a, u64>>,
    next: Option<Found>,
    given: Option<SignedHead>,
    /// The head before: its digest where it could be read, and up to where the chain was final.
    before: Option<(Option<B256>, u64)>,
    expected: u64,
    /// The last head that fits.
    pub(super) last_good: Option<SignedHead>,
    /// The last entry that any head was for, fit or not.
    pub(super) signed_to: Option<u64>,
}

impl<'a> Heads<'a> {
    pub(super) fn new(root: &'a Path, numbers: &'a [u64], given: Option<SignedHead>) -> Self {
        Self {
            root,
            numbers: numbers.iter().peekable(),
            next: None,
            given,
            before: None,
            expected: 0,
            last_good: None,
            signed_to: None,
        }
    }

    /// Checks every head that is for the entry just read.
    pub(super) fn check(
        &mut self,
        index: u64,
        hashes: [B256; 2],
        key: Option<B256>,
        deployment: Option<(Deployment, u64)>,
        report: &mut Report,
    ) {
        let deployment = deployment.map(|(deployment, _)| deployment);
        while let Some(found) = self.take_up_to(index, report) {
            self.signed_to = self.signed_to.max(Some(found.signed.head.index));
            if let Some(what) = fault(&found.signed, index, hashes, key, deployment) {
                report.find_file(&found.file, what);
            } else {
                report.heads += 1;
                report.signed_to = Some(index);
                self.last_good = Some(found.signed);
            }
        }
        if let Some(given) = self.given.take_if(|given| given.head.index == index)
            && let Some(what) = fault(&given, index, hashes, key, deployment)
        {
            report.find(format!("{GIVEN}: {what}"));
        }
    }

    /// The next head, where it is for an entry up to `index`.
    fn take_up_to(&mut self, index: u64, report: &mut Report) -> Option<Found> {
        while self.next.is_none() {
            let number = *self.numbers.next()?;
            let file = head_name(number);
            if number != self.expected {
                report.find_file(&file, format!("head {} should come before it: it is missing", self.expected));
                self.before = self.before.map(|(_, last_final)| (None, last_final));
            }
            self.expected = number + 1;
            match self.read(&file, number) {
                Ok(signed) => self.next = Some(self.in_line(file, signed, report)),
                Err(what) => {
                    report.find_file(&file, what);
                    self.before = Some((None, self.before.map_or(0, |(_, last_final)| last_final)));
                }
            }
        }
        self.next.take_if(|found| found.signed.head.index <= index)
    }

    fn read(&self, file: &str, number: u64) -> Result<SignedHead, String> {
        let unreadable = |e: io::Error| format!("cannot be read: {e}");
        let mut lines = Lines::open(self.root, file.to_owned()).map_err(unreadable)?;
        let first = lines.next().map_err(unreadable)?.and_then(|line| line.text);
        let signed = first.as_deref().and_then(read_head).ok_or("it is no head as it was written")?;
        if lines.next().map_err(unreadable)?.is_some() {
            return Err("something stands behind the head".to_owned());
        }
        if signed.head.number != number {
            return Err(format!("it holds head {}", signed.head.number));
        }
        Ok(signed)
    }

    /// Whether it follows the head before.
    fn in_line(&mut self, file: String, signed: SignedHead, report: &mut Report) -> Found {
        let (previous, last_final) = self.before.unwrap_or((Some(B256::ZERO), 0));
        if previous.is_some_and(|previous| previous != signed.head.previous) {
            report.find_file(&file, "it does not follow the head before it");
        }
        if signed.head.final_number < last_final {
            report.find_file(&file, "the chain was final further up for the head before it");
        }
        self.before = Some((Some(signed.head.digest()), signed.head.final_number));
        Found { file, signed }
    }

    /// Heads that are left over are for entries that are not there.
    pub(super) fn finish(&mut self, entries: u64, report: &mut Report) {
        while let Some(found) = self.take_up_to(u64::MAX, report) {
            let index = found.signed.head.index;
            let what = format!("it signs entry {index}, and the log ends before entry {entries}: it was cut off");
            report.find_at(&Spot { file: found.file, line: 1, offset: 0 }, Some(index), what);
        }
        if let Some(given) = self.given.take() {
            let index = given.head.index;
            report
                .find(format!("{GIVEN} signs entry {index}, and the log ends before entry {entries}: it was cut off"));
        }
    }
}

/// What is wrong with a head for the entry `index`.
fn fault(
    signed: &SignedHead,
    index: u64,
    hashes: [B256; 2],
    key: Option<B256>,
    deployment: Option<Deployment>,
) -> Option<String> {
    let head = &signed.head;
    if !signed.is_signed() {
        Some("its signature is wrong".to_owned())
    } else if Some(head.key) != key {
        Some(format!("it is signed by {}, which is not the key in force", head.key))
    } else if Some(head.deployment) != deployment {
        Some("it is of another deployment".to_owned())
    } else if head.index != index {
        Some(format!("it signs entry {}, which is not where it belongs", head.index))
    } else if !hashes.contains(&head.hash) {
        Some(format!("it signs another entry {index} than the log has"))
    } else {
        None
    }
}
