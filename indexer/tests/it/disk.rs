//! A database that cannot be written, for it is locked or its disk is full: nothing is skipped.

use std::{io::Write, process::Stdio, time::Duration};

use otp_core::store::EventFilter;
use testbed::faults::Disk;

use crate::harness::{Chain, World, follow};

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
