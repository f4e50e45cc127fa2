//! Clients that dawdle, crowd, stop reading or speak something else.

use super::*;
use crate::http::TlsFiles;
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

const SHORT: Limits = Limits {
    handshake_within: Duration::from_millis(400),
    headers_within: Duration::from_millis(400),
    read_within: Duration::from_millis(700),
    head: 8 * 1024,
    headers: 20,
    connections: 2,
    share: 1,
};
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

/// More than any socket's buffers hold.
const ENDLESS: usize = 64 << 20;

async fn endless() -> Body {
    Body::new(axum::body::Body::from(vec![0; ENDLESS]))
}

async fn start() -> (SocketAddr, CancellationToken, JoinHandle<io::Result<()>>) {
    start_with(None).await
}

async fn start_with(tls: Option<Arc<Tls>>) -> (SocketAddr, CancellationToken, JoinHandle<io::Result<()>>) {
    start_as(tls, false).await
}

async fn start_as(
    tls: Option<Arc<Tls>>,
    is_shared: bool,
) -> (SocketAddr, CancellationToken, JoinHandle<io::Result<()>>) {
    let peer = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() };
    let router = Router::new()
        .route("/peer", get(peer))
        .route("/slow", get(slow))
        .route("/stream", get(stream))
        .route("/endless", get(endless));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
    let door = Door::new("public", listener, tls).shared(is_shared);
    (address, shutdown.clone(), tokio::spawn(serve_within(SHORT, door, router, shutdown)))
}

/// A certificate of our own for localhost, in files; returns it in PEM.
fn certify(folder: &tempfile::TempDir) -> (TlsFiles, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    (files, made.cert.pem())
}

fn client(trusted: &str) -> reqwest::Client {
    let root = reqwest::Certificate::from_pem(trusted.as_bytes()).unwrap();
    reqwest::Client::builder().tls_certs_only([root]).timeout(LONG).build().unwrap()
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
async fn a_client_that_has_its_share_is_turned_away_and_another_is_served() {
    let (address, _shutdown, _serving) = start_as(None, true).await;
    let idle = open(address, b"").await;
    let begun = Instant::now();
    let mut crowding = TcpStream::connect(address).await.unwrap();
    let closed = timeout(LONG, crowding.read(&mut [0])).await.unwrap();
    assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = socket.connect(address).await.unwrap();
    other.write_all(REQUEST).await.unwrap();
    let mut answer = [0; 15];
    timeout(LONG, other.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    assert!(begun.elapsed() < SHORT.headers_within, "it waited for the idle one");
    drop(idle);
    sleep(Duration::from_millis(100)).await;
    assert!(rest(open(address, REQUEST).await).await.contains("200 OK"), "the share is given back");
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

#[tokio::test]
async fn a_client_that_does_not_read_is_let_go() {
    let (address, _shutdown, _serving) = start().await;
    let deaf = [open(address, b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await, open(address, b"").await];
    assert!(rest(open(address, REQUEST).await).await.contains("200 OK"), "both places stay taken");
    sleep(SHORT.read_within * 2).await;
    let [mut stuck, _] = deaf;
    let (mut taken, mut buffer) = (0, vec![0; 1 << 16]);
    let drain = async {
        while let Ok(read @ 1..) = stuck.read(&mut buffer).await {
            taken += read;
        }
    };
    timeout(LONG, drain).await.unwrap();
    assert!(taken < ENDLESS, "it was waited for");
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let (address, _shutdown, _serving) = start().await;
    let long = format!("GET /peer HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(SHORT.head));
    let many = format!("GET /peer HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: a\r\n".repeat(SHORT.headers));
    for head in [long, many] {
        assert!(rest(open(address, head.as_bytes()).await).await.starts_with("HTTP/1.1 431"));
    }
}

#[tokio::test]
async fn a_tls_port_serves_tls_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (files, pem) = certify(&folder);
    let (address, shutdown, serving) = start_with(Some(Arc::new(Tls::open(files).unwrap()))).await;
    let url = format!("https://localhost:{}/peer", address.port());
    let answered = client(&pem).get(&url).send().await.unwrap().text().await.unwrap();
    assert!(answered.starts_with("127.0.0.1:"), "{answered}");
    let plain = rest(open(address, REQUEST).await).await;
    assert!(!plain.contains("HTTP/1.1"), "an answer in clear: {plain}");
    let (_, other) = certify(&tempfile::tempdir().unwrap());
    assert!(client(&other).get(&url).send().await.is_err(), "another certificate was taken");
    shutdown.cancel();
    timeout(LONG, serving).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn half_a_handshake_holds_its_place_for_a_moment_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (files, pem) = certify(&folder);
    let (address, shutdown, serving) = start_with(Some(Arc::new(Tls::open(files).unwrap()))).await;
    // A record header of a ClientHello, and no more.
    let _idle = [open(address, b"").await, open(address, &[22, 3, 1, 2, 0, 1]).await];
    let begun = Instant::now();
    let answered = client(&pem).get(format!("https://localhost:{}/peer", address.port())).send().await.unwrap();
    assert_eq!(answered.status(), 200);
    assert!(begun.elapsed() >= SHORT.handshake_within, "a third connection was served beside two");
    let _another = open(address, &[22, 3, 1, 2, 0, 1]).await;
    sleep(Duration::from_millis(100)).await;
    shutdown.cancel();
    timeout(SHORT.handshake_within / 2, serving).await.unwrap().unwrap().unwrap();
}
