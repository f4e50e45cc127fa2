//! `evidence.*`

use std::{path::PathBuf, str::FromStr, time::Duration};

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
    /// `evidence.s3_…`: a bucket that it is exported to as well.
    pub bucket: Option<BucketConfig>,
}

/// A bucket with Object Lock. Region, endpoint and credentials are the environment's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketConfig {
    /// `evidence.s3_bucket`
    pub name: String,
    /// `evidence.s3_prefix`: what each key begins with.
    pub prefix: String,
    /// `evidence.s3_retention_days`: for how long nobody can delete what was put there.
    pub retention: Duration,
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
        let bucket = read_bucket(reader);
        let (after, days): (_, u64) = (after?, retention_days?);
        let heads = HeadRule { entries: entries?, after_ms: millis(after), idle_ms: millis(after.max(IDLE_HEAD)) };
        Some(Self {
            key_file: key_file?,
            previous_key_file: previous_key_file?,
            heads,
            retention: Duration::from_secs(days * 86_400),
            directory: directory?,
            bucket: bucket?,
        })
    }
}

/// No retention is a default: what is locked for too long, nobody can take back.
fn read_bucket(reader: &mut Reader) -> Option<Option<BucketConfig>> {
    let name: Option<Option<BucketName>> = reader.optional("evidence.s3_bucket");
    let prefix: Option<Option<Prefix>> = reader.optional("evidence.s3_prefix");
    let days: Option<Option<u64>> = reader.optional("evidence.s3_retention_days");
    let (name, prefix, days) = (name?, prefix?, days?);
    match (name, days) {
        (None, None) => Some(None),
        (Some(BucketName(name)), Some(days)) if (1..=36_500).contains(&days) => {
            let prefix = prefix.map_or_else(String::new, |prefix| prefix.0);
            Some(Some(BucketConfig { name, prefix, retention: Duration::from_secs(days * 86_400) }))
        }
        _ => {
            reader.fault("evidence.s3_bucket and evidence.s3_retention_days (1 to 36500): set both or neither");
            None
        }
    }
}

struct BucketName(String);

impl FromStr for BucketName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (3..=63).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err("a bucket's name is expected: 3 to 63 lower-case letters, digits and dashes")
        }
    }
}

struct Prefix(String);

impl FromStr for Prefix {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._/".contains(&b);
        if text.len() <= 200 && text.bytes().all(plain) && text.ends_with('/') && !text.starts_with('/') {
            Ok(Self(text.to_owned()))
        } else {
            Err("letters, digits, dots, dashes and slashes are expected, with a slash at the end, as in otp/mainnet/")
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
