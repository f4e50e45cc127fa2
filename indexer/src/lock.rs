//! One process writes the indexer's tables: the daemon, or a command that takes its place.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow};

/// Takes the database's lock, which is held as long as the file is, and gone with the process, however it ends.
///
/// # Errors
/// When another process has it.
pub fn only_one(database: &Path) -> anyhow::Result<File> {
    let mut name = database.as_os_str().to_owned();
    name.push(".indexer.lock");
    let path = PathBuf::from(name);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(anyhow!("another indexer runs on this database ({} is locked): stop it first", path.display()))
        }
        Err(TryLockError::Error(e)) => Err(anyhow!("cannot lock {}: {e}", path.display())),
    }
}
