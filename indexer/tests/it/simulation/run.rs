//! One run: what happens, and what must be so in the end.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use indexer::{
    config::Config,
    deliver::Worker,
    finality::Settler,
    mail::smtp::Postman,
    progress::Progress,
    tail::{Tail, TailError},
};
use otp_core::{
    seal::{KeyWrapper, Keyring},
    store::{Depth, Depths, EventFilter, Store},
};
use testbed::{
    faults::{Disk, SmtpFault, SmtpServer, Taken},
    random::Random,
};
use tokio::time::{sleep, timeout};

use super::{database::Lock, ledger::Ledger, nodes::Nodes};
use crate::harness::{Chain, World, follow, settle, work_off};

const ROUNDS: u64 = 12;
/// Below a reorg's deepest, so that some go as far as they may.
const BEFORE: u64 = 20;
/// Makes everything final, as anvil counts.
const ON_TOP: u64 = 66;
const MAIL_TIMEOUT_MS: &str = "\ntimeout_ms = 2000";
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Faults {
    nodes: u64,
    reorgs: u64,
    /// Restarts between two steps, and in the midst of one.
    restarts: u64,
    broken_off: u64,
    mail: u64,
    locked: u64,
    full: u64,
    read_only: u64,
}

impl Faults {
    pub(super) fn all_happened(&self) -> bool {
        let Self { nodes, reorgs, restarts, broken_off, mail, locked, full, read_only } = *self;
        // A single seed need not meet each.
        let all = [nodes, reorgs, restarts, broken_off, mail, locked, full, read_only];
        std::env::var("SIM_SEED").is_ok() || all.iter().all(|count| *count > 0)
    }

    const fn and(self, other: Self) -> Self {
        Self {
            nodes: self.nodes + other.nodes,
            reorgs: self.reorgs + other.reorgs,
            restarts: self.restarts + other.restarts,
            broken_off: self.broken_off + other.broken_off,
            mail: self.mail + other.mail,
            locked: self.locked + other.locked,
            full: self.full + other.full,
            read_only: self.read_only + other.read_only,
        }
    }
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub(super) events: usize,
    pub(super) codes: usize,
    pub(super) repeats: usize,
    pub(super) faults: Faults,
}

impl Counts {
    pub(super) const fn and(self, other: Self) -> Self {
        Self {
            events: self.events + other.events,
            codes: self.codes + other.codes,
            repeats: self.repeats + other.repeats,
            faults: self.faults.and(other.faults),
        }
    }
}

/// What a process of the indexer is made of.
struct Parts {
    tail: Tail,
    settler: Settler,
    worker: Worker,
}

struct Run {
    random: Random,
    world: World,
    disk: Disk,
    nodes: Nodes,
    smtp: SmtpServer,
    ledger: Ledger,
    /// `None` while the process is down.
    parts: Option<Parts>,
    /// Whether the database can be written.
    can_write: bool,
    faults: Faults,
    /// How often a message may have gone out without our knowing: each is a repeat that is allowed.
    unknown_ends: usize,
}

pub(super) async fn simulate(seed: u64) -> Counts {
    let place = tempfile::tempdir().unwrap();
    let mut run = Run::new(seed, place.path()).await;
    run.start().await;
    for _ in 0..ROUNDS {
        run.round().await;
    }
    run.come_to_rest().await;
    run.compare().await
}

impl Run {
    async fn new(seed: u64, place: &std::path::Path) -> Self {
        let mut random = Random::new(seed);
        let disk = Disk::mount(&place.join("disk"), 16).unwrap();
        let folder = tempfile::tempdir_in(disk.folder()).unwrap();
        let mut world = World::within(Chain::start().await, folder).await;
        let email = match random.below(4) {
            0 => Depth::Blocks(1 + random.below(5)),
            1 => Depth::Safe,
            _ => Depth::Latest,
        };
        world.outbox.depths = Depths { email, ..Depths::default() };
        let (nodes, smtp) = (Nodes::before(&world).await, SmtpServer::start().await.unwrap());
        let ledger = Ledger::new(&world).await;
        world.chain.mine(BEFORE).await;
        let (faults, unknown_ends) = (Faults::default(), 0);
        Self { random, world, disk, nodes, smtp, ledger, parts: None, can_write: true, faults, unknown_ends }
    }

    async fn round(&mut self) {
        self.faults.reorgs += u64::from(self.ledger.go_on(&self.world, &mut self.random).await);
        if self.random.once_in(2) {
            self.nodes.spoil(&mut self.random, self.world.chain.head().await);
            self.faults.nodes += 1;
        }
        if self.random.once_in(3) {
            self.spoil_mail();
        }
        match self.random.below(12) {
            0 => self.while_locked().await,
            1 => self.while_full().await,
            2 => self.while_read_only().await,
            _ => self.steps(16).await,
        }
        if self.random.once_in(3) {
            self.nodes.heal();
        }
        if self.random.once_in(3) {
            self.faults.restarts += 1;
            self.start().await;
        }
    }

    fn spoil_mail(&mut self) {
        let fault = match self.random.below(12) {
            0..=2 => SmtpFault::Refuse,
            3..=5 => SmtpFault::Greylist,
            6..=7 => SmtpFault::Break,
            8 => SmtpFault::Hang,
            9 => SmtpFault::Late(Duration::from_millis(self.random.below(50))),
            _ => SmtpFault::LoseAnswer,
        };
        self.unknown_ends += usize::from(matches!(fault, SmtpFault::Hang | SmtpFault::LoseAnswer));
        self.faults.mail += 1;
        self.smtp.inject(fault);
    }

    async fn steps(&mut self, most: u64) {
        for _ in 0..=self.random.below(most) {
            self.step().await;
        }
    }

    /// One part makes one step, which may be broken off in its midst: the process dies then.
    async fn step(&mut self) {
        let breaks_off = self.random.once_in(16).then(|| Duration::from_millis(self.random.below(25)));
        let drawn = self.random.below(6);
        let Some(parts) = &mut self.parts else { return };
        let step = async {
            match drawn {
                0..=2 => parts.tail.step().await.map(drop),
                3 if !self.nodes.lie => parts.settler.step().await.map(drop),
                _ => parts.worker.step().await.map(drop).map_err(TailError::from),
            }
        };
        let outcome = match breaks_off {
            Some(after) => timeout(after, step).await.ok(),
            None => Some(step.await),
        };
        match outcome {
            Some(Ok(())) => {}
            Some(Err(error)) if error.is_retryable() => {}
            Some(Err(TailError::Store(error))) => {
                assert!(!self.can_write, "the database failed without a reason: {error}");
                self.unknown_ends += 1;
                self.stop().await;
            }
            Some(Err(error)) => panic!("the indexer gave up: {error}"),
            None => {
                self.faults.broken_off += 1;
                self.unknown_ends += 1;
                self.start().await;
            }
        }
    }

    async fn while_locked(&mut self) {
        self.faults.locked += 1;
        let lock = Lock::take(&self.world.folder.path().join("otp.db"), self.random.below(250));
        self.steps(8).await;
        tokio::task::spawn_blocking(|| lock.until_released()).await.unwrap();
    }

    async fn while_full(&mut self) {
        self.faults.full += 1;
        self.can_write = false;
        self.disk.fill().unwrap();
        self.steps(12).await;
        self.disk.clear().unwrap();
        self.can_write = true;
        self.start().await;
    }

    /// Nothing can be done then, so nothing may go out.
    async fn while_read_only(&mut self) {
        self.faults.read_only += 1;
        self.stop().await;
        self.disk.read_only(true).unwrap();
        self.can_write = false;
        let taken = self.smtp.taken();
        if let Ok(store) = Store::open(&self.world.folder.path().join("otp.db")).await {
            assert!(store.ping().await.is_err(), "a database that cannot be written counts as ready");
            self.world.store = store;
            self.assemble();
            self.steps(8).await;
            self.stop().await;
        }
        assert_eq!(self.smtp.taken(), taken, "what cannot be recorded went out");
        self.disk.read_only(false).unwrap();
        self.can_write = true;
        self.start().await;
    }

    /// As a process that ends, however it ends: what it did not commit is gone.
    async fn stop(&mut self) {
        self.parts = None;
        self.world.store.close().await;
    }

    async fn start(&mut self) {
        self.stop().await;
        self.world.store = Store::open(&self.world.folder.path().join("otp.db")).await.unwrap();
        let wrapper = KeyWrapper::File(self.world.folder.path().join("master.key"));
        self.world.keyring = Arc::new(Keyring::open_or_create(&self.world.store, &wrapper).await.unwrap());
        self.world.store.release_deliveries().await.unwrap();
        self.assemble();
    }

    fn assemble(&mut self) {
        self.world.progress = Progress::default();
        let (urls, world) = (self.nodes.urls(), &self.world);
        let mut worker = world.worker(self.smtp.port);
        let text =
            world.config_text("http://127.0.0.1:1", self.smtp.port).replace("\ntimeout_ms = 3000", MAIL_TIMEOUT_MS);
        let mail = Config::parse(&text).unwrap().mail;
        worker.channels.email.postman = Postman::new(&mail, 2).unwrap();
        worker.channels.email.timeout = mail.timeout;
        self.parts = Some(Parts { tail: world.tail(&urls), settler: world.settler(&urls), worker });
    }

    /// Everything is well again; what waits is done.
    async fn come_to_rest(&mut self) {
        self.nodes.heal();
        self.smtp.heal();
        self.ledger.land_lost(&self.world).await;
        self.world.chain.mine(ON_TOP).await;
        self.start().await;
        let Some(parts) = &mut self.parts else { unreachable!("it was started") };
        let begun = Instant::now();
        loop {
            follow(&mut parts.tail).await;
            settle(&mut parts.settler).await;
            work_off(&parts.worker).await;
            if self.world.deliveries("queued").await + self.world.deliveries("sending").await == 0 {
                return;
            }
            assert!(begun.elapsed() < SETTLED_WITHIN, "messages are stuck");
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn compare(&self) -> Counts {
        self.world.assert_as_chain().await;
        let events = self.world.store.events(&EventFilter::default(), u32::MAX).await.unwrap().len();
        let taken = self.smtp.drain();
        let copies = taken.len();
        let mut messages: BTreeMap<String, Vec<Taken>> = BTreeMap::new();
        for message in taken {
            messages.entry(message.message_id.clone()).or_default().push(message);
        }
        let (codes, repeats) = (self.ledger.codes().count(), copies - messages.len());
        for (person, issued) in self.ledger.codes() {
            let id = self.world.outbox.message_id(issued.id.as_slice(), "email");
            let copies = messages.remove(&id).unwrap_or_else(|| panic!("the message of {} is lost", issued.id));
            let digits = issued.code.digits();
            // A repeat after a reorg may name another expiry; whose it is and what it brings is the same.
            assert!(copies.iter().all(|copy| copy.to == person.address && copy.text.contains(digits.expose())));
        }
        assert!(messages.is_empty(), "{} messages that no code calls for", messages.len());
        assert_eq!(self.world.deliveries("accepted").await, codes as u64);
        assert!(repeats <= self.unknown_ends, "{repeats} repeats of {} possible", self.unknown_ends);
        Counts { events, codes, repeats, faults: self.faults }
    }
}
