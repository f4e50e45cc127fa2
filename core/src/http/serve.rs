//! Serving with limits: how long a client may take for its headers, and how many connections are open at once. Without
//! them idle connections alone take a daemon off the air.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper::{Request, body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// How long requests in flight may take to finish once shutdown began.
const DRAIN: Duration = Duration::from_secs(5);
/// What lets accepting fail for now, file descriptors above all, takes a moment to pass.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a listener allows.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// For a request's headers; counted from the answer before them on, so it ends idle connections too.
    headers_within: Duration,
    /// Open at once. Others wait in the listener's backlog.
    connections: usize,
}

const LIMITS: Limits = Limits { headers_within: Duration::from_secs(10), connections: 1_024 };

/// Serves until `shutdown`, then lets requests in flight finish for a few seconds. At most 1,024 connections are open at
/// once, and one that sends no whole request head for ten seconds is closed.
///
/// # Errors
/// Never: whatever fails while accepting passes or concerns one connection.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) -> io::Result<()> {
    serve_within(LIMITS, listener, router, shutdown).await
}

async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let connections = GracefulShutdown::new();
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(limits.headers_within);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &slots) => accepted?,
            () = shutdown.cancelled() => break,
        };
        let (stream, peer, slot) = accepted;
        let service = router.clone().map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            request
        });
        let service = TowerToHyperService::new(service);
        let connection = connections.watch(server.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // A client that goes away or breaks the protocol harms itself alone.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
            drop(slot);
        });
    }
    drop(listener);
    // What is not done by then is cut off with the process.
    let _ = timeout(DRAIN, connections.shutdown()).await;
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{
        body::{Body, Bytes},
        response::IntoResponse,
        routing::get,
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        task::JoinHandle,
        time::Instant,
    };

    const SHORT: Limits = Limits { headers_within: Duration::from_millis(400), connections: 2 };
    const LONG: Duration = Duration::from_secs(5);
    const REQUEST: &[u8] = b"GET /peer HTTP/1.1\r\nhost: x\r\n\r\n";

    async fn slow() -> &'static str {
        sleep(Duration::from_millis(900)).await;
        "slow"
    }

    /// Three pieces, each later than the headers' limit would allow.
    async fn stream() -> impl IntoResponse {
        let (mut writer, reader) = tokio::io::duplex(64);
        tokio::spawn(async move {
            for _ in 0..3 {
                sleep(Duration::from_millis(500)).await;
                writer.write_all(b"piece;").await.unwrap();
            }
        });
        Body::new(Pieces(reader))
    }

    struct Pieces(tokio::io::DuplexStream);

    impl hyper::body::Body for Pieces {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<io::Result<hyper::body::Frame<Bytes>>>> {
            let mut space = [0; 64];
            let mut buffer = tokio::io::ReadBuf::new(&mut space);
            let read = tokio::io::AsyncRead::poll_read(std::pin::Pin::new(&mut self.0), cx, &mut buffer);
            read.map(|done| match done {
                Ok(()) if buffer.filled().is_empty() => None,
                Ok(()) => Some(Ok(hyper::body::Frame::data(Bytes::copy_from_slice(buffer.filled())))),
                Err(error) => Some(Err(error)),
            })
        }
    }

    async fn start() -> (SocketAddr, CancellationToken, JoinHandle<io::Result<()>>) {
        let peer = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() };
        let router = Router::new().route("/peer", get(peer)).route("/slow", get(slow)).route("/stream", get(stream));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        (address, shutdown.clone(), tokio::spawn(serve_within(SHORT, listener, router, shutdown)))
    }

    async fn open(address: SocketAddr, sent: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        stream
    }

    /// All that comes until the server closes.
    async fn rest(mut stream: TcpStream) -> String {
        let mut text = Vec::new();
        timeout(LONG, stream.read_to_end(&mut text)).await.unwrap().unwrap();
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn a_connection_without_a_whole_head_in_time_is_closed_also_after_an_answer() {
        let (address, _shutdown, _serving) = start().await;
        for sent in [&b""[..], b"GET /peer HTTP/1.1\r\nhost"] {
            assert!(!rest(open(address, sent).await).await.contains("200 OK"), "an answer to half a request");
        }
        let kept_alive = open(address, REQUEST).await;
        let own = kept_alive.local_addr().unwrap().to_string();
        let answered = rest(kept_alive).await;
        assert!(answered.contains("200 OK") && answered.contains(&own), "{answered}");
    }

    #[tokio::test]
    async fn those_above_the_limit_wait_and_are_served_when_idle_ones_are_closed() {
        let (address, _shutdown, _serving) = start().await;
        let _idle = [open(address, b"").await, open(address, b"").await];
        let begun = Instant::now();
        assert!(rest(open(address, REQUEST).await).await.contains("200 OK"));
        assert!(begun.elapsed() >= SHORT.headers_within, "a third connection was served beside two");
    }

    #[tokio::test]
    async fn an_answer_that_streams_is_not_cut() {
        let (address, _shutdown, _serving) = start().await;
        let answered = rest(open(address, b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n").await).await;
        assert_eq!(answered.matches("piece;").count(), 3, "{answered}");
        assert!(answered.ends_with("0\r\n\r\n"), "{answered}");
    }

    #[tokio::test]
    async fn shutdown_lets_a_request_finish_and_takes_no_more() {
        let (address, shutdown, serving) = start().await;
        let in_flight = open(address, b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let _idle = open(address, b"").await;
        sleep(Duration::from_millis(100)).await;
        shutdown.cancel();
        assert!(rest(in_flight).await.ends_with("slow"));
        timeout(DRAIN / 2, serving).await.unwrap().unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
