//! What we attest beside the chain: personal data, which must be erasable. An entry holds its salted hash alone.

use alloy::primitives::B256;

use super::Bytes;

const DOMAIN: &[u8] = b"otp/evidence/attested/v1\0";

/// The opening of an entry's commitment. Without the salt nobody can try out what it may have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// 32 random bytes of this entry alone.
    pub salt: B256,
    /// Keyed hash of the account: the same for all its entries, and meaningless once the account is erased.
    pub account: B256,
    /// When the code was asked for, in Unix milliseconds of our clock.
    pub requested_at_ms: i64,
    /// When its message was handed over.
    pub delivered_at_ms: Option<i64>,
    /// The kind of channel that it went over, or was to go over.
    pub channel: String,
}

impl Attested {
    /// What the entry holds of it.
    #[must_use]
    pub fn commitment(&self) -> B256 {
        let channel = self.channel.as_bytes();
        Bytes::of(DOMAIN)
            .put(self.salt)
            .put(self.account)
            .millis(self.requested_at_ms)
            .optional(self.delivered_at_ms.map(i64::to_be_bytes))
            .number(channel.len() as u64)
            .put(channel)
            .hash()
    }
}
