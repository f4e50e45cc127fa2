//! Announcements of new heads by WebSocket (`eth_subscribe`, `newHeads`): a wake-up for the tail and nothing else.
//!
//! Each configured socket is held by a task of its own, so one that dies or falls silent takes nothing from the others.
//! Their URLs may carry keys: the log shows host and port.

use std::{sync::Arc, time::Duration};

use alloy::primitives::B256;
use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use otp_core::chain::WsUrl;
use serde::Deserialize;
use serde_json::json;
use tokio::{net::TcpStream, sync::watch, time::timeout};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};
use tokio_util::sync::CancellationToken;

use crate::tls;

/// More than a header, less than what a malicious node could fill the memory with.
const LARGEST_MESSAGE: usize = 1 << 20;
const CONNECTED_WITHIN: Duration = Duration::from_secs(10);
/// After so long a silence the other side is asked whether it is there, and after as long again it is not.
const SILENCE: Duration = Duration::from_secs(15);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The head that was announced last.
#[derive(Debug)]
pub struct Heads(watch::Receiver<B256>);

impl Heads {
    /// Where no socket is configured: never announces anything.
    #[must_use]
    pub fn none() -> Self {
        Self(watch::channel(B256::ZERO).1)
    }

    /// Announcements of all `sockets`, and the tasks that listen to them until `shutdown`.
    #[must_use]
    pub fn of(
        sockets: &[WsUrl],
        shutdown: &CancellationToken,
    ) -> (Self, Vec<impl Future<Output = anyhow::Result<()>> + Send + 'static>) {
        let (announce, heads) = watch::channel(B256::ZERO);
        let listen = |socket: &WsUrl| {
            let (socket, announce, shutdown) = (socket.clone(), announce.clone(), shutdown.clone());
            async move {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = keep_listening(&socket, &announce) => {}
                }
                Ok(())
            }
        };
        (Self(heads), sockets.iter().map(listen).collect())
    }

    /// The next announcement; of several since the last one, the newest.
    pub async fn next(&mut self) -> B256 {
        match self.0.changed().await {
            Ok(()) => *self.0.borrow_and_update(),
            // Nobody announces any more.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Connects again whenever a connection ends, with pauses that grow while none brings a head.
async fn keep_listening(socket: &WsUrl, announce: &watch::Sender<B256>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let mut heads = 0_u64;
        let Err(error) = listen(socket, announce, &mut heads).await;
        if heads > 0 {
            pause = FIRST_PAUSE;
        }
        let jitter = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
        let wait = pause.mul_f64(jitter.mul_add(0.5, 0.5));
        // The error's text could repeat the URL.
        let why =
            error.root_cause().downcast_ref::<Ended>().map_or("no connection, or one that broke off", |why| why.0);
        tracing::warn!(endpoint = %socket.host(), why, retry_in_ms = wait.as_millis(), "no heads are announced: asking goes on");
        tokio::time::sleep(wait).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Why listening ended.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Ended(&'static str);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn listen(
    socket: &WsUrl,
    announce: &watch::Sender<B256>,
    heads: &mut u64,
) -> anyhow::Result<std::convert::Infallible> {
    let mut stream = timeout(CONNECTED_WITHIN, subscribe(socket)).await.context(Ended("no connection in time"))??;
    let mut asked = false;
    loop {
        let Ok(message) = timeout(SILENCE, stream.next()).await else {
            if asked {
                bail!(Ended("silent, and deaf"));
            }
            asked = true;
            stream.send(Message::Ping(Vec::new().into())).await?;
            continue;
        };
        asked = false;
        let message = message.context(Ended("closed"))??;
        let Message::Text(text) = message else { continue };
        match serde_json::from_str::<Said>(&text) {
            Ok(Said { params: Some(Params { result: Announced { hash } }), .. }) => {
                if *heads == 0 {
                    tracing::info!(endpoint = %socket.host(), "heads are announced");
                }
                *heads += 1;
                announce.send_if_modified(|head| std::mem::replace(head, hash) != hash);
            }
            Ok(Said { error: Some(_), .. }) => bail!(Ended("the subscription is refused")),
            // The subscription's own answer, or something that we did not ask for.
            _ => {}
        }
    }
}

async fn subscribe(socket: &WsUrl) -> anyhow::Result<Socket> {
    let config =
        WebSocketConfig::default().max_message_size(Some(LARGEST_MESSAGE)).max_frame_size(Some(LARGEST_MESSAGE));
    let connector = if socket.is_tls() { Connector::Rustls(Arc::new(tls::client()?)) } else { Connector::Plain };
    let (mut stream, _) = connect_async_tls_with_config(socket.0.as_str(), Some(config), true, Some(connector)).await?;
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"] });
    stream.send(Message::Text(call.to_string().into())).await?;
    Ok(stream)
}

/// A message, as far as it is read.
#[derive(Deserialize)]
struct Said {
    params: Option<Params>,
    error: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Params {
    result: Announced,
}

#[derive(Deserialize)]
struct Announced {
    hash: B256,
}
