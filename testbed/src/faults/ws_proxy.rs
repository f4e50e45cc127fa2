//! A WebSocket proxy before a node, which spoils the heads that are announced.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use anyhow::{Context, Result};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::broadcast,
    task::{JoinHandle, JoinSet},
};
use tokio_tungstenite::{accept_async, connect_async, tungstenite::Message};
use url::Url;

use crate::ports;

/// What may wait for one client to take it.
const WAITING: usize = 64;

/// How announcements are spoiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketFault {
    /// The connection stands, and nothing that the node says arrives.
    Silent,
    /// Each head is announced twice.
    Twice,
    /// Each head is announced after the next one.
    Swapped,
}

/// A node's WebSocket with faults. Without any, everything passes as it is. Ends when it is dropped.
pub struct WsProxy {
    url: Url,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    node: Url,
    fault: Mutex<Option<SocketFault>>,
    /// To every client; `None` ends its connection.
    words: broadcast::Sender<Option<String>>,
    connected: AtomicUsize,
    announced: AtomicUsize,
    silenced: AtomicUsize,
}

impl WsProxy {
    /// A proxy before the WebSocket `node`, on a port of its own.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(node: &Url) -> Result<Self> {
        let listener = TcpListener::bind(ports::loopback(0)).await?;
        let mut url = ports::http(listener.local_addr()?.port())?;
        url.set_scheme("ws").ok().context("http can become ws")?;
        let shared = Arc::new(Shared {
            node: node.clone(),
            fault: Mutex::default(),
            words: broadcast::channel(WAITING).0,
            connected: AtomicUsize::default(),
            announced: AtomicUsize::default(),
            silenced: AtomicUsize::default(),
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { url, shared, serving })
    }

    /// Where it listens.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Spoils what comes from now on, or nothing any more.
    pub fn set(&self, fault: Option<SocketFault>) {
        *self.shared.fault() = fault;
    }

    /// Ends every connection; new ones are taken.
    pub fn hang_up(&self) {
        let _ = self.shared.words.send(None);
    }

    /// Says something to every client, as the node itself would.
    pub fn say(&self, message: &Value) {
        let _ = self.shared.words.send(Some(message.to_string()));
    }

    /// Tells of a log that a reorg took out, as nodes do to whom a client has subscribed for logs.
    pub fn say_removed(&self, log: &Value) {
        let mut log = log.clone();
        log["removed"] = json!(true);
        self.say(&json!({
            "jsonrpc": "2.0", "method": "eth_subscription", "params": { "subscription": "0x2", "result": log },
        }));
    }

    /// Connections that were made so far.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.shared.connected.load(SeqCst)
    }

    /// Announcements that were passed on so far.
    #[must_use]
    pub fn announced(&self) -> usize {
        self.shared.announced.load(SeqCst)
    }

    /// Announcements that silence swallowed so far.
    #[must_use]
    pub fn silenced(&self) -> usize {
        self.shared.silenced.load(SeqCst)
    }
}

impl Drop for WsProxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn fault(&self) -> MutexGuard<'_, Option<SocketFault>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What arrives of what the node says.
    fn spoil(&self, said: Message, held: &mut Option<Message>) -> Vec<Message> {
        let is_head = is_head(&said);
        let passed = match *self.fault() {
            Some(SocketFault::Silent) => {
                self.silenced.fetch_add(usize::from(is_head), SeqCst);
                Vec::new()
            }
            Some(SocketFault::Twice) if is_head => vec![said.clone(), said],
            Some(SocketFault::Swapped) if is_head && held.is_none() => {
                *held = Some(said);
                Vec::new()
            }
            _ if is_head => std::iter::once(said).chain(held.take()).collect(),
            _ => vec![said],
        };
        if is_head {
            self.announced.fetch_add(passed.len(), SeqCst);
        }
        passed
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move { pass(stream, &shared).await });
        while connections.try_join_next().is_some() {}
    }
}

/// Ends with either side.
async fn pass(stream: TcpStream, shared: &Shared) -> Result<()> {
    let mut client = accept_async(stream).await?;
    let (mut node, _) = connect_async(shared.node.as_str()).await?;
    let mut words = shared.words.subscribe();
    shared.connected.fetch_add(1, SeqCst);
    let mut held = None;
    loop {
        tokio::select! {
            said = client.next() => node.send(said.context("the client is gone")??).await?,
            said = node.next() => {
                for message in shared.spoil(said.context("the node is gone")??, &mut held) {
                    client.send(message).await?;
                }
            }
            word = words.recv() => match word? {
                Some(text) => client.send(Message::Text(text.into())).await?,
                None => return Ok(()),
            }
        }
    }
}

fn is_head(message: &Message) -> bool {
    let Message::Text(text) = message else { return false };
    let said: Value = serde_json::from_str(text).unwrap_or_default();
    said["params"]["result"]["parentHash"].is_string()
}
