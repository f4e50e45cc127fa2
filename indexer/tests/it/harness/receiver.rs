//! A server over HTTP or HTTPS that keeps what it was sent and answers as it is told to.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::{
    Certificate,
    dns::{Addrs, Name, Resolve, Resolving},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

/// The name that the receiver's certificate is for.
pub(crate) const NAME: &str = "hooks.receiver.example";

/// What to do with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Status, header lines (each with its end) and body.
    Answer(u16, &'static str, &'static str),
    /// Read it and close.
    Lose,
    /// Read it and say nothing.
    Hang,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    certificate: Option<Vec<u8>>,
}

/// Has every name at the receiver.
pub(crate) struct Everywhere(SocketAddr);

impl Resolve for Everywhere {
    fn resolve(&self, _: Name) -> Resolving {
        let address = self.0;
        Box::pin(async move { Ok(Box::new([address].into_iter()) as Addrs) })
    }
}

impl Receiver {
    pub(crate) async fn http() -> Self {
        Self::start(None).await
    }

    pub(crate) async fn https() -> Self {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        let certificate = CertificateDer::from(made.cert.der().to_vec());
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self { certificate: Some(certificate.to_vec()), ..Self::start(Some(acceptor)).await }
    }

    async fn start(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            received: Arc::default(),
            replies: Arc::default(),
            certificate: None,
        };
        let serving = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (serving, tls) = (serving.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => serving.serve(tls.accept(stream).await?).await,
                        None => serving.serve(stream).await,
                    }
                });
            }
        });
        receiver
    }

    async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.lines();
        let line = lines.next().unwrap_or_default().to_owned();
        let headers: BTreeMap<_, _> =
            lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_lowercase(), v.to_owned())).collect();
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        self.received.lock().unwrap().push(Received { line, headers, body });
        let reply = self.replies.lock().unwrap().pop_front().unwrap_or(Reply::Answer(200, "", "{}"));
        match reply {
            Reply::Answer(status, headers, body) => {
                let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(body.as_bytes()).await?;
                stream.shutdown().await
            }
            Reply::Lose => Ok(()),
            Reply::Hang => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                Ok(())
            }
        }
    }

    /// The next answers; after them all is taken.
    pub(crate) fn will(&self, replies: impl IntoIterator<Item = Reply>) {
        self.replies.lock().unwrap().extend(replies);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn resolver(&self) -> Everywhere {
        Everywhere(self.address)
    }

    pub(crate) fn certificate(&self) -> Option<Certificate> {
        self.certificate.as_ref().map(|der| Certificate::from_der(der).unwrap())
    }
}
