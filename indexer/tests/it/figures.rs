//! What is told in numbers: the same from the young events, once it is kept, after a restart, and however often it is
//! searched for.

use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    sol_types::{SolCall, SolValue},
};
use indexer::{calls::Calls, config::Config, figures::Measuring, timelock::Timelock};
use otp_core::{
    contract::OtpVerifier,
    metrics::Recorder,
    store::{EventFilter, Figures, Store},
};
use serde_json::{Value, json};
use testbed::faults::Fault;

use crate::{
    api::{get, serve},
    harness::{Chain, Issued, World, follow},
};

fn verify(world: &World, issued: &Issued, code: &str) -> Vec<u8> {
    let ticket = world.chain.ticket(issued);
    OtpVerifier::verifyCall { ticket, action: issued.action, code: code.to_owned() }.abi_encode()
}

pub(crate) fn calls(world: &World, rpc_url: &str) -> Calls {
    let config = Config::parse(&world.config_text(rpc_url, 1)).unwrap();
    let (node, _) = otp_core::chain::connect(&config.chain.rpc, config.chain.deployment.chain_id).unwrap();
    let from = (config.chain.deployment_block, 0);
    Calls::new(node, world.store.clone(), config.chain.deployment, from, config.calls, world.progress.clone())
}

pub(crate) fn measuring(world: &World) -> Measuring {
    let (store, deployment) = (world.store.clone(), world.chain.deployment);
    Measuring { store, deployment, confirmations: 0, progress: world.progress.clone() }
}

/// Everything so far is final.
pub(crate) async fn finalise(world: &World) {
    let cursor = world.store.cursor(&world.chain.deployment).await.unwrap().unwrap();
    world.store.set_final(&world.chain.deployment, cursor).await.unwrap();
}

async fn all(store: &Store, world: &World) -> Figures {
    store.all_figures(&world.chain.deployment).await.unwrap().unwrap().0.since(0)
}

async fn let_pass(world: &World, seconds: u64) {
    world.chain.ask("evm_increaseTime", json!([seconds])).await;
    world.chain.mine(1).await;
}

/// One code that is delivered and verified, one that runs out after a wrong digit, one that is revoked with its batch; a
/// stranger's copy of the first one, revoked as well; and what the contract refuses.
pub(crate) async fn live_through(world: &World) {
    let chain = &world.chain;
    let (_, verified) = world.issue_one().await;
    let (_, left) = world.issue_one().await;
    let (_, revoked) = world.issue_one().await;
    follow(&mut world.tail(&chain.url)).await;
    for _ in 0..2 {
        let job = world.store.claim_delivery(60_000, None).await.unwrap().unwrap();
        world.store.mark_accepted(&job.message_id, None).await.unwrap();
    }
    for wallet in [verified.wallet, left.wallet] {
        chain.unlock(wallet).await;
    }
    let call = verify(world, &verified, &verified.code.expose());
    assert!(chain.call(verified.wallet, call.clone()).await.status());
    assert!(!chain.call_anyway(verified.wallet, call, 300_000).await.status(), "used");
    let wrong = verify(world, &left, &verified.code.expose());
    assert!(!chain.call_anyway(left.wallet, wrong.clone(), 300_000).await.status(), "wrong code");
    assert!(!chain.call_anyway(left.wallet, wrong, 33_000).await.status(), "out of gas");
    let mut ticket = chain.ticket(&left);
    ticket.serial = "77".parse().unwrap();
    let unknown = OtpVerifier::verifyCall { ticket, action: left.action, code: String::new() };
    assert!(!chain.call_anyway(left.wallet, unknown.abi_encode(), 300_000).await.status(), "unknown");
    assert!(!chain.call_anyway(left.wallet, vec![1, 2, 3, 4], 300_000).await.status(), "no function");
    let issue = OtpVerifier::setOtpCall {
        purpose: Chain::purpose().bytes32(),
        serial: "9".parse().unwrap(),
        id: B256::ZERO,
        deadline: u64::MAX,
    };
    assert!(!chain.call_anyway(left.wallet, issue.abi_encode(), 300_000).await.status(), "no issuer");

    chain.set_otps(chain.stranger, 0, &[verified.id]).await;
    follow(&mut world.tail(&chain.url)).await;
    for (issuer, id) in [(chain.issuer, revoked.id), (chain.stranger, verified.id)] {
        let of_code = EventFilter { on_chain_id: Some(id), issuer: Some(issuer), ..EventFilter::default() };
        let root = world.store.events(&of_code, 1).await.unwrap()[0].facts.root.unwrap();
        let call = OtpVerifier::revokeBatchesCall { issuer, roots: vec![root] };
        assert!(chain.call(issuer, call.abi_encode()).await.status());
    }
    let_pass(world, 2_000).await;
    follow(&mut world.tail(&chain.url)).await;
}

fn check(figures: &Figures) {
    for (series, count) in [
        ("issuances", 4),
        ("issued", 4),
        ("verified", 1),
        ("consumed", 0),
        ("revoked", 2),
        ("expired", 1),
        ("delivered:email", 2),
        ("governance:policy-set", 1),
    ] {
        assert_eq!(figures.sum(series), count, "{series}");
    }
    for (stage, count) in
        [("request-mined", 3), ("mined-delivered", 2), ("delivered-verified", 1), ("request-verified", 1)]
    {
        assert_eq!(figures.measured(stage).count(), count, "{stage}");
    }
}

#[tokio::test]
async fn figures_are_the_same_while_they_are_young_and_once_they_are_kept_and_after_a_restart() {
    let world = World::new().await;
    live_through(&world).await;
    let young = all(&world.store, &world).await;
    check(&young);
    let slots = |figures: Figures| {
        let series = ["issued", "verified", "expired", "revoked"];
        series.map(|name| figures.slots(name).collect::<Vec<_>>())
    };
    let deployment = world.chain.deployment;
    let before = slots(world.store.figures(&deployment, 1).await.unwrap().unwrap().0);

    measuring(&world).fold().await.unwrap();
    assert!(world.store.follower(&deployment, otp_core::store::Follower::Figures).await.unwrap().is_none());
    finalise(&world).await;
    for _ in 0..3 {
        measuring(&world).fold().await.unwrap();
        assert_eq!(all(&world.store, &world).await, young);
    }
    assert!(world.store.follower(&deployment, otp_core::store::Follower::Figures).await.unwrap().is_some());
    assert_eq!(slots(world.store.figures(&deployment, 1).await.unwrap().unwrap().0), before);
    let again = Store::open(&world.folder.path().join("otp.db")).await.unwrap();
    assert_eq!(all(&again, &world).await, young);
    let bare = Store::open(&world.folder.path().join("elsewhere.db")).await.unwrap();
    assert!(bare.all_figures(&deployment).await.unwrap().is_none(), "nothing is told of a chain that was not read");
}

#[tokio::test]
async fn what_is_young_is_not_kept_and_a_reorg_takes_it_back() {
    let world = World::new().await;
    world.issue_one().await;
    let mut tail = world.tail(&world.chain.url);
    follow(&mut tail).await;
    finalise(&world).await;
    measuring(&world).fold().await.unwrap();
    assert_eq!(all(&world.store, &world).await.sum("issued"), 1);
    world.issue_one().await;
    follow(&mut tail).await;
    assert_eq!(all(&world.store, &world).await.sum("issued"), 2);
    world.chain.reorg(1).await;
    follow(&mut tail).await;
    let figures = all(&world.store, &world).await;
    assert_eq!((figures.sum("issued"), figures.measured("request-mined").count()), (1, 1));
}

/// The calls that [`live_through`] made, by function and error.
fn check_calls(figures: &Figures) {
    let found: Vec<(&str, u64)> = figures.by_prefix("reverted:").into_iter().collect();
    let wanted = [
        ("other:other", 1),
        ("setOtp:AccessControlUnauthorizedAccount", 1),
        ("verify:OtpUsed", 1),
        ("verify:UnknownOtp", 1),
        ("verify:WrongCode", 1),
        ("verify:out-of-gas", 1),
    ];
    assert_eq!(found, wanted);
    assert_eq!(figures.measured("gas").count(), 4, "one for each code");
    let gas = figures.measured("gas").quantile(0.5).unwrap();
    assert!((50_000.0..100_000.0).contains(&gas), "a batch of one: {gas}");
}

#[tokio::test]
async fn reverted_calls_in_final_blocks_are_found_explained_and_counted_once() {
    let world = World::new().await;
    live_through(&world).await;
    let search = calls(&world, &world.chain.url);
    assert_eq!(search.step().await.unwrap(), 0, "nothing is final");
    assert!(all(&world.store, &world).await.by_prefix("reverted:").is_empty());
    finalise(&world).await;
    while search.step().await.unwrap() > 0 {}
    check_calls(&all(&world.store, &world).await);
    assert_eq!(calls(&world, &world.chain.url).step().await.unwrap(), 0);
    // A second process that stood where this one began writes nothing.
    let again = world.store.record_calls(&world.chain.deployment, None, 1, &[]).await.unwrap();
    assert!(!again);
    check_calls(&all(&world.store, &world).await);
}

#[tokio::test]
async fn a_node_that_throttles_or_answers_badly_delays_the_search_and_loses_nothing() {
    let world = World::new().await;
    live_through(&world).await;
    finalise(&world).await;
    let proxy = world.proxy().await;
    let full = |params: &Value| params[1] == json!(true);
    for fault in [
        Fault::Status(429, Some(1)).on("eth_getBlockByNumber").when(full),
        Fault::Result(Value::Null).on("eth_getBlockByNumber").when(full),
        Fault::edit(|_, block| block["number"] = json!("0x1")).on("eth_getBlockByNumber").when(full),
        Fault::Result(Value::Null).on("eth_getTransactionReceipt"),
        Fault::edit(|_, receipt| receipt["blockHash"] = json!(B256::ZERO)).on("eth_getTransactionReceipt"),
    ] {
        proxy.inject(fault);
        // A new process each time, whose nodes have done nothing yet.
        assert!(calls(&world, proxy.url().as_str()).step().await.is_err());
        assert!(all(&world.store, &world).await.by_prefix("reverted:").is_empty());
        proxy.heal();
    }
    let search = calls(&world, proxy.url().as_str());
    while search.step().await.unwrap() > 0 {}
    check_calls(&all(&world.store, &world).await);
}

#[tokio::test]
async fn a_node_that_has_forgotten_the_state_leaves_calls_unexplained_and_counted() {
    let world = World::new().await;
    live_through(&world).await;
    finalise(&world).await;
    let proxy = world.proxy().await;
    proxy.inject(Fault::Error(-32_000, "missing trie node").on("eth_call"));
    let search = calls(&world, proxy.url().as_str());
    while search.step().await.unwrap() > 0 {}
    let figures = all(&world.store, &world).await;
    assert_eq!(figures.sum("reverted:verify:unexplained"), 3, "{figures:?}");
    assert_eq!(figures.sum("reverted:verify:out-of-gas"), 1, "that the receipt says");
}

#[tokio::test]
async fn an_announced_change_is_counted_once_with_its_delay() {
    alloy::sol! {
        function schedule(address target, uint256 value, bytes data, bytes32 predecessor, bytes32 salt, uint256 delay);
        function execute(address target, uint256 value, bytes payload, bytes32 predecessor, bytes32 salt);
        function scheduleBatch(address[] targets, uint256[] values, bytes[] payloads, bytes32 predecessor, bytes32 salt,
            uint256 delay);
    }
    let world = World::new().await;
    let governor = world.chain.governor;
    let arguments = (U256::from(10), vec![governor], vec![governor], governor).abi_encode_params();
    let timelock = world.chain.deploy_beside("TimelockController", &arguments).await;
    let send = async |call: Vec<u8>| {
        let request = json!([{ "from": governor, "to": timelock, "data": Bytes::from(call) }]);
        world.chain.ask("eth_sendTransaction", request).await;
    };
    let (target, data, none) = (Address::repeat_byte(0x55), Bytes::from_static(&[1]), B256::ZERO);
    let salt = keccak256("one");
    let value = U256::ZERO;
    let delay = U256::from(10);
    send(scheduleCall { target, value, data: data.clone(), predecessor: none, salt, delay }.abi_encode()).await;
    let of_two = scheduleBatchCall {
        targets: vec![target; 2],
        values: vec![value; 2],
        payloads: vec![data.clone(); 2],
        predecessor: none,
        salt: keccak256("two"),
        delay,
    };
    send(of_two.abi_encode()).await;
    let_pass(&world, 3_600).await;
    send(executeCall { target, value, payload: data, predecessor: none, salt }.abi_encode()).await;
    follow(&mut world.tail(&world.chain.url)).await;
    finalise(&world).await;

    let node = world.chain.node.clone();
    let from = (1, 3);
    let mut reading = Timelock::new(node, world.store.clone(), world.chain.deployment, timelock, from);
    while reading.step().await.unwrap() {}
    assert!(!reading.step().await.unwrap());
    let figures = all(&world.store, &world).await;
    assert_eq!(figures.by_prefix("timelock:").into_iter().collect::<Vec<_>>(), [("executed", 1), ("scheduled", 2)]);
    let measured = figures.measured("governance-delay");
    assert_eq!(measured.count(), 1);
    assert!((3_600_000..3_700_000).contains(&measured.total), "{}", measured.total);
}

#[tokio::test]
async fn the_statistics_tell_windows_stages_and_hours_and_the_metrics_the_same() {
    let world = World::new().await;
    let (url, _) = serve(&world).await;
    assert_eq!(get(&format!("{url}/v1/stats")).await.0, 503, "the chain was not read yet");
    live_through(&world).await;
    finalise(&world).await;
    let search = calls(&world, &world.chain.url);
    while search.step().await.unwrap() > 0 {}

    let (status, stats) = get(&format!("{url}/v1/stats")).await;
    assert_eq!(status, 200);
    for window in ["1h", "24h", "7d", "all"] {
        let window = &stats["windows"][window];
        assert_eq!(window["issued"], 4, "{window}");
        assert_eq!((&window["verified"], &window["expired"], &window["revoked"]), (&json!(1), &json!(1), &json!(2)));
        assert_eq!((&window["refusedUsed"], &window["refusedUnknown"]), (&json!(1), &json!(1)));
        assert_eq!(window["delivered"], json!({ "email": 2 }));
        assert_eq!(window["rates"]["verifiedShare"], 0.5);
        assert_eq!(window["stages"]["requestToMined"]["count"], 3);
        assert!(window["gasPerCode"]["p50"].as_f64().unwrap() > 50_000.0);
    }
    let hours = stats["hours"].as_array().unwrap();
    assert_eq!(hours.len(), 169);
    assert_eq!(hours.iter().map(|hour| hour["issued"].as_u64().unwrap()).sum::<u64>(), 4);
    let text = stats.to_string();
    assert!(!text.contains('@') && !text.contains(&world.chain.issuer.to_string()), "nobody is named: {text}");
    assert_eq!(get(&format!("{url}/v1/stats?window=1h")).await.0, 200);

    measuring(&world).count().await.unwrap();
    let metrics = Recorder::install().unwrap().render();
    for line in ["otp_verify_total{result=\"success\"}", "otp_stage_seconds_count{stage=\"request-mined\"}"] {
        assert!(metrics.lines().any(|found| found.starts_with(line)), "{line} in {metrics}");
    }
}
