//! An entry and its place in the chain of hashes.

use alloy::primitives::{Address, B256, B512};
use sha2::{Digest, Sha256};

use super::{Bytes, Parts, Step, signing};
use crate::id::Deployment;

const ENTRY_DOMAIN: &[u8] = b"otp/evidence/entry/v1\0";
const KEY_DOMAIN: &[u8] = b"otp/evidence/key/v1\0";
const KEY_CODE: u8 = 0;

/// An entry that says which key signs from here on. The log begins with one, which names the deployment as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChange {
    /// Chain and contract of the log.
    pub deployment: Deployment,
    /// The contract's first block: the log has every step from there.
    pub deployment_block: u64,
    /// The Ed25519 key that signs heads from here on.
    pub public_key: B256,
    /// The key before, and its signature over [`KeyChange::message`]; `None` in the first entry.
    pub signed_by: Option<(B256, B512)>,
}

impl KeyChange {
    /// What the key before signs: the new key, the deployment and the entry's index.
    #[must_use]
    pub fn message(deployment: &Deployment, index: u64, public_key: B256) -> Vec<u8> {
        let bytes = Bytes::of(KEY_DOMAIN).number(deployment.chain_id).put(deployment.verifier);
        bytes.number(index).put(public_key).0
    }

    /// Whether `current` signed this change for this index; the first entry needs nobody's signature.
    #[must_use]
    pub fn follows(&self, index: u64, current: Option<B256>) -> bool {
        match (current, self.signed_by) {
            (None, None) => index == 0,
            (Some(current), Some((by, signature))) => {
                let message = Self::message(&self.deployment, index, self.public_key);
                by == current && signing::verify(current, &message, signature)
            }
            _ => false,
        }
    }
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fields {
    /// A step of a code, as the chain has it.
    Step(Step),
    /// Another key signs.
    Key(KeyChange),
}

impl Fields {
    /// The bytes that are hashed and stored.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Step(step) => step.encode(),
            Self::Key(key) => {
                Bytes(vec![KEY_CODE])
                    .number(key.deployment.chain_id)
                    .put(key.deployment.verifier)
                    .number(key.deployment_block)
                    .put(key.public_key)
                    .optional(key.signed_by.map(|(by, signature)| [by.as_slice(), signature.as_slice()].concat()))
                    .0
            }
        }
    }

    /// Reads what [`Fields::encode`] wrote; `None` for anything else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut parts = Parts(bytes);
        let [code] = parts.take()?;
        if code != KEY_CODE {
            return Step::decode(code, parts).map(Self::Step);
        }
        let (chain_id, verifier) = (parts.number()?, Address::new(parts.take()?));
        let (deployment_block, public_key) = (parts.number()?, parts.take()?.into());
        let signed_by = parts.optional::<96>()?.map(|bytes| {
            let (by, signature) = bytes.split_at(32);
            (B256::from_slice(by), B512::from_slice(signature))
        });
        parts.end()?;
        let deployment = Deployment { chain_id, verifier };
        Some(Self::Key(KeyChange { deployment, deployment_block, public_key, signed_by }))
    }
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 0 without a gap.
    pub index: u64,
    /// The hash of the entry before; zero in the first.
    pub previous: B256,
    /// What it says.
    pub fields: Fields,
    /// What [`super::Attested::commitment`] gave where we attest something.
    pub commitment: Option<B256>,
    /// Over all of the above.
    pub hash: B256,
}

impl Entry {
    /// The entry that follows `previous`.
    #[must_use]
    pub fn new(index: u64, previous: B256, fields: Fields, commitment: Option<B256>) -> Self {
        let mut entry = Self { index, previous, fields, commitment, hash: B256::ZERO };
        entry.hash = entry.computed_hash();
        entry
    }

    /// What [`Entry::hash`] has to be.
    #[must_use]
    pub fn computed_hash(&self) -> B256 {
        Bytes::of(ENTRY_DOMAIN)
            .number(self.index)
            .put(self.previous)
            .put(Sha256::digest(self.fields.encode()))
            .optional(self.commitment)
            .hash()
    }
}
