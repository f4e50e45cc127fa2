//! `evidence.*`

use std::{path::PathBuf, time::Duration};

use otp_core::{config::Reader, store::HeadRule};

/// While nothing is written, a head says now and then that nothing was.
const IDLE_HEAD: Duration = Duration::from_secs(3_600);

/// How the evidence log is signed, kept and exported.
#[derive(Debug, Clone)]
pub struct EvidenceConfig {
    /// `evidence.key_file`: the Ed25519 key that signs heads; made at the first start.
    pub key_file: PathBuf,
    /// `evidence.previous_key_file`: the key before, which signs that this one follows it.
    pub previous_key_file: Option<PathBuf>,
    /// `evidence.head_entries` and `evidence.head_seconds`
    pub heads: HeadRule,
    /// `evidence.retention_days`: how long what we attest is kept.
    pub retention: Duration,
    /// `evidence.directory`: where the log is exported to.
    pub directory: Option<PathBuf>,
}

impl EvidenceConfig {
    /// Reads it.
    pub fn read(reader: &mut Reader) -> Option<Self> {
        let key_file = reader.or("evidence.key_file", "data/evidence.key");
        let previous_key_file = reader.optional("evidence.previous_key_file");
        let entries = reader.within("evidence.head_entries", "1000", 1..=10_000);
        let after = reader.seconds("evidence.head_seconds", "60", 1..=86_400);
        let retention_days = reader.within("evidence.retention_days", "400", 1..=36_500);
        let directory = reader.optional("evidence.directory");
        let (after, days): (_, u64) = (after?, retention_days?);
        let heads = HeadRule { entries: entries?, after_ms: millis(after), idle_ms: millis(after.max(IDLE_HEAD)) };
        Some(Self {
            key_file: key_file?,
            previous_key_file: previous_key_file?,
            heads,
            retention: Duration::from_secs(days * 86_400),
            directory: directory?,
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
