//! A node that answers late, partly, or not at all.

use std::time::Duration;

use otp_core::store::{EventFilter, EventKind};
use serde_json::{Value, json};
use testbed::faults::{Fault, Rule};

use crate::harness::{World, follow};

fn no_logs() -> Rule {
    Fault::Result(json!([])).on("eth_getLogs")
}

/// The last log is left out.
fn partial_logs() -> Rule {
    Fault::edit(|_, logs| drop(logs.as_array_mut().unwrap().pop())).on("eth_getLogs")
}

/// How many blocks a call for logs spans; none where it is for one block by its hash.
fn width(params: &Value) -> Option<u64> {
    let number = |name: &str| u64::from_str_radix(params[0][name].as_str()?.strip_prefix("0x")?, 16).ok();
    Some(number("toBlock")? - number("fromBlock")? + 1)
}

#[tokio::test]
async fn logs_that_come_back_empty_are_found_in_the_receipts() {
    let world = World::new().await;
    let proxy = world.proxy().await;
    world.issue_one().await;
    proxy.inject(no_logs());
    follow(&mut world.tail(proxy.url().as_str())).await;
    assert_eq!(world.deliveries("queued").await, 1);
}

#[tokio::test]
async fn a_block_is_not_passed_while_neither_logs_nor_receipts_are_there() {
    let world = World::new().await;
    let proxy = world.proxy().await;
    let mut tail = world.tail(proxy.url().as_str());
    follow(&mut tail).await;
    world.issue_one().await;
    let cursor = world.store.cursor(&world.chain.deployment).await.unwrap();
    proxy.inject(no_logs().times(3));
    proxy.inject(Fault::Result(Value::Null).on("eth_getBlockReceipts").times(3));
    for _ in 0..3 {
        assert!(tail.step().await.is_err());
        assert_eq!(world.store.cursor(&world.chain.deployment).await.unwrap(), cursor);
    }
    follow(&mut tail).await;
    assert_eq!(world.deliveries("queued").await, 1);
}

#[tokio::test]
async fn a_batch_that_comes_back_without_its_last_id_is_completed() {
    let world = World::new().await;
    let proxy = world.proxy().await;
    let mut tail = world.tail(proxy.url().as_str());
    follow(&mut tail).await;
    world.issue_one().await;
    proxy.inject(partial_logs().times(1));
    follow(&mut tail).await;
    assert_eq!(world.deliveries("queued").await, 1);
}

#[tokio::test]
async fn a_block_that_is_null_is_waited_for() {
    let world = World::new().await;
    let proxy = world.proxy().await;
    let mut tail = world.tail(proxy.url().as_str());
    follow(&mut tail).await;
    world.issue_one().await;
    // So that the next block is not the head, which was just answered.
    world.chain.mine(1).await;
    let null = Fault::Result(Value::Null).on("eth_getBlockByNumber");
    proxy.inject(null.when(|params| params[0] != "latest").times(2));
    assert!(tail.step().await.is_err());
    assert!(tail.step().await.is_err());
    follow(&mut tail).await;
    assert_eq!(world.deliveries("queued").await, 1);
}

#[tokio::test]
async fn far_behind_the_head_ranges_are_read_and_halved_where_they_are_refused() {
    let world = World::new().await;
    let proxy = world.proxy().await;
    world.chain.mine(100).await;
    world.issue_one().await;
    world.chain.mine(300).await;
    world.issue_one().await;
    let refusal = Fault::Error(-32_005, "query returned more than 10000 results").on("eth_getLogs");
    proxy.inject(refusal.when(|params| width(params) > Some(20)));
    follow(&mut world.tail(proxy.url().as_str())).await;
    let sets = EventFilter { kind: Some(EventKind::Set), ..EventFilter::default() };
    assert_eq!(world.store.events(&sets, 10).await.unwrap().len(), 2);
    assert_eq!(world.deliveries("queued").await, 2);
    let asked = proxy.calls("eth_getLogs");
    let widest = asked.iter().filter_map(width).filter(|width| *width <= 20).max().unwrap();
    assert!((16..=20).contains(&widest), "ranges of {widest} blocks");
    let cursor = world.store.cursor(&world.chain.deployment).await.unwrap().unwrap();
    assert_eq!(cursor.number, world.chain.head().await);
}

#[tokio::test]
async fn a_range_that_comes_back_empty_or_partial_loses_no_event() {
    for partial in [false, true] {
        let world = World::new().await;
        let proxy = world.proxy().await;
        world.issue_one().await;
        world.chain.mine(3).await;
        world.issue_one().await;
        world.chain.mine(200).await;
        proxy.inject(if partial { partial_logs() } else { no_logs() });
        follow(&mut world.tail(proxy.url().as_str())).await;
        let events = world.store.events(&EventFilter::default(), 100).await.unwrap();
        assert_eq!(events.len(), 11, "an upgrade and five roles of the deployment, a policy, two batches, two ids");
        assert_eq!(world.deliveries("queued").await, 2);
    }
}

#[tokio::test]
async fn a_deployment_block_above_the_head_is_named() {
    let mut world = World::new().await;
    let head = world.chain.head().await;
    world.chain.deployment_block = head + 7;
    let error = world.tail(&world.chain.url).step().await.unwrap_err().to_string();
    assert_eq!(error, format!("chain.deployment_block {} is above the node's head {head}", head + 7));
}

#[tokio::test]
async fn a_restart_goes_on_where_the_cursor_stands_and_finds_the_same() {
    let world = World::new().await;
    world.issue_one().await;
    let mut first = world.tail(&world.chain.url);
    first.step().await.unwrap();
    drop(first);
    world.issue_one().await;
    follow(&mut world.tail(&world.chain.url)).await;
    let events = world.store.events(&EventFilter::default(), 100).await.unwrap();
    let mut places: Vec<_> = events.iter().map(|e| (e.place.block_number, e.place.log_index)).collect();
    places.dedup();
    assert_eq!(places.len(), 11, "six of the deployment, a policy, two batches, two ids, each once");
    assert_eq!(world.deliveries("queued").await, 2);
}

#[tokio::test]
async fn two_tails_on_one_database_are_told_apart() {
    let world = World::new().await;
    let (mut one, mut two) = (world.tail(&world.chain.url), world.tail(&world.chain.url));
    one.step().await.unwrap();
    let (cursor, blocks) = {
        let cursor = world.store.cursor(&world.chain.deployment).await.unwrap().unwrap();
        (cursor, world.store.blocks_below(cursor.number, 1).await.unwrap())
    };
    two.step().await.unwrap();
    let stale =
        otp_core::store::Block { hash: cursor.hash, number: cursor.number, parent_hash: blocks[0].hash, timestamp: 0 };
    let applied = world.store.apply(&world.outbox, blocks[0], &[stale], &[]).await.unwrap();
    assert_eq!(applied, None, "a write from where the cursor no longer stands passed");
}

#[tokio::test]
async fn a_node_that_leaves_is_followed_by_another_and_no_block_is_passed_over() {
    let world = World::new().await;
    let (one, two) = (world.proxy().await, world.proxy().await);
    let mut tail = world.tail(&format!("{},{}", one.url(), two.url()));
    world.issue_one().await;
    follow(&mut tail).await;
    assert_eq!(two.count(), 0, "one node is asked");
    world.issue_one().await;
    one.inject(Fault::HalfJson.on("eth_getLogs"));
    follow(&mut tail).await;
    world.issue_one().await;
    two.go_down();
    assert!(tail.step().await.is_err(), "one is put aside for its nonsense, two is gone");
    one.heal();
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    follow(&mut tail).await;
    assert_eq!(world.deliveries("queued").await, 3);
}

#[tokio::test]
async fn a_node_of_another_chain_is_never_read() {
    let world = World::new().await;
    let (stranger, ours) = (world.proxy().await, world.proxy().await);
    stranger.inject(Fault::wrong_chain(1));
    world.issue_one().await;
    follow(&mut world.tail(&format!("{},{}", stranger.url(), ours.url()))).await;
    assert_eq!(world.deliveries("queued").await, 1);
    assert_eq!(stranger.calls("eth_getLogs").len(), 0);
}
