//! What may stop issuance soon is said before it does.

use std::time::Duration;

use alloy::{
    primitives::U256,
    providers::{Provider, ext::AnvilApi},
    signers::local::PrivateKeySigner,
};
use otp_core::{
    chain::{self, RpcConfig, RpcUrl},
    metrics::Recorder,
};
use relayer::{chain_view::ChainView, config::WarnConfig, warnings::Watch};
use testbed::faults::RpcProxy;

use crate::world::{ISSUED, World};

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

/// Emits ERC-1967's `Upgraded` and ends: PUSH32 topic, PUSH0 size, PUSH0 offset, LOG1, STOP.
const EMITS_UPGRADED: &str = "0x7fbc7cd75a20ee27fd9adebab32041f755214dbc6bffa90cc0225b39da2e5c2d3b5f5fa100";

/// How often an alarm was counted. The counter is the process's: other tests here grant roles as well, none upgrades.
fn alarms(alarm: &str) -> u64 {
    let text = Recorder::install().unwrap().render();
    let series = format!("otp_chain_alarms_total{{alarm=\"{alarm}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&series)).map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn a_role_that_is_granted_and_an_upgrade_are_alarms_told_once_and_issuance_goes_on() {
    Recorder::install().unwrap();
    let world = World::new().await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    let (granted, upgraded) = (alarms("role-granted"), alarms("upgraded"));

    world.grant(PrivateKeySigner::random().address()).await;
    let (node, verifier) = (&world.anvil.node, world.deployment.verifier);
    let code = node.get_code_at(verifier).await.unwrap();
    node.anvil_set_code(verifier, EMITS_UPGRADED.parse().unwrap()).await.unwrap();
    world.send_as(&PrivateKeySigner::random(), verifier, Vec::new()).await;
    world.mine().await;
    node.anvil_set_code(verifier, code).await.unwrap();
    for _ in 0..3 {
        issuer.turn().await.unwrap();
        world.mine().await;
    }
    assert!(alarms("role-granted") > granted);
    assert_eq!(alarms("upgraded") - upgraded, 1);

    let requests = world.accept("withdraw", 1).await;
    issuer.turn().await.unwrap();
    world.mine().await;
    assert_eq!(world.status_on_chain(requests[0]).await, ISSUED);
}
