//! How many event streams are open, per session and in all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use uuid::Uuid;

const PER_SESSION: usize = 5;
const IN_ALL: usize = 1_000;

#[derive(Default)]
pub(super) struct Streams(Mutex<HashMap<Uuid, usize>>);

/// An open stream's place, given back when dropped.
pub(super) struct Seat {
    streams: Arc<Streams>,
    session: Uuid,
}

impl Streams {
    /// A place for one more stream; `None` when the session or the process has enough.
    pub(super) fn take(self: &Arc<Self>, session: Uuid) -> Option<Seat> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = open.get(&session).copied().unwrap_or_default();
        if mine >= PER_SESSION || open.values().sum::<usize>() >= IN_ALL {
            return None;
        }
        open.insert(session, mine + 1);
        Some(Seat { streams: self.clone(), session })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get_mut(&self.session) {
            Some(mine) if *mine > 1 => *mine -= 1,
            _ => drop(open.remove(&self.session)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_five_streams_and_the_process_a_thousand() {
        let streams = Arc::<Streams>::default();
        let mine: Vec<_> = (0..PER_SESSION).map(|_| streams.take(Uuid::from_u128(1)).unwrap()).collect();
        assert!(streams.take(Uuid::from_u128(1)).is_none());
        let others: Vec<_> =
            (0..IN_ALL - PER_SESSION).map(|n| streams.take(Uuid::from_u128(2 + n as u128)).unwrap()).collect();
        assert!(streams.take(Uuid::from_u128(5_000)).is_none());
        drop(mine);
        assert!(streams.take(Uuid::from_u128(5_000)).is_some());
        drop(others);
        assert!(streams.0.lock().unwrap().is_empty());
    }
}
