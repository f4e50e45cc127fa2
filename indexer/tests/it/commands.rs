//! The commands that read the chain again, as an operator meets them: the real program, its answers and exit codes.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use alloy::primitives::{B256, keccak256};
use otp_core::store::Cursor;
use serde_json::Value;

use crate::harness::{Mailbox, Process, World, eventually, follow, work_off};

const PROGRAM: &str = env!("CARGO_BIN_EXE_indexer");

/// An indexer's configuration on a world.
struct Site {
    config: PathBuf,
}

impl Site {
    fn on(world: &World, smtp_port: u16) -> Self {
        let config = world.folder.path().join("indexer.toml");
        std::fs::write(&config, world.config_text(&world.chain.url, smtp_port)).unwrap();
        Self { config }
    }

    /// The same chain, and a database that is not there yet.
    fn with_another_database(world: &World, name: &str) -> Self {
        let config = world.folder.path().join(format!("{name}.toml"));
        let text = world.config_text(&world.chain.url, 1).replace("/otp.db'", &format!("/{name}.db'"));
        std::fs::write(&config, text).unwrap();
        Self { config }
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(PROGRAM);
        command.arg(arguments[0]).arg("--config").arg(&self.config).args(&arguments[1..]).stdin(Stdio::null());
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// The exit code, standard output, and standard error.
    async fn text(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = self.run(arguments).await;
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// The exit code and the answer, of which nothing else is on standard output.
    async fn json(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let (code, out, error) = self.text(&[arguments, &["--json"]].concat()).await;
        (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{arguments:?}: {out} {error}")))
    }

    async fn export(&self) -> String {
        let (code, out, error) = self.text(&["export"]).await;
        assert_eq!(code, Some(0), "{error}");
        out
    }

    fn start(&self) -> Process {
        Process(
            Command::new(PROGRAM).arg("run").arg("--config").arg(&self.config).stderr(Stdio::null()).spawn().unwrap(),
        )
    }
}

/// What a careless hand or a damaged disk does: the tests' only way around the store.
fn by_hand(world: &World, sql: &str) {
    let script = "import sqlite3, sys\nd = sqlite3.connect(sys.argv[1])\nd.executescript(sys.argv[2])";
    let database: &Path = &world.folder.path().join("otp.db");
    assert!(Command::new("python3").args(["-c", script]).arg(database).arg(sql).status().unwrap().success());
}

fn ids(seed: u64, count: u64) -> Vec<B256> {
    (0..count).map(|n| keccak256(format!("{seed}/{n}"))).collect()
}

/// A chain with codes in several blocks, of ours and of a stranger's, and empty blocks between.
async fn a_chain_with_events(world: &World) {
    for turn in 0..4_u64 {
        world.chain.set_otps(world.chain.issuer, 1_000 + turn * 10, &ids(turn, 3)).await;
        world.chain.mine(turn * 40).await;
        world.chain.set_otps(world.chain.stranger, 1_000 + turn * 10, &ids(turn, 2)).await;
    }
    world.chain.mine(2).await;
}

async fn cursor(world: &World) -> Cursor {
    world.store.cursor(&world.chain.deployment).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_database_that_is_as_the_chain_verifies_and_each_difference_is_named_with_its_place() {
    let world = World::new().await;
    a_chain_with_events(&world).await;
    follow(&mut world.tail(&world.chain.url)).await;
    let site = Site::on(&world, 1);
    let (code, answer) = site.json(&["verify"]).await;
    assert_eq!(
        (code, answer["equal"].as_bool(), answer["events"].as_u64()),
        (Some(0), Some(true), Some(35)),
        "{answer}"
    );
    assert_eq!(answer["to"], cursor(&world).await.number);

    let events = world.store.events(&otp_core::store::EventFilter::default(), 100).await.unwrap();
    let [gone, changed] = [events[9].place, events[15].place];
    by_hand(
        &world,
        &format!(
            "DELETE FROM events WHERE block_number = {} AND log_index = {};
             UPDATE events SET serial = 77 WHERE block_number = {} AND log_index = {};
             INSERT INTO blocks SELECT randomblob(32), number, parent_hash, timestamp, 1 FROM blocks WHERE number = {2};
             INSERT INTO events SELECT randomblob(32), log_index, block_number + 1000, timestamp, tx_hash, 1, kind,
             on_chain_id, root, issuer, purpose, serial, first, size, expiry, subject, action, party
             FROM events WHERE block_number = {2} AND log_index = {3};",
            gone.block_number, gone.log_index, changed.block_number, changed.log_index
        ),
    );
    let (code, answer) = site.json(&["verify", "--rpc-url", &world.chain.url]).await;
    assert_eq!((code, answer["equal"].as_bool()), (Some(3), Some(false)));
    let named: Vec<_> = answer["differences"].as_array().unwrap().iter().collect();
    let of = |how: &str, what: &str| {
        let found = named.iter().find(|one| one["difference"] == how && one["type"] == what);
        (*found.unwrap_or_else(|| panic!("no {how} {what} in {answer}"))).clone()
    };
    assert_eq!(named.len(), 4, "{answer}");
    let missing = of("missing", "otp-set");
    assert_eq!(
        (missing["blockNumber"].as_u64(), missing["logIndex"].as_u64()),
        (Some(gone.block_number), Some(gone.log_index))
    );
    assert_eq!(of("differing", "otp-set")["stored"]["serial"], 77);
    assert_eq!(of("surplus", "block")["blockNumber"], changed.block_number);
    assert_eq!(of("surplus", "otp-set")["blockNumber"], changed.block_number + 1000);
    let (code, text, _) = site.text(&["verify"]).await;
    assert_eq!(code, Some(3));
    assert!(text.contains("serial is stored as 77") && text.contains("4 differences"), "{text}");

    let below = (gone.block_number - 1).to_string();
    assert_eq!(site.json(&["verify", "--to", &below]).await.0, Some(0), "the range below is as the chain has it");
}

#[tokio::test]
async fn what_cannot_be_compared_is_no_difference() {
    let world = World::new().await;
    let site = Site::on(&world, 1);
    let (code, answer) = site.json(&["verify"]).await;
    assert!(code == Some(1) && answer["detail"].as_str().unwrap().contains("no cursor"), "{answer}");
    follow(&mut world.tail(&world.chain.url)).await;
    assert_eq!(site.json(&["verify", "--to", "100000"]).await.0, Some(2));
    assert_eq!(site.json(&["verify", "--from", "9", "--to", "1"]).await.0, Some(2));
    assert_eq!(site.text(&["verify", "--rpc-url", "ftp://x"]).await.0, Some(2));
    let (code, text, error) = site.text(&["verify", "--rpc-url", "http://127.0.0.1:1"]).await;
    assert!(code == Some(1) && text.is_empty() && error.contains("no node answers"), "{error}");
    let nowhere = Site::with_another_database(&world, "nowhere");
    for command in ["verify", "export"] {
        let (code, _, error) = nowhere.text(&[command]).await;
        assert!(code == Some(1) && error.contains("no database at"), "{error}");
    }
    assert!(!world.folder.path().join("nowhere.db").exists(), "looking makes no database");
}

#[tokio::test]
async fn a_rebuild_exports_the_same_and_sends_nothing_again() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let (person, _) = world.issue_one().await;
    a_chain_with_events(&world).await;
    follow(&mut world.tail(&world.chain.url)).await;
    let worker = world.worker(mailbox.smtp_port);
    work_off(&worker).await;
    mailbox.one(&person.address).await;
    let site = Site::on(&world, mailbox.smtp_port);
    let (before, stood) = (site.export().await, cursor(&world).await);
    assert_eq!(before.lines().count(), 37 + 11, "every event, and each block that has one: {before}");

    let (code, answer) = site.json(&["rebuild"]).await;
    assert_eq!((code, answer["events"].as_u64()), (Some(0), Some(37)), "{answer}");
    assert_eq!(answer["mended"]["eventsAdded"], 0, "nothing was wrong: {answer}");
    assert_eq!((site.export().await, cursor(&world).await), (before.clone(), stood));

    // Everything gone, or wrong, or more than there is.
    for damage in [
        "DELETE FROM events; DELETE FROM blocks; DELETE FROM cursors;",
        "DELETE FROM events WHERE rowid % 3 = 0; UPDATE events SET expiry = 1, kind = 'nonsense' WHERE rowid % 2;",
        "INSERT INTO events SELECT randomblob(32), log_index, block_number * 900, timestamp, tx_hash, 1, kind, randomblob(32),
         root, issuer, purpose, serial, first, size, expiry, subject, action, party FROM events LIMIT 4;
         UPDATE cursors SET hash = randomblob(32);",
    ] {
        by_hand(&world, damage);
        let (code, answer) = site.json(&["rebuild"]).await;
        assert_eq!((code, answer["events"].as_u64()), (Some(0), Some(37)), "{damage}: {answer}");
        assert_eq!((site.export().await, cursor(&world).await), (before.clone(), stood), "{damage}");
        assert_eq!(site.json(&["verify"]).await.0, Some(0), "{damage}");
    }
    work_off(&worker).await;
    assert_eq!(world.deliveries("accepted").await, 1, "what was sent stays sent");
    mailbox.one(&person.address).await;
    follow(&mut world.tail(&world.chain.url)).await;
}

#[tokio::test]
async fn a_rebuild_that_is_killed_leaves_what_verifies_and_is_begun_again() {
    let world = World::new().await;
    a_chain_with_events(&world).await;
    follow(&mut world.tail(&world.chain.url)).await;
    let site = Site::on(&world, 1);
    let before = site.export().await;
    for wait_ms in [20, 60, 100, 140, 180, 240] {
        let mut rebuild = Command::new(PROGRAM);
        let rebuild =
            rebuild.arg("rebuild").arg("--config").arg(&site.config).stdout(Stdio::null()).stderr(Stdio::null());
        let running = Process(rebuild.spawn().unwrap());
        tokio::time::sleep(std::time::Duration::from_millis(wait_ms)).await;
        drop(running);
        assert_eq!(site.json(&["verify"]).await.0, Some(0), "killed after {wait_ms} ms");
        assert_eq!(site.export().await, before, "killed after {wait_ms} ms");
    }
    assert_eq!(site.json(&["rebuild"]).await.0, Some(0));
    assert_eq!(site.export().await, before);
}

#[tokio::test]
async fn a_rebuild_keeps_what_is_orphaned_and_takes_no_other_chain_for_ours() {
    let world = World::new().await;
    let (_, issued) = world.issue_one().await;
    follow(&mut world.tail(&world.chain.url)).await;
    world.chain.reorg(1).await;
    let site = Site::on(&world, 1);
    let (code, answer) = site.json(&["rebuild"]).await;
    assert_eq!(code, Some(0), "{answer}");
    assert_eq!(world.deliveries("cancelled").await, 1, "its code is off the chain: {answer}");
    world.chain.set_otps(world.chain.issuer, issued.serial, &[issued.id]).await;
    follow(&mut world.tail(&world.chain.url)).await;
    assert_eq!(world.deliveries("queued").await, 1);

    let settled = cursor(&world).await;
    assert!(world.store.set_final(&world.chain.deployment, settled).await.unwrap());
    world.chain.reorg(2).await;
    world.chain.mine(3).await;
    for command in ["rebuild", "backfill"] {
        let (code, answer) = site.json(&[command]).await;
        assert_eq!(code, Some(1));
        assert!(answer["detail"].as_str().unwrap().contains("is not the one that is final"), "{answer}");
    }
    assert_eq!(cursor(&world).await, settled);
}

#[tokio::test]
async fn a_backfill_starts_goes_on_and_mends_and_never_moves_the_cursor_past_a_hole() {
    let world = World::new().await;
    a_chain_with_events(&world).await;
    follow(&mut world.tail(&world.chain.url)).await;
    let whole = Site::on(&world, 1).export().await;
    let stood = cursor(&world).await;
    let fresh = Site::with_another_database(&world, "fresh");
    let middle = (world.chain.deployment_block + 60).to_string();
    let (code, answer) = fresh.json(&["backfill", "--to", &middle]).await;
    assert_eq!((code, answer["cursor"]["number"].to_string()), (Some(0), middle.clone()), "{answer}");
    let beyond = (world.chain.deployment_block + 62).to_string();
    let (code, answer) = fresh.json(&["backfill", "--from", &beyond]).await;
    assert!(code == Some(2) && answer["detail"].as_str().unwrap().contains("would be skipped"), "{answer}");
    assert_eq!(fresh.json(&["backfill", "--to", "100000"]).await.0, Some(2));
    let (code, answer) = fresh.json(&["backfill"]).await;
    assert_eq!((code, &answer["cursor"]["number"]), (Some(0), &Value::from(stood.number)), "{answer}");
    assert_eq!(fresh.export().await, whole);

    // A hole and an event that never was, below a cursor that stays.
    by_hand(
        &world,
        "DELETE FROM events WHERE rowid IN (SELECT rowid FROM events ORDER BY block_number LIMIT 4 OFFSET 3);
         INSERT INTO events SELECT randomblob(32), log_index, block_number + 1, timestamp, tx_hash, 1, kind, randomblob(32),
         root, issuer, purpose, serial, first, size, expiry, subject, action, party FROM events LIMIT 1;",
    );
    let site = Site::on(&world, 1);
    let (first, last) = (world.chain.deployment_block.to_string(), stood.number.to_string());
    let (code, answer) = site.json(&["backfill", "--from", &first, "--to", &last]).await;
    let mended = &answer["mended"];
    assert_eq!((code, &mended["eventsAdded"], &mended["eventsRemoved"]), (Some(0), &4.into(), &1.into()), "{answer}");
    assert_eq!((site.export().await, cursor(&world).await), (whole, stood));
    let (_, text, _) = site.text(&["backfill", "--from", &first, "--to", &last]).await;
    assert!(text.contains("nothing had to be mended"), "{text}");
}

#[tokio::test]
async fn a_hole_that_hid_a_code_is_mended_and_its_message_goes_out_once() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let (person, _) = world.issue_one().await;
    follow(&mut world.tail(&world.chain.url)).await;
    by_hand(&world, "DELETE FROM events; DELETE FROM deliveries;");
    let site = Site::on(&world, mailbox.smtp_port);
    for due in [1, 0] {
        let (code, answer) = site.json(&["backfill", "--from", "1"]).await;
        assert_eq!((code, &answer["mended"]["messagesDue"]), (Some(0), &due.into()), "{answer}");
    }
    work_off(&world.worker(mailbox.smtp_port)).await;
    mailbox.one(&person.address).await;
}

#[tokio::test]
async fn what_writes_is_refused_while_a_daemon_runs_and_status_asks_it() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let (person, _) = world.issue_one().await;
    let site = Site::on(&world, mailbox.smtp_port);
    let (code, answer) = site.json(&["status"]).await;
    assert!(code == Some(1) && answer["detail"].as_str().unwrap().contains("a running indexer writes it"), "{answer}");
    let daemon = site.start();
    mailbox.one(&person.address).await;
    for command in ["rebuild", "backfill"] {
        let (code, _, error) = site.text(&[command]).await;
        assert!(code == Some(1) && error.contains("another indexer runs on this database"), "{error}");
    }
    assert_eq!(site.json(&["verify"]).await.0, Some(0), "a daemon that runs is no hindrance to looking");
    let ready = eventually("a daemon that is ready", || async {
        let (code, answer) = site.json(&["status"]).await;
        (code == Some(0)).then_some(answer)
    });
    let answer = ready.await;
    assert_eq!((&answer["ready"], &answer["status"]["deliveries"]["accepted"]), (&Value::Bool(true), &Value::from(1)));
    let (_, text, _) = site.text(&["status"]).await;
    assert!(text.lines().any(|line| line.starts_with("cursor") && line.contains("number")), "{text}");
    drop(daemon);
    let (code, _, error) = site.text(&["status"]).await;
    assert!(code == Some(1) && error.contains("does the indexer run?"), "{error}");
    assert_eq!(site.json(&["rebuild"]).await.0, Some(0), "the lock fell with the daemon");
}
