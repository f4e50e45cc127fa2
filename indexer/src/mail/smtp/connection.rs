//! One connection to the server: by STARTTLS, by TLS from the start (RFC 8314), or in clear on loopback.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use lettre::transport::smtp::{
    authentication::{Credentials, DEFAULT_MECHANISMS},
    client::{AsyncSmtpConnection, AsyncTokioStream, TlsParameters},
    extension::ClientId,
};
use otp_core::metrics::note_tls_error;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream, rustls::pki_types::ServerName};

use super::{SendError, classify};
use crate::{
    config::{MailConfig, MailSecurity},
    tls,
};

/// Where a connection leads to, and how it is secured.
pub(super) struct Server {
    host: String,
    port: u16,
    name: String,
    security: Security,
    credentials: Option<Credentials>,
    hello: ClientId,
}

enum Security {
    None,
    StartTls(TlsParameters),
    Tls(TlsConnector, ServerName<'static>),
}

impl Server {
    pub(super) fn new(config: &MailConfig) -> anyhow::Result<Self> {
        let security = match config.security {
            MailSecurity::None => Security::None,
            MailSecurity::StartTls => Security::StartTls(TlsParameters::new(config.host.clone())?),
            MailSecurity::Tls => {
                Security::Tls(Arc::new(tls::client()?).into(), ServerName::try_from(config.host.clone())?)
            }
        };
        let credentials = config.credentials.as_ref();
        Ok(Self {
            host: config.host.clone(),
            port: config.port,
            name: format!("{}:{}", config.host, config.port),
            security,
            credentials: credentials.map(|(user, password)| Credentials::new(user.clone(), password.expose().clone())),
            hello: ClientId::default(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Connects and logs in.
    pub(super) async fn connect(&self) -> Result<AsyncSmtpConnection, SendError> {
        let stream = self.stream().await?;
        let connection = AsyncSmtpConnection::connect_with_transport(stream, &self.hello).await;
        let mut connection = connection.map_err(|error| classify(&error))?;
        if let Security::StartTls(parameters) = &self.security {
            connection.starttls(parameters.clone(), &self.hello).await.map_err(|error| classify(&error))?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await.map_err(|error| classify(&error))?;
        }
        Ok(connection)
    }

    async fn stream(&self) -> Result<Box<dyn AsyncTokioStream>, SendError> {
        let stream = tcp(&self.host, self.port).await;
        let stream = stream.map_err(|_| SendError::NoAnswer("connection failed or broke"))?;
        let Security::Tls(connector, name) = &self.security else { return Ok(Box::new(stream)) };
        let wrapped = connector.connect(name.clone(), stream).await.map_err(|error| {
            note_tls_error("mail", &error);
            SendError::NoAnswer("TLS failed")
        })?;
        Ok(Box::new(Wrapped(wrapped)))
    }
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// TLS from the start, as lettre takes it.
#[derive(Debug)]
struct Wrapped(TlsStream<TcpStream>);

impl AsyncTokioStream for Wrapped {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().0.peer_addr()
    }
}

impl AsyncRead for Wrapped {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wrapped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use otp_core::secret::Secret;
    use tokio::{
        io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
        net::TcpListener,
    };
    use tokio_rustls::{
        TlsAcceptor,
        rustls::{
            ClientConfig, RootCertStore, ServerConfig,
            crypto::aws_lc_rs,
            pki_types::{CertificateDer, PrivateKeyDer},
        },
    };

    use super::*;

    const HOST: &str = "localhost";

    /// A server that speaks TLS from the start and takes one login. Its port, its certificate, and what it was told.
    async fn server() -> (u16, CertificateDer<'static>, tokio::task::JoinHandle<Vec<String>>) {
        let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
        let certificate = CertificateDer::from(made.cert.der().to_vec());
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let told = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut told = Vec::new();
            let Ok(stream) = TlsAcceptor::from(Arc::new(config)).accept(stream).await else { return told };
            let mut stream = BufReader::new(stream);
            stream.write_all(b"220 test\r\n").await.unwrap();
            let mut line = String::new();
            while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                let verb = line.split_whitespace().next().unwrap_or_default().to_owned();
                let answer: &[u8] = match verb.as_str() {
                    "EHLO" => b"250-test\r\n250 AUTH PLAIN\r\n",
                    "AUTH" => b"235 ok\r\n",
                    _ => b"250 ok\r\n",
                };
                told.push(verb);
                stream.write_all(answer).await.unwrap();
                line.clear();
            }
            told
        });
        (port, certificate, told)
    }

    fn config(port: u16) -> MailConfig {
        MailConfig {
            host: HOST.to_owned(),
            port,
            security: MailSecurity::Tls,
            credentials: Some(("codes".to_owned(), Secret::new("hunter2".to_owned()))),
            from: "codes@otp.example".parse().unwrap(),
            timeout: Duration::from_secs(5),
            dkim: None,
            bounce_maildir: None,
        }
    }

    #[tokio::test]
    async fn with_tls_from_the_start_a_server_that_is_vouched_for_is_logged_in_to() {
        let (port, certificate, told) = server().await;
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let trusting = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let security = Security::Tls(Arc::new(trusting).into(), HOST.try_into().unwrap());
        let server = Server { security, ..Server::new(&config(port)).unwrap() };
        let mut connection = server.connect().await.unwrap_or_else(|error| panic!("{error}"));
        assert!(connection.test_connected().await);
        drop(connection);
        assert_eq!(told.await.unwrap(), ["EHLO", "AUTH", "NOOP"]);
    }

    #[tokio::test]
    async fn one_that_nobody_vouches_for_is_told_nothing() {
        let (port, _, told) = server().await;
        let refused = Server::new(&config(port)).unwrap().connect().await.err();
        assert_eq!(refused, Some(SendError::NoAnswer("TLS failed")));
        assert_eq!(told.await.unwrap(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn packets_leave_at_once() {
        let (port, ..) = server().await;
        let plain = MailConfig { security: MailSecurity::None, credentials: None, ..config(port) };
        let stream = tcp(&plain.host, plain.port).await.unwrap();
        assert!(stream.nodelay().unwrap());
    }
}
