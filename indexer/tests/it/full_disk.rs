//! The daemon, kept by a supervisor, on a disk that is full for a while.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use indexer::config::Config;
use otp_core::store::{EventFilter, Store};
use testbed::faults::{Disk, SmtpFault, SmtpServer};

use crate::harness::{Chain, Issued, Process, World, eventually};

/// A message whose answer is this late is on its way while the disk fills.
const LATE: Duration = Duration::from_secs(2);
/// For how long the disk is full, after the daemon has met it.
const FULL_FOR: Duration = Duration::from_secs(6);
/// After which a supervisor starts a daemon that ended.
const RESTART_AFTER: Duration = Duration::from_millis(300);
/// As the database says it when it writes, when it opens and cannot make room for its index, and the system of other files.
const FULL: [&str; 3] = ["database or disk is full", "disk I/O error", "No space left on device"];
const TURN: Duration = Duration::from_millis(50);
const CODES_MEANWHILE: usize = 24;

/// A daemon that is started again whenever it ends.
struct Supervised {
    config: PathBuf,
    log: PathBuf,
    readyz: String,
    daemon: Process,
    ends: usize,
}

impl Supervised {
    /// Its configuration and its log are elsewhere than the database.
    fn start(world: &World, smtp_port: u16, place: &std::path::Path) -> Self {
        let text = world.config_text(&world.chain.url, smtp_port);
        let admin = Config::parse(&text).unwrap().http.listening.admin_listen;
        let (config, log) = (place.join("indexer.toml"), place.join("indexer.log"));
        fs::write(&config, text).unwrap();
        let daemon = spawn(&config, &log);
        Self { config, log, readyz: format!("http://{admin}/readyz"), daemon, ends: 0 }
    }

    /// Whether it ended since the last look, as a daemon does that says why; then it is started again.
    async fn look(&mut self) -> bool {
        let Some(status) = self.daemon.0.try_wait().unwrap() else { return false };
        let log = fs::read_to_string(&self.log).unwrap();
        let last = log.lines().last().unwrap_or_default();
        assert_eq!(status.code(), Some(1), "{last}");
        assert!(FULL.iter().any(|words| last.contains(words)), "{last}");
        self.ends += 1;
        tokio::time::sleep(RESTART_AFTER).await;
        self.daemon = spawn(&self.config, &self.log);
        true
    }

    async fn is_ready(&self) -> bool {
        reqwest::get(&self.readyz).await.is_ok_and(|answer| answer.status().is_success())
    }
}

fn spawn(config: &PathBuf, log: &PathBuf) -> Process {
    let log = File::options().create(true).append(true).open(log).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_indexer"));
    Process(command.arg("run").arg("--config").arg(config).stderr(log).spawn().unwrap())
}

/// Codes that the relayer has stored and not sent yet.
async fn composed(world: &World, codes: usize) -> Vec<Issued> {
    let mut issued = Vec::with_capacity(codes);
    for _ in 0..codes {
        let (person, authorization) = (world.confirmed_person().await, world.withdrawal());
        let request_id = world.request(&person, &authorization).await;
        issued.extend(world.batch(&[(&person, request_id, authorization.action)]).await);
    }
    issued
}

async fn land(world: &World, issued: &[Issued]) {
    for code in issued {
        world.chain.set_otps(world.chain.issuer, code.serial, &[code.id]).await;
    }
}

#[tokio::test]
async fn a_daemon_on_a_full_disk_ends_loudly_and_once_there_is_room_each_code_has_brought_one_message() {
    let place = tempfile::tempdir().unwrap();
    let disk = Disk::mount(&place.path().join("disk"), 16).unwrap();
    let mut world = World::within(Chain::start().await, tempfile::tempdir_in(disk.folder()).unwrap()).await;
    let smtp = SmtpServer::start().await.unwrap();
    let issued = composed(&world, 1 + CODES_MEANWHILE).await;
    // Nobody else holds the database open: the log of what was written is as small as it gets.
    world.store.close().await;
    let mut supervised = Supervised::start(&world, smtp.port, place.path());
    eventually("it to be ready", || async { supervised.is_ready().await.then_some(()) }).await;

    smtp.inject(SmtpFault::Late(LATE));
    land(&world, &issued[..1]).await;
    eventually("a message to be taken", || async { (smtp.taken() == 1).then_some(()) }).await;
    disk.fill().unwrap();
    let full_since = Instant::now();
    // Something to write, also where the answer was recorded before the disk was full.
    land(&world, &issued[1..]).await;
    while !supervised.look().await {
        assert!(full_since.elapsed() < Duration::from_secs(60), "on a full disk it goes on");
        disk.fill().unwrap();
        tokio::time::sleep(TURN).await;
    }
    let met = Instant::now();
    while met.elapsed() < FULL_FOR {
        // What ends gives back a little.
        disk.fill().unwrap();
        supervised.look().await;
        tokio::time::sleep(TURN).await;
    }
    let (ends, sent_while_full) = (supervised.ends, smtp.taken());

    disk.clear().unwrap();
    world.store = loop {
        supervised.look().await;
        if supervised.is_ready().await {
            break Store::open(&world.folder.path().join("otp.db")).await.unwrap();
        }
        assert!(met.elapsed() < Duration::from_secs(60), "it does not come back");
        tokio::time::sleep(TURN).await;
    };
    let all = u64::try_from(issued.len()).unwrap();
    eventually("every message", || async { (world.deliveries("accepted").await == all).then_some(()) }).await;
    eventually("the head", || async {
        let cursor = world.store.cursor(&world.chain.deployment).await.unwrap()?;
        (cursor.number == world.chain.head().await).then_some(())
    })
    .await;
    world.assert_as_chain().await;
    assert!(!supervised.look().await, "with room it ended");

    let mut messages: BTreeMap<String, usize> = BTreeMap::new();
    for message in smtp.drain() {
        *messages.entry(message.message_id).or_default() += 1;
    }
    let copies: usize = messages.values().sum();
    for code in &issued {
        let id = world.outbox.message_id(code.id.as_slice(), "email");
        assert!(messages.remove(&id).is_some(), "the message of {} is lost", code.id);
    }
    assert!(messages.is_empty(), "{} messages that no code calls for", messages.len());
    // Two workers: so many messages can be on their way when a process ends.
    let repeats = copies - issued.len();
    assert!(repeats <= 2 * ends, "{repeats} repeats of {ends} ends");
    let events = world.store.events(&EventFilter::default(), u32::MAX).await.unwrap().len();
    println!(
        "{ends} ends on the full disk, {sent_while_full} copies sent till there was room; events on chain {events} = events \
         in store {events}, codes on chain {all} = messages by Message-ID {all}, lost 0, doubled 0, repeats {repeats}"
    );
}
