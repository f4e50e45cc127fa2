//! Serving with limits: how long a client may take for its handshake, its headers and to read an answer, and how many
//! connections are open at once. Without them idle connections alone take a daemon off the air.

#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper::{Request, body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{patience::Patient, shares::Shares, tls::Tls};
use crate::metrics::HTTP_CONNECTIONS;

/// How long requests in flight may take to finish once shutdown began.
const DRAIN: Duration = Duration::from_secs(5);
/// What lets accepting fail for now, file descriptors above all, takes a moment to pass.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a listener allows.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// For a TLS handshake.
    handshake_within: Duration,
    /// For a request's headers; counted from the answer before them on, so it ends idle connections too.
    headers_within: Duration,
    /// For a client to read on, while there is something for it.
    read_within: Duration,
    /// Bytes of a request's head.
    head: usize,
    /// Headers of a request.
    headers: usize,
    /// Open at once. Others wait in the listener's backlog.
    connections: usize,
    /// Of these, open at once of one client, where the port's clients come to it themselves. More are closed at once.
    share: usize,
}

const LIMITS: Limits = Limits {
    handshake_within: Duration::from_secs(10),
    headers_within: Duration::from_secs(10),
    read_within: Duration::from_secs(20),
    head: 32 * 1024,
    headers: 64,
    connections: 1_024,
    share: 128,
};

/// A port to serve on.
pub struct Door {
    listener: TcpListener,
    /// Connections are TLS where it is there.
    tls: Option<Arc<Tls>>,
    /// `public` or `admin`, for the metrics.
    name: &'static str,
    /// Whether no client may hold all connections.
    is_shared: bool,
}

impl Door {
    /// A port that is bound already.
    #[must_use]
    pub const fn new(name: &'static str, listener: TcpListener, tls: Option<Arc<Tls>>) -> Self {
        Self { listener, tls, name, is_shared: false }
    }

    /// Holds each client to its share of the connections. Not for a port behind a proxy: all connections are that one's.
    #[must_use]
    pub fn shared(self, is_shared: bool) -> Self {
        Self { is_shared, ..self }
    }
}

impl From<TcpListener> for Door {
    /// A plain, public one.
    fn from(listener: TcpListener) -> Self {
        Self::new("public", listener, None)
    }
}

/// Serves until `shutdown`, then lets requests in flight finish for a few seconds. At most 1,024 connections are open at
/// once, and where the port is [`Door::shared`] 128 of one client; one that does not finish its handshake or sends no whole request head within ten seconds, or does not read its
/// answer for twenty, is closed.
///
/// # Errors
/// Never: whatever fails while accepting passes or concerns one connection.
pub async fn serve(door: impl Into<Door>, router: Router, shutdown: CancellationToken) -> io::Result<()> {
    serve_within(LIMITS, door.into(), router, shutdown).await
}

async fn serve_within(limits: Limits, door: Door, router: Router, shutdown: CancellationToken) -> io::Result<()> {
    let shares = Shares::new(if door.is_shared { limits.share } else { limits.connections });
    let slots = Arc::new(Semaphore::new(limits.connections));
    let connections = GracefulShutdown::new();
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers_within)
        .max_buf_size(limits.head)
        .max_headers(limits.headers);
    let reception = Reception { limits, server, router, shutdown: shutdown.clone() };
    loop {
        let (stream, peer, slot) = tokio::select! {
            accepted = accept(&door.listener, &slots) => accepted?,
            () = shutdown.cancelled() => break,
        };
        let Some(share) = shares.take(peer.ip()) else {
            tracing::debug!("a client has its share of connections");
            continue;
        };
        let (reception, watcher) = (reception.clone(), connections.watcher());
        let tls = door.tls.clone();
        let open = Open::new(door.name, slot);
        tokio::spawn(async move {
            match tls {
                None => reception.converse(stream, peer, watcher).await,
                Some(tls) => reception.converse_by_tls(&tls, stream, peer, watcher).await,
            }
            drop((open, share));
        });
    }
    drop(door);
    // What is not done by then is cut off with the process.
    let _ = timeout(DRAIN, connections.shutdown()).await;
    Ok(())
}

/// What every connection of a port is received with.
#[derive(Clone)]
struct Reception {
    limits: Limits,
    server: http1::Builder,
    router: Router,
    shutdown: CancellationToken,
}

impl Reception {
    async fn converse_by_tls(&self, tls: &Tls, stream: TcpStream, peer: SocketAddr, watcher: Watcher) {
        let handshake = timeout(self.limits.handshake_within, tls.acceptor().accept(stream));
        let outcome = tokio::select! {
            outcome = handshake => outcome,
            () = self.shutdown.cancelled() => return,
        };
        match outcome {
            Ok(Ok(stream)) => self.converse(stream, peer, watcher).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn converse<S>(&self, stream: S, peer: SocketAddr, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = self.router.clone().map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            request
        });
        let stream = TokioIo::new(Patient::new(stream, self.limits.read_within));
        let connection = self.server.serve_connection(stream, TowerToHyperService::new(service));
        // A client that goes away or breaks the protocol harms itself alone.
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, "connection ended");
        }
    }
}

/// A connection's place, counted while it is held.
struct Open {
    port: &'static str,
    _slot: OwnedSemaphorePermit,
}

impl Open {
    fn new(port: &'static str, slot: OwnedSemaphorePermit) -> Self {
        metrics::gauge!(HTTP_CONNECTIONS, "port" => port).increment(1);
        Self { port, _slot: slot }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::gauge!(HTTP_CONNECTIONS, "port" => self.port).decrement(1);
    }
}

/// The next connection, once there is a slot for it.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return Ok((stream, peer, slot)),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
