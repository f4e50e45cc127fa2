//! The proxy's faults, each once: a fault that does nothing would let every test behind it pass.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718,
    primitives::{Address, Bytes, TxKind, U256},
    signers::{SignerSync, local::PrivateKeySigner},
};
use futures_util::{SinkExt, Stream, StreamExt};
use serde_json::{Value, json};
use testbed::{
    anvil::Anvil,
    faults::{Fault, RpcProxy, SocketFault, WsProxy},
    ports::Ports,
};
use tokio_tungstenite::{connect_async, tungstenite::Message};

async fn node(folder: &tempfile::TempDir) -> (Anvil, RpcProxy) {
    let anvil = Anvil::start(Ports::free().unwrap().rpc(), folder.path()).await.unwrap();
    let proxy = RpcProxy::start(&anvil.url).await.unwrap();
    (anvil, proxy)
}

async fn send(proxy: &RpcProxy, method: &str, params: Value) -> reqwest::Result<reqwest::Response> {
    static ID: AtomicU64 = AtomicU64::new(0);
    let id = ID.fetch_add(1, Ordering::Relaxed);
    let call = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    reqwest::Client::new().post(proxy.url().clone()).json(&call).send().await
}

async fn ask(proxy: &RpcProxy, method: &str, params: Value) -> Value {
    send(proxy, method, params).await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn each_fault_does_what_it_says_as_often_as_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (_anvil, proxy) = node(&folder).await;
    let chain_id = json!("0x7a69");
    assert_eq!(ask(&proxy, "eth_chainId", json!([])).await["result"], chain_id);

    proxy.inject(Fault::Drop.on("eth_chainId").times(1));
    assert!(send(&proxy, "eth_chainId", json!([])).await.is_err());
    proxy.inject(Fault::Status(429, Some(7)).on("eth_chainId").times(1));
    let answer = send(&proxy, "eth_chainId", json!([])).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].as_bytes()), (429, &b"7"[..]));
    proxy.inject(Fault::HalfJson.on("eth_chainId").times(1));
    let half = send(&proxy, "eth_chainId", json!([])).await.unwrap().text().await.unwrap();
    assert!(half.starts_with('{') && serde_json::from_str::<Value>(&half).is_err(), "{half}");
    proxy.inject(Fault::Error(-32_005, "too many").on("eth_chainId").times(1));
    assert_eq!(ask(&proxy, "eth_chainId", json!([])).await["error"]["code"], -32_005);
    proxy.inject(Fault::Delay(Duration::from_millis(300)).on("eth_chainId").times(1));
    let asked_at = Instant::now();
    assert_eq!(ask(&proxy, "eth_chainId", json!([])).await["result"], chain_id);
    assert!(asked_at.elapsed() >= Duration::from_millis(300));
    assert_eq!(ask(&proxy, "eth_chainId", json!([])).await["result"], chain_id, "each was used up");

    proxy.inject(Fault::wrong_chain(1));
    assert_eq!(ask(&proxy, "eth_chainId", json!([])).await["result"], "0x1");
    proxy.inject(Fault::wrong_genesis());
    let genesis = ask(&proxy, "eth_getBlockByNumber", json!(["0x0", false])).await;
    assert!(genesis["result"]["hash"].as_str().unwrap().starts_with("0x9999"), "{genesis}");
    proxy.go_down();
    assert!(send(&proxy, "eth_blockNumber", json!([])).await.is_err());
    proxy.heal();
    assert_eq!(ask(&proxy, "eth_chainId", json!([])).await["result"], chain_id);
    assert_eq!(proxy.calls("eth_chainId").len(), 9);
}

#[tokio::test]
async fn a_node_that_stands_still_knows_nothing_later() {
    let folder = tempfile::tempdir().unwrap();
    let (_anvil, proxy) = node(&folder).await;
    ask(&proxy, "anvil_mine", json!(["0x5"])).await;
    proxy.stand_at(2);
    assert_eq!(ask(&proxy, "eth_blockNumber", json!([])).await["result"], "0x2");
    let latest = ask(&proxy, "eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!(latest["result"]["number"], "0x2");
    assert!(ask(&proxy, "eth_getBlockByNumber", json!(["0x3", false])).await["result"].is_null());
    proxy.heal();
    assert!(ask(&proxy, "eth_getBlockByNumber", json!(["0x3", false])).await["result"].is_object());
}

#[tokio::test]
async fn a_strict_node_refuses_what_replaces_for_less_than_a_tenth_more() {
    let folder = tempfile::tempdir().unwrap();
    let (anvil, proxy) = node(&folder).await;
    ask(&proxy, "evm_setIntervalMining", json!([0])).await;
    let signer = anvil.new_account().await.unwrap();
    proxy.be_strict();
    let offer = |max_fee: u128, tip: u128| raw(&signer, max_fee, tip);
    let first = offer(100_000_000_000, 1_000_000_000);
    assert!(publish(&proxy, &first).await["result"].is_string());
    for (max_fee, tip) in [(109_999_999_999, 2_000_000_000), (200_000_000_000, 1_000_000_000)] {
        let refused = publish(&proxy, &offer(max_fee, tip)).await;
        assert_eq!(refused["error"]["message"], "replacement transaction underpriced", "{max_fee} {tip}");
    }
    assert!(publish(&proxy, &offer(110_000_000_000, 1_100_000_000)).await["result"].is_string());
    let replaced = ask(&proxy, "eth_getTransactionCount", json!([signer.address(), "pending"])).await;
    assert_eq!(replaced["result"], "0x1");
}

async fn publish(proxy: &RpcProxy, raw: &Bytes) -> Value {
    ask(proxy, "eth_sendRawTransaction", json!([raw])).await
}

fn raw(signer: &PrivateKeySigner, max_fee_per_gas: u128, max_priority_fee_per_gas: u128) -> Bytes {
    let transaction = TxEip1559 {
        chain_id: 31_337,
        nonce: 0,
        gas_limit: 21_000,
        max_fee_per_gas,
        max_priority_fee_per_gas,
        to: TxKind::Call(Address::ZERO),
        value: U256::ZERO,
        access_list: Default::default(),
        input: Bytes::new(),
    };
    let signature = signer.sign_hash_sync(&transaction.signature_hash()).unwrap();
    TxEnvelope::from(transaction.into_signed(signature)).encoded_2718().into()
}

/// The numbers of the next heads that a subscriber hears of.
async fn heads(
    socket: &mut (impl Stream<Item = Result<Message, impl std::fmt::Debug>> + Unpin),
    count: usize,
) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let message = tokio::time::timeout(Duration::from_secs(20), socket.next()).await.unwrap().unwrap().unwrap();
        let said: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        if let Some(number) = said["params"]["result"]["number"].as_str() {
            numbers.push(u64::from_str_radix(number.trim_start_matches("0x"), 16).unwrap());
        }
    }
    numbers
}

#[tokio::test]
async fn a_socket_falls_silent_repeats_swaps_invents_and_hangs_up_when_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let (anvil, node) = node(&folder).await;
    ask(&node, "evm_setIntervalMining", json!([0])).await;
    let proxy = WsProxy::start(&anvil.url.as_str().replace("http", "ws").parse().unwrap()).await.unwrap();
    let (mut socket, _) = connect_async(proxy.url().as_str()).await.unwrap();
    let subscribe = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"] });
    socket.send(Message::Text(subscribe.to_string().into())).await.unwrap();
    socket.next().await.unwrap().unwrap();
    let mine = async || ask(&node, "anvil_mine", json!(["0x1"])).await;

    mine().await;
    let first = heads(&mut socket, 1).await[0];
    proxy.set(Some(SocketFault::Twice));
    mine().await;
    assert_eq!(heads(&mut socket, 2).await, [first + 1, first + 1]);
    proxy.set(Some(SocketFault::Swapped));
    mine().await;
    mine().await;
    assert_eq!(heads(&mut socket, 2).await, [first + 3, first + 2]);
    proxy.set(Some(SocketFault::Silent));
    mine().await;
    while proxy.silenced() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    proxy.set(None);
    mine().await;
    assert_eq!(heads(&mut socket, 1).await, [first + 5], "one was swallowed");
    assert_eq!((proxy.connected(), proxy.announced()), (1, 6));

    proxy.say_removed(&json!({ "blockHash": "0x01" }));
    let said = socket.next().await.unwrap().unwrap();
    let said: Value = serde_json::from_str(said.to_text().unwrap()).unwrap();
    assert_eq!(said["params"]["result"], json!({ "blockHash": "0x01", "removed": true }));
    proxy.hang_up();
    assert!(!matches!(socket.next().await, Some(Ok(_))), "the connection is gone");
}
