//! What somebody who can write to an exported log can change unseen: nothing but what was attested and may be erased.

use std::{
    fs,
    path::{Path, PathBuf},
};

use alloy::primitives::{Address, B256, keccak256};
use indexer::{
    audit::{Report, audit_files},
    evidence::{Directory, attested_name, entries_name, head_name},
};
use otp_core::{
    evidence::{Attested, Entry, Fields, Head, KeyChange, SignedHead, SigningKey, Step, StepKind, entry_line},
    id::Deployment,
    store::Segment,
};
use tempfile::TempDir;

/// Of so many bytes one is tried: the lines themselves are tried bit by bit in `core/tests/evidence.rs`. `make deep` tries
/// every one.
fn stride() -> usize {
    std::env::var("AUDIT_STRIDE").map_or(19, |text| text.parse().unwrap())
}

const DEPLOYMENT: Deployment = Deployment { chain_id: 31_337, verifier: Address::repeat_byte(9) };

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32]).unwrap()
}

fn step(place: u64) -> Fields {
    Fields::Step(Step {
        kind: StepKind::Issued,
        block_number: 10 + place / 3,
        block_hash: keccak256((place / 3).to_be_bytes()),
        block_time: 1_767_225_600 + place,
        tx_hash: keccak256(b"transaction"),
        log_index: place % 3,
        id: Some(keccak256(place.to_be_bytes())),
        root: Some(B256::repeat_byte(1)),
        issuer: Some(Address::repeat_byte(2)),
        purpose: Some(B256::repeat_byte(3)),
        serial: Some(place),
        expiry: Some(1_767_225_660 + place),
    })
}

fn attested(index: u64) -> Attested {
    let (salt, account) = (keccak256(index.to_be_bytes()), B256::repeat_byte(5));
    let at = 1_767_225_600_000 + i64::try_from(index).unwrap();
    Attested { salt, account, requested_at_ms: at, delivered_at_ms: Some(at + 20), channel: "email".to_owned() }
}

/// A log of a key, four steps, another key and three steps, under heads at entries 2, 4, 8 and 8 once more.
pub(crate) struct Log {
    pub(crate) folder: TempDir,
    pub(crate) entries: Vec<Entry>,
    pub(crate) heads: Vec<SignedHead>,
}

impl Log {
    pub(crate) async fn new() -> Self {
        let (old, new) = (key(1), key(2));
        let change = |key: &SigningKey, signed_by| {
            Fields::Key(KeyChange {
                deployment: DEPLOYMENT,
                deployment_block: 1,
                public_key: key.public_key(),
                signed_by,
            })
        };
        let message = KeyChange::message(&DEPLOYMENT, 5, new.public_key());
        let rotation = change(&new, Some((old.public_key(), old.sign(&message))));
        let fields = [change(&old, None)].into_iter().chain((0..4).map(step)).chain([rotation]).chain((4..7).map(step));
        Self::of(&fields.collect::<Vec<_>>(), [&old, &new]).await
    }

    pub(crate) async fn of(fields: &[Fields], [old, new]: [&SigningKey; 2]) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        for (index, fields) in (0..).zip(fields) {
            let opening = matches!(index, 1 | 3 | 7).then(|| attested(index).commitment());
            let previous = entries.last().map_or(B256::ZERO, |entry| entry.hash);
            entries.push(Entry::new(index, previous, fields.clone(), opening));
        }
        let mut heads: Vec<SignedHead> = Vec::new();
        for (number, index) in (0..).zip([2, 4, 8, 8]) {
            let key = if index < 5 { old } else { new };
            let head = Head {
                number,
                previous: heads.last().map_or(B256::ZERO, |last| last.head.digest()),
                index,
                hash: entries[usize::try_from(index).unwrap()].hash,
                final_number: 100 + number,
                final_hash: B256::repeat_byte(6),
                complete: true,
                time_ms: 1_767_225_700_000 + i64::try_from(number).unwrap(),
                deployment: DEPLOYMENT,
                key: key.public_key(),
            };
            heads.push(head.sign(key));
        }
        let log = Self { folder: tempfile::tempdir().unwrap(), entries, heads };
        log.write().await;
        log
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    async fn write(&self) {
        let directory = Directory::new(self.root().to_owned());
        directory.resume().await.unwrap();
        let mut before = None;
        for head in &self.heads {
            if let Some(segment) = Segment::between(before, head) {
                let entries = self.entries.iter().filter(|e| (segment.first..=segment.last).contains(&e.index));
                let entries: Vec<Entry> = entries.cloned().collect();
                let openings = entries.iter().filter(|e| e.commitment.is_some());
                let openings = openings.map(|e| (e.index, attested(e.index))).collect();
                directory.replace_attested(segment, openings).await.unwrap();
                directory.write_entries(segment, entries).await.unwrap();
            }
            directory.write_head(head).await.unwrap();
            before = Some(head);
        }
    }

    pub(crate) fn audit(&self) -> Report {
        audit_files(self.root(), key(1).public_key(), None)
    }

    fn files(&self) -> Vec<String> {
        let folders = ["entries", "heads", "attested"];
        let names = folders.iter().flat_map(|folder| {
            let names = fs::read_dir(self.root().join(folder)).unwrap().map(|file| file.unwrap().file_name());
            names.map(move |name| format!("{folder}/{}", name.to_string_lossy()))
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    fn path(&self, file: &str) -> PathBuf {
        self.root().join(file)
    }

    /// What is found while a file has other contents; without any it is not there.
    fn with(&self, file: &str, contents: Option<&[u8]>) -> Report {
        let path = self.path(file);
        let before = fs::read(&path).ok();
        match contents {
            Some(contents) => fs::write(&path, contents).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let report = self.audit();
        match before {
            Some(before) => fs::write(&path, before).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        report
    }

    fn lines(&self, file: &str) -> Vec<String> {
        fs::read_to_string(self.path(file)).unwrap().lines().map(|line| format!("{line}\n")).collect()
    }
}

#[tokio::test]
async fn a_whole_log_is_good_under_each_of_its_keys_and_no_other() {
    let log = Log::new().await;
    for seed in [1, 2] {
        let report = audit_files(log.root(), key(seed).public_key(), log.heads.last().copied());
        assert_eq!(report.findings, [], "key {seed}");
        assert_eq!((report.code(), report.entries, report.heads, report.openings), (0, 9, 4, 3));
        assert_eq!((report.signed_to, report.erased), (Some(8), 0));
    }
    let report = audit_files(log.root(), key(3).public_key(), None);
    assert!(report.findings[0].what.contains("none of this log's"), "{}", report.text());
}

#[tokio::test]
async fn every_byte_that_is_changed_is_found_where_it_stands() {
    let log = Log::new().await;
    for file in log.files() {
        let bytes = fs::read(log.path(&file)).unwrap();
        let mut ends = Vec::new();
        for (place, byte) in bytes.iter().enumerate() {
            if *byte == b'\n' {
                ends.push(place);
            }
            if place % stride() != 0 && *byte != b'\n' {
                continue;
            }
            let mut changed = bytes.clone();
            changed[place] ^= 1 << (place % 8);
            let report = log.with(&file, Some(&changed));
            let found = |finding: &&indexer::audit::Finding| {
                finding.file.as_ref() == Some(&file) && finding.offset.is_none_or(|found| found <= place as u64)
            };
            assert_eq!(report.code(), 1, "{file} byte {place}: {}", report.text());
            let finding = report.findings.iter().find(found);
            let finding = finding.unwrap_or_else(|| panic!("{file} byte {place}: {}", report.text()));
            if file.starts_with("entries") && *byte != b'\n' {
                let offset = ends.last().map_or(0, |end| *end as u64 + 1);
                assert_eq!((finding.offset, finding.index.is_some()), (Some(offset), true), "{}", report.text());
            }
        }
    }
}

#[tokio::test]
async fn every_cut_is_found_but_one_that_only_erases() {
    let log = Log::new().await;
    for file in log.files() {
        let bytes = fs::read(log.path(&file)).unwrap();
        for length in 0..bytes.len() {
            let at_line_end = length > 0 && bytes[length - 1..=length].contains(&b'\n');
            if length % stride() != 0 && !at_line_end {
                continue;
            }
            let report = log.with(&file, Some(&bytes[..length]));
            let erases = file.starts_with("attested") && (length == 0 || bytes[length - 1] == b'\n');
            assert_eq!(report.code(), u8::from(!erases), "{file} cut to {length}: {}", report.text());
        }
    }
}

#[tokio::test]
async fn lines_that_are_dropped_doubled_swapped_or_moved_are_found() {
    let log = Log::new().await;
    for file in log.files() {
        let lines = log.lines(&file);
        for place in 0..lines.len() {
            let (mut dropped, mut doubled) = (lines.clone(), lines.clone());
            dropped.remove(place);
            doubled.insert(place, lines[place].clone());
            let mut changes = vec![doubled];
            if !file.starts_with("attested") {
                changes.push(dropped);
            }
            if place > 0 {
                let mut swapped = lines.clone();
                swapped.swap(place - 1, place);
                changes.push(swapped);
            }
            for changed in changes {
                let report = log.with(&file, Some(changed.concat().as_bytes()));
                assert_eq!(report.code(), 1, "{file} line {place}: {}", report.text());
                assert!(report.findings.iter().any(|f| f.file.as_ref() == Some(&file)), "{}", report.text());
            }
        }
    }
    let (first, second) = (log.lines(&entries_name(0)), log.lines(&entries_name(3)));
    let moved = [first.concat(), second[0].clone()].concat();
    fs::write(log.path(&entries_name(3)), &second[1]).unwrap();
    assert_eq!(log.with(&entries_name(0), Some(moved.as_bytes())).code(), 1, "a line in the file before its own");
}

#[tokio::test]
async fn files_that_are_missing_strange_or_under_another_name_are_found() {
    let log = Log::new().await;
    for file in log.files() {
        let report = log.with(&file, None);
        let erases = file.starts_with("attested");
        // A last head that says nothing new but its time is missed by nobody but who has it.
        let told_by_the_next = file != head_name(3);
        assert_eq!(report.code(), u8::from(!erases && told_by_the_next), "{file}: {}", report.text());
    }
    let report = log.with("entries/0000000000000099.jsonl", Some(b""));
    assert!(report.text().contains("entries/0000000000000099.jsonl"), "{}", report.text());
    assert_eq!(log.with("heads/strange", Some(b"x")).code(), 1);
    let again = fs::read(log.path(&entries_name(3))).unwrap();
    assert_eq!(log.with(&entries_name(9), Some(&again)).code(), 1, "a file once more under another name");
    assert_eq!(log.with(&attested_name(5), Some(&fs::read(log.path(&attested_name(0))).unwrap())).code(), 1);
    assert_eq!(log.with("entries/.half", Some(b"{")).code(), 0, "what an export is about to write is no part of it");
}

#[tokio::test]
async fn a_log_that_was_cut_off_cleanly_is_found_by_whoever_has_a_later_head() {
    let log = Log::new().await;
    let last = *log.heads.last().unwrap();
    for file in [entries_name(5), head_name(2), head_name(3), attested_name(5)] {
        fs::remove_file(log.path(&file)).unwrap();
    }
    assert_eq!(log.audit().code(), 0, "in itself it is whole");
    let report = audit_files(log.root(), key(1).public_key(), Some(last));
    assert_eq!(report.code(), 1);
    assert!(report.text().contains("it was cut off"), "{}", report.text());
}

#[tokio::test]
async fn without_the_key_no_entry_is_forged_and_no_history_rewritten() {
    let log = Log::new().await;
    // Every hash made right after an edit, an insertion and a deletion, and the heads' signatures left as they were.
    let fields: Vec<Fields> = log.entries.iter().map(|entry| entry.fields.clone()).collect();
    let mut edited = fields.clone();
    edited[2] = step(9);
    let (mut inserted, mut deleted) = (fields.clone(), fields.clone());
    inserted.insert(2, step(9));
    deleted.remove(2);
    for forged in [edited, inserted, deleted] {
        let mut previous = B256::ZERO;
        let mut lines = String::new();
        for (index, fields) in (0..).zip(&forged).take(3) {
            let entry = Entry::new(index, previous, fields.clone(), log.entries[1].commitment.filter(|_| index == 1));
            previous = entry.hash;
            lines += &(entry_line(&entry) + "\n");
        }
        let report = log.with(&entries_name(0), Some(lines.as_bytes()));
        assert!(report.text().contains(&head_name(0)), "{}", report.text());
    }
    // Signed anew by a key of the forger's own.
    let mut own = fields;
    let forger = key(4);
    own[0] = Fields::Key(KeyChange {
        deployment: DEPLOYMENT,
        deployment_block: 1,
        public_key: forger.public_key(),
        signed_by: None,
    });
    own[5] = step(20);
    let forged = Log::of(&own, [&forger, &forger]).await;
    let report = forged.audit();
    assert!(report.text().contains("none of this log's"), "{}", report.text());
}

#[tokio::test]
async fn openings_are_erased_without_a_finding_and_swapped_with_one() {
    let log = Log::new().await;
    let report = log.with(&attested_name(5), None);
    assert_eq!((report.code(), report.openings, report.erased), (0, 2, 1));
    let another = otp_core::evidence::attested_line(1, &attested(3)) + "\n";
    let report = log.with(&attested_name(0), Some(another.as_bytes()));
    assert!(report.text().contains("it is not what the entry commits to"), "{}", report.text());
}
