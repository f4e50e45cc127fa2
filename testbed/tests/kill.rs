//! Twenty kills under load: no request that was answered is lost, issued twice, or mailed in two versions.
//!
//! The moments are drawn from a seed, which is printed; `KILL_SEED` repeats a run as far as the machine allows.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test tells what is wrong by failing")]

#[path = "kill/failpoints.rs"]
mod failpoints;
#[path = "kill/indexer.rs"]
mod indexer;
mod load;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy::{
    primitives::{B256, keccak256},
    providers::Provider,
    rpc::types::Filter,
    sol_types::SolEvent,
};
use load::{Asked, Load};
use otp_core::{
    chain::Node,
    contract::OtpVerifier,
    id::{Deployment, Slot},
};
use testbed::{
    anvil,
    description::Description,
    mailbox::{Mail, Mailbox},
    random::Random,
    stack::{Daemon, Options, Stack},
};
use tokio::time::sleep;

const KILLS: usize = 20;
/// As many requests at least, so that the kills hit work.
const ENOUGH: usize = 100;
/// `delivery.workers` of the indexer, by default.
const WORKERS: usize = 8;
/// Longer than the test takes, so that no code expires before its mail.
const CODE_TTL_S: u32 = 180;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_lose_nothing_and_double_nothing() {
    let seed = env::var("KILL_SEED").ok().map_or_else(seed_from_clock, |text| text.parse().unwrap());
    println!("KILL_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let options = Options { code_ttl_s: CODE_TTL_S, ..Options::new(folder.path().to_owned()) };
    let mut stack = Stack::start(&options).await.unwrap();
    let load = Load::start(&stack.description, seed).await;

    let indexer_kills = kill(&mut stack, &mut Random::new(seed)).await;

    let asked = load.finish().await;
    let failed = asked.iter().filter(|one| one.otp.status == "failed").count();
    println!("{KILLS} kills ({indexer_kills} of the indexer), {} requests, {failed} failed", asked.len(),);
    assert!((1..KILLS).contains(&indexer_kills), "one of the daemons was never killed");
    assert!(asked.len() >= ENOUGH, "{} requests are no load", asked.len());
    assert_eq!(failed, 0, "a kill let a request fail");
    let found = Found::new(&stack.description).await;
    found.check(&stack.description, &asked, indexer_kills);
    found.check_copies();
    println!("{} codes on the chain, {} mails, {} repeated", found.serials.len(), found.mails.len(), found.repeats(),);
    stack.stop().await.unwrap();
}

fn seed_from_clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Returns how many of the kills hit the indexer.
async fn kill(stack: &mut Stack, random: &mut Random) -> usize {
    let mut indexer_kills = 0;
    for _ in 0..KILLS {
        sleep(Duration::from_millis(random.below(2_500))).await;
        let daemon = if random.below(2) == 0 { Daemon::Relayer } else { Daemon::Indexer };
        indexer_kills += usize::from(daemon == Daemon::Indexer);
        stack.kill(daemon).await.unwrap();
        sleep(Duration::from_millis(random.below(1_500))).await;
        stack.restart(daemon).await.unwrap();
    }
    indexer_kills
}

/// What chain and mailbox hold in the end.
struct Found {
    /// Each commitment's numbers: more than one where it was issued twice.
    serials: BTreeMap<B256, Vec<u64>>,
    /// Mails with a code by Message-ID.
    mails: BTreeMap<String, Vec<Mail>>,
}

impl Found {
    async fn new(description: &Description) -> Self {
        let node = anvil::connect(&description.rpc_url).unwrap();
        let mut mails: BTreeMap<String, Vec<Mail>> = BTreeMap::new();
        for mail in Mailbox::new(&description.mail_url).unwrap().all().await.unwrap() {
            if mail.linked_code().is_some() {
                mails.entry(mail.message_id.clone()).or_default().push(mail);
            }
        }
        Self { serials: serials(&node, description).await, mails }
    }

    fn repeats(&self) -> usize {
        self.mails.values().map(|same| same.len() - 1).sum()
    }

    fn check(&self, description: &Description, asked: &[Asked], indexer_kills: usize) {
        self.check_chain(asked);
        for same in self.mails.values() {
            assert!(same.len() <= 1 + indexer_kills, "more repeats than kills");
        }
        // A kill can catch no more messages on their way than there are workers.
        assert!(self.repeats() <= indexer_kills * WORKERS, "{} repeats", self.repeats());
        let mut by_id: BTreeMap<B256, Vec<&Mail>> = BTreeMap::new();
        for same in self.mails.values() {
            by_id.entry(same[0].linked_code().unwrap().id).or_default().push(&same[0]);
        }
        for one in asked {
            let id = one.otp.on_chain_id.unwrap();
            let mails = by_id.remove(&id).unwrap_or_default();
            assert_eq!(mails.len(), 1, "Message-IDs of request {}", one.otp.id);
            for copy in &self.mails[&mails[0].message_id] {
                self.check_code(description, one, copy);
            }
        }
        assert!(by_id.is_empty(), "{} mails for codes that nobody asked for", by_id.len());
    }

    /// A message that went out again is the same one, where no reorg gave its code another expiry.
    fn check_copies(&self) {
        for same in self.mails.values() {
            assert!(same.iter().all(|mail| mail.text == same[0].text && mail.html == same[0].html), "two versions");
        }
    }

    fn check_chain(&self, asked: &[Asked]) {
        let requests: BTreeSet<_> = asked.iter().map(|one| one.otp.id).collect();
        assert_eq!(requests.len(), asked.len(), "two keys gave one request");
        let issued: BTreeSet<_> = asked.iter().filter_map(|one| one.otp.on_chain_id).collect();
        let on_chain: BTreeSet<_> = self.serials.keys().copied().collect();
        assert_eq!(issued, on_chain, "requests and commitments differ");
        let all: Vec<_> = self.serials.values().flatten().collect();
        let distinct: BTreeSet<_> = all.iter().collect();
        assert_eq!((all.len(), distinct.len()), (issued.len(), issued.len()), "a serial or a code landed twice");
    }

    /// The mailed code is the one that was committed to, for this wallet and action, after whatever crash.
    fn check_code(&self, description: &Description, one: &Asked, mail: &Mail) {
        let linked = mail.linked_code().unwrap();
        assert!(linked.code.starts_with(&mail.digits().unwrap()), "digits and link differ");
        let slot = Slot {
            deployment: Deployment { chain_id: description.chain_id, verifier: description.verifier },
            issuer: description.issuer,
            purpose: "withdraw".parse().unwrap(),
            serial: self.serials[&linked.id][0],
            subject: one.wallet,
            action: one.otp.action,
        };
        assert_eq!(slot.id(keccak256(linked.code)), linked.id, "request {}", one.otp.id);
    }
}

async fn serials(node: &Node, description: &Description) -> BTreeMap<B256, Vec<u64>> {
    let filter = Filter::new()
        .address(description.verifier)
        .event_signature(OtpVerifier::OtpSet::SIGNATURE_HASH)
        .from_block(description.deployment_block);
    let mut serials: BTreeMap<B256, Vec<u64>> = BTreeMap::new();
    for log in node.get_logs(&filter).await.unwrap() {
        let set = log.log_decode::<OtpVerifier::OtpSet>().unwrap().inner.data;
        serials.entry(set.id).or_default().push(set.serial.to());
    }
    serials
}
