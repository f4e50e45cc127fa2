//! Several ranges under way at once, of which some are slow, refused or fail.

use std::time::Duration;

use indexer::tail::Step;
use serde_json::Value;
use testbed::faults::{Fault, RpcProxy};

use crate::harness::{World, follow};

/// First block and number of blocks of each call for a range of logs.
fn ranges(proxy: &RpcProxy) -> Vec<(u64, u64)> {
    let number = |call: &Value, name: &str| u64::from_str_radix(call[0][name].as_str()?.strip_prefix("0x")?, 16).ok();
    let range = |call: &Value| {
        let from = number(call, "fromBlock")?;
        Some((from, number(call, "toBlock")? - from + 1))
    };
    proxy.calls("eth_getLogs").iter().filter_map(range).collect()
}

async fn long_chain() -> World {
    let world = World::new().await;
    for _ in 0..3 {
        world.issue_one().await;
        world.chain.mine(120).await;
    }
    world
}

#[tokio::test]
async fn ranges_behind_a_slow_one_are_read_meanwhile_and_applied_after_it() {
    let world = long_chain().await;
    let proxy = world.proxy().await;
    proxy.inject(Fault::Delay(Duration::from_millis(600)).on("eth_getLogs").times(1));
    let mut tail = world.tail(proxy.url().as_str());
    let first = tokio::time::timeout(Duration::from_millis(400), tail.step()).await;
    assert!(first.is_err(), "the first range is slow");
    assert_eq!(ranges(&proxy).len(), 4, "the others did not wait for it");
    let before = world.store.cursor(&world.chain.deployment).await.unwrap().unwrap();
    assert_eq!(before.number, world.chain.deployment_block - 1, "and were not applied before it");
    follow(&mut tail).await;
    world.assert_as_chain().await;
    let mut firsts: Vec<u64> = ranges(&proxy).iter().map(|(from, _)| *from).collect();
    let asked = firsts.len();
    firsts.dedup();
    firsts.sort_unstable();
    firsts.dedup();
    assert_eq!(firsts.len(), asked, "no range was read twice");
}

#[tokio::test]
async fn an_error_that_does_not_speak_of_size_cuts_no_range() {
    let world = long_chain().await;
    let proxy = world.proxy().await;
    proxy.inject(Fault::Error(-32_603, "internal error").on("eth_getLogs").times(6));
    let mut tail = world.tail(proxy.url().as_str());
    let mut failed = 0;
    loop {
        match tail.step().await {
            Ok(Step::Idle) => break,
            Ok(_) => {}
            Err(_) => failed += 1,
        }
    }
    assert!((1..=6).contains(&failed), "{failed} steps failed");
    world.assert_as_chain().await;
    let end = world.chain.head().await - 128;
    assert!(ranges(&proxy).iter().all(|(from, blocks)| *blocks >= 16 || from + blocks > end), "{:?}", ranges(&proxy));
}

#[tokio::test]
async fn a_node_that_takes_no_batches_is_asked_for_single_headers() {
    let world = long_chain().await;
    let proxy = world.proxy().await;
    proxy.refuse_batches();
    let mut tail = world.tail(proxy.url().as_str());
    follow(&mut tail).await;
    world.assert_as_chain().await;
}

#[tokio::test]
async fn a_throttled_node_is_left_alone_for_as_long_as_it_asks() {
    let world = long_chain().await;
    let proxy = world.proxy().await;
    let mut tail = world.tail(proxy.url().as_str());
    tail.step().await.unwrap();
    proxy.inject(Fault::Status(429, Some(2)).everywhere());
    while tail.step().await.is_ok() {}
    let calls = proxy.count();
    for _ in 0..100 {
        assert!(tail.step().await.is_err());
    }
    assert_eq!(proxy.count(), calls, "a hundred steps, and not one call");
    proxy.heal();
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    follow(&mut tail).await;
    world.assert_as_chain().await;
}
