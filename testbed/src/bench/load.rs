//! Load: so many clients in a circle, or so many operations a second whatever the answers take.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

/// More operations than this are never open at once: a system that falls so far behind has failed.
const MOST_OPEN: usize = 100_000;

/// What each operation took and brought, and the time from the first start to the last end.
pub(super) struct Measured<T> {
    pub(super) results: Vec<(Duration, T)>,
    pub(super) elapsed: Duration,
}

impl<T> Measured<T> {
    pub(super) fn latencies(&self) -> Vec<Duration> {
        self.results.iter().map(|(latency, _)| *latency).collect()
    }

    pub(super) fn values(self) -> Vec<T> {
        self.results.into_iter().map(|(_, value)| value).collect()
    }
}

/// Each client runs `operation(client, turn)` again as soon as it has its answer, for `turns` turns.
pub(super) async fn closed<T, F>(
    clients: usize,
    turns: usize,
    operation: impl Fn(usize, usize) -> F + Send + Sync + 'static,
) -> Result<Measured<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send,
{
    let operation = Arc::new(operation);
    let started = Instant::now();
    let mut running = JoinSet::new();
    for client in 0..clients {
        let operation = Arc::clone(&operation);
        running.spawn(async move {
            let mut results = Vec::with_capacity(turns);
            for turn in 0..turns {
                let begun = Instant::now();
                let value = operation(client, turn).await?;
                results.push((begun.elapsed(), value));
            }
            anyhow::Ok(results)
        });
    }
    let mut results = Vec::with_capacity(clients * turns);
    while let Some(client) = running.join_next().await {
        results.extend(client??);
    }
    Ok(Measured { results, elapsed: started.elapsed() })
}

/// Starts `operation(number)` `rate` times a second for `seconds`. A latency counts from when the operation was due, so
/// that a system which stands still does not look fast.
pub(super) async fn open<T, F>(
    rate: usize,
    seconds: usize,
    operation: impl Fn(usize) -> F + Send + Sync + 'static,
) -> Result<Measured<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let (started, total) = (Instant::now(), rate * seconds);
    let due = |number: usize| started + Duration::from_secs_f64(number as f64 / rate as f64);
    let mut running = JoinSet::new();
    let mut results = Vec::with_capacity(total);
    let mut clock = interval(Duration::from_millis(1));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut number = 0;
    while number < total {
        clock.tick().await;
        while number < total && due(number) <= Instant::now() {
            let (work, due) = (operation(number), due(number));
            running.spawn(async move { (work.await, due.elapsed()) });
            number += 1;
        }
        while let Some(done) = running.try_join_next() {
            let (value, latency) = done?;
            results.push((latency, value?));
        }
        ensure!(running.len() < MOST_OPEN, "{MOST_OPEN} operations are open: {rate} a second are too many");
    }
    while let Some(done) = running.join_next().await {
        let (value, latency) = done?;
        results.push((latency, value?));
    }
    Ok(Measured { results, elapsed: started.elapsed() })
}
