//! A step of a code as the chain has it.

use alloy::primitives::{Address, B256};

use super::{Bytes, Parts};

/// What happened. That a code expired is no step: it follows from its `expiry` and from what else happened to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepKind {
    /// `OtpSet`
    Issued,
    /// `OtpVerified`
    Verified,
    /// `OtpConsumed`
    Consumed,
    /// `OtpRevoked`
    Revoked,
    /// `OtpBatchRevoked`: of the batch with this root, every code that was issued or verified by then.
    BatchRevoked,
    /// `PolicySet`: what holds for codes of the purpose that are issued later; the log itself says what it is.
    PolicySet,
}

impl StepKind {
    const ALL: [Self; 6] =
        [Self::Issued, Self::Verified, Self::Consumed, Self::Revoked, Self::BatchRevoked, Self::PolicySet];

    /// The word of the files.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Verified => "verified",
            Self::Consumed => "consumed",
            Self::Revoked => "revoked",
            Self::BatchRevoked => "batch-revoked",
            Self::PolicySet => "policy-set",
        }
    }

    /// The kind of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The first byte of the encoding; 0 is a key's.
    const fn code(self) -> u8 {
        match self {
            Self::Issued => 1,
            Self::Verified => 2,
            Self::Consumed => 3,
            Self::Revoked => 4,
            Self::BatchRevoked => 5,
            Self::PolicySet => 6,
        }
    }
}

/// One of the verifier's logs in a final block: anybody can rebuild it. It has the facts that its own log has, and an
/// issued code's those of the batch's log before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What happened.
    pub kind: StepKind,
    /// The block.
    pub block_number: u64,
    /// The block.
    pub block_hash: B256,
    /// Its timestamp in Unix seconds.
    pub block_time: u64,
    /// The transaction.
    pub tx_hash: B256,
    /// The log's index in the block.
    pub log_index: u64,
    /// The code.
    pub id: Option<B256>,
    /// The batch's Merkle root.
    pub root: Option<B256>,
    /// Who issued.
    pub issuer: Option<Address>,
    /// Which policy.
    pub purpose: Option<B256>,
    /// The code's number.
    pub serial: Option<u64>,
    /// Unix seconds of chain time.
    pub expiry: Option<u64>,
}

impl Step {
    /// Block number and log index, by which steps are ordered.
    #[must_use]
    pub const fn place(&self) -> (u64, u64) {
        (self.block_number, self.log_index)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let number = |value: Option<u64>| value.map(u64::to_be_bytes);
        Bytes::default()
            .put([self.kind.code()])
            .number(self.block_number)
            .put(self.block_hash)
            .number(self.block_time)
            .put(self.tx_hash)
            .number(self.log_index)
            .optional(self.id)
            .optional(self.root)
            .optional(self.issuer)
            .optional(self.purpose)
            .optional(number(self.serial))
            .optional(number(self.expiry))
            .0
    }

    /// `code` was taken from `parts` already.
    pub(super) fn decode(code: u8, mut parts: Parts<'_>) -> Option<Self> {
        let kind = StepKind::ALL.into_iter().find(|kind| kind.code() == code)?;
        let step = Self {
            kind,
            block_number: parts.number()?,
            block_hash: parts.take()?.into(),
            block_time: parts.number()?,
            tx_hash: parts.take()?.into(),
            log_index: parts.number()?,
            id: parts.optional()?.map(B256::new),
            root: parts.optional()?.map(B256::new),
            issuer: parts.optional()?.map(Address::new),
            purpose: parts.optional()?.map(B256::new),
            serial: parts.optional()?.map(u64::from_be_bytes),
            expiry: parts.optional()?.map(u64::from_be_bytes),
        };
        parts.end().map(|()| step)
    }
}
