//! A block's header as far as it is needed. Catching up reads one for each block, so nothing else is parsed.

use std::fmt;

use alloy::primitives::{B256, Bloom, U64};
use otp_core::store::Block;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};

/// A header with what is needed to judge an answer about its block.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    /// The block.
    pub block: Block,
    /// Which addresses and topics its logs may have.
    pub bloom: Bloom,
    /// How many transactions it has.
    pub transactions: usize,
}

/// The node's words.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawHeader {
    hash: B256,
    number: U64,
    parent_hash: B256,
    timestamp: U64,
    logs_bloom: Bloom,
    transactions: Count,
}

impl From<RawHeader> for Header {
    fn from(raw: RawHeader) -> Self {
        let block = Block {
            hash: raw.hash,
            number: raw.number.to(),
            parent_hash: raw.parent_hash,
            timestamp: raw.timestamp.to(),
        };
        Self { block, bloom: raw.logs_bloom, transactions: raw.transactions.0 }
    }
}

/// How many elements a list has.
#[derive(Debug)]
struct Count(usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counting;
        impl<'de> Visitor<'de> for Counting {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Count, A::Error> {
                let mut count = 0;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Count(count))
            }
        }
        deserializer.deserialize_seq(Counting)
    }
}
