//! The way to the SMTP server, and what its refusals mean for a message.
//!
//! lettre speaks SMTP; the connections are made and kept here. Its own wait for the system to send their last packet: the
//! mark that ends a message is a write of five bytes, which TCP holds back until the message itself is acknowledged, and
//! servers put that off by 40 ms, waiting for something to say with it (RFC 1122, 4.2.3.2 and 4.2.3.4).

mod connection;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use lettre::{
    Message,
    transport::smtp::{Error, client::AsyncSmtpConnection},
};
use otp_core::metrics::note_tls_error;
use zeroize::Zeroizing;

use self::connection::Server;
use crate::config::MailConfig;

/// A connection that nothing was sent over for longer is not trusted: what lies between may have forgotten it.
const IDLE: Duration = Duration::from_secs(60);

/// Why a message was not taken. No text of the server is kept: it repeats addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The server will never take this message.
    #[error("refused for good (SMTP {0})")]
    Refused(u16),
    /// The server did not take it now.
    #[error("not taken now (SMTP {0})")]
    Later(u16),
    /// The server does not take our login.
    #[error("login refused (SMTP {0}): check mail.username and mail.password")]
    Login(u16),
    /// The server has no STARTTLS or no login that we know.
    #[error("the server does not offer what mail.security or mail.username asks for")]
    Unfit,
    /// No answer: the server may have taken the message or not.
    #[error("no answer ({0})")]
    NoAnswer(&'static str),
}

impl SendError {
    /// Whether the same message may be taken at another time.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        !matches!(self, Self::Refused(_))
    }

    /// Whether it is the server that fails, and not this message that it does not want.
    #[must_use]
    pub const fn is_about_server(self) -> bool {
        matches!(self, Self::NoAnswer(_) | Self::Login(_) | Self::Unfit)
    }
}

/// Connections to one server, kept from message to message.
#[derive(Clone)]
pub struct Postman {
    server: Arc<Server>,
    timeout: Duration,
    /// The one that was used last is at the end.
    idle: Arc<Mutex<Vec<(AsyncSmtpConnection, Instant)>>>,
    most_idle: usize,
}

impl std::fmt::Debug for Postman {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postman").field("server", &self.server()).finish_non_exhaustive()
    }
}

impl Postman {
    /// Prepares the way; connects to nothing yet. So many connections at most are kept.
    ///
    /// # Errors
    /// When TLS cannot be set up for this host name.
    pub fn new(config: &MailConfig, connections: u32) -> anyhow::Result<Self> {
        Ok(Self {
            server: Arc::new(Server::new(config)?),
            timeout: config.timeout,
            idle: Arc::default(),
            most_idle: usize::try_from(connections)?,
        })
    }

    /// Host and port, for logs.
    #[must_use]
    pub fn server(&self) -> &str {
        self.server.name()
    }

    /// Whether the server answers and takes our login.
    ///
    /// # Errors
    /// As [`Postman::send`].
    pub async fn probe(&self) -> Result<(), SendError> {
        let probe = async {
            let mut connection = self.server.connect().await?;
            let answers = connection.test_connected().await;
            connection.abort().await;
            if answers { Ok(()) } else { Err(SendError::NoAnswer("the server turned us away")) }
        };
        tokio::time::timeout(self.timeout, probe).await.unwrap_or(Err(SendError::NoAnswer("timed out")))
    }

    /// Hands a message over.
    ///
    /// # Errors
    /// When the server refused it, or its answer did not come.
    pub async fn send(&self, message: Message) -> Result<(), SendError> {
        let send = async {
            let text = Zeroizing::new(message.formatted());
            let mut connection = self.connection().await?;
            let sent = connection.send(message.envelope(), &text).await;
            self.keep(connection);
            sent.map(drop).map_err(|error| classify(&error))
        };
        // A connection on which something is still owed is dropped with what waits for it.
        tokio::time::timeout(self.timeout, send).await.unwrap_or(Err(SendError::NoAnswer("timed out")))
    }

    /// One that is there and answers, else a new one.
    async fn connection(&self) -> Result<AsyncSmtpConnection, SendError> {
        while let Some((mut connection, since)) = self.take() {
            if since.elapsed() < IDLE && connection.test_connected().await {
                return Ok(connection);
            }
        }
        self.server.connect().await
    }

    fn take(&self) -> Option<(AsyncSmtpConnection, Instant)> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !connection.has_broken() && idle.len() < self.most_idle {
            idle.push((connection, Instant::now()));
        }
    }
}

fn classify(error: &Error) -> SendError {
    note_tls_error("mail", error);
    if error.is_client() {
        return SendError::Unfit;
    }
    let Some(code) = error.status().map(u16::from) else {
        return SendError::NoAnswer(match error {
            e if e.is_timeout() => "timed out",
            e if e.is_tls() => "TLS failed",
            e if e.is_response() => "the answer makes no sense",
            _ => "connection failed or broke",
        });
    };
    match code {
        // RFC 4954: of our login, not of the message; an operator can mend that.
        530..=539 => SendError::Login(code),
        _ if error.is_permanent() => SendError::Refused(code),
        _ => SendError::Later(code),
    }
}

#[cfg(test)]
mod tests {
    use otp_core::secret::Secret;
    use tokio::{
        io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
        net::TcpListener,
    };

    use super::*;
    use crate::config::MailSecurity;

    /// What the probe says of a server that answers EHLO with `hello` and everything else with `rest`.
    async fn probe(security: MailSecurity, hello: &'static str, rest: &'static str) -> SendError {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut stream = BufReader::new(listener.accept().await.unwrap().0);
            stream.write_all(b"220 test\r\n").await.unwrap();
            let mut line = String::new();
            while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                let answer = if line.starts_with("EHLO") { hello } else { rest };
                stream.write_all(answer.as_bytes()).await.unwrap();
                line.clear();
            }
        });
        let config = MailConfig {
            host: "127.0.0.1".to_owned(),
            port,
            security,
            credentials: Some(("codes".to_owned(), Secret::new("hunter2".to_owned()))),
            from: "codes@otp.example".parse().unwrap(),
            timeout: Duration::from_secs(5),
            dkim: None,
            bounce_maildir: None,
        };
        let postman = Postman::new(&config, 1).unwrap();
        assert_eq!(postman.server(), format!("127.0.0.1:{port}"));
        postman.probe().await.unwrap_err()
    }

    #[tokio::test]
    async fn each_fault_that_an_operator_can_mend_has_words_of_its_own() {
        for security in [MailSecurity::StartTls, MailSecurity::None] {
            let lacking = probe(security, "250 test\r\n", "250 ok\r\n").await;
            assert_eq!(lacking, SendError::Unfit, "{security:?}: neither STARTTLS nor AUTH is offered");
        }
        let refused = probe(MailSecurity::None, "250-test\r\n250 AUTH PLAIN LOGIN\r\n", "535 no\r\n").await;
        assert_eq!(refused, SendError::Login(535));
        for error in [SendError::Unfit, refused] {
            assert!(error.is_retryable() && error.is_about_server());
            assert!(error.to_string().contains("mail.username"));
        }
    }
}
