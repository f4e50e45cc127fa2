//! The HTTP interface: issue and unlock by 1 to 64 clients, beside better-auth for the same steps.

use std::sync::Arc;

use anyhow::{Context, Result};
use serde::Serialize;
use uuid::Uuid;

use super::{
    Bench, load,
    people::{self, Person},
    rival::Rival,
    sink::Sink,
    stats::Summary,
};
use crate::{
    client::Otp,
    stack::{Daemon, Stack},
};

const CLIENTS: [usize; 4] = [1, 4, 16, 64];
/// Operations of each kind in a repeat, shared among its clients.
const OPERATIONS: usize = 1_280;
/// The rate at which the time to accept is looked at by itself, in requests per second.
const STEADY_RATE: usize = 200;
const STEADY_SECONDS: usize = 10;

/// What was measured with one number of clients.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    system: &'static str,
    clients: usize,
    issue: Summary,
    unlock: Summary,
}

/// The whole measurement.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Interface {
    rows: Vec<Row>,
    steady: Summary,
}

struct Repeats {
    issue: Vec<Summary>,
    unlock: Vec<Summary>,
}

const SYSTEMS: [&str; 3] = ["this relayer", "better-auth, FULL", "better-auth, NORMAL"];

pub(super) async fn run(bench: &Bench) -> Result<Interface> {
    let most = CLIENTS.into_iter().max().unwrap_or(1);
    let sink = Sink::start().await?;
    let mut stack = Stack::start(&bench.options("interface", Some(sink.port))?).await?;
    bench.tell(&format!("{most} people sign in and confirm an address"));
    let people = people::enter(&stack.description, &sink, most).await?;
    let mut rows = Vec::new();
    for clients in CLIENTS {
        let mut measured = SYSTEMS.map(|_| Repeats { issue: Vec::new(), unlock: Vec::new() });
        for repeat in 1..=bench.repeats {
            bench.tell(&format!("{clients} clients, repeat {repeat} of {}", bench.repeats));
            let [ours, full, normal] = &mut measured;
            ours.add(relayer(bench, &mut stack, &sink, &people, clients).await?);
            full.add(rival(bench, "FULL", clients).await?);
            normal.add(rival(bench, "NORMAL", clients).await?);
        }
        rows.extend(SYSTEMS.into_iter().zip(measured).map(|(system, repeats)| Row {
            system,
            clients,
            issue: Summary::median(&repeats.issue),
            unlock: Summary::median(&repeats.unlock),
        }));
    }
    bench.tell(&format!("{STEADY_RATE} requests a second for {STEADY_SECONDS} s"));
    bench.settle_disk().await?;
    let steady = steady(&people).await?;
    stack.stop().await?;
    Ok(Interface { rows, steady })
}

impl Repeats {
    fn add(&mut self, (issue, unlock): (Summary, Summary)) {
        self.issue.push(issue);
        self.unlock.push(unlock);
    }
}

/// The indexer stands still while requests are accepted: what it does, the other side does not do at all. It then sends
/// the mail, which the digits are read from; the pipeline's figures have what that takes.
async fn relayer(
    bench: &Bench,
    stack: &mut Stack,
    sink: &Sink,
    people: &Arc<[Person]>,
    clients: usize,
) -> Result<(Summary, Summary)> {
    stack.stop_daemon(Daemon::Indexer).await?;
    bench.settle_disk().await?;
    let asking = Arc::clone(people);
    let issued = load::closed(clients, OPERATIONS / clients, move |client, _| {
        let person = asking.get(client).cloned();
        async move { Ok((client, ask(person).await?)) }
    })
    .await?;
    let issue = Summary::of(issued.latencies(), issued.elapsed);
    stack.restart(Daemon::Indexer).await?;
    let mut codes: Vec<Vec<(Uuid, String)>> = vec![Vec::new(); clients];
    for (client, otp) in issued.values() {
        let digits = people::mailed(sink, &otp.reference).await?;
        if let Some(codes) = codes.get_mut(client) {
            codes.push((otp.id, digits));
        }
    }
    bench.settle_disk().await?;
    let (unlocking, codes) = (Arc::clone(people), Arc::new(codes));
    let unlocked = load::closed(clients, OPERATIONS / clients, move |client, turn| {
        let (person, codes) = (unlocking.get(client).cloned(), Arc::clone(&codes));
        async move {
            let code = codes.get(client).and_then(|codes| codes.get(turn));
            let (person, (id, digits)) = person.zip(code).context("no code for this turn")?;
            Ok(person.client.unlock(*id, digits).await.map(drop)?)
        }
    })
    .await?;
    Ok((issue, Summary::of(unlocked.latencies(), unlocked.elapsed)))
}

async fn ask(person: Option<Person>) -> Result<Otp> {
    person.context("more clients than people")?.ask().await
}

async fn rival(bench: &Bench, synchronous: &str, clients: usize) -> Result<(Summary, Summary)> {
    let folder = bench.scratch("better-auth")?;
    // One code per user can be open there, so each operation has a user of its own.
    let rival = Arc::new(Rival::start(&folder.join("better-auth.db"), synchronous, OPERATIONS).await?);
    let turns = OPERATIONS / clients;
    bench.settle_disk().await?;
    let issuing = Arc::clone(&rival);
    let issued = load::closed(clients, turns, move |client, turn| {
        let rival = Arc::clone(&issuing);
        async move { rival.issue(client * turns + turn).await }
    })
    .await?;
    let mut digits = Vec::with_capacity(OPERATIONS);
    for user in 0..clients * turns {
        digits.push(rival.digits(user).await?);
    }
    bench.settle_disk().await?;
    let (verifying, digits) = (rival, Arc::new(digits));
    let verified = load::closed(clients, turns, move |client, turn| {
        let (rival, digits) = (Arc::clone(&verifying), Arc::clone(&digits));
        async move {
            let user = client * turns + turn;
            rival.verify(user, digits.get(user).map(String::as_str).unwrap_or_default()).await
        }
    })
    .await?;
    Ok((Summary::of(issued.latencies(), issued.elapsed), Summary::of(verified.latencies(), verified.elapsed)))
}

/// The time to accept where requests come evenly: every part runs, the mail goes out meanwhile.
async fn steady(people: &Arc<[Person]>) -> Result<Summary> {
    let asking = Arc::clone(people);
    let accepted = load::open(STEADY_RATE, STEADY_SECONDS, move |number| {
        let person = asking.get(number % asking.len()).cloned();
        async move { ask(person).await.map(drop) }
    })
    .await?;
    Ok(Summary::of(accepted.latencies(), accepted.elapsed))
}

impl Interface {
    /// The tables.
    pub(super) fn print(&self, bench: &Bench) {
        bench.heading("HTTP interface: medians of interleaved repeats; ms, operations per second");
        bench.row(&["system", "clients", "issue/s", "p50", "p95", "p99", "unlock/s", "p50", "p95", "p99"]);
        for row in &self.rows {
            let mut cells = vec![row.system.to_owned(), row.clients.to_string()];
            for summary in [&row.issue, &row.unlock] {
                cells.push(format!("{:.0}", summary.per_second));
                cells.extend([summary.p50_ms, summary.p95_ms, summary.p99_ms].map(|ms| format!("{ms:.1}")));
            }
            bench.row(&cells);
        }
        for other in &SYSTEMS[1..] {
            self.ratios(bench, other);
        }
        let Summary { p50_ms, p95_ms, p99_ms, .. } = self.steady;
        bench.tell(&format!("issue at {STEADY_RATE}/s: p50 {p50_ms:.1}, p95 {p95_ms:.1}, p99 {p99_ms:.1} ms"));
    }

    fn ratios(&self, bench: &Bench, other: &str) {
        let find = |system: &str| self.rows.iter().find(|row| row.system == system && row.clients == 16);
        let Some((ours, theirs)) = find(SYSTEMS[0]).zip(find(other)) else { return };
        let ratio = |f: fn(&Row) -> f64| f(ours) / f(theirs);
        bench.tell(&format!(
            "at 16 clients beside {other}: issue {:.1} × the throughput at {:.2} of the p95, unlock {:.1} × at {:.2}",
            ratio(|row| row.issue.per_second),
            ratio(|row| row.issue.p95_ms),
            ratio(|row| row.unlock.per_second),
            ratio(|row| row.unlock.p95_ms),
        ));
    }
}
