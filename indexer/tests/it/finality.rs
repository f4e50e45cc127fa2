//! Blocks that are final: read a second time elsewhere, mended, and never undone.

use indexer::progress::Progress;
use serde_json::json;
use testbed::faults::{Fault, RpcProxy};

use crate::harness::{World, follow, settle};

/// Blocks that anvil counts as not final yet.
const OPEN: u64 = 64;

/// A node without our logs, and whose headers do not show it.
fn hide_everything(proxy: &RpcProxy) {
    proxy.inject(Fault::Result(json!([])).on("eth_getLogs"));
    for method in ["eth_getBlockByNumber", "eth_getBlockByHash"] {
        let clear = Fault::edit(|_, block| block["logsBloom"] = json!(format!("0x{}", "00".repeat(256))));
        proxy.inject(clear.on(method).when(|params| params[0] != "0x0"));
    }
}

/// Two nodes, the first of which is asked, and their URLs as a configuration has them.
async fn two_nodes(world: &World) -> (RpcProxy, RpcProxy, String) {
    let (one, two) = (world.proxy().await, world.proxy().await);
    let urls = format!("{},{}", one.url(), two.url());
    (one, two, urls)
}

async fn final_number(world: &World) -> Option<u64> {
    world.store.final_block(&world.chain.deployment).await.unwrap().map(|settled| settled.number)
}

#[tokio::test]
async fn the_final_mark_follows_the_chains_own_word() {
    let world = World::new().await;
    world.issue_one().await;
    let mut tail = world.tail(&world.chain.url);
    let mut settler = world.settler(&world.chain.url);
    follow(&mut tail).await;
    settle(&mut settler).await;
    assert_eq!(final_number(&world).await, None, "nothing is final yet");
    for blocks in [OPEN, 1, 5] {
        world.chain.mine(blocks).await;
        follow(&mut tail).await;
        settle(&mut settler).await;
        assert_eq!(final_number(&world).await, Some(world.chain.head().await - OPEN));
    }
}

#[tokio::test]
async fn without_the_tag_so_many_blocks_stand_for_it() {
    let world = World::new().await;
    world.chain.mine(100).await;
    let proxy = world.proxy().await;
    let unknown = Fault::Error(-39_001, "Unknown block").on("eth_getBlockByNumber");
    proxy.inject(unknown.when(|params| params[0] == "finalized"));
    follow(&mut world.tail(proxy.url().as_str())).await;
    settle(&mut world.settler(proxy.url().as_str())).await;
    assert_eq!(final_number(&world).await, Some(world.chain.head().await - 64));
    proxy.heal();
    let broken = Fault::Error(-32_603, "internal error").on("eth_getBlockByNumber");
    proxy.inject(broken.when(|params| params[0] == "finalized"));
    world.chain.mine(10).await;
    follow(&mut world.tail(proxy.url().as_str())).await;
    let settler = world.settler(proxy.url().as_str()).step().await;
    assert!(settler.is_err(), "a node that fails has not said that it knows no tag");
}

#[tokio::test]
async fn a_second_node_finds_what_the_first_one_hid_and_it_is_delivered() {
    let world = World::new().await;
    let (one, two, urls) = two_nodes(&world).await;
    hide_everything(&one);
    world.issue_one().await;
    world.chain.mine(OPEN + 3).await;
    follow(&mut world.tail(&urls)).await;
    assert_eq!(world.deliveries("queued").await, 0, "hidden");
    settle(&mut world.settler(&urls)).await;
    world.assert_as_chain().await;
    assert_eq!(world.deliveries("queued").await, 1);
    assert_eq!(final_number(&world).await, Some(world.chain.head().await - OPEN));
    assert!(!two.calls("eth_getLogs").is_empty());
}

#[tokio::test]
async fn what_is_found_after_its_code_expired_is_stored_and_sent_to_nobody() {
    let world = World::new().await;
    let (one, _two, urls) = two_nodes(&world).await;
    hide_everything(&one);
    world.issue_one().await;
    world.chain.ask("evm_increaseTime", json!([601])).await;
    world.chain.mine(OPEN + 3).await;
    follow(&mut world.tail(&urls)).await;
    settle(&mut world.settler(&urls)).await;
    world.assert_as_chain().await;
    assert_eq!(world.store.delivery_counts().await.unwrap(), []);
}

#[tokio::test]
async fn a_second_node_that_lacks_what_is_stored_stops_the_mark_and_nothing_else() {
    let world = World::new().await;
    let (_one, two, urls) = two_nodes(&world).await;
    hide_everything(&two);
    world.issue_one().await;
    world.chain.mine(OPEN + 3).await;
    follow(&mut world.tail(&urls)).await;
    let mut settler = world.settler(&urls);
    let error = settler.step().await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("disagree"), "{error}");
    assert_eq!(final_number(&world).await, None);
    world.assert_as_chain().await;
    two.heal();
    settle(&mut settler).await;
    assert_eq!(final_number(&world).await, Some(world.chain.head().await - OPEN));
}

#[tokio::test]
async fn one_nodes_word_alone_makes_no_block_final() {
    let world = World::new().await;
    let (one, _two, urls) = two_nodes(&world).await;
    world.chain.mine(OPEN + 3).await;
    let head = world.chain.ask("eth_getBlockByNumber", json!(["latest", false])).await;
    one.inject(Fault::Result(head).on("eth_getBlockByNumber").when(|params| params[0] == "finalized"));
    follow(&mut world.tail(&urls)).await;
    settle(&mut world.settler(&urls)).await;
    assert_eq!(final_number(&world).await, Some(world.chain.head().await - OPEN));
}

#[tokio::test]
async fn the_mark_waits_for_a_second_node_that_is_away() {
    let world = World::new().await;
    let (_one, two, urls) = two_nodes(&world).await;
    world.chain.mine(OPEN + 3).await;
    follow(&mut world.tail(&urls)).await;
    two.go_down();
    let mut settler = world.settler(&urls);
    assert!(settler.step().await.unwrap_err().is_retryable());
    assert_eq!(final_number(&world).await, None, "the first node is no second opinion of its own");
}

#[tokio::test]
async fn a_reorg_of_what_is_final_ends_the_tail_and_undoes_nothing() {
    let world = World::new().await;
    world.issue_one().await;
    world.chain.mine(OPEN + 6).await;
    let mut tail = world.tail(&world.chain.url);
    follow(&mut tail).await;
    settle(&mut world.settler(&world.chain.url)).await;
    let cursor = world.store.cursor(&world.chain.deployment).await.unwrap();
    world.chain.reorg(OPEN + 5).await;
    let error = tail.step().await.unwrap_err();
    assert!(!error.is_retryable() && error.to_string().contains("which was final"), "{error}");
    assert_eq!(world.store.cursor(&world.chain.deployment).await.unwrap(), cursor);
    assert_eq!(world.deliveries("queued").await, 1);
}

#[tokio::test]
async fn a_reorg_down_to_the_final_block_is_followed() {
    let world = World::new().await;
    world.issue_one().await;
    world.chain.mine(OPEN + 6).await;
    let mut tail = world.tail(&world.chain.url);
    follow(&mut tail).await;
    settle(&mut world.settler(&world.chain.url)).await;
    world.chain.reorg(OPEN).await;
    follow(&mut tail).await;
    world.assert_as_chain().await;
}

#[tokio::test]
async fn a_node_whose_chain_lacks_the_final_block_is_put_aside_where_another_has_it() {
    let world = World::new().await;
    world.issue_one().await;
    world.chain.mine(OPEN + 6).await;
    follow(&mut world.tail(&world.chain.url)).await;
    settle(&mut world.settler(&world.chain.url)).await;
    let fork = world.chain.fork(OPEN + 5).await;
    let mut tail = world.tail(&format!("{},{}", fork.url, world.chain.url));
    let error = tail.step().await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("another node has"), "{error}");
    world.chain.mine(1).await;
    follow(&mut tail).await;
    world.assert_as_chain().await;
}

#[tokio::test]
async fn what_was_read_before_a_restart_is_read_again_from_another_node_whichever_it_was() {
    let mut world = World::new().await;
    let (one, _two, urls) = two_nodes(&world).await;
    hide_everything(&one);
    world.issue_one().await;
    follow(&mut world.tail(&urls)).await;
    // The process that starts now reads from the other node, which makes the first one the second opinion.
    world.progress = Progress::default();
    one.heal();
    one.go_down();
    world.chain.mine(OPEN + 3).await;
    follow(&mut world.tail(&urls)).await;
    one.heal();
    hide_everything(&one);
    settle(&mut world.settler(&urls)).await;
    world.assert_as_chain().await;
    assert_eq!(world.deliveries("queued").await, 1);
    assert_eq!(final_number(&world).await, Some(world.chain.head().await - OPEN));
}

#[tokio::test]
async fn what_lies_below_a_reorg_is_read_again_from_another_node_than_the_one_it_came_from() {
    let world = World::new().await;
    let (one, _two, urls) = two_nodes(&world).await;
    hide_everything(&one);
    world.issue_one().await;
    world.chain.mine(5).await;
    let mut tail = world.tail(&urls);
    follow(&mut tail).await;
    one.heal();
    one.go_down();
    world.chain.reorg(3).await;
    world.chain.mine(OPEN + 3).await;
    follow(&mut tail).await;
    one.heal();
    hide_everything(&one);
    settle(&mut world.settler(&urls)).await;
    world.assert_as_chain().await;
    assert_eq!(world.deliveries("queued").await, 1);
    assert_eq!(final_number(&world).await, Some(world.chain.head().await - OPEN));
}
