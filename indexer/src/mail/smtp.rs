//! The way to the SMTP server, and what its refusals mean for a message.

use std::time::Duration;

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    transport::smtp::{
        Error, PoolConfig,
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};

use otp_core::metrics::note_tls_error;

use crate::config::{MailConfig, MailSecurity};

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

/// A pool of connections to one server.
#[derive(Debug, Clone)]
pub struct Postman {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    timeout: Duration,
    server: String,
}

impl Postman {
    /// Prepares the transport; connects to nothing yet.
    ///
    /// # Errors
    /// When TLS cannot be set up for this host name.
    pub fn new(config: &MailConfig, connections: u32) -> Result<Self, Error> {
        let tls = match config.security {
            MailSecurity::StartTls => Tls::Required(TlsParameters::new(config.host.clone())?),
            MailSecurity::Tls => Tls::Wrapper(TlsParameters::new(config.host.clone())?),
            MailSecurity::None => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
            .port(config.port)
            .tls(tls)
            .timeout(Some(config.timeout))
            .pool_config(PoolConfig::new().max_size(connections));
        if let Some((username, password)) = &config.credentials {
            builder = builder.credentials(Credentials::new(username.clone(), password.expose().clone()));
        }
        let server = format!("{}:{}", config.host, config.port);
        Ok(Self { transport: builder.build(), timeout: config.timeout, server })
    }

    /// Host and port, for logs.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Whether the server answers and takes our login.
    ///
    /// # Errors
    /// As [`Postman::send`].
    pub async fn probe(&self) -> Result<(), SendError> {
        match tokio::time::timeout(self.timeout, self.transport.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(SendError::NoAnswer("the server turned us away")),
            Ok(Err(error)) => Err(classify(&error)),
            Err(_) => Err(SendError::NoAnswer("timed out")),
        }
    }

    /// Hands a message over.
    ///
    /// # Errors
    /// When the server refused it, or its answer did not come.
    pub async fn send(&self, message: Message) -> Result<(), SendError> {
        match tokio::time::timeout(self.timeout, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(classify(&error)),
            Err(_) => Err(SendError::NoAnswer("timed out")),
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
