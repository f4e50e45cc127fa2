//! The writer's connection and its transactions.

use std::{
    ops::{Deref, DerefMut},
    path::Path,
    time::{Duration, Instant},
};

use sqlx::{
    Sqlite, SqliteConnection, SqlitePool, Transaction,
    error::DatabaseError,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};

use super::turn::{Turn, Turns};

/// How long a write waits for the other daemon's.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it looks again where somebody wrote without a turn. SQLite itself would look less and less often, up to 100 ms
/// apart.
pub(super) const BUSY_POLL: Duration = Duration::from_millis(1);
/// What the connection has of its own: no wait but that of [`Writer::begin`], and 16 MiB of pages, since ids and hashes
/// go to all corners of their indexes, and a page that does not fit is written to the log each time it changes.
const SET_UP: &str = "PRAGMA busy_timeout = 0; PRAGMA cache_size = -16384";

/// The one connection that writes; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    pool: SqlitePool,
    turns: Turns,
}

/// An open `BEGIN IMMEDIATE` transaction; rolled back when dropped without commit.
#[derive(Debug)]
pub(super) struct Write {
    transaction: Transaction<'static, Sqlite>,
    _turn: Turn,
}

impl Writer {
    /// Connects to the store in the file at `path`, which is there.
    pub(super) async fn open(path: &Path, options: SqliteConnectOptions) -> Result<Self, sqlx::Error> {
        // A connection to a file does not break while it is idle: to ask it before each use is a wait for nothing.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .test_before_acquire(false)
            .after_connect(|writer, _| Box::pin(async move { sqlx::raw_sql(SET_UP).execute(writer).await.map(drop) }));
        Ok(Self { pool: pool.connect_with(options).await?, turns: Turns::new(path) })
    }

    /// Closes the connection, once nobody writes.
    pub(super) async fn close(&self) {
        self.pool.close().await;
        self.turns.close().await;
    }

    /// The pool of the one connection, for what is no transaction.
    pub(super) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Begins a transaction by `statement`, as soon as nobody else writes.
    pub(super) async fn begin(&self, statement: &'static str) -> Result<Write, sqlx::Error> {
        let turn = self.turns.take(BUSY_TIMEOUT).await;
        let started = Instant::now();
        loop {
            match begin_now(&self.pool, statement).await {
                Err(error) if is_busy(&error) && started.elapsed() < BUSY_TIMEOUT => {
                    tokio::time::sleep(BUSY_POLL).await;
                }
                begun => return Ok(Write { transaction: begun?, _turn: turn }),
            }
        }
    }
}

impl Write {
    /// Ends the transaction; its changes are on the disk when this returns.
    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        self.transaction.commit().await
    }
}

impl Deref for Write {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.transaction
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }
}

/// `SQLITE_BUSY`, whatever its extended code says besides.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.and_then(|code| code.parse::<i32>().ok()).is_some_and(|code| code & 0xFF == 5)
}

/// SQLite ends a transaction by itself where the disk is full or fails; sqlx still counts it, and would refuse every later
/// one on that connection. Such a connection is replaced.
async fn begin_now(pool: &SqlitePool, statement: &'static str) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
    match pool.begin_with(statement).await {
        Err(sqlx::Error::InvalidSavePointStatement) => {
            pool.acquire().await?.close().await?;
            pool.begin_with(statement).await
        }
        begun => begun,
    }
}
