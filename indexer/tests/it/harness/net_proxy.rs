//! A bad network before a server.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const PASS: u8 = 0;
const DOWN: u8 = 1;
const LOSE_ANSWER: u8 = 2;

pub(crate) struct NetProxy {
    pub(crate) port: u16,
    mode: Arc<AtomicU8>,
}

/// Whether what a client has sent on a connection so far asks for an answer that can be lost.
pub(crate) type Asks = fn(&[u8]) -> bool;

impl NetProxy {
    /// Before an SMTP server: the answer to a message can be lost.
    pub(crate) async fn smtp(to_port: u16) -> Self {
        Self::start(to_port, |sent| sent.ends_with(b"\r\n.\r\n")).await
    }

    /// Before any server.
    pub(crate) async fn start(to_port: u16, asks: Asks) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = Arc::new(AtomicU8::new(PASS));
        let shared = mode.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, ([127, 0, 0, 1], to_port).into(), shared.clone(), asks));
            }
        });
        Self { port, mode }
    }

    pub(crate) fn down(&self, down: bool) {
        self.mode.store(if down { DOWN } else { PASS }, Ordering::SeqCst);
    }

    /// The next message arrives, and the server's answer to it does not.
    pub(crate) fn lose_next_answer(&self) {
        self.mode.store(LOSE_ANSWER, Ordering::SeqCst);
    }

    /// Whether an answer is still to be lost.
    pub(crate) fn is_to_lose(&self) -> bool {
        self.mode.load(Ordering::SeqCst) == LOSE_ANSWER
    }
}

async fn relay(mut client: TcpStream, server: SocketAddr, mode: Arc<AtomicU8>, asks: Asks) -> Option<()> {
    if mode.load(Ordering::SeqCst) == DOWN {
        return None;
    }
    let mut server = TcpStream::connect(server).await.ok()?;
    let (mut up, mut down) = ([0; 4096], [0; 4096]);
    let mut sent: Vec<u8> = Vec::new();
    loop {
        tokio::select! {
            count = client.read(&mut up) => {
                let count = count.ok().filter(|count| *count > 0)?;
                server.write_all(&up[..count]).await.ok()?;
                sent.extend(&up[..count]);
            }
            count = server.read(&mut down) => {
                let count = count.ok().filter(|count| *count > 0)?;
                let lost = asks(&sent)
                    && mode.compare_exchange(LOSE_ANSWER, PASS, Ordering::SeqCst, Ordering::SeqCst).is_ok();
                if lost {
                    return None;
                }
                client.write_all(&down[..count]).await.ok()?;
            }
        }
    }
}
