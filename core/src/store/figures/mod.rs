//! What the store says of the chain in numbers: for metrics and `GET /v1/stats`. Writer: the indexer.
//!
//! Every figure is a function of the canonical events, the relayer's requests and the outbox, never of what a process
//! has seen go by: so it is the same after a restart and after a rebuild. What can no longer change (its block is final
//! and its code's life over) is counted once and kept in `figures` by slots of ten minutes; what is younger is counted
//! anew whenever it is asked for, which also is how a reorg takes figures back.

mod bucket;
mod calls;
mod queue;
mod tally;
mod timelock;

use std::collections::BTreeMap;

use sqlx::SqliteConnection;

use super::{Store, StoreError, Write, column};
use crate::id::Deployment;

pub use self::{
    bucket::{Measured, bounds, bucket_of},
    calls::{ContractCall, UNEXPLAINED},
    queue::Queue,
    timelock::{TimelockStep, TimelockStepKind},
};

/// Seconds of chain time in a slot.
pub const SLOT_S: i64 = 600;
/// Nothing of a code changes later than this after its block, in seconds of chain time: the longest TTL that the contract
/// knows, and time for a message on its way to be settled.
const LIFE_S: i64 = 900;
/// Events that are counted for good at a time.
const CHUNK: u32 = 5_000;

/// A count and, where a series measures, the sum of what it measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cell {
    /// How many.
    pub count: u64,
    /// Their values together.
    pub total: i64,
}

/// Figures by slot, series and bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures(BTreeMap<(i64, String, i64), Cell>);

impl Figures {
    fn add(&mut self, slot: i64, series: &str, bucket: i64, cell: Cell) {
        let held = self.0.entry((slot, series.to_owned(), bucket)).or_default();
        held.count += cell.count;
        held.total += cell.total;
    }

    /// Counts `count` at a time (Unix seconds).
    fn count(&mut self, at_s: i64, series: &str, count: u64) {
        if count > 0 {
            self.add(at_s.div_euclid(SLOT_S), series, 0, Cell { count, total: 0 });
        }
    }

    /// Counts one value that was measured at a time (Unix seconds).
    fn measure(&mut self, at_s: i64, series: &str, value: i64) {
        let cell = Cell { count: 1, total: value.max(0) };
        self.add(at_s.div_euclid(SLOT_S), series, bucket_of(value), cell);
    }

    /// Adds others to these.
    pub fn merge(&mut self, others: &Self) {
        for ((slot, series, bucket), cell) in &others.0 {
            self.add(*slot, series, *bucket, *cell);
        }
    }

    /// These from a slot on, all in one.
    #[must_use]
    pub fn since(&self, slot: i64) -> Self {
        let mut merged = Self::default();
        for ((at, series, bucket), cell) in &self.0 {
            if *at >= slot {
                merged.add(0, series, *bucket, *cell);
            }
        }
        merged
    }

    /// These of the slots from the first of `slots` up to and without its second, all in one.
    #[must_use]
    pub fn between(&self, slots: (i64, i64)) -> Self {
        let first = |slot: i64| (slot, String::new(), i64::MIN);
        let mut merged = Self::default();
        if slots.0 < slots.1 {
            for ((_, series, bucket), cell) in self.0.range(first(slots.0)..first(slots.1)) {
                merged.add(0, series, *bucket, *cell);
            }
        }
        merged
    }

    /// How many there are of a series, over all slots.
    #[must_use]
    pub fn sum(&self, series: &str) -> u64 {
        self.cells(series).map(|(_, cell)| cell.count).sum()
    }

    /// What a series measured; of one slot, as [`Figures::since`] gives it.
    #[must_use]
    pub fn measured(&self, series: &str) -> Measured {
        Measured::new(self.cells(series))
    }

    /// Series that begin with a prefix and how many there are of each, over all slots.
    #[must_use]
    pub fn by_prefix(&self, prefix: &str) -> BTreeMap<&str, u64> {
        let mut found = BTreeMap::new();
        for ((_, series, _), cell) in &self.0 {
            if let Some(rest) = series.strip_prefix(prefix) {
                *found.entry(rest).or_default() += cell.count;
            }
        }
        found
    }

    /// How many of a series each slot has.
    pub fn slots<'a>(&'a self, series: &'a str) -> impl Iterator<Item = (i64, u64)> + 'a {
        self.0.iter().filter(move |((_, name, _), _)| name == series).map(|((slot, ..), cell)| (*slot, cell.count))
    }

    fn cells<'a>(&'a self, series: &'a str) -> impl Iterator<Item = (i64, &'a Cell)> + 'a {
        self.0.iter().filter(move |((_, name, _), _)| name == series).map(|((.., bucket), cell)| (*bucket, cell))
    }
}

/// The block as of which figures are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsOf {
    /// Its number.
    pub number: u64,
    /// Its timestamp in Unix seconds.
    pub timestamp: u64,
}

/// A task that goes through final blocks at its own pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follower {
    /// Counts for good.
    Figures,
    /// Looks for calls to the verifier.
    Calls,
    /// Reads what the timelock did.
    Timelock,
}

impl Follower {
    const fn name(self) -> &'static str {
        match self {
            Self::Figures => "figures",
            Self::Calls => "calls",
            Self::Timelock => "timelock",
        }
    }
}

impl Store {
    /// The last block that a follower has done; `None` before its first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn follower(&self, deployment: &Deployment, follower: Follower) -> Result<Option<u64>, StoreError> {
        follower_at(&mut *self.readers.acquire().await?, deployment, follower).await
    }

    /// Counts for good what can no longer change at or below `last_final`. Returns whether there may be more at once.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn fold_figures(&self, deployment: &Deployment, last_final: u64) -> Result<bool, StoreError> {
        let done = self.follower(deployment, Follower::Figures).await?;
        let Some(chain_s) = self.time_at(last_final).await? else { return Ok(false) };
        let Some((to, more)) = self.foldable(done.unwrap_or_default(), last_final, chain_s - LIFE_S).await? else {
            return Ok(false);
        };
        let figures = {
            let mut read = self.readers.acquire().await?;
            tally::tally(&mut read, (done.unwrap_or_default(), to), chain_s).await?
        };
        let mut tx = self.write().await?;
        if !move_follower(&mut tx, deployment, Follower::Figures, done, to).await? {
            return Ok(false);
        }
        keep(&mut tx, &figures).await?;
        tx.commit().await?;
        Ok(more)
    }

    /// Figures since a slot, and the block as of which they are; `None` before the tail's first start.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn figures(&self, deployment: &Deployment, since: i64) -> Result<Option<(Figures, AsOf)>, StoreError> {
        self.read_figures(deployment, (since.max(1), i64::MAX)).await
    }

    /// As [`Store::figures`], of all time: what is kept stands in slot 0.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn all_figures(&self, deployment: &Deployment) -> Result<Option<(Figures, AsOf)>, StoreError> {
        self.read_figures(deployment, (0, 0)).await
    }

    /// What is kept and what is young, as of one moment.
    async fn read_figures(
        &self,
        deployment: &Deployment,
        slots: (i64, i64),
    ) -> Result<Option<(Figures, AsOf)>, StoreError> {
        let mut read = self.readers.begin().await?;
        let cursor: Option<(i64, i64)> = sqlx::query_as(
            "SELECT c.number, b.timestamp FROM cursors c JOIN blocks b ON b.hash = c.hash
             WHERE c.chain_id = ? AND c.verifier = ?",
        )
        .bind(column::signed(deployment.chain_id))
        .bind(deployment.verifier.as_slice())
        .fetch_optional(&mut *read)
        .await?;
        let Some((number, chain_s)) = cursor else { return Ok(None) };
        let as_of =
            AsOf { number: column::unsigned(number, "cursors")?, timestamp: column::unsigned(chain_s, "blocks")? };
        let done = follower_at(&mut read, deployment, Follower::Figures).await?.unwrap_or_default();
        let mut figures = tally::tally(&mut read, (done, as_of.number), chain_s).await?;
        let rows: Vec<(i64, String, i64, i64, i64)> =
            sqlx::query_as("SELECT slot, series, bucket, count, total FROM figures WHERE slot BETWEEN ? AND ?")
                .bind(slots.0)
                .bind(slots.1)
                .fetch_all(&mut *read)
                .await?;
        for (slot, series, bucket, count, total) in rows {
            figures.add(slot, &series, bucket, Cell { count: column::unsigned(count, "figures")?, total });
        }
        Ok(Some((figures, as_of)))
    }

    /// The chain's time at a block, in Unix seconds: of the last stored one at or below it.
    async fn time_at(&self, number: u64) -> Result<Option<i64>, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT timestamp FROM blocks WHERE canonical = 1 AND number <= ? ORDER BY number DESC LIMIT 1",
        )
        .bind(column::signed(number))
        .fetch_optional(&self.readers)
        .await?)
    }

    /// Up to which block what lies above `done` can be counted for good, and whether more is left.
    async fn foldable(&self, done: u64, last_final: u64, until_s: i64) -> Result<Option<(u64, bool)>, StoreError> {
        let rows: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT block_number, timestamp FROM events WHERE canonical = 1 AND block_number > ? AND block_number <= ?
             ORDER BY block_number LIMIT ?",
        )
        .bind(column::signed(done))
        .bind(column::signed(last_final))
        .bind(CHUNK)
        .fetch_all(&self.readers)
        .await?;
        let old = rows.iter().take_while(|(_, timestamp)| *timestamp <= until_s);
        let Some(last) = old.map(|(number, _)| *number).last() else { return Ok(None) };
        let more = rows.last().is_some_and(|(number, _)| *number == last) && rows.len() >= CHUNK as usize;
        Ok(Some((column::unsigned(last, "events")?, more)))
    }
}

/// Forgets what was counted of events at or above a block, so that it is counted anew: for whoever has put them right.
/// Calls and the timelock's steps stay, and are counted from their rows: why a call failed only a node knows that still
/// has the state.
pub(super) async fn forget(tx: &mut Write, from: u64) -> Result<(), StoreError> {
    let counted: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM followers WHERE task = 'figures' AND number >= ?)")
            .bind(column::signed(from))
            .fetch_one(&mut **tx)
            .await?;
    if !counted {
        return Ok(());
    }
    sqlx::query("DELETE FROM followers WHERE task = 'figures'").execute(&mut **tx).await?;
    sqlx::query("DELETE FROM figures").execute(&mut **tx).await?;
    let mut figures = Figures::default();
    calls::recount(tx, &mut figures).await?;
    timelock::recount(tx, &mut figures).await?;
    keep(tx, &figures).await
}

async fn follower_at(
    read: &mut SqliteConnection,
    deployment: &Deployment,
    follower: Follower,
) -> Result<Option<u64>, StoreError> {
    let number: Option<i64> =
        sqlx::query_scalar("SELECT number FROM followers WHERE chain_id = ? AND verifier = ? AND task = ?")
            .bind(column::signed(deployment.chain_id))
            .bind(deployment.verifier.as_slice())
            .bind(follower.name())
            .fetch_optional(read)
            .await?;
    number.map(|number| column::unsigned(number, "followers")).transpose()
}

/// Compare-and-set; false when the follower stands elsewhere.
async fn move_follower(
    tx: &mut Write,
    deployment: &Deployment,
    follower: Follower,
    from: Option<u64>,
    to: u64,
) -> Result<bool, StoreError> {
    let moved = match from {
        Some(from) => {
            let held =
                "UPDATE followers SET number = ? WHERE chain_id = ? AND verifier = ? AND task = ? AND number = ?";
            sqlx::query(held)
                .bind(column::signed(to))
                .bind(column::signed(deployment.chain_id))
                .bind(deployment.verifier.as_slice())
                .bind(follower.name())
                .bind(column::signed(from))
        }
        None => sqlx::query(
            "INSERT INTO followers (number, chain_id, verifier, task) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(column::signed(to))
        .bind(column::signed(deployment.chain_id))
        .bind(deployment.verifier.as_slice())
        .bind(follower.name()),
    };
    Ok(moved.execute(&mut **tx).await?.rows_affected() == 1)
}

/// Adds to what is kept: to the slot, and to the sum of all.
async fn keep(tx: &mut Write, figures: &Figures) -> Result<(), StoreError> {
    for ((slot, series, bucket), cell) in &figures.0 {
        for slot in [*slot, 0] {
            sqlx::query(
                "INSERT INTO figures (slot, series, bucket, count, total) VALUES (?, ?, ?, ?, ?)
                 ON CONFLICT DO UPDATE SET count = count + excluded.count, total = total + excluded.total",
            )
            .bind(slot)
            .bind(series)
            .bind(bucket)
            .bind(column::signed(cell.count))
            .bind(cell.total)
            .execute(&mut **tx)
            .await?;
        }
    }
    Ok(())
}
