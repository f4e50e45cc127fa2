//! Token buckets. Writer: the relayer.
//!
//! A bucket is one number, the time at which it will be full again: what is in it now follows by arithmetic, and a row
//! whose time has come says no more than no row. Several buckets are taken from together or not at all, in the
//! transaction of what they limit.

use std::collections::{BTreeSet, HashMap};

use sqlx::SqliteConnection;

use super::{Store, StoreError, column::json};
use crate::clock::now_us;

/// Of the buckets in the JSON array ?1, each `[scope, key]`, the place in it and the row's time, where there is a row.
const STORED: &str = "
    SELECT asked.key, b.full_at_us FROM json_each(?1) asked
    CROSS JOIN buckets b ON b.scope = asked.value ->> 0 AND b.key = unhex(asked.value ->> 1)";
/// The same with each row's new time.
const KEEP: &str = "
    INSERT INTO buckets (scope, key, full_at_us) SELECT value ->> 0, unhex(value ->> 1), value ->> 2 FROM json_each(?1)
    WHERE true ON CONFLICT DO UPDATE SET full_at_us = excluded.full_at_us";

/// A token to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Take {
    /// Which limit: its name in headers and metrics.
    pub scope: &'static str,
    /// A keyed hash of whom it limits.
    pub key: [u8; 16],
    /// Tokens in a full bucket; at least one.
    pub capacity: u32,
    /// The time in which one token comes back, in microseconds; at least one.
    pub interval_us: i64,
}

/// What a bucket holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Which limit.
    pub scope: &'static str,
    /// Whole tokens left.
    pub remaining: u32,
    /// Until it is full, in seconds.
    pub full_in_s: u64,
}

/// What became of a taking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// One token of each.
    All(Vec<Level>),
    /// Nothing, since one of them is empty.
    Refused {
        /// The limit that makes wait longest.
        scope: &'static str,
        /// When it has a token again, in seconds.
        retry_after_s: u64,
        /// What they hold.
        levels: Vec<Level>,
    },
}

impl Take {
    fn burst_us(&self) -> i64 {
        i64::from(self.capacity).saturating_mul(self.interval_us)
    }

    /// When the bucket is full, never later than an empty one takes: a clock that was set back costs one filling at most.
    fn full_at_us(&self, stored_us: Option<i64>, now_us: i64) -> i64 {
        stored_us.unwrap_or(now_us).clamp(now_us, now_us.saturating_add(self.burst_us()))
    }

    fn level(&self, full_at_us: i64, now_us: i64) -> Level {
        let missing_us = full_at_us.saturating_sub(now_us);
        let left = self.burst_us().saturating_sub(missing_us) / self.interval_us.max(1);
        Level { scope: self.scope, remaining: u32::try_from(left).unwrap_or_default(), full_in_s: seconds(missing_us) }
    }

    /// Until there is a token, in microseconds; nothing or less when there is one.
    fn wait_us(&self, full_at_us: i64, now_us: i64) -> i64 {
        full_at_us.saturating_add(self.interval_us).saturating_sub(now_us).saturating_sub(self.burst_us())
    }
}

impl Store {
    /// Takes one token of each bucket, or none; committed when this returns.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn take(&self, takes: Vec<Take>) -> Result<Taken, StoreError> {
        self.takes.run(takes).await
    }

    /// Forgets buckets that are full, and of the others all but `most`, those first that are full soonest. Returns how
    /// many were forgotten before their time.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn prune_buckets(&self, most: u32) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM buckets WHERE full_at_us <= ?").bind(now_us()).execute(&mut *tx).await?;
        let held: i64 = sqlx::query_scalar("SELECT count(*) FROM buckets").fetch_one(&mut *tx).await?;
        let surplus = held.saturating_sub(i64::from(most));
        if surplus > 0 {
            sqlx::query(
                "DELETE FROM buckets WHERE (scope, key) IN (SELECT scope, key FROM buckets ORDER BY full_at_us LIMIT ?)",
            )
            .bind(surplus)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(u64::try_from(surplus).unwrap_or_default())
    }
}

/// Takes one token of each bucket, or none. What a refusal keeps is nothing but the end of a time that lay too far ahead.
pub(super) async fn take(write: &mut SqliteConnection, takes: &[Take]) -> Result<Taken, StoreError> {
    let mut buckets = Buckets::read(write, takes).await?;
    let taken = buckets.take(takes, now_us());
    buckets.write(write).await?;
    Ok(taken)
}

/// The same for several, one after another.
pub(super) async fn take_all(write: &mut SqliteConnection, all: &[Vec<Take>]) -> Result<Vec<Taken>, StoreError> {
    let mut buckets = Buckets::read(write, all.iter().flatten()).await?;
    let now_us = now_us();
    let taken = all.iter().map(|takes| buckets.take(takes, now_us)).collect();
    buckets.write(write).await?;
    Ok(taken)
}

/// The buckets that a transaction takes from: read once, and written once after the last was taken.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    full_at_us: HashMap<(&'static str, [u8; 16]), i64>,
    changed: BTreeSet<(&'static str, [u8; 16])>,
}

impl Buckets {
    /// Reads the rows that there are.
    pub(super) async fn read<'t>(
        write: &mut SqliteConnection,
        takes: impl IntoIterator<Item = &'t Take>,
    ) -> Result<Self, StoreError> {
        let keys: BTreeSet<_> = takes.into_iter().map(|take| (take.scope, take.key)).collect();
        if keys.is_empty() {
            return Ok(Self::default());
        }
        let keys: Vec<_> = keys.into_iter().collect();
        let asked: Vec<_> = keys.iter().map(|(scope, key)| (scope, hex::encode(key))).collect();
        let rows: Vec<(i64, i64)> = sqlx::query_as(STORED).bind(json(&asked)?).fetch_all(write).await?;
        let of = |(n, full_at_us)| Some((*keys.get(usize::try_from(n).ok()?)?, full_at_us));
        Ok(Self { full_at_us: rows.into_iter().filter_map(of).collect(), changed: BTreeSet::new() })
    }

    /// One token of each, or none.
    pub(super) fn take(&mut self, takes: &[Take], now_us: i64) -> Taken {
        let stored = |take: &Take| self.full_at_us.get(&(take.scope, take.key)).copied();
        let full_at: Vec<_> = takes.iter().map(|take| take.full_at_us(stored(take), now_us)).collect();
        let waits = takes.iter().zip(&full_at).map(|(take, full_at_us)| (take.wait_us(*full_at_us, now_us), take));
        // Of equal waits the first one is told.
        let longest = waits.filter(|(wait_us, _)| *wait_us > 0).rev().max_by_key(|(wait_us, _)| *wait_us);
        let mut levels = Vec::with_capacity(takes.len());
        for (take, full_at_us) in takes.iter().zip(full_at) {
            let taken_us = if longest.is_none() { take.interval_us } else { 0 };
            let full_at_us = full_at_us.saturating_add(taken_us);
            levels.push(take.level(full_at_us, now_us));
            let key = (take.scope, take.key);
            // An end that lay too far ahead is kept nearer also where nothing is taken.
            if longest.is_none() || self.full_at_us.get(&key).is_some_and(|stored| *stored > full_at_us) {
                self.full_at_us.insert(key, full_at_us);
                self.changed.insert(key);
            }
        }
        match longest {
            None => Taken::All(levels),
            Some((wait_us, take)) => {
                Taken::Refused { scope: take.scope, retry_after_s: seconds(wait_us).max(1), levels }
            }
        }
    }

    /// Writes what changed.
    pub(super) async fn write(self, write: &mut SqliteConnection) -> Result<(), StoreError> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let rows = self.changed.iter().map(|key| (key.0, hex::encode(key.1), self.full_at_us.get(key)));
        sqlx::query(KEEP).bind(json(&rows.collect::<Vec<_>>())?).execute(write).await?;
        Ok(())
    }
}

/// Whole seconds, rounded up.
fn seconds(us: i64) -> u64 {
    u64::try_from(us).unwrap_or_default().div_ceil(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn bucket(scope: &'static str, capacity: u32, interval_us: i64) -> Take {
        Take { scope, key: [7; 16], capacity, interval_us }
    }

    async fn store(folder: &tempfile::TempDir) -> Store {
        Store::open(&folder.path().join("otp.db")).await.unwrap()
    }

    async fn rows(store: &Store) -> Vec<(String, i64)> {
        sqlx::query_as("SELECT scope, full_at_us FROM buckets ORDER BY scope").fetch_all(&store.readers).await.unwrap()
    }

    async fn set(store: &Store, full_at_us: i64) {
        sqlx::query("UPDATE buckets SET full_at_us = ?").bind(full_at_us).execute(store.writer.pool()).await.unwrap();
    }

    #[tokio::test]
    async fn a_bucket_gives_its_tokens_and_then_one_per_interval_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let three = vec![bucket("account", 3, 100 * SECOND)];
        {
            let store = store(&folder).await;
            for left in [2, 1, 0] {
                let Taken::All(levels) = store.take(three.clone()).await.unwrap() else { panic!("refused early") };
                assert_eq!(levels[0].remaining, left);
            }
            store.close().await;
        }
        let store = store(&folder).await;
        let Taken::Refused { scope, retry_after_s, levels } = store.take(three.clone()).await.unwrap() else {
            panic!("a restart filled the bucket")
        };
        assert_eq!((scope, levels[0].remaining), ("account", 0));
        assert!((99..=100).contains(&retry_after_s), "{retry_after_s}");
        assert!((299..=300).contains(&levels[0].full_in_s), "{levels:?}");

        set(&store, now_us() + 200 * SECOND).await;
        assert!(matches!(store.take(three.clone()).await.unwrap(), Taken::All(_)), "an interval has passed");
        assert!(matches!(store.take(three).await.unwrap(), Taken::Refused { .. }));
    }

    #[tokio::test]
    async fn of_several_buckets_a_refusal_takes_from_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let both = vec![bucket("ip", 5, SECOND * 60), bucket("account", 1, SECOND * 60)];
        assert!(matches!(store.take(both.clone()).await.unwrap(), Taken::All(_)));
        let before = rows(&store).await;
        for _ in 0..10 {
            let refused = store.take(both.clone()).await.unwrap();
            assert!(matches!(refused, Taken::Refused { scope: "account", .. }), "{refused:?}");
        }
        assert_eq!(rows(&store).await, before);
    }

    #[tokio::test]
    async fn a_hundred_at_once_get_no_more_than_the_bucket_holds() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let calls = (0..100).map(|_| store.take(vec![bucket("account", 7, SECOND * 3_600)]));
        let taken = futures_util::future::join_all(calls).await;
        let passed = taken.into_iter().filter(|taken| matches!(taken, Ok(Taken::All(_)))).count();
        assert_eq!(passed, 7);
    }

    #[tokio::test]
    async fn a_clock_that_was_set_back_costs_one_filling_and_gives_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let one = vec![bucket("account", 2, SECOND / 4)];
        store.take(one.clone()).await.unwrap();
        // As it stands after the clock went back by a day.
        set(&store, now_us() + 86_400 * SECOND).await;
        let refused = store.take(one.clone()).await.unwrap();
        assert!(matches!(refused, Taken::Refused { retry_after_s: 1, .. }), "{refused:?}");
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert!(matches!(store.take(one).await.unwrap(), Taken::All(_)), "it fills from now on");
    }

    #[tokio::test]
    async fn full_buckets_are_forgotten_and_the_rest_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        for n in 0..20u8 {
            let take = Take { key: [n; 16], ..bucket("ip", 100, SECOND * i64::from(n) + 1) };
            store.take(vec![take]).await.unwrap();
        }
        assert_eq!(store.prune_buckets(5).await.unwrap(), 14, "the one that was full by now is not counted");
        let left = rows(&store).await;
        assert_eq!(left.len(), 5);
        assert!(left.iter().all(|(_, full_at_us)| *full_at_us > now_us() + 14 * SECOND), "the emptiest stay");
    }
}
