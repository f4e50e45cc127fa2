//! Group commit: small writes that arrive together share one transaction, and so one wait for the disk.
//!
//! Each piece of work runs as if it had a `BEGIN IMMEDIATE` of its own: one after another, under the writer's lock, and a
//! piece that is undone or fails leaves no trace. Whoever handed it over is answered after the commit, never before.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use sqlx::SqliteConnection;
use tokio::sync::{mpsc, oneshot};

use super::{StoreError, writer::Writer};

/// So many pieces of work may wait; more wait at the door.
const QUEUE: usize = 1_024;
/// So many share a commit: what the first of them waits for the last.
pub(super) const MOST: usize = 64;
/// For so long a commit that was done shows that the next one will be.
const PROVEN: Duration = Duration::from_secs(5);
/// A commit that takes longer counts as one that does not come.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a piece of work came to.
pub(super) enum Outcome<T> {
    /// Its changes are to be committed.
    Keep(T),
    /// It is to leave no trace.
    Undo(T),
}

/// Work on the writer's connection, inside a transaction that is not its own to end.
pub(super) trait Work<T>:
    for<'w> FnOnce(&'w mut SqliteConnection) -> BoxFuture<'w, Result<Outcome<T>, StoreError>> + Send + 'static
{
}

impl<T, F> Work<T> for F where
    F: for<'w> FnOnce(&'w mut SqliteConnection) -> BoxFuture<'w, Result<Outcome<T>, StoreError>> + Send + 'static
{
}

/// The way to the task that commits. The task ends with the last handle.
#[derive(Debug, Clone)]
pub(super) struct Group {
    jobs: mpsc::Sender<Box<dyn Job>>,
    progress: Arc<Mutex<Progress>>,
}

/// How the commits go.
#[derive(Debug, Default, Clone, Copy)]
struct Progress {
    /// Since when the work that is being committed waits.
    busy_since: Option<Instant>,
    /// When the last commit was done; `None` where it failed, or there was none yet.
    done_at: Option<Instant>,
}

impl Progress {
    fn is_proven(&self) -> bool {
        self.done_at.is_some_and(|at| at.elapsed() < PROVEN)
    }

    fn is_stalled(&self) -> bool {
        self.busy_since.is_some_and(|since| since.elapsed() > PATIENCE)
    }
}

impl Group {
    /// Starts the task on the writer.
    pub(super) fn start(writer: Writer) -> Self {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let progress = Arc::default();
        tokio::spawn(commit_all(writer, waiting, Arc::clone(&progress)));
        Self { jobs, progress }
    }

    /// Waits for the task's end.
    pub(super) async fn ended(&self) {
        self.jobs.closed().await;
    }

    /// Answers when commits are coming: none is overdue, and one was done a moment ago. Where none was, as when nobody has
    /// anything to write, or nobody may because of this very answer, one is tried: a file can be read for long after it
    /// can be written no more.
    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        let progress = *lock(&self.progress);
        if self.jobs.is_closed() {
            return Err(StoreError::Closed);
        }
        if progress.is_stalled() {
            return Err(StoreError::Stalled);
        }
        if progress.is_proven() {
            return Ok(());
        }
        // It is nobody's, and writing it is a page for the disk all the same.
        let attempt = self.run(|write| {
            Box::pin(async move {
                sqlx::query("PRAGMA user_version = 0").execute(write).await?;
                Ok(Outcome::Keep(()))
            })
        });
        tokio::time::timeout(PATIENCE, attempt).await.map_err(|_| StoreError::Stalled)?
    }

    /// A place in the queue, once there is one; what it is sent with is done in its turn.
    pub(super) async fn place(&self) -> Result<Place, StoreError> {
        self.jobs.clone().reserve_owned().await.map_err(|_| StoreError::Closed)
    }

    /// Runs `work` in the next shared transaction, and answers once that is on the disk. Work that was handed over is
    /// done also when nobody waits for its answer any more.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl Work<T>) -> Result<T, StoreError> {
        let (tell, told) = oneshot::channel();
        let entry = Entry { work: Some(Box::new(work)), result: None, tell };
        self.jobs.send(Box::new(entry)).await.map_err(|_| StoreError::Closed)?;
        told.await.map_err(|_| StoreError::Closed)?
    }
}

/// A place in the queue.
pub(super) type Place = mpsc::OwnedPermit<Box<dyn Job>>;

/// Work of any type.
pub(super) trait Job: Send + std::fmt::Debug {
    /// Does the work; returns whether its changes are kept.
    fn run<'w>(&'w mut self, write: &'w mut SqliteConnection) -> BoxFuture<'w, bool>;
    /// Answers, once it is known whether the transaction was committed.
    fn answer(self: Box<Self>, failure: Option<&sqlx::Error>);
}

struct Entry<T> {
    work: Option<Box<dyn Work<T>>>,
    result: Option<Result<T, StoreError>>,
    tell: oneshot::Sender<Result<T, StoreError>>,
}

impl<T> std::fmt::Debug for Entry<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").finish_non_exhaustive()
    }
}

impl<T: Send> Job for Entry<T> {
    fn run<'w>(&'w mut self, write: &'w mut SqliteConnection) -> BoxFuture<'w, bool> {
        Box::pin(async move {
            let Some(work) = self.work.take() else { return false };
            let (result, kept) = match work(write).await {
                Ok(Outcome::Keep(value)) => (Ok(value), true),
                Ok(Outcome::Undo(value)) => (Ok(value), false),
                Err(error) => (Err(error), false),
            };
            self.result = Some(result);
            kept
        })
    }

    fn answer(self: Box<Self>, failure: Option<&sqlx::Error>) {
        // Whoever asked may be gone; what was done stays done.
        let _ = self.tell.send(told(self.result, failure));
    }
}

/// What work came to, as far as it was committed.
pub(super) fn told<T>(result: Option<Result<T, StoreError>>, failure: Option<&sqlx::Error>) -> Result<T, StoreError> {
    match (failure, result) {
        (None, Some(result)) => result,
        (Some(error), _) => Err(StoreError::Commit { why: error.to_string() }),
        (None, None) => Err(StoreError::Closed),
    }
}

async fn commit_all(writer: Writer, mut waiting: mpsc::Receiver<Box<dyn Job>>, progress: Arc<Mutex<Progress>>) {
    let mut jobs = Vec::with_capacity(MOST);
    while waiting.recv_many(&mut jobs, MOST).await > 0 {
        lock(&progress).busy_since = Some(Instant::now());
        let failure = commit(&writer, &mut jobs).await.err();
        *lock(&progress) = Progress { busy_since: None, done_at: failure.is_none().then(Instant::now) };
        for job in jobs.drain(..) {
            job.answer(failure.as_ref());
        }
    }
}

fn lock(progress: &Mutex<Progress>) -> MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs every job in one transaction, each behind a savepoint. An error here means that nothing of it was committed.
async fn commit(writer: &Writer, jobs: &mut [Box<dyn Job>]) -> Result<(), sqlx::Error> {
    let mut write = writer.begin("BEGIN IMMEDIATE; SAVEPOINT work").await?;
    let last = jobs.len().saturating_sub(1);
    for (place, job) in jobs.iter_mut().enumerate() {
        let kept = job.run(&mut write).await;
        // What the last one did is kept by the commit itself.
        if !kept || place < last {
            settle(&mut write, kept).await?;
        }
    }
    write.commit().await
}

/// Keeps what was done since the savepoint, or takes it back, and sets the next one. Where SQLite ended the transaction by
/// itself, as on a full disk, either fails and the group with it.
pub(super) async fn settle(write: &mut SqliteConnection, kept: bool) -> Result<(), sqlx::Error> {
    let next = if kept { "RELEASE work; SAVEPOINT work" } else { "ROLLBACK TO work" };
    // Prepared once, as every statement is that has no other name in it each time.
    sqlx::query(next).execute(write).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    async fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("otp.db")).await.unwrap();
        (folder, store)
    }

    async fn insert(write: &mut SqliteConnection, nonce: &str) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO used_nonces (nonce, expires_at_ms) VALUES (?, 0)").bind(nonce).execute(write).await?;
        Ok(())
    }

    async fn stored(store: &Store) -> Vec<String> {
        sqlx::query_scalar("SELECT nonce FROM used_nonces ORDER BY nonce").fetch_all(&store.readers).await.unwrap()
    }

    #[tokio::test]
    async fn work_that_is_undone_or_fails_leaves_no_trace_and_takes_nothing_from_its_neighbours() {
        let (_folder, store) = store().await;
        // While this holds the writer, everything below gathers for one commit.
        let held = store.write().await.unwrap();
        let kept = store.group.run(|w| Box::pin(async move { insert(w, "kept").await.map(Outcome::Keep) }));
        let undone = store.group.run(|w| Box::pin(async move { insert(w, "undone").await.map(Outcome::Undo) }));
        let failed = store.group.run(|w| {
            Box::pin(async move {
                insert(w, "half").await?;
                insert(w, "half").await.map(Outcome::Keep)
            })
        });
        let after = store.group.run(|w| Box::pin(async move { insert(w, "later").await.map(Outcome::Keep) }));
        let release = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            drop(held);
        };
        let (kept, undone, failed, after, ()) = tokio::join!(kept, undone, failed, after, release);
        assert!(kept.is_ok() && undone.is_ok() && after.is_ok());
        assert!(matches!(failed, Err(StoreError::Sqlite(_))), "{failed:?}");
        assert_eq!(stored(&store).await, ["kept", "later"]);
    }

    #[tokio::test]
    async fn work_whose_caller_went_away_is_done_all_the_same() {
        let (_folder, store) = store().await;
        let held = store.write().await.unwrap();
        let work = store.group.run(|w| Box::pin(async move { insert(w, "orphan").await.map(Outcome::Keep) }));
        assert!(tokio::time::timeout(Duration::from_millis(50), work).await.is_err());
        drop(held);
        store.group.run(|w| Box::pin(async move { insert(w, "next").await.map(Outcome::Keep) })).await.unwrap();
        assert_eq!(stored(&store).await, ["next", "orphan"]);
    }

    #[tokio::test]
    async fn on_a_full_disk_each_is_answered_as_it_was_stored() {
        let (_folder, store) = store().await;
        let full = store.group.run(|w| {
            Box::pin(async move {
                sqlx::query("PRAGMA max_page_count = 1").execute(&mut *w).await?;
                insert(w, &"x".repeat(1 << 20)).await.map(Outcome::Keep)
            })
        });
        let beside = store.group.run(|w| Box::pin(async move { insert(w, "beside").await.map(Outcome::Keep) }));
        let (full, beside) = tokio::join!(full, beside);
        assert!(full.is_err());
        assert_eq!(beside.is_ok(), stored(&store).await == ["beside"], "answered as it was stored");
        // What is refused now was promised to nobody; the store itself goes on.
        store.group.run(|w| Box::pin(async move { insert(w, "later").await.map(Outcome::Keep) })).await.unwrap();
        drop(store.write().await.unwrap());
        assert!(stored(&store).await.contains(&"later".to_owned()));
    }

    #[tokio::test]
    async fn readiness_fails_after_a_commit_that_failed_until_one_is_done() {
        let (_folder, store) = store().await;
        store.ping().await.unwrap();
        sqlx::query("PRAGMA query_only = ON").execute(store.writer.pool()).await.unwrap();
        let refused = store.group.run(|w| Box::pin(async move { insert(w, "refused").await.map(Outcome::Keep) })).await;
        assert!(matches!(refused, Err(StoreError::Commit { .. })), "{refused:?}");
        assert!(store.ping().await.is_err(), "nothing can be written");
        sqlx::query("PRAGMA query_only = OFF").execute(store.writer.pool()).await.unwrap();
        store.ping().await.unwrap();
        assert!(stored(&store).await.is_empty());
    }

    #[tokio::test]
    async fn readiness_fails_where_nothing_was_written_for_a_while_and_nothing_can_be() {
        let (_folder, store) = store().await;
        sqlx::query("PRAGMA query_only = ON").execute(store.writer.pool()).await.unwrap();
        assert!(store.ping().await.is_err(), "nobody has tried");
        sqlx::query("PRAGMA query_only = OFF").execute(store.writer.pool()).await.unwrap();
        store.ping().await.unwrap();
        sqlx::query("PRAGMA query_only = ON").execute(store.writer.pool()).await.unwrap();
        store.ping().await.unwrap();
        lock(&store.group.progress).done_at = Instant::now().checked_sub(PROVEN);
        assert!(store.ping().await.is_err(), "what was done long ago shows nothing");
    }

    #[tokio::test]
    async fn readiness_fails_while_a_commit_is_overdue() {
        let (_folder, store) = store().await;
        store.ping().await.unwrap();
        let held = store.write().await.unwrap();
        let work = store.group.run(|w| Box::pin(async move { insert(w, "late").await.map(Outcome::Keep) }));
        let meanwhile = async {
            tokio::time::sleep(PATIENCE / 4).await;
            store.ping().await.unwrap();
            tokio::time::sleep(PATIENCE).await;
            assert!(matches!(store.ping().await, Err(StoreError::Stalled)));
            drop(held);
        };
        let (late, ()) = tokio::join!(work, meanwhile);
        late.unwrap();
        store.ping().await.unwrap();
    }
}
