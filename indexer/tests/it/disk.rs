//! A database that cannot be written, for it is locked or its disk is full: nothing is skipped.

use std::{io::Write, process::Stdio, time::Duration};

use otp_core::store::{EventFilter, Store};
use testbed::faults::{Disk, SmtpFault, SmtpServer};

use crate::harness::{Chain, World, eventually, follow, work_off};

struct Small {
    world: World,
    disk: Disk,
    _place: tempfile::TempDir,
}

impl Small {
    async fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let disk = Disk::mount(&place.path().join("disk"), 16).unwrap();
        let folder = tempfile::tempdir_in(disk.folder()).unwrap();
        Self { world: World::within(Chain::start().await, folder).await, disk, _place: place }
    }
}

#[tokio::test]
async fn a_full_disk_stops_the_tail_where_it_stands_and_room_lets_it_go_on() {
    let Small { world, disk, _place } = Small::new().await;
    let mut tail = world.tail(&world.chain.url);
    follow(&mut tail).await;
    world.issue_one().await;
    let cursor = world.store.cursor(&world.chain.deployment).await.unwrap();
    disk.fill().unwrap();
    for _ in 0..3 {
        let error = tail.step().await.unwrap_err();
        assert!(!error.is_retryable(), "the process ends, and says why: {error}");
        assert_eq!(world.store.cursor(&world.chain.deployment).await.unwrap(), cursor);
    }
    disk.clear().unwrap();
    follow(&mut tail).await;
    assert_eq!(
        world.store.events(&EventFilter::default(), 20).await.unwrap().len(),
        9,
        "deployment, policy, batch, id"
    );
    assert_eq!(world.deliveries("queued").await, 1);
}

#[tokio::test]
async fn a_database_that_another_process_locks_is_waited_for() {
    let world = World::new().await;
    let mut tail = world.tail(&world.chain.url);
    follow(&mut tail).await;
    world.issue_one().await;
    let mut locker = std::process::Command::new("python3")
        .args([
            "-c",
            "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
               db.execute('BEGIN IMMEDIATE')\nprint('locked', flush=True)\nsys.stdin.readline()",
        ])
        .arg(world.folder.path().join("otp.db"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 7];
    std::io::Read::read_exact(locker.stdout.as_mut().unwrap(), &mut said).unwrap();
    assert_eq!(&said, b"locked\n");
    let (step, ()) = tokio::join!(tail.step(), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        locker.stdin.take().unwrap().write_all(b"\n").unwrap();
    });
    step.unwrap();
    assert!(locker.wait().unwrap().success());
    follow(&mut tail).await;
    assert_eq!(world.deliveries("queued").await, 1);
}

/// Fills the disk once a message was taken whose answer is still to come.
async fn fill_once_taken(disk: &Disk, smtp: &SmtpServer) {
    eventually("a message to be taken", || async { (smtp.taken() == 1).then_some(()) }).await;
    disk.fill().unwrap();
}

#[tokio::test]
async fn a_message_on_its_way_while_the_disk_fills_is_delivered_once_by_its_message_id() {
    let Small { world, disk, _place } = Small::new().await;
    let smtp = SmtpServer::start().await.unwrap();
    let (person, issued) = world.issue_one().await;
    follow(&mut world.tail(&world.chain.url)).await;
    let worker = world.worker(smtp.port);
    smtp.inject(SmtpFault::Late(Duration::from_secs(2)));
    let (step, ()) = tokio::join!(worker.step(), fill_once_taken(&disk, &smtp));
    step.unwrap_err();
    world.store.ping().await.unwrap_err();
    for _ in 0..3 {
        // What a start does first, and what a worker does next.
        world.store.release_deliveries().await.unwrap_err();
        let _ = worker.step().await;
        assert_eq!(smtp.taken(), 1, "what cannot be recorded went out again");
    }
    disk.clear().unwrap();
    world.store.ping().await.unwrap();
    world.store.release_deliveries().await.unwrap();
    work_off(&worker).await;
    let taken = smtp.drain();
    assert_eq!(taken.len(), 2, "once more, since nobody knew");
    assert!(taken.iter().all(|mail| *mail == taken[0] && mail.to == person.address));
    assert!(taken[0].text.contains(issued.code.digits().expose()));
    assert_eq!(world.deliveries("accepted").await, 1);
}

#[tokio::test]
async fn a_database_on_a_disk_that_became_read_only_is_not_ready_and_sends_nothing() {
    let Small { world, disk, _place } = Small::new().await;
    let smtp = SmtpServer::start().await.unwrap();
    world.issue_one().await;
    follow(&mut world.tail(&world.chain.url)).await;
    let path = world.folder.path().join("otp.db");
    // As a process left it that died: with the log's companions, without which SQLite would not even open the file.
    let left = world.folder.path().join("left.db");
    for companion in ["", "-wal", "-shm"] {
        std::fs::copy(format!("{}{companion}", path.display()), format!("{}{companion}", left.display())).unwrap();
    }
    world.store.close().await;
    disk.read_only(true).unwrap();
    let store = Store::open(&left).await.unwrap();
    store.delivery_counts().await.unwrap();
    store.ping().await.unwrap_err();
    let mut worker = world.worker(smtp.port);
    worker.store = store.clone();
    worker.step().await.unwrap_err();
    assert_eq!(smtp.taken(), 0);
    store.close().await;
    disk.read_only(false).unwrap();
}
