//! A chain and a pool that do what real ones do: forget, refuse, and change their mind. Each test counts.

use std::time::Duration;

use alloy::{
    primitives::{B256, U256},
    providers::{Provider, ext::AnvilApi},
    sol_types::SolCall,
};
use otp_core::{chain, contract::OtpVerifier};
use relayer::issuing::{Issuer, IssuingError, Parts};
use serde_json::{Value, json};
use testbed::faults::{Fault, RpcProxy};

use crate::world::{self, CONFIRMATIONS, Counts, World};

#[tokio::test]
async fn reorgs_of_depth_one_to_eight_lose_and_double_nothing_also_beyond_what_was_taken_for_final() {
    let world = World::new().await;
    let mut issuer = world.issuer().await;
    let mut requests = Vec::new();
    for depth in 1..=8 {
        for _ in 0..depth {
            requests.extend(world.accept("withdraw", 2).await);
            issuer.turn().await.unwrap();
            world.mine().await;
        }
        issuer.turn().await.unwrap();
        world.reorg(depth).await;
        for _ in 0..3 {
            issuer.turn().await.unwrap();
            world.mine().await;
        }
    }
    issuer.turn().await.unwrap();
    assert_eq!(world.count(&requests).await, Counts::all_mined(requests.len()));
    const { assert!(8 > CONFIRMATIONS, "some were final") };
}

#[tokio::test]
async fn transactions_that_pools_drop_are_sent_again() {
    let world = World::new().await;
    let mut issuer = world.start(world.parts_with(|issue| issue.replace_after = Duration::ZERO)).await;
    let requests = world.accept("withdraw", 200).await;
    for _ in 0..6 {
        issuer.turn().await.unwrap();
        for hash in world.pooled().await {
            world.drop_from_pool(hash).await;
        }
    }
    for _ in 0..3 {
        issuer.turn().await.unwrap();
        world.mine().await;
    }
    issuer.turn().await.unwrap();
    assert_eq!(world.count(&requests).await, Counts::all_mined(200));
}

/// An issuer whose node stands behind a proxy.
async fn behind_a_proxy(world: &World, mut parts: Parts) -> (RpcProxy, Issuer) {
    let proxy = RpcProxy::start(&world.anvil.url).await.unwrap();
    parts.node = chain_of(&proxy);
    let issuer = world.start(parts).await;
    (proxy, issuer)
}

/// An issuer that replaces at every turn, before a pool that demands a tenth more of a replacement.
async fn behind_a_strict_pool(world: &World) -> (RpcProxy, Issuer) {
    let (proxy, issuer) = behind_a_proxy(world, world.parts_with(|issue| issue.replace_after = Duration::ZERO)).await;
    proxy.be_strict();
    (proxy, issuer)
}

#[tokio::test]
async fn a_pool_that_wants_a_tenth_more_gets_it() {
    let world = World::new().await;
    let (_proxy, mut issuer) = behind_a_strict_pool(&world).await;
    let requests = world.accept("withdraw", 2).await;
    issuer.turn().await.unwrap();
    let first = world.pooled().await;
    for _ in 0..4 {
        issuer.turn().await.unwrap();
    }
    let last = world.pooled().await;
    assert_eq!((first.len(), last.len()), (1, 1));
    assert_ne!(first, last, "replacements were taken");
    world.mine().await;
    issuer.turn().await.unwrap();
    assert_eq!(world.count(&requests).await, Counts::all_mined(2));
}

#[tokio::test]
async fn where_the_pool_holds_a_dearer_form_than_the_store_knows_the_offer_rises_until_it_is_taken() {
    let world = World::new().await;
    let (proxy, mut issuer) = behind_a_strict_pool(&world).await;
    let requests = world.accept("withdraw", 1).await;
    issuer.turn().await.unwrap();
    // By hand, at twice the tip and far above the first offer: 100 gwei.
    let hash = world.pooled().await[0];
    world.drop_from_pool(hash).await;
    let nonce = world.anvil.node.get_transaction_count(world.signer.address()).await.unwrap();
    let foreign = world.send_through(&chain_of(&proxy), &world.signer, nonce).await;
    for _ in 0..12 {
        issuer.turn().await.unwrap();
    }
    let pooled = world.pooled().await;
    assert!(pooled.len() == 1 && pooled[0] != foreign, "the batch took the nonce back");
    world.mine().await;
    issuer.turn().await.unwrap();
    assert_eq!(world.count(&requests).await, Counts::all_mined(1));
}

/// Every signed form, with the state of its call.
const FORMS: &str = "SELECT hex(t.hash), c.state FROM transactions t JOIN calls c ON c.id = t.call_id ORDER BY t.hash";

fn chain_of(proxy: &RpcProxy) -> chain::Node {
    testbed::anvil::connect(proxy.url()).unwrap()
}

#[tokio::test]
async fn a_gap_in_the_nonces_is_closed() {
    let world = World::new().await;
    let mut issuer = world.issuer().await;
    // A transaction by hand takes a nonce, the batch takes the next one, and a reorg removes the first for good.
    world.send_as(&world.signer, world.wallet, Vec::new()).await;
    world.mine().await;
    let requests = world.accept("withdraw", 2).await;
    issuer.turn().await.unwrap();
    world.reorg(1).await;
    for hash in world.pooled().await {
        world.drop_from_pool(hash).await;
    }
    for _ in 0..4 {
        issuer.turn().await.unwrap();
        world.mine().await;
    }
    drop(issuer);
    let mut issuer = world.start(world.parts_with(|issue| issue.replace_after = Duration::ZERO)).await;
    for _ in 0..3 {
        issuer.turn().await.unwrap();
        world.mine().await;
    }
    issuer.turn().await.unwrap();
    assert_eq!(world.count(&requests).await, Counts::all_mined(2));
}

#[tokio::test]
async fn after_a_restore_nothing_is_sent_while_old_transactions_are_in_the_pool_and_no_serial_is_used_twice() {
    let world = World::new().await;
    let before = world.accept("withdraw", 1).await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    world.mine().await;
    issuer.turn().await.unwrap();
    let backup = world.back_up().await;
    // What the backup does not know: one batch on the chain and one in the pool.
    world.accept("withdraw", 3).await;
    issuer.turn().await.unwrap();
    world.mine().await;
    issuer.turn().await.unwrap();
    world.accept("withdraw", 4).await;
    issuer.turn().await.unwrap();
    assert_eq!(world.pooled().await.len(), 1);
    drop(issuer);

    let world = world.restore(&backup).await;
    let after = world.accept("withdraw", 2).await;
    let started = tokio::time::timeout(Duration::from_secs(2), world.start_unbounded(world.parts())).await;
    assert!(started.is_err(), "it waits for what it does not know");
    assert_eq!(world.pooled().await.len(), 1, "and sends nothing");
    world.mine().await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    world.mine().await;
    issuer.turn().await.unwrap();
    assert_eq!(world.serial_of(before[0]).await, 0);
    assert_eq!((world.serial_of(after[0]).await, world.serial_of(after[1]).await), (8, 9), "above all that was signed");
    assert!(world.landed().await.values().all(|times| *times == 1));
}

#[tokio::test]
async fn a_batch_under_our_key_that_we_did_not_send_stops_issuance_until_somebody_has_looked() {
    let world = World::new().await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    let call = OtpVerifier::setOtpsCall {
        purpose: world::purpose("login").bytes32(),
        first: alloy::primitives::aliases::U40::ZERO,
        ids: (0..2).map(|n| B256::from(U256::from(n + 1))).collect(),
        deadline: u64::MAX,
    };
    world.send_as(&world.signer, world.deployment.verifier, call.abi_encode()).await;
    world.mine().await;
    let requests = world.accept("withdraw", 1).await;
    let refused = issuer.turn().await.unwrap_err();
    assert!(matches!(refused, IssuingError::ForeignBatch), "{refused}");
    assert!(world.pooled().await.is_empty());
    drop(issuer);
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    world.mine().await;
    issuer.turn().await.unwrap();
    assert_eq!(world.status_on_chain(requests[0]).await, world::ISSUED, "an operator has started it anew");
}

#[tokio::test]
async fn a_node_that_hides_receipts_has_nothing_issued_twice() {
    let world = World::new().await;
    let (proxy, mut issuer) = behind_a_proxy(&world, world.parts()).await;
    let requests = world.accept("withdraw", 2).await;
    issuer.turn().await.unwrap();
    proxy.inject(Fault::no_receipts());
    for _ in 0..CONFIRMATIONS + 3 {
        world.mine().await;
        issuer.turn().await.unwrap();
    }
    assert_eq!(world.count(&requests).await, Counts::all_mined(2));
    proxy.heal();
    issuer.turn().await.unwrap();
    assert_eq!(world.count(&requests).await, Counts::all_mined(2));
    assert!(world.store.open_calls(world.signer.address()).await.unwrap().iter().all(|call| call.mined.is_some()));
}

#[tokio::test]
async fn a_receipt_from_above_the_head_that_a_reorg_takes_back_is_noticed_by_the_next_turn() {
    let world = World::new().await;
    let (proxy, mut issuer) = behind_a_proxy(&world, world.parts()).await;
    let requests = world.accept("withdraw", 1).await;
    issuer.turn().await.unwrap();
    let node = &world.anvil.node;
    let head: Value = node.raw_request("eth_getBlockByNumber".into(), json!(["latest", false])).await.unwrap();
    world.mine().await;
    // The turn takes its head a moment before that block comes, and the receipt a moment after.
    proxy.inject(Fault::Result(head).on("eth_getBlockByNumber").when(|params| params[0] == "latest"));
    issuer.turn().await.unwrap();
    assert!(world.store.open_calls(world.signer.address()).await.unwrap()[0].mined.is_some());
    proxy.heal();
    world.reorg(1).await;
    issuer.turn().await.unwrap();
    assert!(world.store.open_calls(world.signer.address()).await.unwrap()[0].mined.is_none());
    world.mine().await;
    issuer.turn().await.unwrap();
    assert_eq!(world.count(&requests).await, Counts::all_mined(1));
}

#[tokio::test]
async fn a_node_that_counts_too_few_transactions_opens_no_final_call_and_has_nothing_signed() {
    let world = World::new().await;
    let (proxy, mut issuer) = behind_a_proxy(&world, world.parts()).await;
    let mut requests = Vec::new();
    for _ in 0..4 {
        requests.extend(world.accept("withdraw", 1).await);
        issuer.turn().await.unwrap();
        world.mine().await;
    }
    issuer.turn().await.unwrap();
    world.mine_many(CONFIRMATIONS).await;
    issuer.turn().await.unwrap();
    let signed = world.sql(FORMS).await;
    assert!(signed.as_array().unwrap().iter().all(|row| row[1] == "final"), "{signed}");
    // Past every deadline; the node stands at none of our transactions.
    world.anvil.node.anvil_increase_time(3_600).await.unwrap();
    proxy.inject(Fault::Result(json!("0x0")).on("eth_getTransactionCount"));
    for _ in 0..3 {
        world.mine().await;
        issuer.turn().await.unwrap();
        world.reorg(1).await;
    }
    let after = world.sql(FORMS).await;
    assert_eq!(after, signed, "nothing is open again, nothing new is signed");
    proxy.heal();
    requests.extend(world.accept("withdraw", 1).await);
    issuer.turn().await.unwrap();
    world.mine().await;
    issuer.turn().await.unwrap();
    assert_eq!(world.count(&requests).await, Counts::all_mined(5));
}

#[tokio::test]
async fn a_clock_set_back_or_forward_loses_and_doubles_nothing() {
    let world = World::new().await;
    let mut issuer = world.start(world.parts_with(|issue| issue.replace_after = Duration::from_millis(1))).await;
    let requests = world.accept("withdraw", 5).await;
    issuer.turn().await.unwrap();
    // Rows from the future, as they are after this server's clock was set back by an hour: claims, forms, waiting times.
    world.shift_times(3_600_000).await;
    let more = world.accept("withdraw", 3).await;
    world.shift_times(3_600_000).await;
    let dropped = world.pooled().await[0];
    world.drop_from_pool(dropped).await;
    issuer.turn().await.unwrap();
    let pooled = world.pooled().await;
    assert!(!pooled.is_empty() && !pooled.contains(&dropped), "replaced, and not once the clock has caught up");
    for _ in 0..3 {
        issuer.turn().await.unwrap();
        world.mine().await;
    }
    issuer.turn().await.unwrap();
    let all = [requests, more].concat();
    assert_eq!(world.count(&all).await, Counts::all_mined(8));
    // And forward: who waits is told, since it waited too long by every clock that is left.
    let late = world.accept("withdraw", 2).await;
    world.shift_times(-7_200_000).await;
    issuer.turn().await.unwrap();
    world.mine().await;
    assert_eq!(world.count(&late).await.told, 2);
    let _ = world.anvil.node.anvil_mine(Some(1), None).await;
}
