//! What senders over HTTP share: a client that goes nowhere but where it is sent, and what answers mean for a message.

use std::time::Duration;

use otp_core::{chain, metrics::note_tls_error};
use reqwest::{Client, ClientBuilder, Response, StatusCode, header, redirect};
use time::OffsetDateTime;

/// The longest pause that another party can ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Why a message was not taken over HTTP. No text of the other side is kept: it repeats addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HttpFailure {
    /// The other side will never take this message.
    #[error("refused for good (HTTP {0})")]
    Refused(u16),
    /// The provider will never take this message: its own number for why.
    #[error("refused for good (provider's error {0})")]
    RefusedBy(u32),
    /// The other side did not take it now.
    #[error("not taken now (HTTP {status})")]
    Later {
        /// The answer's status.
        status: u16,
        /// When it wants to be asked again.
        after: Option<Duration>,
    },
    /// No answer: the other side may have taken the message or not.
    #[error("no answer ({0})")]
    NoAnswer(&'static str),
}

impl HttpFailure {
    /// What it means that a call to `provider` broke; counted where TLS is what failed.
    pub(crate) fn of(provider: &'static str, error: &reqwest::Error) -> Self {
        note_tls_error(provider, error);
        Self::NoAnswer(match error {
            e if e.is_timeout() => "timed out",
            e if e.is_connect() => "no connection, or no TLS",
            _ => "the connection broke",
        })
    }

    /// Whether the same message may be taken at another time.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        !matches!(self, Self::Refused(_) | Self::RefusedBy(_))
    }

    /// When the other side wants to be asked again.
    #[must_use]
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Later { after, .. } => after,
            _ => None,
        }
    }
}

/// No redirect, no proxy of the environment, no connection kept for another message.
pub(super) fn client(timeout: Duration) -> ClientBuilder {
    Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .timeout(timeout)
        .pool_max_idle_per_host(0)
        .user_agent("otp-indexer/1")
}

/// A status that may pass: a server's own fault, or too much at once.
pub(super) fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS)
}

/// Not now, and when.
pub(super) fn later(answer: &Response) -> HttpFailure {
    let after = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let after = after.and_then(|text| chain::retry_after(text, OffsetDateTime::now_utc()));
    HttpFailure::Later { status: answer.status().as_u16(), after: after.map(|pause| pause.min(LONGEST_PAUSE)) }
}

/// At most `most` bytes of an answer; `None` where it is longer or breaks off.
pub(crate) async fn read(mut answer: Response, most: usize) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.ok()? {
        if body.len() + piece.len() > most {
            return None;
        }
        body.extend_from_slice(&piece);
    }
    Some(body)
}
