//! Everything that fails, at random and together: nodes, reorgs, restarts, the database and the mail server. In the end the
//! store and the mailbox are compared with the chain.
//!
//! A run is drawn from a seed. `SIM_SEED=n` repeats one as far as the machine's timing allows; `SIM_SEEDS=n` runs so many,
//! beginning with one from the clock.

mod database;
mod ledger;
mod nodes;
mod run;

use std::{
    env,
    pin::pin,
    time::{SystemTime, UNIX_EPOCH},
};

use futures_util::{StreamExt, stream};

use self::run::{Counts, simulate};

/// The seeds of a short run: always the same, so that a failure is the change's.
const SHORT: std::ops::Range<u64> = 1..9;
/// Each has a chain of its own, which is a process. Most of a run is waiting: for a node that was put aside, or a mail that
/// is tried again.
const AT_ONCE: usize = 6;
/// How often a long run says how far it is.
const TOLD_AFTER: u64 = 50;

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match (number("SIM_SEED"), number("SIM_SEEDS")) {
        (Some(seed), count) => seed..seed + count.unwrap_or(1),
        (None, Some(count)) => {
            let first = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            first..first + count
        }
        (None, None) => SHORT,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_together_the_store_and_the_mailbox_end_as_the_chain_says() {
    let seeds = seeds();
    println!("seeds {seeds:?}");
    let runs = stream::iter(seeds).map(|seed| async move { (seed, tokio::spawn(simulate(seed)).await) });
    let mut runs = pin!(runs.buffer_unordered(AT_ONCE));
    let (mut all, mut good, mut failed) = (Counts::default(), 0, Vec::new());
    while let Some((seed, outcome)) = runs.next().await {
        match outcome {
            Ok(counts) => {
                (all, good) = (all.and(counts), good + 1);
                if good % TOLD_AFTER == 0 {
                    println!("{}", told(good, &all));
                }
            }
            Err(error) => {
                println!("SIM_SEED={seed} failed: {error}");
                failed.push(format!("SIM_SEED={seed}"));
            }
        }
    }
    println!("{}", told(good, &all));
    assert!(failed.is_empty(), "these repeat what failed: {}", failed.join(", "));
    assert!(all.faults.all_happened(), "a kind of fault never happened: {:?}", all.faults);
}

fn told(good: u64, all: &Counts) -> String {
    format!(
        "{good} runs: events on chain {0} = events in store {0}, codes on chain {1} = messages by Message-ID {1}, lost 0, \
         doubled 0, repeats {2}; {3:?}",
        all.events, all.codes, all.repeats, all.faults,
    )
}
