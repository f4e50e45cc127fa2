//! A node that answers late, partly, or not at all.

use std::sync::atomic::Ordering::SeqCst;

use otp_core::store::{EventFilter, EventKind};

use crate::harness::{RpcProxy, World, follow};

#[tokio::test]
async fn logs_that_come_back_empty_are_found_in_the_receipts() {
    let world = World::new().await;
    let proxy = RpcProxy::start(&world.chain.url).await;
    world.issue_one().await;
    proxy.faults.empty_logs.store(i64::MAX, SeqCst);
    follow(&mut world.tail(&proxy.url)).await;
    assert_eq!(world.deliveries("pending").await, 1);
}

#[tokio::test]
async fn a_block_is_not_passed_while_neither_logs_nor_receipts_are_there() {
    let world = World::new().await;
    let proxy = RpcProxy::start(&world.chain.url).await;
    let mut tail = world.tail(&proxy.url);
    follow(&mut tail).await;
    world.issue_one().await;
    let cursor = world.store.cursor(&world.chain.deployment).await.unwrap();
    proxy.faults.empty_logs.store(3, SeqCst);
    proxy.faults.no_receipts.store(3, SeqCst);
    for _ in 0..3 {
        assert!(tail.step().await.is_err());
        assert_eq!(world.store.cursor(&world.chain.deployment).await.unwrap(), cursor);
    }
    follow(&mut tail).await;
    assert_eq!(world.deliveries("pending").await, 1);
}

#[tokio::test]
async fn a_batch_that_comes_back_without_its_last_id_is_completed() {
    let world = World::new().await;
    let proxy = RpcProxy::start(&world.chain.url).await;
    let mut tail = world.tail(&proxy.url);
    follow(&mut tail).await;
    world.issue_one().await;
    proxy.faults.partial_logs.store(1, SeqCst);
    follow(&mut tail).await;
    assert_eq!(world.deliveries("pending").await, 1);
}

#[tokio::test]
async fn a_block_that_is_null_is_waited_for() {
    let world = World::new().await;
    let proxy = RpcProxy::start(&world.chain.url).await;
    let mut tail = world.tail(&proxy.url);
    follow(&mut tail).await;
    world.issue_one().await;
    proxy.faults.null_blocks.store(2, SeqCst);
    assert!(tail.step().await.is_err());
    assert!(tail.step().await.is_err());
    follow(&mut tail).await;
    assert_eq!(world.deliveries("pending").await, 1);
}

#[tokio::test]
async fn far_behind_the_head_ranges_are_read_and_halved_where_they_are_refused() {
    let world = World::new().await;
    let proxy = RpcProxy::start(&world.chain.url).await;
    world.chain.mine(100).await;
    world.issue_one().await;
    world.chain.mine(300).await;
    world.issue_one().await;
    proxy.faults.widest_range.store(20, SeqCst);
    follow(&mut world.tail(&proxy.url)).await;
    let sets = EventFilter { kind: Some(EventKind::Set), ..EventFilter::default() };
    assert_eq!(world.store.events(&sets, 10).await.unwrap().len(), 2);
    assert_eq!(world.deliveries("pending").await, 2);
    let widest = proxy.faults.widest_answered.load(SeqCst);
    assert!((16..=20).contains(&widest), "ranges of {widest} blocks");
    let cursor = world.store.cursor(&world.chain.deployment).await.unwrap().unwrap();
    assert_eq!(cursor.number, world.chain.head().await);
}

#[tokio::test]
async fn a_range_that_comes_back_empty_or_partial_loses_no_event() {
    for partial in [false, true] {
        let world = World::new().await;
        let proxy = RpcProxy::start(&world.chain.url).await;
        world.issue_one().await;
        world.chain.mine(3).await;
        world.issue_one().await;
        world.chain.mine(200).await;
        let fault = if partial { &proxy.faults.partial_logs } else { &proxy.faults.empty_logs };
        fault.store(i64::MAX, SeqCst);
        follow(&mut world.tail(&proxy.url)).await;
        let events = world.store.events(&EventFilter::default(), 100).await.unwrap();
        assert_eq!(events.len(), 5, "a policy, two batches, two ids");
        assert_eq!(world.deliveries("pending").await, 2);
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
    assert_eq!(places.len(), 5, "a policy, two batches, two ids, each once");
    assert_eq!(world.deliveries("pending").await, 2);
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
