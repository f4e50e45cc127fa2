//! Why a call brought nothing.

use serde::Deserialize;
use tokio::time::error::Elapsed;

/// The relayer's refusal (RFC 9457).
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// `/problems/<slug>`
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status.
    pub status: u16,
    /// What to do about it.
    pub detail: String,
    /// With `wrong-digits`: how many tries are left.
    pub attempts_left: Option<u32>,
}

/// A call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The relayer said no.
    #[error("{status} {kind}: {detail}", status = .0.status, kind = .0.kind, detail = .0.detail)]
    Refused(Problem),
    /// No whole answer came. The URL is left out: nobody needs it.
    #[error("the relayer did not answer: {0}")]
    Unreachable(reqwest::Error),
    /// No answer in time.
    #[error("the relayer did not answer in time")]
    TooLate(#[from] Elapsed),
    /// The answer is not what the interface promises.
    #[error("the relayer broke its interface: {0}")]
    Unexpected(String),
}

impl From<reqwest::Error> for CallError {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_decode() { Self::Unexpected(error.to_string()) } else { Self::Unreachable(error) }
    }
}

impl Problem {
    /// Whether it is the problem with this slug.
    #[must_use]
    pub fn is(&self, slug: &str) -> bool {
        self.kind.strip_prefix("/problems/") == Some(slug)
    }
}

impl CallError {
    /// Whether the same call may bring something a moment later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TooLate(_) => true,
            Self::Refused(problem) => problem.is("idempotency-conflict") || matches!(problem.status, 429 | 500 | 503),
            Self::Unexpected(_) => false,
        }
    }
}
