//! Blocks that go while the indexer catches up. In the end the chain's events are the stored ones, and each code on it has
//! brought one message.

use std::{collections::BTreeMap, time::Duration};

use alloy::primitives::{Bytes, keccak256};
use indexer::{
    deliver::Worker,
    tail::{Step, Tail},
};
use otp_core::store::EventFilter;
use serde_json::json;
use testbed::faults::{Fault, RpcProxy, SmtpServer};
use tokio::task::JoinHandle;

use crate::harness::{Chain, Issued, World, eventually, work_off};

const DEPTHS: [u64; 4] = [1, 3, 10, 30];
/// Within this distance of the head blocks are read one by one.
const LINKED_BLOCKS: u64 = 128;
const LOGS: &str = "eth_getLogs";
const HEADERS: &str = "eth_getBlockByNumber";
/// Enough for a reorg meanwhile.
const LATE: Duration = Duration::from_secs(2);

/// A process that catches up with a chain, on which codes are issued meanwhile.
struct CatchUp {
    world: World,
    proxy: RpcProxy,
    smtp: SmtpServer,
    worker: Worker,
    tail: Tail,
    codes: Vec<Issued>,
    strangers_next: u64,
    /// A step of a process that has the same database and ends after it; whether it can be tried again where it failed.
    under_way: Option<JoinHandle<Result<(), bool>>>,
    /// Of these steps, those to which the answers made no sense.
    broken_off: usize,
}

impl CatchUp {
    async fn new() -> Self {
        let (world, smtp) = (World::new().await, SmtpServer::start().await.unwrap());
        let proxy = world.proxy().await;
        let (tail, worker) = (world.tail(proxy.url().as_str()), world.worker(smtp.port));
        Self { world, proxy, smtp, worker, tail, codes: Vec::new(), strangers_next: 0, under_way: None, broken_off: 0 }
    }

    /// A code, and so many blocks on top of its own.
    async fn issue_below(&mut self, blocks: u64) {
        let (_, issued) = self.world.issue_one().await;
        self.codes.push(issued);
        if blocks > 0 {
            self.world.chain.mine(blocks).await;
        }
    }

    async fn cursor(&self) -> u64 {
        self.world.store.cursor(&self.world.chain.deployment).await.unwrap().map_or(0, |cursor| cursor.number)
    }

    /// Steps until the cursor is as far.
    async fn catch_up_to(&mut self, block: u64) {
        while self.cursor().await < block {
            self.step().await;
        }
    }

    /// A step; what the node answers while its chain changes may make no sense, and is tried again.
    async fn step(&mut self) -> Step {
        for _ in 0..400 {
            match self.tail.step().await {
                Ok(step) => return step,
                Err(error) => assert!(error.is_retryable(), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the chain cannot be read for 20 s");
    }

    fn step_aside(&self) -> JoinHandle<Result<(), bool>> {
        let mut tail = self.world.tail(self.proxy.url().as_str());
        tokio::spawn(async move { tail.step().await.map(drop).map_err(|error| error.is_retryable()) })
    }

    fn logs_asked(&self) -> usize {
        self.proxy.calls(LOGS).len()
    }

    async fn rest(&mut self) {
        if let Some(step) = self.under_way.take() {
            let outcome = step.await.unwrap();
            assert_ne!(outcome, Err(false), "a step gave up");
            self.broken_off += usize::from(outcome.is_err());
            self.proxy.heal();
        }
        while self.step().await != Step::Idle {}
        work_off(&self.worker).await;
    }

    /// The last blocks go. With the same contents, the last code is in the first of the new ones; with others, a
    /// stranger's batch is, and the code lands again at the end.
    async fn reorg(&mut self, depth: u64, same: bool) {
        let chain = &self.world.chain;
        if same {
            return chain.reorg_with(depth, &[self.codes.last().unwrap()]).await;
        }
        let first = self.strangers_next;
        self.strangers_next += 2;
        let ids = [first, first + 1].map(|serial| keccak256(serial.to_be_bytes()));
        let data = Bytes::from(Chain::set_call(first, &ids));
        let call = json!({ "from": chain.stranger, "to": chain.deployment.verifier, "data": data, "gas": "0x300000" });
        chain.ask("anvil_reorg", json!([depth, [[call, depth / 2]]])).await;
    }

    async fn land_again(&self) {
        let lost = self.codes.last().unwrap();
        self.world.chain.set_otps(self.world.chain.issuer, lost.serial, &[lost.id]).await;
    }

    /// What the chain has is what is stored and, code by code, what was sent: once each.
    async fn compare(&self) -> String {
        self.world.assert_as_chain().await;
        let mut messages: BTreeMap<String, usize> = BTreeMap::new();
        let taken = self.smtp.drain();
        for message in &taken {
            *messages.entry(message.message_id.clone()).or_default() += 1;
        }
        for issued in &self.codes {
            let id = self.world.outbox.message_id(issued.id.as_slice(), "email");
            assert_eq!(messages.remove(&id), Some(1), "how often the message of {} went out", issued.id);
        }
        assert!(messages.is_empty(), "{} messages that no code calls for", messages.len());
        let events = self.world.store.events(&EventFilter::default(), u32::MAX).await.unwrap().len();
        format!(
            "events on chain {events} = events in store {events}, codes on chain {0} = messages {0}, lost 0, \
             doubled 0, steps broken off {1}",
            self.codes.len(),
            self.broken_off
        )
    }
}

/// One such reorg after the other, with the same contents and with others, in the midst of what `before` does.
async fn reorgs_of(depths: &[u64], before: impl AsyncFn(&mut CatchUp, u64)) -> String {
    let mut run = CatchUp::new().await;
    for (depth, same) in depths.iter().flat_map(|depth| [(*depth, true), (*depth, false)]) {
        before(&mut run, depth).await;
        run.reorg(depth, same).await;
        run.rest().await;
        if !same {
            run.land_again().await;
            run.rest().await;
        }
    }
    run.compare().await
}

#[tokio::test]
async fn reorgs_of_every_depth_while_ranges_are_under_way_lose_and_double_nothing() {
    // A chain for each: anvil, gone back on one of more than a thousand blocks, has forgotten the contract's code.
    for depth in DEPTHS {
        let counts = reorgs_of(&[depth], async |run, depth| {
            run.issue_below(LINKED_BLOCKS + 12).await;
            run.step().await;
            run.issue_below(depth - 1).await;
        })
        .await;
        println!("{counts}");
    }
}

#[tokio::test]
async fn reorgs_of_every_depth_that_take_half_of_what_was_caught_up_lose_and_double_nothing() {
    let counts = reorgs_of(&DEPTHS, async |run, depth| {
        run.issue_below(20).await;
        run.issue_below(depth - 1).await;
        // The code is applied and its message is out; some blocks above it are still to come.
        run.catch_up_to(run.world.chain.head().await - depth / 2).await;
        work_off(&run.worker).await;
    })
    .await;
    println!("{counts}");
}

#[tokio::test]
async fn reorgs_of_every_depth_between_a_header_and_its_logs_lose_and_double_nothing() {
    let counts = reorgs_of(&DEPTHS, async |run, depth| {
        run.issue_below(20).await;
        run.issue_below(depth - 1).await;
        run.catch_up_to(run.world.chain.head().await - depth).await;
        // The step that reads the code's block waits for its logs when the block goes.
        let asked = run.logs_asked();
        run.proxy.inject(Fault::Delay(LATE).on(LOGS).times(1));
        run.under_way = Some(run.step_aside());
        eventually("the logs to be asked for", || async { (run.logs_asked() > asked).then_some(()) }).await;
    })
    .await;
    println!("{counts}");
}

#[tokio::test]
async fn a_reorg_between_the_logs_of_ranges_and_their_headers_loses_and_doubles_nothing() {
    let counts = reorgs_of(&[150], async |run, depth| {
        run.issue_below(0).await;
        run.issue_below(depth - 1).await;
        // The logs are of blocks that are gone when the headers come.
        let asked = run.logs_asked();
        run.proxy.inject(Fault::Delay(LATE).on(HEADERS).when(|params| params[0] != "latest").times(LINKED_BLOCKS));
        run.under_way = Some(run.step_aside());
        eventually("the logs to be asked for", || async { (run.logs_asked() > asked).then_some(()) }).await;
    })
    .await;
    println!("{counts}");
}
