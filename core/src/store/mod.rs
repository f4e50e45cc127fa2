//! The SQLite store: one file, one writer per table (named in `migrations/`), all SQL of the workspace.
//!
//! Reads go to a pool; writes go through one connection and begin with `BEGIN IMMEDIATE`, so a read inside decides on
//! what is really there. `synchronous=FULL`: what was answered with 202 survives a power cut.

mod accounts;
mod approvals;
mod attempts;
mod buckets;
mod chain;
mod changes;
mod claims;
mod column;
mod contacts;
mod data_keys;
mod deliveries;
mod depth;
mod erasure;
mod events;
mod evidence;
mod figures;
mod finality;
mod gather;
mod group;
mod guesses;
mod inapp;
mod issuance;
mod lookup;
mod lost;
mod mend;
mod notices;
mod operations;
#[cfg(test)]
mod plan;
mod reports;
mod requests;
mod resealing;
mod rows;
mod rules;
mod sessions;
mod shared_read;
mod status;
mod story;
mod submissions;
mod switches;
mod turn;
mod waiting;
mod writer;

use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use sqlx::{
    Execute, Executor, Sqlite, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteQueryResult, SqliteSynchronous},
};
use uuid::Uuid;

pub use self::{
    accounts::*, approvals::*, attempts::*, buckets::*, chain::*, changes::*, claims::*, contacts::*, data_keys::*,
    deliveries::*, depth::*, erasure::*, events::*, evidence::*, figures::*, finality::*, guesses::*, inapp::*,
    issuance::*, lookup::*, lost::*, mend::*, reports::*, resealing::*, rules::*, sessions::*, status::*, story::*,
    submissions::*, switches::*, waiting::*,
};
use self::{
    claims::{Claimed, Terms},
    gather::Gathering,
    group::Group,
    rules::QueueBound,
    shared_read::SharedRead,
    story::StoryRow,
    writer::{BUSY_POLL, BUSY_TIMEOUT, Write, Writer},
};

const READERS: u32 = 4;
/// Connections for what anybody may ask, and how long one waits for one of them.
const GUESTS: u32 = 2;
const GUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// The store failed: full, locked beyond the timeout, damaged, or not there. Never "not found", which is an `Option`.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite's word.
    #[error("store: {0}")]
    Sqlite(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("store migration: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The transaction that several writes shared was not committed: none of them was done.
    #[error("store: the commit failed: {why}")]
    Commit {
        /// SQLite's word.
        why: String,
    },
    /// The store is being closed, or its writer died.
    #[error("store: no write is taken any more")]
    Closed,
    /// What is to be written waits for too long.
    #[error("store: writes are not done in time")]
    Stalled,
    /// A row holds what no code of ours writes.
    #[error("store: damaged row in {table}")]
    Damaged {
        /// Where.
        table: &'static str,
    },
    /// Another process has taken the issuer key since: this one must stop.
    #[error("store: the issuer key was taken by another process (fence {held}, now {current})")]
    Fenced {
        /// This process's fence.
        held: i64,
        /// The fence in the table.
        current: i64,
    },
}

type SessionReads = SharedRead<(Uuid, i64), Option<SessionRow>>;
type StoryReads = SharedRead<(Uuid, Uuid), Option<StoryRow>>;

/// A handle to the database file; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    readers: SqlitePool,
    writer: Writer,
    sessions: SessionReads,
    stories: StoryReads,
    group: Group,
    submissions: Gathering<NewRequest, Submission>,
    takes: Gathering<Vec<Take>, Taken>,
    attempts: Gathering<NewAttempt, (Attempt, Taken)>,
    settlements: Gathering<Settlement, ()>,
    claims: Gathering<Terms, Claimed>,
    acceptances: Gathering<(String, Option<String>), ()>,
    /// Whether the log may hold what was erased; at the start nobody knows.
    log_holds_erased: Arc<AtomicBool>,
}

impl Store {
    /// Opens the file, makes it where there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// When the file cannot be opened, is no database of ours, or was written by a newer version.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(sqlx::Error::Io)?;
        }
        create_private(path).map_err(sqlx::Error::Io)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            // What is overwritten or moved, at any time, must not stay behind in free space of the file.
            .pragma("secure_delete", "ON")
            .foreign_keys(true);
        // A connection to a file does not break while it is idle: to ask it before each use is a wait for nothing.
        let pool = |most| SqlitePoolOptions::new().max_connections(most).test_before_acquire(false);
        let migrating = pool(1).connect_with(options.clone()).await?;
        migrate(&migrating).await?;
        migrating.close().await;
        let writer = Writer::open(path, options.clone()).await?;
        let readers = pool(READERS).connect_with(options.read_only(true)).await?;
        let (sessions, stories) = shared_reads(&readers);
        let group = Group::start(writer.clone());
        let queue = QueueBound::default();
        let submissions = Gathering::new(group.clone(), move |write, all: &[NewRequest]| {
            let queue = queue.clone();
            Box::pin(async move { submissions::submit_all(write, &queue, all).await })
        });
        let takes = Gathering::new(group.clone(), |write, all: &[Vec<Take>]| Box::pin(buckets::take_all(write, all)));
        let attempts =
            Gathering::new(group.clone(), |write, all: &[NewAttempt]| Box::pin(attempts::begin_all(write, all)));
        let settlements =
            Gathering::new(group.clone(), |write, all: &[Settlement]| Box::pin(attempts::settle_all(write, all)));
        let claims = Gathering::new(group.clone(), |write, all: &[Terms]| Box::pin(claims::claim_all(write, all)));
        let acceptances =
            Gathering::new(group.clone(), |write, all: &[_]| Box::pin(deliveries::accept_all(write, all)));
        let log_holds_erased = Arc::new(AtomicBool::new(true));
        Ok(Self {
            readers,
            writer,
            sessions,
            stories,
            group,
            submissions,
            takes,
            attempts,
            settlements,
            claims,
            acceptances,
            log_holds_erased,
        })
    }

    /// The same store over a few read connections of its own, for what strangers ask: however much that is, nobody else
    /// waits for a connection. Closed by [`Store::close_guest`] before the store itself.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub async fn guest(&self) -> Result<Self, StoreError> {
        let options = self.readers.connect_options().as_ref().clone();
        let pool = SqlitePoolOptions::new().max_connections(GUESTS).acquire_timeout(GUEST_TIMEOUT);
        let readers = pool.test_before_acquire(false).connect_with(options).await?;
        let (sessions, stories) = shared_reads(&readers);
        Ok(Self { readers, sessions, stories, ..self.clone() })
    }

    /// Closes the read connections of a guest.
    pub async fn close_guest(&self) {
        self.readers.close().await;
    }

    /// Answers when the file can be read and what is written is stored: for readiness.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.group.ping().await?;
        sqlx::query("SELECT 1").execute(&self.readers).await?;
        Ok(())
    }

    /// Waits until writes that share commits are no longer taken, which must end the process.
    pub async fn writer_ended(&self) {
        self.group.ended().await;
    }

    /// Closes every connection, which folds the write-ahead log into the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn write(&self) -> Result<Write, StoreError> {
        Ok(self.writer.begin("BEGIN IMMEDIATE").await?)
    }

    /// A statement in a transaction of its own.
    async fn alone<'q>(&self, statement: impl Execute<'q, Sqlite> + 'q) -> Result<SqliteQueryResult, StoreError> {
        let mut write = self.write().await?;
        let result = write.execute(statement).await?;
        write.commit().await?;
        Ok(result)
    }
}

/// What is asked on these connections by many at once.
fn shared_reads(readers: &SqlitePool) -> (SessionReads, StoryReads) {
    let sessions = SharedRead::start(readers.clone(), |readers, asked: &[(Uuid, i64)]| {
        Box::pin(sessions::find_all(readers, asked))
    });
    let stories =
        SharedRead::start(readers.clone(), |readers, asked: &[(Uuid, Uuid)]| Box::pin(story::find_all(readers, asked)));
    (sessions, stories)
}

/// Makes the file where there is none, for nobody else to read; SQLite gives its companions the same mode. One that is
/// there is not even opened: closing it would end the locks that this process holds on it.
fn create_private(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Both daemons may start on an empty file at once; the second one's attempt then fails on a table that exists by now,
/// and succeeds when it looks again.
async fn migrate(pool: &SqlitePool) -> Result<(), StoreError> {
    let migrator = sqlx::migrate!("src/store/migrations");
    for _ in 0..3 {
        if migrator.run(pool).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(migrator.run(pool).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn nobody_else_reads_the_database_or_its_companions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("otp.db");
        let store = Store::open(&path).await.unwrap();
        store.ping().await.unwrap();
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap).collect();
        assert_eq!(files.len(), 5, "the file, its log, the log's index, and two for the turns");
        for file in files {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
        }
        store.close().await;
    }
}
