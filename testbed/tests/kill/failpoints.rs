//! A kill at every step between a request and the finality of its code, under load: nothing is lost, nothing doubled.
//!
//! The relayer is built with its failpoints and dies at each of them by itself; a short run takes each once,
//! `FAILPOINT_ROUNDS` more often.
use std::{
    collections::HashSet,
    env,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy::primitives::B256;
use testbed::{
    anvil,
    stack::{Daemon, Options, Stack},
    tools,
};

use crate::{CODE_TTL_S, Found, load::Load, serials};

/// In the order in which a request, its replacement and its revocation meet them.
const PLACES: [&str; 15] = [
    "aligned",
    "request-stored",
    "batch-claimed",
    "batch-signed",
    "batch-half-stored",
    "batch-stored",
    "batch-sent",
    "receipt-found",
    "mined-stored",
    "final-stored",
    "replacement-signed",
    "replacement-stored",
    "call-signed",
    "call-stored",
    "call-sent",
];
/// Blocks on top that make a batch final, and the age of a transaction that is replaced: below a block's second, so that both
/// are met at once under load.
const CONFIRMATIONS: &str = "2";
const REPLACE_AFTER_MS: &str = "300";
/// How long a place may take to be met under load.
const MET_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_every_step_loses_nothing_and_doubles_nothing() {
    let program = build("relayer");
    let plain = tools::daemon("relayer").unwrap();
    let rounds: u64 = env::var("FAILPOINT_ROUNDS").ok().map_or(1, |text| text.parse().unwrap());
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let folder = tempfile::tempdir().unwrap();
    let options = Options { code_ttl_s: CODE_TTL_S, ..Options::new(folder.path().to_owned()) };
    let mut stack = Stack::start(&options).await.unwrap();
    let load = Load::start(&stack.description, seed).await;
    let (mut kills, mut revoked) = (0, HashSet::new());
    for round in 1..=rounds {
        for place in PLACES {
            stack.kill(Daemon::Relayer).await.unwrap();
            // Once at its first time, later in the midst of work; a start aligns once.
            let time = if place == "aligned" { 1 } else { round };
            let replace_after = if place.starts_with("replacement") { REPLACE_AFTER_MS } else { "15000" };
            stack.restart_as(Daemon::Relayer, program.clone(), env(format!("{place}:{time}"), replace_after)).unwrap();
            if place.starts_with("call") {
                for _ in 0..time {
                    revoke_newest(&stack, folder.path(), &mut revoked).await;
                }
            }
            let died = stack.until_ended(Daemon::Relayer, MET_WITHIN).await;
            assert!(died.is_ok(), "the relayer did not die at {place}: {}", died.unwrap_err());
            kills += 1;
            stack.restart_as(Daemon::Relayer, plain.clone(), env(String::new(), "15000")).unwrap();
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

fn env(failpoint: String, replace_after_ms: &str) -> Vec<(&'static str, String)> {
    vec![
        ("OTP_FAILPOINT", failpoint),
        ("OTP_RELAYER_ISSUE_CONFIRMATIONS", CONFIRMATIONS.to_owned()),
        ("OTP_RELAYER_ISSUE_REPLACE_AFTER_MS", replace_after_ms.to_owned()),
    ]
}

/// An operator revokes the code that landed last, and asks until the relayer, which may be starting, has taken it. One that was
/// revoked before makes no call any more, so under load this waits for another one to land.
async fn revoke_newest(stack: &Stack, folder: &Path, revoked: &mut HashSet<B256>) {
    let node = anvil::connect(&stack.description.rpc_url).unwrap();
    for _ in 0..400 {
        let landed = serials(&node, &stack.description).await;
        let (newest, _) = landed.iter().max_by_key(|(_, serials)| serials.last()).unwrap();
        if !revoked.contains(newest) {
            let mut relayer = tokio::process::Command::new(tools::daemon("relayer").unwrap());
            relayer.arg("revoke").arg(newest.to_string()).arg("--config").arg(folder.join("relayer.toml"));
            if relayer.output().await.unwrap().status.success() {
                revoked.insert(*newest);
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no revocation was taken");
}

/// A daemon with its failpoints, beside the plain one.
pub(crate) fn build(daemon: &str) -> PathBuf {
    let done = Command::new(env!("CARGO"))
        // The packages that are built together anyway: alone, it would have its dependencies built with other features.
        .args(["build", "--quiet", "-p", "relayer", "-p", "indexer", "-p", "testbed"])
        .args(["--features", "relayer/failpoints,indexer/failpoints"])
        .args(["--bin", "relayer-failpoints", "--bin", "indexer-failpoints"])
        .current_dir(tools::checkout())
        .status()
        .unwrap();
    assert!(done.success(), "the daemons with failpoints do not build");
    tools::daemon(&format!("{daemon}-failpoints")).unwrap()
}
