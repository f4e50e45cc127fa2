//! What an operator does after a bad day, as docs/RUNBOOK.md says it.

use std::process::{Command, Stdio};

use otp_core::store::{Figures, Store};

use crate::{
    evidence::{audited, config, entries, exported, log, story, tree},
    figures::{calls, finalise, live_through, measuring},
    harness::{Mailbox, World, follow, work_off},
};

async fn figures(store: &Store, world: &World) -> Figures {
    store.all_figures(&world.chain.deployment).await.unwrap().unwrap().0.since(0)
}

async fn indexer(world: &World, command: &'static str) -> bool {
    let config = world.folder.path().join("indexer.toml");
    std::fs::write(&config, world.config_text(&world.chain.url, 1)).unwrap();
    let run = move || {
        let mut program = Command::new(env!("CARGO_BIN_EXE_indexer"));
        program.arg(command).arg("--config").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
        program.status().unwrap().success()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

pub(crate) fn sql(world: &World, statement: &str) {
    let script = "import sqlite3, sys\nd = sqlite3.connect(sys.argv[1])\nd.executescript(sys.argv[2])";
    let database = world.folder.path().join("otp.db");
    assert!(Command::new("python3").args(["-c", script]).arg(database).arg(statement).status().unwrap().success());
}

#[tokio::test]
async fn figures_are_the_same_after_a_rebuild() {
    let world = World::new().await;
    live_through(&world).await;
    finalise(&world).await;
    let search = calls(&world, &world.chain.url);
    while search.step().await.unwrap() > 0 {}
    let measuring = measuring(&world);
    measuring.fold().await.unwrap();
    let before = figures(&world.store, &world).await;
    assert_eq!((before.sum("issued"), before.sum("reverted:verify:OtpUsed")), (4, 1));

    for damage in [
        "SELECT 1",
        "DELETE FROM events WHERE kind = 'otp-verified'",
        "UPDATE events SET expiry = expiry + 100000; UPDATE figures SET count = count * 7",
    ] {
        sql(&world, damage);
        assert!(indexer(&world, "rebuild").await);
        assert_eq!(figures(&world.store, &world).await, before, "{damage}: counted anew");
        measuring.fold().await.unwrap();
        assert_eq!(figures(&world.store, &world).await, before, "{damage}: and kept");
        assert_eq!(search.step().await.unwrap(), 0, "no call is searched for again");
    }
}

#[tokio::test]
async fn figures_are_the_same_after_a_hole_that_they_were_counted_over_is_mended() {
    let world = World::new().await;
    live_through(&world).await;
    let whole = figures(&world.store, &world).await;
    sql(&world, "DELETE FROM events WHERE kind IN ('otp-verified', 'otp-batch-revoked')");
    finalise(&world).await;
    measuring(&world).fold().await.unwrap();
    assert_eq!(figures(&world.store, &world).await.sum("verified"), 0, "counted for good, and wrong");
    let config = world.folder.path().join("indexer.toml");
    std::fs::write(&config, world.config_text(&world.chain.url, 1)).unwrap();
    let head = world.chain.head().await.to_string();
    let mend = move || {
        let mut program = Command::new(env!("CARGO_BIN_EXE_indexer"));
        program.args(["backfill", "--from", "1", "--to", &head, "--config"]).arg(config);
        program.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    };
    assert!(tokio::task::spawn_blocking(mend).await.unwrap());
    assert_eq!(figures(&world.store, &world).await, whole);
}

#[tokio::test]
async fn a_restored_backup_catches_up_and_sends_nothing_that_it_knows_as_sent() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let (first, _) = world.issue_one().await;
    follow(&mut world.tail(&world.chain.url)).await;
    work_off(&world.worker(mailbox.smtp_port)).await;
    mailbox.one(&first.address).await;
    let backup = world.folder.path().join("backup.db");
    sql(&world, &format!("VACUUM INTO '{}'", backup.display()));
    let (second, _) = world.issue_one().await;
    follow(&mut world.tail(&world.chain.url)).await;
    let before = world.store.cursor(&world.chain.deployment).await.unwrap();

    world.store.close().await;
    for companion in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(world.folder.path().join(format!("otp.db{companion}")));
    }
    std::fs::copy(&backup, world.folder.path().join("otp.db")).unwrap();
    let store = Store::open(&world.folder.path().join("otp.db")).await.unwrap();
    let world = World { store, ..world };
    follow(&mut world.tail(&world.chain.url)).await;
    assert_eq!(world.store.cursor(&world.chain.deployment).await.unwrap(), before);
    assert_eq!(figures(&world.store, &world).await.sum("issued"), 2, "also what the backup did not have");
    work_off(&world.worker(mailbox.smtp_port)).await;
    mailbox.one(&first.address).await;
    assert!(mailbox.of(&second.address).await.is_empty(), "its request is lost: nobody's code");
    assert!(indexer(&world, "verify").await);
}

#[tokio::test]
async fn a_rebuild_leaves_the_evidence_log_as_it_was_and_what_it_derived_verifies() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    story(&world, &mailbox).await;
    log(&world, config(&world)).await;
    let (logged, files) = (entries(&world).await, tree(&exported(&world)));
    assert_eq!(audited(&world).await.code(), 0);
    for damage in [
        "SELECT 1",
        "DELETE FROM events WHERE kind = 'otp-set'",
        "DELETE FROM events; DELETE FROM blocks; DELETE FROM cursors",
    ] {
        sql(&world, damage);
        assert!(indexer(&world, "rebuild").await, "{damage}");
        assert!(indexer(&world, "verify").await, "{damage}");
        // The daemon that starts after it finds every step in the log.
        log(&world, config(&world)).await;
        assert_eq!((entries(&world).await, tree(&exported(&world))), (logged.clone(), files.clone()), "{damage}");
        assert_eq!(audited(&world).await.code(), 0, "{damage}");
    }
    world.issue_one().await;
    follow(&mut world.tail(&world.chain.url)).await;
    work_off(&world.worker(mailbox.smtp_port)).await;
    log(&world, config(&world)).await;
    assert_eq!(entries(&world).await.len(), logged.len() + 1, "and goes on with what is new");
    let report = audited(&world).await;
    assert_eq!(report.code(), 0, "{}", report.text());
    assert!(indexer(&world, "verify").await);
}
