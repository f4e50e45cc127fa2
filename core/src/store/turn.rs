//! Turns at writing, among all processes on one store.
//!
//! SQLite tells nobody that its write lock is free: whoever waits looks again every so often, and a process that writes
//! again and again takes the lock back between two looks. So each asks for its turn first, by `flock(2)` on two empty
//! files: it waits for the second one while it holds the first, so whoever comes back finds the first one taken and stands behind.
//!
//! This is order, not safety: what is written is safe by SQLite's own lock. Where a turn cannot be had in time, since whoever
//! is next was stopped while it waited, or since the files cannot be used, one goes on without.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    sync::{Mutex, OwnedMutexGuard, oneshot},
    time::timeout,
};

/// How long one waits for other processes. They write for milliseconds, so whoever takes longer was stopped.
const PEERS: Duration = Duration::from_secs(1);

/// Asks for turns on one store; cheap to clone, and one of its clones has a turn at a time.
#[derive(Debug, Clone)]
pub(super) struct Turns {
    path: Arc<Path>,
    state: Arc<Mutex<State>>,
}

/// The turn, of this process at least; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Turn(Option<OwnedMutexGuard<State>>);

#[derive(Debug, Default)]
struct State {
    /// Locked while there is a [`Turn`], unless it goes without.
    files: Option<Files>,
    /// A wait that was given up. While it goes on, nobody waits beside it.
    stuck: Option<JoinHandle<()>>,
    /// That the files cannot be used was said.
    is_told: bool,
}

#[derive(Debug)]
struct Files {
    /// Held by whoever comes next, while it waits.
    next: File,
    /// Held by whoever writes.
    now: File,
}

impl Turns {
    /// Turns on the store in the file at `path`.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.into(), state: Arc::default() }
    }

    /// Waits for the turn: in this process for `longest`, and then among all of them for a second of it.
    pub(super) async fn take(&self, longest: Duration) -> Turn {
        let Ok(mut state) = timeout(longest, Arc::clone(&self.state).lock_owned()).await else { return Turn(None) };
        if state.stuck.take_if(|stuck| stuck.is_finished()).is_some() || state.stuck.is_none() {
            state.lock(&self.path, longest.min(PEERS)).await;
        }
        Turn(Some(state))
    }

    /// Closes the files, once nobody of this process has the turn.
    pub(super) async fn close(&self) {
        self.state.lock().await.files = None;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(state) = &mut self.0 else { return };
        // What cannot be unlocked is closed.
        if state.files.as_ref().is_some_and(|files| files.now.unlock().is_err()) {
            state.files = None;
        }
    }
}

impl State {
    /// Locks the files, or leaves none.
    async fn lock(&mut self, store: &Path, longest: Duration) {
        // They are not in here while they are waited for: whoever stops waiting has them closed, which unlocks them.
        let files = self.files.take().map_or_else(|| Files::open(store), Ok);
        match files.and_then(Files::try_lock) {
            Ok(Tried::Locked(files)) => self.files = Some(files),
            Ok(Tried::Taken(files)) => self.wait(files, longest).await,
            Err(error) => self.tell(&error),
        }
    }

    /// Waits in a thread of its own, which nobody waits for when the process ends.
    async fn wait(&mut self, files: Files, longest: Duration) {
        let (tell, told) = oneshot::channel();
        let waiting = move || {
            let locked = files.next.lock().and_then(|()| files.now.lock()).and_then(|()| files.next.unlock());
            // Where nobody waits any more, the files are dropped here.
            let _ = tell.send(locked.map(|()| files));
        };
        match thread::Builder::new().name("otp-turn".to_owned()).spawn(waiting) {
            Ok(thread) => self.stuck = Some(thread),
            Err(error) => return self.tell(&error),
        }
        match timeout(longest, told).await {
            Ok(Ok(Ok(files))) => self.files = Some(files),
            Ok(Ok(Err(error))) => self.tell(&error),
            Ok(Err(_)) => {}
            Err(_) => return tracing::warn!("another process has or awaits its turn at writing and does not go on"),
        }
        self.stuck = None;
    }

    fn tell(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.is_told, true) {
            tracing::warn!(%error, "no turns at writing: the files or a thread for them cannot be had");
        }
    }
}

enum Tried {
    Locked(Files),
    /// Somebody else writes, or is next.
    Taken(Files),
}

impl Files {
    fn open(store: &Path) -> io::Result<Self> {
        let open = |suffix| {
            let mut path = store.as_os_str().to_owned();
            path.push(suffix);
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(PathBuf::from(path))
        };
        Ok(Self { next: open("-next")?, now: open("-turn")? })
    }

    fn try_lock(self) -> io::Result<Tried> {
        if !is_locked(self.next.try_lock())? {
            return Ok(Tried::Taken(self));
        }
        let has_turn = is_locked(self.now.try_lock())?;
        self.next.unlock()?;
        Ok(if has_turn { Tried::Locked(self) } else { Tried::Taken(self) })
    }
}

fn is_locked(tried: Result<(), TryLockError>) -> io::Result<bool> {
    match tried {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::PoisonError;

    impl Turn {
        fn is_held(&self) -> bool {
            self.0.as_ref().is_some_and(|state| state.files.is_some())
        }
    }

    const LONG: Duration = Duration::from_secs(10);
    const SHORT: Duration = Duration::from_millis(50);

    fn is_anybody_next(store: &Path) -> bool {
        let files = Files::open(store).unwrap();
        matches!(files.next.try_lock(), Err(TryLockError::WouldBlock))
    }

    #[tokio::test]
    async fn whoever_comes_back_stands_behind_whoever_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("otp.db");
        let (one, other) = (Turns::new(&path), Turns::new(&path));
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let note = |who: &'static str| order.lock().unwrap_or_else(PoisonError::into_inner).push(who);
        let first = one.take(LONG).await;
        let waiting = async {
            let turn = other.take(LONG).await;
            note("other");
            tokio::time::sleep(SHORT).await;
            drop(turn);
        };
        let coming_back = async {
            while !is_anybody_next(&path) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            drop(first);
            let turn = one.take(LONG).await;
            note("one");
            drop(turn);
        };
        tokio::join!(waiting, coming_back);
        assert_eq!(*order.lock().unwrap(), ["other", "one"]);
    }

    /// Until there is a turn again: a wait that was given up may take a moment to end.
    async fn held_again(turns: &Turns) -> Turn {
        timeout(LONG, async {
            loop {
                let turn = turns.take(LONG).await;
                if turn.is_held() {
                    return turn;
                }
                drop(turn);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn without_a_turn_in_time_one_goes_on_and_has_one_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("otp.db");
        let (one, other) = (Turns::new(&path), Turns::new(&path));
        let held = one.take(LONG).await;
        assert!(!other.take(SHORT).await.is_held());
        assert!(!one.take(SHORT).await.is_held(), "nor in the same process");
        drop(held);
        let held = held_again(&other).await;
        assert!(!one.take(SHORT).await.is_held(), "it is the other's");
        drop(held);
        held_again(&one).await;
    }

    #[tokio::test]
    async fn a_process_that_is_stopped_while_it_is_next_costs_one_wait_and_one_thread() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("otp.db");
        let turns = Turns::new(&path);
        let stopped = Files::open(&path).unwrap();
        stopped.next.lock().unwrap();
        let started = std::time::Instant::now();
        assert!(!turns.take(LONG).await.is_held());
        let first = started.elapsed();
        assert!(first >= PEERS && first < LONG, "{first:?}");
        for _ in 0..100 {
            assert!(!turns.take(LONG).await.is_held());
        }
        assert!(started.elapsed() < first + PEERS, "nobody waits beside the one who waits");
        drop(stopped);
        held_again(&turns).await;
    }

    #[tokio::test]
    async fn whoever_stops_waiting_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("otp.db");
        let (one, other, third) = (Turns::new(&path), Turns::new(&path), Turns::new(&path));
        let held = one.take(LONG).await;
        assert!(timeout(SHORT, other.take(LONG)).await.is_err());
        drop(held);
        assert!(third.take(LONG).await.is_held());
        held_again(&other).await;
    }

    #[tokio::test]
    async fn a_store_whose_turns_cannot_be_had_is_written_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("otp.db");
        std::fs::create_dir(folder.path().join("otp.db-turn")).unwrap();
        let store = crate::store::Store::open(&path).await.unwrap();
        store.ping().await.unwrap();
        store.close().await;
    }
}
