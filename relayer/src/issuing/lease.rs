//! One process holds a sending key at a time. The lock is the operating system's and falls with the process, so a
//! restart after a crash waits for nothing; the fence in the store (`Lease`) refuses whoever writes without it.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::Path,
    time::Duration,
};

use alloy::primitives::Address;

/// An exclusive lock, held as long as this value lives.
pub(super) struct KeyLock(#[expect(dead_code, reason = "held for its lock")] File);

impl KeyLock {
    /// Waits until no other process holds the key of `sender` on this store.
    pub(super) async fn wait(store_path: &Path, sender: Address) -> io::Result<Self> {
        let mut told = false;
        loop {
            if let Some(lock) = Self::try_take(store_path, sender)? {
                return Ok(lock);
            }
            if !told {
                tracing::warn!(%sender, "another process holds the key: waiting for its end");
                told = true;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The lock, unless a process holds it.
    pub(super) fn try_take(store_path: &Path, sender: Address) -> io::Result<Option<Self>> {
        let path = store_path.with_extension(format!("{sender:#x}.lock"));
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
