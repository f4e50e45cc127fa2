//! `keys.*`: where data keys are wrapped. The same for both daemons.

use std::path::PathBuf;

use super::KeyWrapper;
use crate::config::Reader;

/// `keys.*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysConfig {
    /// `keys.kms_key_id`, else `keys.file`: wraps and opens.
    pub current: WrappingKey,
    /// `keys.older_files` and `keys.older_kms_key_ids`: only open, until `rotate-keys --rewrap` and the last backup under
    /// them are past.
    pub older: Vec<WrappingKey>,
}

/// A wrapping key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WrappingKey {
    /// A file of 32 random bytes.
    File(PathBuf),
    /// A symmetric AWS KMS key, by id, ARN or alias.
    Kms(String),
}

impl KeysConfig {
    /// Reads the section.
    pub fn read(reader: &mut Reader) -> Option<Self> {
        let file = reader.or("keys.file", "data/master.key").map(WrappingKey::File);
        let kms_key_id = reader.optional("keys.kms_key_id")?.map(WrappingKey::Kms);
        let files: Vec<PathBuf> = reader.list("keys.older_files", Some(""))?;
        let kms_key_ids: Vec<String> = reader.list("keys.older_kms_key_ids", Some(""))?;
        let older = kms_key_ids.into_iter().map(WrappingKey::Kms).chain(files.into_iter().map(WrappingKey::File));
        Some(Self { current: kms_key_id.or(file)?, older: older.collect() })
    }

    /// What wraps the data keys.
    pub async fn wrapper(&self) -> KeyWrapper {
        let mut older = Vec::with_capacity(self.older.len());
        for key in &self.older {
            older.push(key.wrapper().await);
        }
        self.current.wrapper().await.succeeding(older)
    }

    /// The key files that must be there once data keys were made.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.current].into_iter().chain(&self.older).filter_map(|key| match key {
            WrappingKey::File(path) => Some(path),
            WrappingKey::Kms(_) => None,
        })
    }
}

impl WrappingKey {
    async fn wrapper(&self) -> KeyWrapper {
        match self {
            Self::File(path) => KeyWrapper::File(path.clone()),
            Self::Kms(key_id) => KeyWrapper::kms(key_id.clone()).await,
        }
    }
}
