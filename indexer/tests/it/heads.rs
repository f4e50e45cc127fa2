//! Sockets that announce heads, and that fail to.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use alloy::primitives::B256;
use futures_util::{SinkExt, StreamExt};
use indexer::heads::Heads;
use otp_core::chain::WsUrl;
use serde_json::{Value, json};
use testbed::faults::{Fault, SocketFault, WsProxy};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use tokio_tungstenite::{accept_async, tungstenite::Message};
use tokio_util::sync::CancellationToken;

use crate::harness::{World, eventually};

/// Follows the chain as the daemon does; stopped when it is dropped.
struct Following {
    stop: CancellationToken,
    _tasks: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn run(world: &World, poll_ms: u64, socket: &str) -> Following {
    run_at(world, &world.chain.url, poll_ms, socket)
}

/// Asks another node than the world's own.
fn run_at(world: &World, rpc_url: &str, poll_ms: u64, socket: &str) -> Following {
    let stop = CancellationToken::new();
    let socket: WsUrl = socket.parse().unwrap();
    let (heads, sockets) = Heads::of(&[socket], &stop);
    let mut tasks: Vec<_> = sockets.into_iter().map(tokio::spawn).collect();
    let tail = world.tail_that_asks(rpc_url, poll_ms);
    tasks.push(tokio::spawn(tail.run(heads, stop.clone())));
    Following { stop, _tasks: tasks }
}

async fn applied(world: &World) {
    let head = world.chain.ask("eth_getBlockByNumber", json!(["latest", false])).await;
    let head: B256 = head["hash"].as_str().unwrap().parse().unwrap();
    let there = || async {
        let cursor = world.store.cursor(&world.chain.deployment).await.unwrap();
        cursor.filter(|cursor| cursor.hash == head).map(drop)
    };
    eventually("the head to be applied", there).await;
}

/// A node's socket that announces what it is told to; it closes the connection on `None`.
async fn socket() -> (String, mpsc::UnboundedSender<Option<B256>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/v3/key", listener.local_addr().unwrap());
    let (tell, mut told) = mpsc::unbounded_channel::<Option<B256>>();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = accept_async(stream).await.unwrap();
            let call = stream.next().await.unwrap().unwrap();
            assert!(call.to_text().unwrap().contains("newHeads"));
            while let Some(Some(hash)) = told.recv().await {
                let said = json!({ "method": "eth_subscription", "params": { "subscription": "0x1", "result": { "hash": hash } } });
                stream.send(Message::Text(said.to_string().into())).await.unwrap();
            }
        }
    });
    (url, tell)
}

#[tokio::test]
async fn an_announced_head_is_applied_long_before_the_next_poll() {
    let world = World::new().await;
    let _following = run(&world, 60_000, &world.chain.url.replace("http", "ws"));
    applied(&world).await;
    // The socket may take a moment to be there; from then on nothing waits for the poll.
    let connected = || async {
        world.chain.mine(1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let cursor = world.store.cursor(&world.chain.deployment).await.unwrap().unwrap();
        (cursor.number == world.chain.head().await).then_some(())
    };
    eventually("the socket", connected).await;
    world.issue_one().await;
    let begun = Instant::now();
    applied(&world).await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(world.deliveries("queued").await, 1);
}

#[tokio::test]
async fn a_silent_socket_costs_a_poll_and_no_log() {
    let world = World::new().await;
    let (silent, _tell) = socket().await;
    let _following = run(&world, 100, &silent);
    for _ in 0..3 {
        world.issue_one().await;
        applied(&world).await;
    }
    world.assert_as_chain().await;
}

#[tokio::test]
async fn a_socket_that_dies_is_connected_again_and_one_that_lies_is_not_believed() {
    let world = World::new().await;
    let (url, tell) = socket().await;
    let _following = run(&world, 60_000, &url);
    applied(&world).await;
    for _ in 0..2 {
        world.issue_one().await;
        let head = world.chain.ask("eth_getBlockByNumber", json!(["latest", false])).await;
        tell.send(Some(head["hash"].as_str().unwrap().parse().unwrap())).unwrap();
        applied(&world).await;
        tell.send(None).unwrap();
    }
    let before = world.store.cursor(&world.chain.deployment).await.unwrap();
    tell.send(Some(B256::repeat_byte(0xee))).unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.store.cursor(&world.chain.deployment).await.unwrap(), before, "a block that nobody has");
    world.assert_as_chain().await;
}

#[tokio::test]
async fn what_is_not_there_at_the_start_is_waited_for() {
    let world = World::new().await;
    let _following = run(&world, 100, "ws://127.0.0.1:1/v3/key");
    world.issue_one().await;
    applied(&world).await;
    world.assert_as_chain().await;
}

/// A proxy before anvil's own socket.
async fn proxy(world: &World) -> WsProxy {
    WsProxy::start(&world.chain.url.replace("http", "ws").parse().unwrap()).await.unwrap()
}

/// Waits until a head was announced through it.
async fn announcing(world: &World, socket: &WsProxy) {
    let announced = || async {
        world.chain.mine(1).await;
        (socket.announced() > 0).then_some(())
    };
    eventually("an announcement", announced).await;
    applied(world).await;
}

#[tokio::test]
async fn a_socket_that_falls_silent_costs_one_poll() {
    let world = World::new().await;
    let (node, socket) = (world.proxy().await, proxy(&world).await);
    let _following = run_at(&world, node.url().as_str(), 500, socket.url().as_str());
    announcing(&world, &socket).await;
    socket.set(Some(SocketFault::Silent));
    // What the polls were answered, and that logs were asked for, in order.
    let said: Arc<Mutex<Vec<Value>>> = Arc::default();
    let (heads, logs) = (said.clone(), said.clone());
    let note = Fault::edit(move |_, block| heads.lock().unwrap().push(block["number"].clone()));
    node.inject(note.on("eth_getBlockByNumber").when(|params| params[0] == "latest"));
    node.inject(Fault::edit(move |_, _| logs.lock().unwrap().push("logs".into())).on("eth_getLogs"));
    for _ in 0..3 {
        world.issue_one().await;
        let head = json!(format!("{:#x}", world.chain.head().await));
        applied(&world).await;
        let said = said.lock().unwrap().clone();
        let first = said.iter().position(|said| *said == head).unwrap();
        assert_eq!(said[first + 1], "logs", "the first poll that could see the block did not bring it");
    }
    world.assert_as_chain().await;
    assert_eq!(world.deliveries("queued").await, 3);
}

#[tokio::test]
async fn a_socket_that_is_cut_again_and_again_loses_no_log() {
    let world = World::new().await;
    let socket = proxy(&world).await;
    let _following = run(&world, 100, socket.url().as_str());
    announcing(&world, &socket).await;
    for cut in 1..=3 {
        socket.hang_up();
        world.issue_one().await;
        applied(&world).await;
        let again = || async { (socket.connected() > cut).then_some(()) };
        eventually("another connection", again).await;
    }
    world.assert_as_chain().await;
    assert_eq!(world.deliveries("queued").await, 3);
}

#[tokio::test]
async fn heads_that_are_announced_twice_or_out_of_order_bring_each_block_once() {
    let world = World::new().await;
    let socket = proxy(&world).await;
    // No poll comes to its help.
    let _following = run(&world, 60_000, socket.url().as_str());
    announcing(&world, &socket).await;
    for fault in [SocketFault::Twice, SocketFault::Swapped] {
        socket.set(Some(fault));
        for _ in 0..4 {
            world.issue_one().await;
        }
        socket.set(None);
        world.chain.mine(1).await;
        applied(&world).await;
        world.assert_as_chain().await;
    }
    world.chain.reorg(3).await;
    applied(&world).await;
    world.assert_as_chain().await;
}

#[tokio::test]
async fn logs_that_a_socket_says_are_removed_are_gone_where_the_chain_says_so_and_not_before() {
    let world = World::new().await;
    let socket = proxy(&world).await;
    let _following = run(&world, 60_000, socket.url().as_str());
    announcing(&world, &socket).await;
    world.issue_one().await;
    applied(&world).await;
    let filter = json!([{ "fromBlock": "latest", "address": world.chain.deployment.verifier }]);
    let logs = world.chain.ask("eth_getLogs", filter).await;
    let logs = logs.as_array().unwrap();
    assert_eq!(logs.len(), 2, "a batch and its one id");
    // A lie: the chain has them.
    logs.iter().for_each(|log| socket.say_removed(log));
    world.chain.mine(1).await;
    applied(&world).await;
    world.assert_as_chain().await;
    assert_eq!(world.deliveries("queued").await, 1, "taken back on a socket's word");

    logs.iter().for_each(|log| socket.say_removed(log));
    world.chain.reorg(2).await;
    logs.iter().for_each(|log| socket.say_removed(log));
    let cancelled = || async { (world.deliveries("cancelled").await == 1).then_some(()) };
    eventually("what was on its way to be cancelled", cancelled).await;
    applied(&world).await;
    world.assert_as_chain().await;
}
