//! The export to a directory: `entries/` and `heads/`, whose files are written once and never again, and `attested/`,
//! whose files lose lines as what they attest is erased.
//!
//! A file is written under a hidden name, synced and then renamed, and a head comes after the entries that it covers. So
//! whatever the moment of a crash, a file is whole or not there, and the last head says what is complete.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use otp_core::{
    evidence::{Attested, Entry, SignedHead, attested_line, entry_line, head_line, read_head},
    store::{Segment, StoreError},
};

/// Why something was not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file system.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// The directory has a head that the store has not, or has another of: a restored database, or another one's export.
    #[error(
        "head {number} of the directory is not the store's: set evidence.directory to an empty one, and have both audited"
    )]
    Another {
        /// The head's number.
        number: u64,
    },
    /// A file that is written once is there with other contents.
    #[error("{} is there already and says something else", path.display())]
    Changed {
        /// Which file.
        path: PathBuf,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The name of a segment's entries, below the export's root.
#[must_use]
pub fn entries_name(first: u64) -> String {
    format!("entries/{first:016}.jsonl")
}

/// The name of what is attested of a segment's entries.
#[must_use]
pub fn attested_name(first: u64) -> String {
    format!("attested/{first:016}.jsonl")
}

/// The name of a head.
#[must_use]
pub fn head_name(number: u64) -> String {
    format!("heads/{number:016}.json")
}

/// Lines as a file has them.
pub(super) fn text(lines: impl Iterator<Item = String>) -> Vec<u8> {
    lines.flat_map(|line| (line + "\n").into_bytes()).collect()
}

/// An export's root folder.
#[derive(Debug, Clone)]
pub struct Directory {
    root: PathBuf,
    /// One above the last head that is there.
    next_head: Arc<AtomicU64>,
}

impl Directory {
    /// Nothing is read or written yet.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root, next_head: Arc::default() }
    }

    /// One above the number of the last head that is known to be there.
    #[must_use]
    pub fn next_head(&self) -> u64 {
        self.next_head.load(Ordering::Relaxed)
    }

    /// Makes the folders where there are none, clears away what a crash left half written, and reads the last head.
    ///
    /// # Errors
    /// When the file system refuses or the last head is none of ours.
    pub async fn resume(&self) -> Result<Option<SignedHead>, ExportError> {
        let root = self.root.clone();
        let last = blocking(move || resume(&root)).await?;
        self.next_head.store(last.map_or(0, |last| last.head.number + 1), Ordering::Relaxed);
        Ok(last)
    }

    /// Writes a segment's entries, once.
    ///
    /// # Errors
    /// When the file system refuses, or the file says something else.
    pub async fn write_entries(&self, segment: Segment, entries: Vec<Entry>) -> Result<(), ExportError> {
        let path = self.root.join(entries_name(segment.first));
        blocking(move || write_once(&path, &text(entries.iter().map(entry_line)))).await
    }

    /// Writes a head, once: what it covers is complete by then.
    ///
    /// # Errors
    /// As [`Directory::write_entries`].
    pub async fn write_head(&self, head: &SignedHead) -> Result<(), ExportError> {
        let path = self.root.join(head_name(head.head.number));
        let line = head_line(head);
        blocking(move || write_once(&path, &text(std::iter::once(line)))).await?;
        self.next_head.store(head.head.number + 1, Ordering::Relaxed);
        Ok(())
    }

    /// Writes what is attested of a segment's entries in place of what stood there; no file where that is nothing.
    ///
    /// # Errors
    /// When the file system refuses.
    pub async fn replace_attested(&self, segment: Segment, attested: Vec<(u64, Attested)>) -> Result<(), ExportError> {
        let path = self.root.join(attested_name(segment.first));
        blocking(move || {
            if attested.is_empty() {
                return remove(&path);
            }
            replace(&path, &text(attested.iter().map(|(index, attested)| attested_line(*index, attested))))
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ExportError> + Send + 'static,
) -> Result<T, ExportError> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|e| Err(ExportError::Io { path: PathBuf::new(), error: io::Error::other(e) }))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> ExportError + '_ {
    |error| ExportError::Io { path: path.to_owned(), error }
}

fn resume(root: &Path) -> Result<Option<SignedHead>, ExportError> {
    for name in ["entries", "heads", "attested"] {
        let folder = root.join(name);
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        for file in fs::read_dir(&folder).map_err(at(&folder))? {
            let path = file.map_err(at(&folder))?.path();
            if is_draft(&path) {
                fs::remove_file(&path).map_err(at(&path))?;
            }
        }
    }
    let folder = root.join("heads");
    let mut last: Option<String> = None;
    for file in fs::read_dir(&folder).map_err(at(&folder))? {
        let name = file.map_err(at(&folder))?.file_name().to_string_lossy().into_owned();
        // Names of one length sort as their numbers do, and a longer one is a higher number.
        if last.as_ref().is_none_or(|last| (name.len(), &name) > (last.len(), last)) {
            last = Some(name);
        }
    }
    let Some(name) = last else { return Ok(None) };
    let path = folder.join(name);
    let text = fs::read_to_string(&path).map_err(at(&path))?;
    let head = text.strip_suffix('\n').and_then(read_head);
    head.map(Some).ok_or(ExportError::Changed { path })
}

fn is_draft(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn write_once(path: &Path, contents: &[u8]) -> Result<(), ExportError> {
    match fs::read(path) {
        // From a process that died before it wrote the head.
        Ok(there) if there == contents => sync_folder(path),
        Ok(_) => Err(ExportError::Changed { path: path.to_owned() }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => replace(path, contents),
        Err(e) => Err(at(path)(e)),
    }
}

fn replace(path: &Path, contents: &[u8]) -> Result<(), ExportError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!(".{name}"));
    let written = fs::File::create(&draft).and_then(|mut file| {
        file.write_all(contents)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&draft, path)).map_err(at(path))?;
    sync_folder(path)
}

fn remove(path: &Path) -> Result<(), ExportError> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(path),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(at(path)(e)),
    }
}

/// A name is stored with its folder, not with the file.
fn sync_folder(path: &Path) -> Result<(), ExportError> {
    let folder = path.parent().unwrap_or(path);
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))
}
