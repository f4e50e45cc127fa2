//! Entries, heads and openings as lines of JSON. Every value has one line and every line one value: whoever reads compares
//! with what would be written, so that no byte of a file can be another one unseen.

use alloy::primitives::{Address, B256, B512};
use serde::{Deserialize, Serialize};

use super::{Attested, Entry, Fields, Head, KeyChange, SignedHead, Step, StepKind};
use crate::{
    clock::{rfc3339_ms, rfc3339_s, unix_ms},
    id::Deployment,
};

const KEY_WORD: &str = "key";

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct EntryLine {
    index: u64,
    previous: B256,
    step: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block_number: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block_hash: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tx_hash: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment_block: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_key: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<B512>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commitment: Option<B256>,
    hash: B256,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HeadLine {
    number: u64,
    previous: B256,
    index: u64,
    hash: B256,
    final_block: BlockLine,
    complete: bool,
    time: String,
    chain_id: u64,
    verifier: String,
    key: B256,
    signature: B512,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockLine {
    number: u64,
    hash: B256,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AttestedLine {
    index: u64,
    salt: B256,
    account: B256,
    requested_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_at: Option<String>,
    channel: String,
}

/// An entry's line, without the newline.
#[must_use]
pub fn entry_line(entry: &Entry) -> String {
    let mut line = match &entry.fields {
        Fields::Step(step) => step_line(step),
        Fields::Key(key) => EntryLine {
            step: KEY_WORD.to_owned(),
            chain_id: Some(key.deployment.chain_id),
            verifier: Some(key.deployment.verifier.to_checksum(None)),
            deployment_block: Some(key.deployment_block),
            public_key: Some(key.public_key),
            previous_key: key.signed_by.map(|(by, _)| by),
            signature: key.signed_by.map(|(_, signature)| signature),
            ..EntryLine::default()
        },
    };
    line.index = entry.index;
    line.previous = entry.previous;
    line.commitment = entry.commitment;
    line.hash = entry.hash;
    json(&line)
}

fn step_line(step: &Step) -> EntryLine {
    EntryLine {
        step: step.kind.word().to_owned(),
        id: step.id,
        root: step.root,
        issuer: step.issuer.map(|issuer| issuer.to_checksum(None)),
        purpose: step.purpose,
        serial: step.serial,
        expiry: step.expiry.map(seconds),
        block_number: Some(step.block_number),
        block_hash: Some(step.block_hash),
        block_time: Some(seconds(step.block_time)),
        tx_hash: Some(step.tx_hash),
        log_index: Some(step.log_index),
        ..EntryLine::default()
    }
}

/// Reads a line; `None` where it is none of ours. Its hash is not checked here.
#[must_use]
pub fn read_entry(text: &str) -> Option<Entry> {
    let line: EntryLine = serde_json::from_str(text).ok()?;
    let fields = if line.step == KEY_WORD {
        let deployment = Deployment { chain_id: line.chain_id?, verifier: line.verifier.as_deref().and_then(address)? };
        let signed_by = match (line.previous_key, line.signature) {
            (Some(by), Some(signature)) => Some((by, signature)),
            (None, None) => None,
            _ => return None,
        };
        let (deployment_block, public_key) = (line.deployment_block?, line.public_key?);
        Fields::Key(KeyChange { deployment, deployment_block, public_key, signed_by })
    } else {
        Fields::Step(Step {
            kind: StepKind::from_word(&line.step)?,
            block_number: line.block_number?,
            block_hash: line.block_hash?,
            block_time: read_seconds(line.block_time.as_deref()?)?,
            tx_hash: line.tx_hash?,
            log_index: line.log_index?,
            id: line.id,
            root: line.root,
            issuer: optional(line.issuer.as_deref(), address)?,
            purpose: line.purpose,
            serial: line.serial,
            expiry: optional(line.expiry.as_deref(), read_seconds)?,
        })
    };
    let entry =
        Entry { index: line.index, previous: line.previous, fields, commitment: line.commitment, hash: line.hash };
    // What the line had beside these fields, or wrote in another way, would go unseen.
    (entry_line(&entry) == text).then_some(entry)
}

/// A head's line, without the newline.
#[must_use]
pub fn head_line(signed: &SignedHead) -> String {
    let head = signed.head;
    json(&HeadLine {
        number: head.number,
        previous: head.previous,
        index: head.index,
        hash: head.hash,
        final_block: BlockLine { number: head.final_number, hash: head.final_hash },
        complete: head.complete,
        time: rfc3339_ms(head.time_ms),
        chain_id: head.deployment.chain_id,
        verifier: head.deployment.verifier.to_checksum(None),
        key: head.key,
        signature: signed.signature,
    })
}

/// Reads a line; `None` where it is none of ours. Its signature is not checked here.
#[must_use]
pub fn read_head(text: &str) -> Option<SignedHead> {
    let line: HeadLine = serde_json::from_str(text).ok()?;
    let head = Head {
        number: line.number,
        previous: line.previous,
        index: line.index,
        hash: line.hash,
        final_number: line.final_block.number,
        final_hash: line.final_block.hash,
        complete: line.complete,
        time_ms: unix_ms(&line.time)?,
        deployment: Deployment { chain_id: line.chain_id, verifier: address(&line.verifier)? },
        key: line.key,
    };
    let signed = SignedHead { head, signature: line.signature };
    (head_line(&signed) == text).then_some(signed)
}

/// An opening's line, without the newline.
#[must_use]
pub fn attested_line(index: u64, attested: &Attested) -> String {
    json(&AttestedLine {
        index,
        salt: attested.salt,
        account: attested.account,
        requested_at: rfc3339_ms(attested.requested_at_ms),
        delivered_at: attested.delivered_at_ms.map(rfc3339_ms),
        channel: attested.channel.clone(),
    })
}

/// Reads a line; `None` where it is none of ours. It is not checked against its entry here.
#[must_use]
pub fn read_attested(text: &str) -> Option<(u64, Attested)> {
    let line: AttestedLine = serde_json::from_str(text).ok()?;
    let attested = Attested {
        salt: line.salt,
        account: line.account,
        requested_at_ms: unix_ms(&line.requested_at)?,
        delivered_at_ms: optional(line.delivered_at.as_deref(), unix_ms)?,
        channel: line.channel,
    };
    (attested_line(line.index, &attested) == text).then_some((line.index, attested))
}

/// These types have no map whose key is no text, which is all that JSON cannot hold.
fn json(line: &impl Serialize) -> String {
    serde_json::to_string(line).unwrap_or_default()
}

fn seconds(unix_s: u64) -> String {
    rfc3339_s(i64::try_from(unix_s).unwrap_or(i64::MAX))
}

fn read_seconds(text: &str) -> Option<u64> {
    u64::try_from(unix_ms(text)? / 1_000).ok()
}

fn address(text: &str) -> Option<Address> {
    text.parse().ok()
}

/// The outer `None`: it is there and is none.
#[expect(clippy::option_option, reason = "absent and damaged are two things")]
fn optional<T>(text: Option<&str>, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    match text {
        None => Some(None),
        Some(text) => read(text).map(Some),
    }
}
