//! Folding the write-ahead log into the file, beside the writes. SQLite would have whoever commits do it, every thousand
//! pages: everybody behind that commit waits for pages all over the file.

use std::{sync::Arc, time::Duration};

use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tokio::{
    sync::{Notify, mpsc},
    time::sleep,
};

/// How long after a commit it is folded in.
const DELAY: Duration = Duration::from_millis(250);

/// Folds in what was committed; the task ends with the last handle.
#[derive(Debug, Clone)]
pub(super) struct Checkpoints {
    committed: Arc<Notify>,
    pool: SqlitePool,
    _alive: mpsc::Sender<()>,
}

impl Checkpoints {
    /// Connects, and starts the task.
    pub(super) async fn start(options: SqliteConnectOptions) -> Result<Self, sqlx::Error> {
        let pool = SqlitePoolOptions::new().max_connections(1).test_before_acquire(false).connect_with(options).await?;
        let committed = Arc::new(Notify::new());
        let (_alive, ended) = mpsc::channel(1);
        tokio::spawn(fold(pool.clone(), Arc::clone(&committed), ended));
        Ok(Self { committed, pool, _alive })
    }

    /// Notes that something was committed.
    pub(super) fn note(&self) {
        self.committed.notify_one();
    }

    /// Closes the connection.
    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

async fn fold(pool: SqlitePool, committed: Arc<Notify>, mut ended: mpsc::Receiver<()>) {
    let folding = async {
        while !pool.is_closed() {
            committed.notified().await;
            sleep(DELAY).await;
            // Passive: it waits for nobody and nobody for it. What it cannot do now, the next one does, and where none can, the
            // log grows until a commit does it after all (`writer.rs`).
            if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&pool).await {
                tracing::debug!(%error, "the log was not folded into the file");
            }
        }
    };
    tokio::select! {
        () = folding => {}
        _ = ended.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[tokio::test]
    async fn what_is_committed_comes_into_the_file_while_the_store_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("otp.db");
        let store = Store::open(&path).await.unwrap();
        let large = "x".repeat(1 << 21);
        let mut write = store.write().await.unwrap();
        let insert = sqlx::query("INSERT INTO used_nonces (nonce, expires_at_ms) VALUES (?, 0)");
        insert.bind(large).execute(&mut *write).await.unwrap();
        write.commit().await.unwrap();
        let size = || std::fs::metadata(&path).unwrap().len();
        assert!(size() < 1 << 21, "the commit itself does not do it");
        for _ in 0..100 {
            if size() > 1 << 21 {
                break;
            }
            sleep(DELAY / 5).await;
        }
        assert!(size() > 1 << 21);
        store.close().await;
    }
}
