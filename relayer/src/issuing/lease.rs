//! One process holds an issuer key at a time. The lock is the operating system's and falls with the process, so a
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
    /// Waits until no other process holds the key of `issuer` on this store.
    pub(super) async fn wait(store_path: &Path, issuer: Address) -> io::Result<Self> {
        let path = store_path.with_extension(format!("{issuer:#x}.lock"));
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::Error(e)) => return Err(e),
                Err(TryLockError::WouldBlock) if !told => {
                    tracing::warn!(lock = %path.display(), "another process holds the issuer key: waiting for its end");
                    told = true;
                }
                Err(TryLockError::WouldBlock) => {}
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}
