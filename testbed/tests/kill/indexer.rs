//! A kill of the indexer at every step between a block and the evidence of what it brought, under load: nothing is lost,
//! nothing doubled, and no message goes out again without a kill.
//!
//! As the relayer's test: a short run takes each place once, `FAILPOINT_ROUNDS` more often.
use std::{
    env,
    path::Path,
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy::providers::Provider;
use otp_core::evidence::SigningKey;
use serde_json::{Value, json};
use testbed::{
    anvil,
    stack::{Daemon, Options, Stack},
    tools,
};
use tokio::time::sleep;

use crate::{Found, failpoints::build, load::Load};

/// In the order in which a block, its messages, its finality and its evidence meet them.
const PLACES: [&str; 16] = [
    "half-rewound",
    "rewound",
    "block-read",
    "half-applied",
    "block-applied",
    "message-claimed",
    "message-sent",
    "message-settled",
    "final-read",
    "half-final",
    "final-stored",
    "half-logged",
    "entries-logged",
    "entries-signed",
    "entries-exported",
    "head-exported",
];
/// Blocks that anvil counts as not final yet, and some.
const UNTIL_FINAL: u64 = 70;
/// How long a place may take to be met under load.
const MET_WITHIN: Duration = Duration::from_secs(60);
/// The longest that the contract allows: chain time runs ahead by every block that is mined at once.
const CODE_TTL_S: u32 = 600;

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_of_the_indexer_at_every_step_loses_nothing_and_doubles_nothing() {
    let program = build("indexer");
    let plain = tools::daemon("indexer").unwrap();
    let rounds: u64 = env::var("FAILPOINT_ROUNDS").ok().map_or(1, |text| text.parse().unwrap());
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let folder = tempfile::tempdir().unwrap();
    let options = Options { code_ttl_s: CODE_TTL_S, ..Options::new(folder.path().to_owned()) };
    let mut stack = Stack::start(&options).await.unwrap();
    let load = Load::start(&stack.description, seed).await;
    let mut kills = 0;
    for round in 1..=rounds {
        for place in PLACES {
            stack.kill(Daemon::Indexer).await.unwrap();
            // Once at its first time, later in the midst of work; one reorg is met once.
            let time = if place.ends_with("rewound") { 1 } else { round };
            let env = vec![("OTP_FAILPOINT", format!("{place}:{time}"))];
            stack.restart_as(Daemon::Indexer, program.clone(), env).unwrap();
            lead_to(place, &stack).await;
            let died = stack.until_ended(Daemon::Indexer, MET_WITHIN).await;
            assert!(died.is_ok(), "the indexer did not die at {place}: {}", died.unwrap_err());
            kills += 1;
            stack.restart_as(Daemon::Indexer, plain.clone(), vec![("OTP_FAILPOINT", String::new())]).unwrap();
            sleep(Duration::from_secs(2)).await;
        }
    }
    let asked = load.finish().await;
    let told = asked.iter().filter(|one| one.otp.status == "failed").count();
    assert_eq!(told, 0, "a kill let a request fail");
    let found = Found::new(&stack.description).await;
    println!(
        "kills {kills}, codes on chain {} = messages by Message-ID {}, lost 0, doubled 0, repeats {}",
        found.serials.len(),
        found.mails.len(),
        found.repeats(),
    );
    found.check(&stack.description, &asked, kills);
    check_store_and_evidence(&stack, folder.path()).await;
    stack.stop().await.unwrap();
}

/// What has to happen on the chain for a place to be met; load alone leads to the others.
async fn lead_to(place: &str, stack: &Stack) {
    let node = anvil::connect(&stack.description.rpc_url).unwrap();
    let ask = |method: &'static str, params: Value| {
        let node = node.clone();
        async move { node.raw_request::<_, Value>(method.into(), params).await.unwrap() }
    };
    match place {
        "half-rewound" | "rewound" => {
            // Once the new process stands on the tip; a reorg while it is down would be met just as well.
            sleep(Duration::from_secs(3)).await;
            ask("anvil_reorg", json!([2, []])).await;
        }
        "block-read" | "half-applied" | "block-applied" | "message-claimed" | "message-sent" | "message-settled" => {}
        _ => drop(ask("anvil_mine", json!([format!("{UNTIL_FINAL:#x}")])).await),
    }
}

/// The daemon's own commands find nothing: every event is stored, and every final step is in the signed log.
async fn check_store_and_evidence(stack: &Stack, folder: &Path) {
    let node = anvil::connect(&stack.description.rpc_url).unwrap();
    let mined: Value = node.raw_request("anvil_mine".into(), json!([format!("{UNTIL_FINAL:#x}")])).await.unwrap();
    assert!(mined.is_null());
    let program = tools::daemon("indexer").unwrap();
    let run = |arguments: Vec<String>| {
        let output = Command::new(&program).args(&arguments).output().unwrap();
        let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (output.status.success(), told)
    };
    let config = folder.join("indexer.toml").display().to_string();
    let verify = vec!["verify".to_owned(), "--config".to_owned(), config];
    let key = SigningKey::read(&folder.join("data/evidence.key")).unwrap().unwrap().public_key().to_string();
    let directory = folder.join("data/evidence").display().to_string();
    let rpc_url = stack.description.rpc_url.to_string();
    let audit = ["audit", "--directory", &directory, "--public-key", &key, "--rpc-url", &rpc_url, "--lag-seconds", "0"]
        .map(str::to_owned)
        .to_vec();
    for command in [verify, audit] {
        let mut told = String::new();
        // The log is written behind the final mark, which follows the chain.
        for _ in 0..60 {
            let (good, said) = run(command.clone());
            if good {
                told.clear();
                break;
            }
            told = said;
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(told, "", "{command:?}");
    }
}
