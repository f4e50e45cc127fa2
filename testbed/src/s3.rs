//! A stand-in for AWS S3: moto, by the same launcher as the one for KMS. What a test does with its buckets is done by
//! `testbed/kms/bucket.py`.

use std::{ffi::OsStr, path::Path};

use anyhow::{Result, bail};
use serde::Deserialize;
use tokio::process::Command;
use url::Url;

use crate::{
    kms::{environment, python, start_moto},
    service::Service,
    tools,
};

/// A version of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Version {
    /// The object's key.
    pub key: String,
    /// The version's id.
    pub version: String,
    /// Object Lock's mode, where it is locked.
    pub mode: Option<String>,
    /// Until when, in Unix seconds.
    pub until: Option<i64>,
    /// Its length.
    pub bytes: u64,
}

/// A running stand-in.
pub struct S3 {
    /// The process.
    pub service: Service,
    /// Where it listens.
    pub endpoint: Url,
}

impl S3 {
    /// Starts it, without a bucket.
    ///
    /// # Errors
    /// When it is not installed or not ready in time.
    pub async fn start(logs: &Path) -> Result<Self> {
        let (service, endpoint) = start_moto("s3", logs).await?;
        Ok(Self { service, endpoint })
    }

    /// Runs a command of `bucket.py` and returns what it prints.
    ///
    /// # Errors
    /// When it fails.
    pub async fn run(&self, arguments: &[impl AsRef<OsStr> + Sync]) -> Result<String> {
        let script = tools::checkout().join("testbed/kms/bucket.py");
        let mut command = Command::new(python()?);
        command.arg(script).arg(self.endpoint.as_str()).args(arguments);
        let output = command.output().await?;
        if !output.status.success() {
            bail!("bucket.py: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// Every version of every object, by key.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn versions(&self, bucket: &str) -> Result<Vec<Version>> {
        let mut versions: Vec<Version> = serde_json::from_str(&self.run(&["versions", bucket]).await?)?;
        versions.sort();
        Ok(versions)
    }

    /// What a process that uses the stand-in needs in its environment.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        environment(&self.endpoint)
    }
}
