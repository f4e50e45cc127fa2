//! A head: our signature under the log as far as it goes.

use alloy::primitives::{B256, B512};

use super::{Bytes, SigningKey, signing};
use crate::id::Deployment;

const DOMAIN: &[u8] = b"otp/evidence/head/v1\0";

/// What a head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its number, from 0 without a gap.
    pub number: u64,
    /// [`Head::digest`] of the head before; zero in the first.
    pub previous: B256,
    /// The last entry.
    pub index: u64,
    /// The last entry's hash, and so the whole log's.
    pub hash: B256,
    /// Up to where the chain was final for us.
    pub final_number: u64,
    /// That block's hash.
    pub final_hash: B256,
    /// Whether the log has every step up to that block; while it catches up it has not.
    pub complete: bool,
    /// Our clock, in Unix milliseconds.
    pub time_ms: i64,
    /// Chain and contract.
    pub deployment: Deployment,
    /// The Ed25519 key that signs.
    pub key: B256,
}

impl Head {
    /// The bytes that are signed.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        self.bytes().0
    }

    /// By which the next head names this one.
    #[must_use]
    pub fn digest(&self) -> B256 {
        self.bytes().hash()
    }

    fn bytes(&self) -> Bytes {
        Bytes::of(DOMAIN)
            .number(self.deployment.chain_id)
            .put(self.deployment.verifier)
            .number(self.number)
            .put(self.previous)
            .number(self.index)
            .put(self.hash)
            .number(self.final_number)
            .put(self.final_hash)
            .put([u8::from(self.complete)])
            .millis(self.time_ms)
            .put(self.key)
    }

    /// Signs it; `key` is the one that the head names.
    #[must_use]
    pub fn sign(self, key: &SigningKey) -> SignedHead {
        let signature = key.sign(&self.message());
        SignedHead { head: self, signature }
    }
}

/// A head and its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedHead {
    /// What is signed.
    pub head: Head,
    /// By [`Head::key`].
    pub signature: B512,
}

impl SignedHead {
    /// Whether the key that it names signed it. Whose key that is the caller must know.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        signing::verify(self.head.key, &self.head.message(), self.signature)
    }
}
