//! What may stop issuance soon is said before it does.

use std::time::Duration;

use alloy::primitives::U256;
use otp_core::chain::{self, RpcConfig, RpcUrl};
use relayer::{chain_view::ChainView, config::WarnConfig, warnings::Watch};
use testbed::faults::RpcProxy;

use crate::world::World;

/// So that nothing is near its bound.
fn calm() -> WarnConfig {
    WarnConfig { balance_wei: U256::from(1), base_fee_percent: 100, transaction_age: Duration::from_secs(3_600) }
}

/// What is warned of after one look at a chain with one node.
async fn looked(world: &World, view: &ChainView, config: WarnConfig, fee_cap_wei: u128) -> Vec<&'static str> {
    let (node, pool) = chain::connect(&RpcConfig::one(world.anvil.url.clone()), world.deployment.chain_id).unwrap();
    chain::head(&node).await.unwrap();
    let watch =
        Watch { node, pool, store: world.store.clone(), view: view.clone(), sponsor: None, fee_cap_wei, config };
    watch.look().await;
    view.warnings().all().into_iter().map(|(name, _)| name).collect()
}

#[tokio::test]
async fn purse_fees_and_a_stuck_transaction_are_warned_of_until_they_are_well_again() {
    let world = World::new().await;
    let parts = world.parts();
    let view = parts.view.clone();
    let cap = parts.issue.max_fee_cap_wei;
    assert_eq!(looked(&world, &view, calm(), cap).await, [""; 0]);

    let poor = WarnConfig { balance_wei: U256::MAX, ..calm() };
    assert_eq!(looked(&world, &view, poor, cap).await, ["issuer-balance"]);
    let base_fee = world.base_fee_wei().await;
    let near = WarnConfig { base_fee_percent: 80, ..calm() };
    assert_eq!(looked(&world, &view, near.clone(), base_fee * 100 / 81).await, ["base-fee"]);
    assert_eq!(looked(&world, &view, near, base_fee * 100 / 79).await, [""; 0], "and the others are over");

    let mut issuer = world.start(parts).await;
    world.accept("withdraw", 1).await;
    issuer.turn().await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let hasty = WarnConfig { transaction_age: Duration::ZERO, ..calm() };
    assert_eq!(looked(&world, &view, hasty.clone(), cap).await, ["stuck"]);
    world.mine().await;
    issuer.turn().await.unwrap();
    assert_eq!(looked(&world, &view, hasty, cap).await, [""; 0]);
}

#[tokio::test]
async fn a_node_that_is_put_aside_is_warned_of_while_another_one_works() {
    let world = World::new().await;
    let (one, two) =
        (RpcProxy::start(&world.anvil.url).await.unwrap(), RpcProxy::start(&world.anvil.url).await.unwrap());
    let urls = vec![RpcUrl(one.url().clone()), RpcUrl(two.url().clone())];
    let config = RpcConfig { urls, ..RpcConfig::one(world.anvil.url.clone()) };
    let (node, pool) = chain::connect(&config, world.deployment.chain_id).unwrap();
    one.go_down();
    chain::head(&node).await.unwrap();
    let view = world.parts().view;
    let watch = Watch {
        node,
        pool,
        store: world.store.clone(),
        view: view.clone(),
        sponsor: None,
        fee_cap_wei: u128::MAX,
        config: calm(),
    };
    watch.look().await;
    let [(name, detail)] = view.warnings().all().try_into().unwrap();
    assert_eq!(name, "nodes");
    assert!(detail.starts_with("1 of 2 nodes") && !detail.contains("127.0.0.1"), "{detail}");
}
