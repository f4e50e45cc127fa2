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

use crate::config::{MailConfig, MailSecurity};

/// Why a message was not taken. No text of the server is kept: it repeats addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The server will never take this message.
    #[error("refused for good (SMTP {0})")]
    Refused(u16),
    /// The server did not take it now, or does not take our login.
    #[error("not taken now (SMTP {0})")]
    Later(u16),
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
        matches!(self, Self::NoAnswer(_) | Self::Later(500..))
    }
}

/// A pool of connections to one server.
#[derive(Debug, Clone)]
pub struct Postman {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    timeout: Duration,
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
        Ok(Self { transport: builder.build(), timeout: config.timeout })
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
    let Some(code) = error.status().map(u16::from) else {
        return SendError::NoAnswer(match error {
            e if e.is_timeout() => "timed out",
            e if e.is_tls() => "TLS failed",
            e if e.is_response() => "the answer makes no sense",
            _ => "connection failed or broke",
        });
    };
    // 53x (RFC 4954) and 454 speak of our login or of TLS, not of the message: an operator can mend that.
    let about_login = (530..=539).contains(&code);
    if error.is_permanent() && !about_login { SendError::Refused(code) } else { SendError::Later(code) }
}
