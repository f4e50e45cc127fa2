//! The whole system while its nodes fail, under load: what was accepted is mined or its requester told, and nothing twice.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test tells what is wrong by failing")]

mod load;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use alloy::{
    primitives::{B256, U256},
    providers::Provider,
    rpc::types::Filter,
    signers::local::PrivateKeySigner,
    sol_types::SolEvent,
};
use load::{Asked, Load};
use otp_core::contract::OtpVerifier;
use testbed::{
    anvil,
    client::{CallError, Client, NewRequest},
    description::Description,
    faults::{Fault, RpcProxy},
    mailbox::Mailbox,
    ports::{self, Ports},
    stack::{Options, Stack},
    vault::{Vault, Withdrawal},
};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::sleep,
};

/// One stack at a time: the machine is not to be what fails.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A stack whose relayer sees the chain through two nodes, one of them in use at a time.
struct World {
    stack: Stack,
    nodes: [RpcProxy; 2],
    prober: Prober,
    load: Load,
    _folder: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl World {
    /// `nodes`: how many of the two the relayer knows.
    async fn start(nodes: usize) -> Self {
        let alone = ALONE.lock().await;
        let folder = tempfile::tempdir().unwrap();
        let rpc = Ports::free().unwrap().rpc();
        let url = ports::http(rpc).unwrap();
        let proxies = [RpcProxy::start(&url).await.unwrap(), RpcProxy::start(&url).await.unwrap()];
        let urls: Vec<&str> = proxies.iter().take(nodes).map(|proxy| proxy.url().as_str()).collect();
        let relayer_env = vec![
            ("OTP_RELAYER_CHAIN_RPC_URLS", urls.join(",")),
            ("OTP_RELAYER_CHAIN_RPC_TIMEOUT_MS", "1500".to_owned()),
        ];
        let options =
            Options { port_base: Some(rpc), code_ttl_s: 180, relayer_env, ..Options::new(folder.path().to_owned()) };
        let stack = Stack::start(&options).await.unwrap();
        let prober = Prober::enter(&stack.description).await;
        let load = Load::start(&stack.description, 7).await;
        Self { stack, nodes: proxies, prober, load, _folder: folder, _alone: alone }
    }

    /// Probes for this long; returns how many probes found issuance unavailable.
    async fn probe(&mut self, lasts: Duration) -> (usize, usize) {
        let (until, mut probes, mut refused) = (Instant::now() + lasts, 0, 0);
        while Instant::now() < until {
            probes += 1;
            refused += usize::from(!self.prober.is_accepted().await);
            sleep(Duration::from_millis(250)).await;
        }
        (probes, refused)
    }

    /// Which node is asked now.
    async fn in_use(&self) -> usize {
        let before = [self.nodes[0].count(), self.nodes[1].count()];
        sleep(Duration::from_millis(700)).await;
        usize::from(self.nodes[1].count() - before[1] > self.nodes[0].count() - before[0])
    }

    /// Lets the load end, and settles the accounts.
    async fn settle(self) -> Counts {
        let asked = self.load.finish().await;
        let counts = Counts::of(&self.stack.description, &asked, &self.prober).await;
        self.stack.stop().await.unwrap();
        counts
    }
}

/// What became of the requests that were answered with 202.
#[derive(Debug)]
struct Counts {
    accepted: usize,
    mined: usize,
    failed: usize,
    lost: usize,
    doubled: usize,
}

impl Counts {
    async fn of(description: &Description, asked: &[Asked], prober: &Prober) -> Self {
        let wallets: BTreeSet<_> = asked.iter().map(|one| one.wallet).collect();
        assert!(wallets.len() > 1, "{} wallets are no load", wallets.len());
        let mut otps: Vec<_> = asked.iter().map(|one| one.otp.clone()).collect();
        for id in &prober.accepted {
            let is_settled = |status: &str| !matches!(status, "queued" | "submitted");
            otps.push(prober.client.follow_until(*id, Duration::from_secs(60), is_settled).await.unwrap());
        }
        let node = anvil::connect(&description.rpc_url).unwrap();
        let filter = Filter::new()
            .address(description.verifier)
            .event_signature(OtpVerifier::OtpSet::SIGNATURE_HASH)
            .from_block(description.deployment_block);
        let mut serials: BTreeMap<B256, usize> = BTreeMap::new();
        for log in node.get_logs(&filter).await.unwrap() {
            *serials.entry(log.log_decode::<OtpVerifier::OtpSet>().unwrap().inner.data.id).or_default() += 1;
        }
        let failed = otps.iter().filter(|otp| otp.status == "failed").count();
        let on_chain = |otp: &&testbed::client::Otp| otp.on_chain_id.is_some_and(|id| serials.contains_key(&id));
        let mined = otps.iter().filter(|otp| otp.status != "failed").filter(on_chain).count();
        let codes: usize = serials.values().sum();
        let counts = Self {
            accepted: otps.len(),
            mined,
            failed,
            lost: otps.len() - mined - failed,
            // A code on the chain that no request has as its own is a second one of somebody.
            doubled: codes - otps.iter().filter(on_chain).count(),
        };
        #[expect(clippy::print_stdout, reason = "what a fault left is worth reading when it passes too")]
        {
            println!("{counts:?}");
        }
        counts
    }

    fn check(&self) {
        assert!(self.accepted >= 30, "{} requests are no load", self.accepted);
        assert_eq!(self.mined + self.failed, self.accepted, "{self:?}");
        assert_eq!((self.lost, self.doubled), (0, 0), "{self:?}");
    }
}

/// A wallet that asks once and tells what it was told.
struct Prober {
    client: Client,
    vault: Vault,
    wallet: alloy::primitives::Address,
    contact_id: uuid::Uuid,
    asked: u64,
    accepted: Vec<uuid::Uuid>,
    /// Refusals that named the chain.
    away: usize,
}

impl Prober {
    async fn enter(description: &Description) -> Self {
        let signer = PrivateKeySigner::random();
        let client = Client::sign_in(&description.relayer_url, &signer).await.unwrap();
        let contact = client.add_email("prober@example.test").await.unwrap();
        let mailbox = Mailbox::new(&description.mail_url).unwrap();
        let mail = mailbox.wait_for("prober@example.test", Duration::from_secs(20), |_| true).await.unwrap();
        client.confirm(contact.contact_id, &mail.digits().unwrap()).await.unwrap();
        let vault = Vault::new(description.vault, anvil::connect(&description.rpc_url).unwrap());
        let wallet = signer.address();
        Self { client, vault, wallet, contact_id: contact.contact_id, asked: 0, accepted: Vec::new(), away: 0 }
    }

    /// Whether a request is accepted now; the only other answer is 503, at once.
    async fn is_accepted(&mut self) -> bool {
        self.asked += 1;
        let withdrawal = Withdrawal { to: self.wallet, amount: U256::from(1), nonce: U256::from(self.asked) };
        let action = Some(self.vault.action(&withdrawal));
        let new = NewRequest { purpose: "withdraw".to_owned(), action, contact_id: self.contact_id };
        let asked_at = Instant::now();
        match self.client.ask(&new, &format!("probe-{}", self.asked)).await {
            Ok(otp) => {
                self.accepted.push(otp.id);
                true
            }
            // Back from a failure, the issuing task needs a turn: until then it is `issuance-disabled`.
            Err(CallError::Refused(problem)) if problem.status == 503 => {
                self.away += usize::from(problem.is("chain-unavailable"));
                assert!(asked_at.elapsed() < Duration::from_secs(2), "refused after {:?}", asked_at.elapsed());
                false
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// How long it takes until requests are accepted, or no more.
    async fn until(&mut self, accepted: bool, within: Duration) -> Duration {
        let since = Instant::now();
        while self.is_accepted().await != accepted {
            assert!(since.elapsed() < within, "not {accepted} within {within:?}");
            sleep(Duration::from_millis(50)).await;
        }
        since.elapsed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_seconds_without_a_node_are_told_at_once_and_lose_nothing() {
    let mut world = Box::pin(World::start(1)).await;
    world.probe(Duration::from_secs(5)).await;
    world.nodes[0].go_down();
    let refused_after = world.prober.until(false, Duration::from_secs(3)).await;
    let away = world.prober.away;
    let (probes, refused) = world.probe(Duration::from_secs(30)).await;
    let away = world.prober.away - away;
    world.nodes[0].heal();
    let accepted_after = world.prober.until(true, Duration::from_secs(15)).await;
    println!(
        "refused after {refused_after:?}, {refused} of {probes} probes, accepted {accepted_after:?} after the end"
    );
    assert_eq!((refused, away), (probes, probes), "accepted while no node was there, or refused for another reason");
    world.probe(Duration::from_secs(5)).await;
    let counts = Box::pin(world.settle()).await;
    counts.check();
    assert_eq!(counts.failed, 0, "their time was not up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_in_the_middle_of_a_batch_is_followed_by_the_other_one() {
    let mut world = Box::pin(World::start(2)).await;
    let (mut probes, mut refused) = (0, 0);
    for _ in 0..6 {
        // The bytes may have arrived: nobody knows who gets no answer.
        let in_use = world.in_use().await;
        let node = &world.nodes[in_use];
        let sent = node.calls("eth_sendRawTransaction").len();
        node.inject(Fault::LoseAnswer.on("eth_sendRawTransaction").times(1));
        let since = Instant::now();
        while node.calls("eth_sendRawTransaction").len() == sent && since.elapsed() < Duration::from_secs(10) {
            sleep(Duration::from_millis(5)).await;
        }
        node.go_down();
        let found = world.probe(Duration::from_secs(4)).await;
        (probes, refused) = (probes + found.0, refused + found.1);
        world.nodes[in_use].heal();
        // Until the one that was away is known to be back.
        let found = world.probe(Duration::from_secs(6)).await;
        (probes, refused) = (probes + found.0, refused + found.1);
    }
    println!("{refused} of {probes} probes refused");
    assert_eq!(refused, 0, "the other node was there");
    let counts = Box::pin(world.settle()).await;
    counts.check();
    assert_eq!(counts.failed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_by_a_node_that_lies_beside_one_that_does_not() {
    let mut world = Box::pin(World::start(2)).await;
    world.probe(Duration::from_secs(3)).await;
    let node = anvil::connect(&world.stack.description.rpc_url).unwrap();
    let (mut probes, mut refused) = (0, 0);
    for round in 0..7 {
        let in_use = world.in_use().await;
        let bad = &world.nodes[in_use];
        let head = node.get_block(alloy::eips::BlockId::latest()).await.unwrap().unwrap().header;
        match round {
            0 => bad.inject(Fault::Status(429, Some(2)).everywhere()),
            1 => bad.inject(Fault::HalfJson.everywhere()),
            2 => bad.stand_at(head.number.saturating_sub(8)),
            3 => bad.inject(Fault::foreign_receipts()),
            4 => bad.inject(Fault::invented_receipts(head.number, head.hash.to_string())),
            5 => bad.inject(Fault::no_receipts()),
            _ => {
                bad.go_down();
                sleep(Duration::from_secs(1)).await;
                bad.heal();
                bad.inject(Fault::wrong_chain(1));
            }
        }
        let found = world.probe(Duration::from_secs(6)).await;
        (probes, refused) = (probes + found.0, refused + found.1);
        world.nodes[in_use].heal();
        let found = world.probe(Duration::from_secs(3)).await;
        (probes, refused) = (probes + found.0, refused + found.1);
        println!("round {round}: node {in_use} was bad; {refused} of {probes} probes refused so far");
    }
    let counts = Box::pin(world.settle()).await;
    counts.check();
    assert_eq!(counts.failed, 0);
}
