//! What the daemon knows of its own state, for readiness and status.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use otp_core::{
    chain::EndpointPlace,
    clock::now_ms,
    metrics::INDEXER_LAG_BLOCKS,
    store::{Block, Cursor},
};

/// A moment of the tail.
#[derive(Debug, Clone, Copy, Default)]
pub struct Snapshot {
    /// When the node last named its head.
    pub answered: Option<Instant>,
    /// The head it named.
    pub head: Option<Block>,
    /// The last block applied.
    pub cursor: Option<Cursor>,
    /// Since when the node's head has been below the last block applied.
    pub below_since: Option<Instant>,
}

impl Snapshot {
    /// How long ago the node last answered.
    #[must_use]
    pub fn answered_ago(&self) -> Option<Duration> {
        self.answered.map(|at| at.elapsed())
    }

    /// How far the head's timestamp lies behind this server's clock; 0 where it lies ahead.
    #[must_use]
    pub fn head_age(&self) -> Option<Duration> {
        let now_s = now_ms().unsigned_abs() / 1_000;
        self.head.map(|head| Duration::from_secs(now_s.saturating_sub(head.timestamp)))
    }

    /// Whether the head is older than `bound`, or has been below the last block applied for longer than it.
    #[must_use]
    pub fn stands_still(&self, bound: Duration) -> bool {
        self.head_age().is_some_and(|age| age > bound) || self.below_since.is_some_and(|since| since.elapsed() > bound)
    }

    /// How many blocks the cursor is behind the head; 0 where the node's head is the one that is behind.
    #[must_use]
    pub fn lag_blocks(&self) -> Option<u64> {
        Some(self.head?.number.saturating_sub(self.cursor?.number))
    }
}

/// Which node the blocks up to a number were read from; `None` where nobody can say.
type Readers = VecDeque<(u64, Option<EndpointPlace>)>;

/// How the upload of the evidence log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload {
    /// Signed heads that the bucket does not have.
    pub lag_heads: u64,
    /// Whether the bucket took the last thing it was given.
    pub ok: bool,
}

/// Shared by the tail, the workers and the API; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    chain: Arc<RwLock<Snapshot>>,
    readers: Arc<Mutex<Readers>>,
    mail_down: Arc<AtomicBool>,
    upload: Arc<Mutex<Option<Upload>>>,
}

impl Progress {
    /// The last state.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        *self.chain.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node named its head.
    pub fn saw_head(&self, head: Block) {
        let mut chain = self.chain.write().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        chain.answered = Some(now);
        chain.head = Some(head);
        let below = chain.cursor.is_some_and(|cursor| head.number < cursor.number);
        chain.below_since = below.then(|| chain.below_since.unwrap_or(now));
        measure(&chain);
    }

    /// The cursor stands here.
    pub fn stands_at(&self, cursor: Cursor) {
        let mut chain = self.chain.write().unwrap_or_else(PoisonError::into_inner);
        chain.cursor = Some(cursor);
        measure(&chain);
    }

    /// The blocks `first..=last` were read from this node; `None` where it was one and then another.
    pub fn was_read(&self, first: u64, last: u64, from: Option<EndpointPlace>) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let before = first.saturating_sub(1);
        let mut reader_before = None;
        // What a reorg took back is read anew; what was below it stays whose it was.
        while readers.back().is_some_and(|(upto, _)| *upto >= before) {
            reader_before = readers.pop_back().and_then(|(_, place)| place);
        }
        if reader_before != from {
            readers.push_back((before, reader_before));
        }
        readers.push_back((last, from));
    }

    /// Which node a block was read from, `None` where nobody can say, as of what another process read; and up to which
    /// block that holds.
    #[must_use]
    pub fn reader_of(&self, number: u64) -> (Option<EndpointPlace>, u64) {
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let found = readers.iter().find(|(upto, _)| *upto >= number);
        found.map_or((None, u64::MAX), |(upto, place)| (*place, *upto))
    }

    /// The blocks up to this one are final.
    pub fn forget_readers(&self, upto: u64) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        while readers.front().is_some_and(|(number, _)| *number <= upto) {
            readers.pop_front();
        }
    }

    /// Whether the mail server took or answered the last thing it was given.
    #[must_use]
    pub fn is_mail_up(&self) -> bool {
        !self.mail_down.load(Ordering::Relaxed)
    }

    /// Records it; true when that is news.
    pub fn mail_is(&self, up: bool) -> bool {
        self.mail_down.swap(!up, Ordering::Relaxed) == up
    }

    /// How the evidence log's upload stands; `None` where there is none, or nothing was tried yet.
    #[must_use]
    pub fn upload(&self) -> Option<Upload> {
        *self.upload.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records it.
    pub fn upload_is(&self, upload: Upload) {
        *self.upload.lock().unwrap_or_else(PoisonError::into_inner) = Some(upload);
    }
}

fn measure(chain: &Snapshot) {
    if let Some(lag) = chain.lag_blocks().and_then(|lag| u32::try_from(lag).ok()) {
        metrics::gauge!(INDEXER_LAG_BLOCKS).set(lag);
    }
}
