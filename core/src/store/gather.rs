//! Many of one kind at once: what waits for the writer when its turn comes is done by the same few statements, however much
//! it is. Each statement is a turn of the thread that every write waits for, so that is what a busy store saves most by.
//!
//! To whoever hands something over it is as if it were [`super::group`]'s work of its own: a failure of one is none of its
//! neighbours', and each is answered after the commit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use super::{
    StoreError,
    group::{self, Group, Job, MOST, Place},
};

/// Does all of `items`, and says of each what became of it. What is to leave no trace, it does not write.
type Work<I, T> =
    dyn for<'w> Fn(&'w mut SqliteConnection, &'w [I]) -> BoxFuture<'w, Result<Vec<T>, StoreError>> + Send + Sync;

/// What waits to be done together.
pub(super) struct Gathering<I, T>(Arc<Shared<I, T>>);

struct Shared<I, T> {
    group: Group,
    work: Box<Work<I, T>>,
    /// Where it is not empty, a [`Turn`] of it is in the queue.
    waiting: Mutex<Vec<Waiting<I, T>>>,
}

struct Waiting<I, T> {
    item: I,
    tell: oneshot::Sender<Result<T, StoreError>>,
    /// Its place in the queue, which bounds how many wait; gone to the turn that it called for.
    place: Option<Place>,
}

impl<I, T> Clone for Gathering<I, T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<I, T> std::fmt::Debug for Gathering<I, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gathering").finish_non_exhaustive()
    }
}

impl<I: Send + Sync + 'static, T: Send + 'static> Gathering<I, T> {
    pub(super) fn new<W>(group: Group, work: W) -> Self
    where
        W: for<'w> Fn(&'w mut SqliteConnection, &'w [I]) -> BoxFuture<'w, Result<Vec<T>, StoreError>>
            + Send
            + Sync
            + 'static,
    {
        Self(Arc::new(Shared { group, work: Box::new(work), waiting: Mutex::default() }))
    }

    /// Has `item` done with whatever else waits, and answers once that is on the disk. It is done also when nobody waits
    /// for its answer any more.
    pub(super) async fn run(&self, item: I) -> Result<T, StoreError> {
        let place = self.0.group.place().await?;
        let (tell, told) = oneshot::channel();
        {
            let mut waiting = self.0.waiting();
            waiting.push(Waiting { item, tell, place: Some(place) });
            if waiting.len() == 1 {
                self.0.call(&mut waiting);
            }
        }
        tokio::select! {
            biased;
            told = told => told.map_err(|_| StoreError::Closed)?,
            () = self.0.group.ended() => Err(StoreError::Closed),
        }
    }
}

impl<I: Send + Sync + 'static, T: Send + 'static> Shared<I, T> {
    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting<I, T>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a turn of whatever waits, by the first one's place.
    fn call(self: &Arc<Self>, waiting: &mut [Waiting<I, T>]) {
        if let Some(place) = waiting.first_mut().and_then(|first| first.place.take()) {
            place.send(Box::new(Turn { shared: Arc::clone(self), asking: Vec::new(), results: Vec::new() }));
        }
    }
}

/// One turn of the writer.
struct Turn<I, T> {
    shared: Arc<Shared<I, T>>,
    asking: Vec<oneshot::Sender<Result<T, StoreError>>>,
    results: Vec<Result<T, StoreError>>,
}

impl<I, T> std::fmt::Debug for Turn<I, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turn").finish_non_exhaustive()
    }
}

impl<I: Send + Sync + 'static, T: Send + 'static> Turn<I, T> {
    /// Takes what waits by now; for what is more than a turn takes, another one is called.
    fn begin(&mut self) -> Vec<I> {
        let mut waiting = self.shared.waiting();
        let most = waiting.len().min(MOST);
        let (items, asking) = waiting.drain(..most).map(|waiting| (waiting.item, waiting.tell)).unzip();
        self.asking = asking;
        self.shared.call(&mut waiting);
        items
    }

    /// One by one, each behind a savepoint of its own: something is wrong with one of them, and the others shall not know.
    async fn run_apart(&mut self, write: &mut SqliteConnection, items: &[I]) -> Result<(), sqlx::Error> {
        group::settle(write, false).await?;
        for item in items {
            let result = (self.shared.work)(write, std::slice::from_ref(item)).await.map(|mut done| done.pop());
            group::settle(write, result.is_ok()).await?;
            self.results.push(result.and_then(|done| done.ok_or(StoreError::Closed)));
        }
        Ok(())
    }
}

impl<I: Send + Sync + 'static, T: Send + 'static> Job for Turn<I, T> {
    fn run<'w>(&'w mut self, write: &'w mut SqliteConnection) -> BoxFuture<'w, bool> {
        Box::pin(async move {
            let items = self.begin();
            match (self.shared.work)(write, &items).await {
                Ok(done) => self.results = done.into_iter().map(Ok).collect(),
                // Where not even this works, the transaction is gone, and the group will say so.
                Err(_) if items.len() > 1 => return self.run_apart(write, &items).await.is_ok(),
                Err(error) => {
                    self.results = vec![Err(error)];
                    return false;
                }
            }
            true
        })
    }

    fn answer(self: Box<Self>, failure: Option<&sqlx::Error>) {
        let mut results = self.results.into_iter();
        for tell in self.asking {
            // Whoever asked may be gone; what was done stays done.
            let _ = tell.send(group::told(results.next(), failure));
        }
    }
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

    /// Stores nonces, and says of each how many were stored with it. One that is there already fails.
    fn nonces(store: &Store) -> Gathering<String, usize> {
        Gathering::new(store.group.clone(), |write, nonces: &[String]| {
            Box::pin(async move {
                for nonce in nonces {
                    let insert = sqlx::query("INSERT INTO used_nonces (nonce, expires_at_ms) VALUES (?, 0)");
                    insert.bind(nonce).execute(&mut *write).await?;
                }
                Ok(vec![nonces.len(); nonces.len()])
            })
        })
    }

    async fn stored(store: &Store) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM used_nonces").fetch_one(&store.readers).await.unwrap()
    }

    #[tokio::test]
    async fn what_waits_is_done_together_and_of_more_than_a_turn_takes_none_is_left_behind() {
        let (_folder, store) = store().await;
        let nonces = nonces(&store);
        let held = store.write().await.unwrap();
        let (all, most) = (2 * MOST + 3, i64::try_from(MOST).unwrap());
        let waiting = (0..all).map(|n| {
            let nonces = nonces.clone();
            tokio::spawn(async move { nonces.run(n.to_string()).await })
        });
        let waiting: Vec<_> = waiting.collect();
        while nonces.0.waiting().len() < all {
            tokio::task::yield_now().await;
        }
        drop(held);
        let mut together = Vec::new();
        for waiting in waiting {
            together.push(waiting.await.unwrap().unwrap());
        }
        together.sort_unstable();
        let expected: Vec<_> = [vec![3; 3], vec![MOST; 2 * MOST]].concat();
        assert_eq!(together, expected);
        assert_eq!(stored(&store).await, 2 * most + 3);
    }

    #[tokio::test]
    async fn one_that_fails_takes_nothing_from_its_neighbours() {
        let (_folder, store) = store().await;
        let nonces = nonces(&store);
        nonces.run("there".to_owned()).await.unwrap();
        let held = store.write().await.unwrap();
        let (one, there, other) =
            (nonces.run("one".to_owned()), nonces.run("there".to_owned()), nonces.run("other".to_owned()));
        let release = async {
            while nonces.0.waiting().len() < 3 {
                tokio::task::yield_now().await;
            }
            drop(held);
        };
        let (one, there, other, ()) = tokio::join!(one, there, other, release);
        assert_eq!((one.unwrap(), other.unwrap()), (1, 1));
        assert!(matches!(there, Err(StoreError::Sqlite(_))), "{there:?}");
        assert_eq!(stored(&store).await, 3);
    }

    #[tokio::test]
    async fn what_was_handed_over_is_done_also_when_its_caller_went_away() {
        let (_folder, store) = store().await;
        let nonces = nonces(&store);
        let held = store.write().await.unwrap();
        let first = tokio::time::timeout(std::time::Duration::from_millis(50), nonces.run("first".to_owned())).await;
        assert!(first.is_err());
        let release = async { drop(held) };
        let (second, ()) = tokio::join!(nonces.run("second".to_owned()), release);
        second.unwrap();
        assert_eq!(stored(&store).await, 2);
    }
}
