//! One statement for many who ask at once: what is asked while an answer is on its way is asked together after it. Each
//! statement is a turn of a connection's thread and back, which costs more than what most of them look up.

use futures_util::future::BoxFuture;
use sqlx::SqlitePool;
use tokio::sync::{mpsc, oneshot};

use super::StoreError;

/// So many may wait; more ask alone.
const QUEUE: usize = 1_024;
/// So many are asked together.
const MOST: usize = 64;

/// The answers to all of the questions, in their order.
type Work<Q, A> = dyn for<'q> Fn(&'q SqlitePool, &'q [Q]) -> BoxFuture<'q, Result<Vec<A>, StoreError>> + Send + Sync;

/// The way to the task that asks. The task ends with the last handle.
pub(super) struct SharedRead<Q, A> {
    asked: mpsc::Sender<(Q, oneshot::Sender<A>)>,
}

impl<Q, A> Clone for SharedRead<Q, A> {
    fn clone(&self) -> Self {
        Self { asked: self.asked.clone() }
    }
}

impl<Q, A> std::fmt::Debug for SharedRead<Q, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedRead").finish_non_exhaustive()
    }
}

impl<Q: Send + Sync + 'static, A: Send + 'static> SharedRead<Q, A> {
    /// Starts the task on the readers.
    pub(super) fn start<W>(readers: SqlitePool, work: W) -> Self
    where
        W: for<'q> Fn(&'q SqlitePool, &'q [Q]) -> BoxFuture<'q, Result<Vec<A>, StoreError>> + Send + Sync + 'static,
    {
        let (asked, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(answer_all(readers, waiting, Box::new(work)));
        Self { asked }
    }

    /// The answer; `None` where it has to be asked for alone, since the statement for all failed or there are too many.
    pub(super) async fn ask(&self, question: Q) -> Option<A> {
        let (tell, told) = oneshot::channel();
        self.asked.try_send((question, tell)).ok()?;
        told.await.ok()
    }
}

async fn answer_all<Q, A>(
    readers: SqlitePool,
    mut waiting: mpsc::Receiver<(Q, oneshot::Sender<A>)>,
    work: Box<Work<Q, A>>,
) {
    let mut asked = Vec::with_capacity(MOST);
    while waiting.recv_many(&mut asked, MOST).await > 0 {
        let (questions, asking): (Vec<_>, Vec<_>) = asked.drain(..).unzip();
        // Where it fails nobody is told, and each asks alone: a row that is damaged is the affair of whoever asked for it.
        if let Ok(answers) = work(&readers, &questions).await {
            for (tell, answer) in asking.into_iter().zip(answers) {
                // Whoever asked may be gone.
                let _ = tell.send(answer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use futures_util::future::join_all;

    /// Doubles numbers, and says how many were asked for together; of a negative one it fails.
    fn doubles(store: &Store) -> SharedRead<i64, (i64, usize)> {
        SharedRead::start(store.readers.clone(), |readers, asked: &[i64]| {
            Box::pin(async move {
                let mut answers = Vec::new();
                for number in asked {
                    let double: Option<i64> = sqlx::query_scalar("SELECT iif(?1 >= 0, 2 * ?1, NULL)")
                        .bind(*number)
                        .fetch_one(readers)
                        .await?;
                    answers.push((double.ok_or(StoreError::Damaged { table: "numbers" })?, asked.len()));
                }
                Ok(answers)
            })
        })
    }

    #[tokio::test]
    async fn each_has_its_own_answer_and_where_all_fail_each_asks_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("otp.db")).await.unwrap();
        let doubles = doubles(&store);
        let answers = join_all((0..100).map(|n| doubles.ask(n))).await;
        let answers: Vec<_> = answers.into_iter().map(Option::unwrap).collect();
        assert!(answers.iter().zip(0..).all(|((double, _), n)| *double == 2 * n), "{answers:?}");
        assert!(answers.iter().any(|(_, together)| *together == MOST), "{answers:?}");
        let answers = join_all([1, -1, 2].map(|n| doubles.ask(n))).await;
        assert_eq!(answers, [None, None, None]);
        assert_eq!(doubles.ask(3).await, Some((6, 1)), "the next ones are none the worse");
        store.close().await;
        assert_eq!(doubles.ask(3).await, None);
    }
}
