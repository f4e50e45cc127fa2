//! Several nodes as one (`otp_core::chain`): one is asked until it fails, and what a bad one says is not believed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::{Duration, Instant};

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope},
    eips::{BlockNumberOrTag, eip2718::Encodable2718},
    primitives::{Address, B256, Bytes, TxKind, U256},
    providers::Provider,
    signers::SignerSync,
};
use otp_core::chain::{self, Failure, Node, Pool, RpcConfig, RpcUrl};
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::{
    anvil::Anvil,
    faults::{Fault, RpcProxy, Rule},
    ports::Ports,
};

const CHAIN_ID: u64 = 31_337;

/// One chain behind two nodes of which each can fail.
struct World {
    anvil: Anvil,
    one: RpcProxy,
    two: RpcProxy,
    node: Node,
    pool: Pool,
    _folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let anvil = Anvil::start(Ports::free().unwrap().rpc(), folder.path()).await.unwrap();
        let (one, two) = (RpcProxy::start(&anvil.url).await.unwrap(), RpcProxy::start(&anvil.url).await.unwrap());
        let (node, pool) = connect(&[&one, &two]);
        Self { anvil, one, two, node, pool, _folder: folder }
    }

    /// The first node does its worst, and the answer is the chain's all the same: the second one's.
    async fn second_answers<T: PartialEq + std::fmt::Debug>(&self, rule: Rule, call: impl AsyncFn(&Node) -> T) {
        let right = call(&self.anvil.node).await;
        self.one.inject(rule);
        assert_eq!(call(&self.node).await, right);
        self.one.heal();
    }

    async fn mined(&self) -> B256 {
        let hash = self.anvil.node.send_raw_transaction(&self.transaction().await).await.unwrap();
        hash.get_receipt().await.unwrap().transaction_hash
    }

    async fn transaction(&self) -> Bytes {
        let signer = self.anvil.new_account().await.unwrap();
        let transaction = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: 0,
            gas_limit: 21_000,
            max_fee_per_gas: 100_000_000_000,
            max_priority_fee_per_gas: 1,
            to: TxKind::Call(Address::ZERO),
            value: U256::ZERO,
            access_list: Default::default(),
            input: Bytes::new(),
        };
        let signature = signer.sign_hash_sync(&transaction.signature_hash()).unwrap();
        TxEnvelope::from(transaction.into_signed(signature)).encoded_2718().into()
    }
}

fn connect(proxies: &[&RpcProxy]) -> (Node, Pool) {
    let urls = proxies.iter().map(|proxy| RpcUrl(proxy.url().clone())).collect();
    let config = RpcConfig { urls, timeout: Duration::from_secs(1), max_lag_blocks: 3, genesis_hash: None };
    chain::connect(&config, CHAIN_ID).unwrap()
}

async fn balance(node: &Node) -> U256 {
    node.get_balance(Address::repeat_byte(7)).await.unwrap()
}

#[tokio::test]
async fn one_node_is_asked_until_it_fails_and_then_the_next_one() {
    let world = World::new().await;
    for _ in 0..5 {
        balance(&world.node).await;
    }
    assert_eq!((world.one.calls("eth_getBalance").len(), world.two.count()), (5, 0));
    world.one.go_down();
    for _ in 0..5 {
        balance(&world.node).await;
    }
    assert_eq!(world.two.calls("eth_getBalance").len(), 5);
    world.one.heal();
    balance(&world.node).await;
    assert_eq!(world.two.calls("eth_getBalance").len(), 6, "who works is kept");
    world.two.go_down();
    balance(&world.node).await;
    assert!(world.pool.endpoints()[0].current);
}

#[tokio::test]
async fn every_kind_of_nonsense_is_answered_by_the_other_node() {
    let bad = [
        Fault::HalfJson,
        Fault::Status(500, None),
        Fault::LoseAnswer,
        Fault::Delay(Duration::from_secs(3)),
        Fault::Result(Value::Null),
        Fault::Result(json!(16)),
        Fault::Result(json!([])),
        Fault::Result(json!("latest")),
        Fault::Error(429, "compute units exceeded"),
    ];
    for (number, fault) in bad.into_iter().enumerate() {
        let world = World::new().await;
        balance(&world.node).await;
        world.second_answers(fault.on("eth_getBalance"), balance).await;
        assert!(!world.pool.endpoints()[0].current, "fault {number}");
    }
}

#[tokio::test]
async fn a_block_other_than_the_one_asked_for_is_not_believed() {
    let world = World::new().await;
    let latest = json!({ "hash": B256::ZERO, "number": "0x1", "timestamp": "0x1", "transactions": [] });
    let first = async |node: &Node| {
        let block = node.get_block_by_number(BlockNumberOrTag::Number(0)).await.unwrap();
        block.unwrap().header.hash
    };
    first(&world.node).await;
    world.second_answers(Fault::Result(latest).on("eth_getBlockByNumber"), first).await;
}

#[tokio::test]
async fn a_node_that_asks_for_a_pause_is_given_it() {
    let world = World::new().await;
    balance(&world.node).await;
    world.one.inject(Fault::Status(429, Some(2)).everywhere().times(1));
    balance(&world.node).await;
    let asked = world.one.count();
    world.two.go_down();
    let refused_at = Instant::now();
    let error = world.node.get_balance(Address::ZERO).await.unwrap_err();
    assert!(chain::is_unreachable(&error), "{error}");
    assert!(refused_at.elapsed() < Duration::from_millis(500), "told at once that none is left");
    assert_eq!(world.one.count(), asked, "not asked during its pause");
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    balance(&world.node).await;
}

#[tokio::test]
async fn a_node_of_another_chain_is_put_aside_for_good() {
    for rule in [Fault::wrong_chain(1), Fault::wrong_genesis()] {
        let world = World::new().await;
        let (node, pool) = connect(&[&world.two, &world.one]);
        balance(&node).await;
        world.one.inject(rule);
        world.two.go_down();
        assert!(node.get_balance(Address::ZERO).await.is_err());
        assert!(pool.endpoints()[1].rejected);
        let asked = world.one.count();
        world.one.heal();
        assert!(node.get_balance(Address::ZERO).await.is_err());
        assert_eq!(world.one.count(), asked, "asked again");
        assert_eq!(world.one.calls("eth_getBalance").len(), 0);
        assert!(!pool.serves_another_chain(), "one of two");
    }
}

#[tokio::test]
async fn a_node_that_comes_back_as_another_chain_is_found_out() {
    let world = World::new().await;
    let (node, pool) = connect(&[&world.one]);
    balance(&node).await;
    world.one.go_down();
    assert!(node.get_balance(Address::ZERO).await.is_err());
    world.one.heal();
    world.one.inject(Fault::wrong_genesis());
    tokio::time::sleep(Duration::from_millis(600)).await;
    let asked = world.one.calls("eth_getBalance").len();
    let error = node.get_balance(Address::ZERO).await.unwrap_err();
    assert!(chain::brief(&error).contains("another chain"), "{error}");
    assert_eq!(world.one.calls("eth_getBalance").len(), asked);
    assert!(pool.serves_another_chain());
}

#[tokio::test]
async fn a_node_that_stands_still_is_put_aside_while_others_go_on() {
    let world = World::new().await;
    let stop = tokio_util::sync::CancellationToken::new();
    world.anvil.node.raw_request::<_, Value>("anvil_mine".into(), ["0xa"]).await.unwrap();
    let (_, standing) = chain::head(&world.node).await.unwrap();
    assert!(standing > 0);
    world.one.stand_at(1);
    let watching = tokio::spawn(world.pool.clone().watch(stop.clone()));
    let moved = async {
        while !world.pool.endpoints()[1].current {
            let _ = chain::head(&world.node).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), moved).await.expect("the lagging node is left");
    let (number, _) = chain::head(&world.node).await.unwrap();
    assert!(number >= 10, "{number}");
    assert_eq!(world.pool.endpoints()[0].failure, Some(Failure::Behind));
    stop.cancel();
    watching.await.unwrap();
}

#[tokio::test]
async fn of_two_nodes_one_that_boasts_of_a_head_is_put_aside_and_not_the_other() {
    for boaster in [1, 0] {
        let world = World::new().await;
        let boasting = if boaster == 0 { &world.one } else { &world.two };
        balance(&world.node).await;
        let edit = |_: &Value, block: &mut Value| {
            (block["number"], block["timestamp"]) = (json!("0x100000"), json!("0xffffffff"));
        };
        boasting.inject(Fault::edit(edit).on("eth_getBlockByNumber").when(|params| params[0] == "latest"));
        let stop = tokio_util::sync::CancellationToken::new();
        let watching = tokio::spawn(world.pool.clone().watch(stop.clone()));
        let until = Instant::now() + Duration::from_secs(7);
        while Instant::now() < until {
            let (told, _) = chain::head(&world.node).await.unwrap();
            assert!(told < 100, "{told}");
            let state = &world.pool.endpoints()[1 - boaster];
            assert!(state.failure.is_none(), "{:?}", state.failure);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(matches!(world.pool.endpoints()[boaster].failure, Some(Failure::Nonsense(_))));
        stop.cancel();
        watching.await.unwrap();
    }
}

#[tokio::test]
async fn a_node_that_takes_over_knows_the_head_that_was_told() {
    let world = World::new().await;
    world.anvil.node.raw_request::<_, Value>("anvil_mine".into(), ["0x5"]).await.unwrap();
    let (told, _) = chain::head(&world.node).await.unwrap();
    world.two.stand_at(told - 1);
    world.one.go_down();
    // One block behind is no fault, but a receipt of that block would look as if a reorg had taken it out.
    let error = world.node.get_transaction_receipt(B256::ZERO).await.unwrap_err();
    assert_eq!(world.two.calls("eth_getTransactionReceipt").len(), 0, "{error}");
    world.two.heal();
    assert!(world.node.get_transaction_receipt(B256::ZERO).await.unwrap().is_none());
}

#[tokio::test]
async fn a_receipt_of_a_block_that_is_not_on_the_chain_is_not_believed() {
    let world = World::new().await;
    let hash = world.mined().await;
    let receipt = async |node: &Node| node.get_transaction_receipt(hash).await.unwrap().and_then(|it| it.block_hash);
    assert!(receipt(&world.node).await.is_some());
    world.second_answers(Fault::foreign_receipts(), receipt).await;
    assert!(matches!(world.pool.endpoints()[0].failure, Some(Failure::Nonsense(_))));
}

#[tokio::test]
async fn an_invented_receipt_of_a_real_block_is_not_believed() {
    let world = World::new().await;
    world.mined().await;
    let block = world.anvil.node.get_block_by_number(BlockNumberOrTag::Latest).await.unwrap().unwrap().header;
    let unmined = B256::repeat_byte(5);
    let receipt = async |node: &Node| node.get_transaction_receipt(unmined).await.unwrap().map(|it| it.block_hash);
    assert!(receipt(&world.node).await.is_none());
    world.second_answers(Fault::invented_receipts(block.number, block.hash.to_string()), receipt).await;
}

#[tokio::test]
async fn a_signed_transaction_goes_to_every_node_that_is_well() {
    let world = World::new().await;
    let stop = tokio_util::sync::CancellationToken::new();
    tokio::spawn(world.pool.clone().watch(stop.clone()));
    while world.pool.endpoints().iter().any(|endpoint| !endpoint.well) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let raw = world.transaction().await;
    // The node that is asked swallows it; the other one's pool has it.
    let swallowed = json!(alloy::primitives::keccak256(&raw));
    world.one.inject(Fault::Result(swallowed).on("eth_sendRawTransaction"));
    let hash = *world.node.send_raw_transaction(&raw).await.unwrap().tx_hash();
    let mined = async {
        while world.anvil.node.get_transaction_receipt(hash).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), mined).await.expect("mined through the second node");
    stop.cancel();
}

#[tokio::test]
async fn one_broken_connection_of_the_only_node_is_forgiven_and_two_are_told_at_once() {
    let world = World::new().await;
    let (node, _) = connect(&[&world.one]);
    balance(&node).await;
    world.one.inject(Fault::Drop.everywhere().times(1));
    balance(&node).await;
    world.one.go_down();
    let asked_at = Instant::now();
    let error = node.get_balance(Address::ZERO).await.unwrap_err();
    assert!(chain::is_unreachable(&error) && asked_at.elapsed() < Duration::from_millis(500), "{error}");
    world.one.heal();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    balance(&node).await;
}
