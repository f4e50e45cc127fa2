//! Ranges under way: several are read at once, and handed out strictly in order.

use std::collections::VecDeque;

use otp_core::chain;
use tokio_util::task::AbortOnDropHandle;

use super::range::{Range, RangeError};
use crate::source::{ReadError, Source};

/// The first range of a start, before it is known how much the chain holds.
const FIRST_BLOCKS: u64 = 16;
/// Ranges are cut so that they hold about so many events: it bounds the memory.
const EVENTS: u64 = 4_000;
/// Ranges that pass before a larger one is tried after a refusal.
const CALM: u32 = 8;

/// How many blocks the next range has.
#[derive(Debug)]
pub(crate) struct Adaptive {
    blocks: u64,
    most: u64,
    calm: u32,
}

impl Adaptive {
    pub(crate) fn new(most: u64) -> Self {
        Self { blocks: FIRST_BLOCKS.min(most), most, calm: 0 }
    }

    pub(crate) const fn blocks(&self) -> u64 {
        self.blocks
    }

    /// A range of so many blocks was refused as too large.
    pub(crate) fn refused(&mut self, blocks: u64) {
        self.blocks = self.blocks.min((blocks / 2).max(1));
        self.calm = CALM;
    }

    /// A range of so many blocks held so many events.
    pub(crate) fn passed(&mut self, blocks: u64, events: usize) {
        let events = u64::try_from(events).unwrap_or(u64::MAX);
        if events > EVENTS {
            self.blocks = (blocks.saturating_mul(EVENTS) / events).max(1);
        } else if self.calm > 0 {
            self.calm -= 1;
        } else if events.saturating_mul(2) <= EVENTS {
            self.blocks = self.blocks.saturating_mul(2).min(self.most);
        }
    }
}

#[derive(Debug)]
struct Entry {
    from: u64,
    to: u64,
    task: Option<AbortOnDropHandle<Result<Range, RangeError>>>,
}

/// The ranges from the cursor on.
#[derive(Debug)]
pub(crate) struct Flight {
    entries: VecDeque<Entry>,
    size: Adaptive,
    at_once: usize,
}

impl Flight {
    pub(crate) fn new(range_blocks: u64, at_once: usize) -> Self {
        Self { entries: VecDeque::new(), size: Adaptive::new(range_blocks), at_once }
    }

    /// Forgets everything that is under way.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// The next range from `from` on, none ending above `limit`; `None` where it was cut into smaller ones, which come
    /// next. A range that failed is read again when it is asked for again, and those behind it stay.
    pub(crate) async fn next(&mut self, source: &Source, from: u64, limit: u64) -> Result<Option<Range>, ReadError> {
        if self.entries.front().is_some_and(|entry| entry.from != from) {
            self.clear();
        }
        self.fill(source, from, limit);
        let Some(task) = self.entries.front_mut().and_then(|front| front.task.as_mut()) else { return Ok(None) };
        let outcome = task.await;
        let Some(Entry { from, to, .. }) = self.entries.pop_front() else { return Ok(None) };
        let (blocks, is_one) = (to - from + 1, from == to);
        match outcome {
            Ok(Ok(range)) => {
                self.size.passed(blocks, range.events.len());
                Ok(Some(range))
            }
            Ok(Err(RangeError::TooMuch(error))) if !is_one => {
                self.size.refused(blocks);
                let (error, range_blocks) = (chain::brief(&error), self.size.blocks());
                tracing::warn!(error, range_blocks, "a range was refused: halved");
                self.again_in_halves(from, to);
                Ok(None)
            }
            // Slowness says nothing about the size that fits, but this range may be the reason.
            Ok(Err(RangeError::TooSlow(error))) if !is_one => {
                self.again_in_halves(from, to);
                Err(error.into())
            }
            failed => {
                self.entries.push_front(Entry { from, to, task: None });
                Err(match failed {
                    Ok(Err(RangeError::TooMuch(error) | RangeError::TooSlow(error))) => error.into(),
                    Ok(Err(RangeError::Read(error))) => error,
                    Ok(Ok(_)) | Err(_) => ReadError::Inconsistent("reading a range ended early"),
                })
            }
        }
    }

    fn again_in_halves(&mut self, from: u64, to: u64) {
        let middle = from + (to - from) / 2;
        self.entries.push_front(Entry { from: middle + 1, to, task: None });
        self.entries.push_front(Entry { from, to: middle, task: None });
    }

    /// Begins what fits, the front ones first.
    fn fill(&mut self, source: &Source, from: u64, limit: u64) {
        let mut next = self.entries.back().map_or(from, |entry| entry.to + 1);
        while self.entries.len() < self.at_once && next <= limit {
            let to = limit.min(next.saturating_add(self.size.blocks() - 1));
            self.entries.push_back(Entry { from: next, to, task: None });
            next = to + 1;
        }
        for entry in self.entries.iter_mut().take(self.at_once).filter(|entry| entry.task.is_none()) {
            let (source, from, to) = (source.clone(), entry.from, entry.to);
            let reading = tokio::spawn(async move { Range::read(&source, from, to).await });
            entry.task = Some(AbortOnDropHandle::new(reading));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grown(most: u64) -> Adaptive {
        let mut size = Adaptive::new(most);
        (0..20).for_each(|_| size.passed(size.blocks(), 0));
        size
    }

    #[test]
    fn ranges_grow_where_there_is_little_and_shrink_where_there_is_much() {
        let mut size = grown(2_000);
        assert_eq!(size.blocks(), 2_000);
        size.passed(2_000, 80_000);
        assert_eq!(size.blocks(), 100);
        size.passed(100, 3_999);
        assert_eq!(size.blocks(), 100, "twice as much would be too much");
        size.passed(1, 80_000);
        assert_eq!(size.blocks(), 1);
    }

    #[test]
    fn a_refused_size_is_not_tried_again_at_once() {
        let mut size = grown(2_000);
        size.refused(2_000);
        for _ in 0..CALM {
            assert_eq!(size.blocks(), 1_000);
            size.passed(1_000, 0);
        }
        size.passed(1_000, 0);
        assert_eq!(size.blocks(), 2_000);
    }

    #[test]
    fn several_refusals_of_one_size_halve_it_once() {
        let mut size = grown(32);
        (0..4).for_each(|_| size.refused(32));
        assert_eq!(size.blocks(), 16);
    }
}
