//! The words for where a request stands.

use std::fmt;

/// Where a request can stand, in the order in which a later one hides an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Accepted and stored.
    Queued,
    /// In a signed batch.
    Submitted,
    /// On the canonical chain.
    Issued,
    /// The message was handed over.
    Delivered,
    /// The digits were right and the code was given out.
    Unlocked,
    /// Too many wrong digits.
    Locked,
    /// Its time passed before it was verified.
    Expired,
    /// It never reached the chain and will not.
    Failed,
    /// The wallet used the code on the chain.
    Verified,
    /// Revoked on the chain.
    Revoked,
    /// The contract that it was for has spent it.
    Consumed,
}

impl Status {
    const ALL: [Self; 11] = [
        Self::Queued,
        Self::Submitted,
        Self::Issued,
        Self::Delivered,
        Self::Unlocked,
        Self::Locked,
        Self::Expired,
        Self::Failed,
        Self::Verified,
        Self::Revoked,
        Self::Consumed,
    ];

    /// Whether nothing more is expected to happen.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Locked | Self::Expired | Self::Failed | Self::Revoked | Self::Consumed)
    }

    /// The status of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// The word of the interface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Submitted => "submitted",
            Self::Issued => "issued",
            Self::Delivered => "delivered",
            Self::Unlocked => "unlocked",
            Self::Locked => "locked",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::Verified => "verified",
            Self::Revoked => "revoked",
            Self::Consumed => "consumed",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
