//! An S3 bucket with Object Lock: what is put there under COMPLIANCE, nobody can change or delete until its time is over,
//! the account's root user not and we not.
//!
//! A key is written once. A put asks that there is none (`If-None-Match: *`), so the repeat of one whose answer was lost
//! makes no second version: it is refused, and what is there is compared by its SHA-256.

use base64::{Engine, prelude::BASE64_STANDARD};
use otp_core::clock::{now_ms, rfc3339_s};
use reqwest::Method;
use sha2::{Digest, Sha256};

use super::{
    config::BucketConfig,
    s3::{Answer, Call, S3, S3Error},
};

const MODE: &str = "x-amz-object-lock-mode";
const COMPLIANCE: &str = "COMPLIANCE";
const UNTIL: &str = "x-amz-object-lock-retain-until-date";
const SHA256: &str = "x-amz-checksum-sha256";
/// Which checksum a body has: without one nothing is locked.
const ALGORITHM: (&str, &str) = ("x-amz-sdk-checksum-algorithm", "SHA256");
const NO_LOCK: &str =
    "it has no Object Lock, so what is put there could be deleted: switch that on, or name another one";

/// Why something is not in the bucket.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// Object Lock is not on, or there is no such bucket: what is put there could be deleted.
    #[error("evidence.s3_bucket {bucket}: {why}")]
    Unfit {
        /// Which bucket.
        bucket: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A key that is written once is there with other contents, or without a SHA-256: another log's, or a restored
    /// database's.
    #[error("{key} is in the bucket already and says something else: set evidence.s3_prefix to one that is not in use")]
    Changed {
        /// Which key.
        key: String,
    },
    /// The service did not do it, or did not answer.
    #[error(transparent)]
    S3(#[from] S3Error),
}

/// A bucket; cheap to clone.
#[derive(Debug, Clone)]
pub struct Bucket {
    s3: S3,
    config: BucketConfig,
}

impl Bucket {
    /// The bucket of the configuration, by these calls.
    #[must_use]
    pub const fn new(s3: S3, config: BucketConfig) -> Self {
        Self { s3, config }
    }

    /// What the store knows it by.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.config.name, self.config.prefix)
    }

    /// Whether Object Lock is on. It can be switched on later and never off.
    ///
    /// # Errors
    /// [`BucketError::Unfit`] where it is not, [`BucketError::S3`] where nobody says.
    pub async fn check(&self) -> Result<(), BucketError> {
        let unfit = |why| Err(BucketError::Unfit { bucket: self.config.name.clone(), why });
        match self.s3.call(Method::GET, "", Call { query: "object-lock", ..Call::default() }).await {
            Ok(answer) if answer.element("ObjectLockEnabled") == Some("Enabled") => Ok(()),
            Ok(_) => unfit(NO_LOCK),
            Err(error) if error.is("ObjectLockConfigurationNotFoundError") => unfit(NO_LOCK),
            Err(error) if error.is("NoSuchBucket") => unfit("there is no such bucket"),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts a file there, once, locked for the configured time.
    ///
    /// # Errors
    /// [`BucketError::Changed`] where the key says something else, [`BucketError::S3`].
    pub async fn put(&self, name: &str, contents: Vec<u8>) -> Result<(), BucketError> {
        let key = format!("{}{name}", self.config.prefix);
        let (sha256, until) = (checksum(&contents), self.until());
        let headers =
            [("if-none-match", "*"), ALGORITHM, (SHA256, sha256.as_str()), (MODE, COMPLIANCE), (UNTIL, until.as_str())];
        match self.s3.call(Method::PUT, &key, Call { headers: &headers, body: contents, query: "" }).await {
            Ok(_) => Ok(()),
            Err(error) if error.is("PreconditionFailed") => self.compare(&key, &sha256).await,
            Err(error) => Err(error.into()),
        }
    }

    /// What is there is what was to be put, and locked.
    async fn compare(&self, key: &str, sha256: &str) -> Result<(), BucketError> {
        let headers = [("x-amz-checksum-mode", "ENABLED")];
        let there = self.s3.call(Method::HEAD, key, Call { headers: &headers, ..Call::default() }).await?;
        if there.header(SHA256) != Some(sha256) {
            return Err(BucketError::Changed { key: key.to_owned() });
        }
        if there.header(MODE) == Some(COMPLIANCE) { Ok(()) } else { self.lock(key, &there).await }
    }

    /// The same bytes that somebody else has put there, without a lock.
    async fn lock(&self, key: &str, there: &Answer) -> Result<(), BucketError> {
        let version = there.header("x-amz-version-id").unwrap_or("null");
        let xml = format!(
            "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>{COMPLIANCE}</Mode>\
             <RetainUntilDate>{}</RetainUntilDate></Retention>",
            self.until()
        );
        let (body, query) = (xml.into_bytes(), format!("retention&versionId={version}"));
        let sha256 = checksum(&body);
        let headers = [ALGORITHM, (SHA256, sha256.as_str())];
        self.s3.call(Method::PUT, key, Call { query: &query, headers: &headers, body }).await?;
        Ok(())
    }

    fn until(&self) -> String {
        let until_s = (now_ms() / 1_000).saturating_add_unsigned(self.config.retention.as_secs());
        rfc3339_s(until_s)
    }
}

fn checksum(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(Sha256::digest(bytes))
}
