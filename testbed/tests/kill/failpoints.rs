//! A kill at every step between a request and the finality of its code, under load: nothing is lost, nothing doubled.
//!
//! The relayer is built with its failpoints and dies at each of them by itself; a short run takes each once,
//! `FAILPOINT_ROUNDS` more often.
use std::{
    env,
    path::PathBuf,
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use testbed::{
    stack::{Daemon, Options, Stack},
    tools,
};

use crate::{CODE_TTL_S, Found, load::Load};

/// In the order in which a request meets them.
const PLACES: [&str; 9] = [
    "aligned",
    "request-stored",
    "batch-claimed",
    "batch-signed",
    "batch-half-stored",
    "batch-stored",
    "batch-sent",
    "receipt-found",
    "mined-stored",
];
/// How long a place may take to be met under load.
const MET_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_every_step_loses_nothing_and_doubles_nothing() {
    let program = build();
    let plain = tools::daemon("relayer").unwrap();
    let rounds: u64 = env::var("FAILPOINT_ROUNDS").ok().map_or(1, |text| text.parse().unwrap());
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let folder = tempfile::tempdir().unwrap();
    let options = Options { code_ttl_s: CODE_TTL_S, ..Options::new(folder.path().to_owned()) };
    let mut stack = Stack::start(&options).await.unwrap();
    let load = Load::start(&stack.description, seed).await;
    let mut kills = 0;
    for round in 1..=rounds {
        for place in PLACES {
            stack.kill(Daemon::Relayer).await.unwrap();
            // Once at its first time, later in the midst of work; a start aligns once.
            let time = if place == "aligned" { 1 } else { round };
            let env = vec![("OTP_FAILPOINT", format!("{place}:{time}"))];
            stack.restart_as(Daemon::Relayer, program.clone(), env).unwrap();
            let died = stack.until_ended(Daemon::Relayer, MET_WITHIN).await;
            assert!(died.is_ok(), "the relayer did not die at {place}: {}", died.unwrap_err());
            kills += 1;
            stack.restart_as(Daemon::Relayer, plain.clone(), vec![("OTP_FAILPOINT", String::new())]).unwrap();
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }
    let asked = load.finish().await;
    let told = asked.iter().filter(|one| one.otp.status == "failed").count();
    let found = Found::new(&stack.description).await;
    let mined = found.serials.len();
    println!(
        "kills {kills}, accepted {}, mined {mined}, told failed {told}, lost {}, doubled {}",
        asked.len(),
        asked.len().saturating_sub(mined + told),
        found.serials.values().map(|serials| serials.len() - 1).sum::<usize>(),
    );
    assert_eq!(told, 0, "a kill let a request fail");
    found.check_chain(&asked);
    stack.stop().await.unwrap();
}

/// The relayer with its failpoints, beside the plain one.
fn build() -> PathBuf {
    let done = Command::new(env!("CARGO"))
        // The packages that are built together anyway: alone, it would have its dependencies built with other features.
        .args(["build", "--quiet", "-p", "relayer", "-p", "indexer", "-p", "testbed"])
        .args(["--features", "relayer/failpoints", "--bin", "relayer-failpoints"])
        .current_dir(tools::checkout())
        .status()
        .unwrap();
    assert!(done.success(), "the relayer with failpoints does not build");
    tools::daemon("relayer-failpoints").unwrap()
}
