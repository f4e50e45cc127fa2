//! When each head was announced: over a WebSocket of our own, as whoever follows a chain hears of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy::primitives::U64;
use anyhow::{Context, Result};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tokio_tungstenite::{connect_async, tungstenite::Message};
use url::Url;

const NEXT_WITHIN: Duration = Duration::from_secs(10);

/// Unix time in milliseconds, with a fraction: what different processes noted is compared.
pub(super) fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1_000.0
}

/// The socket beside a node's HTTP port.
pub(super) fn socket(rpc: &Url) -> String {
    rpc.as_str().replacen("http", "ws", 1)
}

/// Listens; dropped, it ends.
pub(super) struct Heads {
    seen: Arc<Mutex<BTreeMap<u64, f64>>>,
    last: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Heads {
    pub(super) async fn listen(rpc: &Url) -> Result<Self> {
        let (mut stream, _) = connect_async(socket(rpc)).await.context("no WebSocket beside the node's port")?;
        let subscribe = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"] });
        stream.send(Message::text(subscribe.to_string())).await?;
        let seen = Arc::new(Mutex::new(BTreeMap::new()));
        let (tell, last) = watch::channel(0);
        let shared = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                let at_ms = now_ms();
                let Ok(told) = serde_json::from_slice::<Value>(&message.into_data()) else { continue };
                let number = serde_json::from_value::<U64>(told["params"]["result"]["number"].clone());
                if let Ok(number) = number.map(|number| number.to::<u64>()) {
                    shared.lock().unwrap_or_else(PoisonError::into_inner).insert(number, at_ms);
                    tell.send_replace(number);
                }
            }
        });
        Ok(Self { seen, last, task })
    }

    /// Waits for the next head.
    pub(super) async fn next(&mut self) -> Result<u64> {
        timeout(NEXT_WITHIN, self.last.changed()).await.context("no head is announced")??;
        Ok(*self.last.borrow_and_update())
    }

    /// When a head was announced, in Unix milliseconds.
    pub(super) fn announced(&self, number: u64) -> Option<f64> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&number).copied()
    }
}

impl Drop for Heads {
    fn drop(&mut self) {
        self.task.abort();
    }
}
