//! The evidence log's format: what is hashed, what is signed, and how both stand in files. docs/EVIDENCE.md says the same
//! in words, and `core/tests/vectors/evidence.json` in examples that others can check their own code against.
//!
//! Every encoding is a domain string that ends in a zero byte, then fields of fixed length in a fixed order; numbers are
//! big-endian, and what may be absent follows a byte that says whether it is there. So no two meanings share their bytes.

mod attested;
mod entry;
mod head;
mod line;
mod signing;
mod step;

use alloy::primitives::B256;
use sha2::{Digest, Sha256};

pub use self::{
    attested::Attested,
    entry::{Entry, Fields, KeyChange},
    head::{Head, SignedHead},
    line::{attested_line, entry_line, head_line, read_attested, read_entry, read_head},
    signing::{KeyFault, SigningKey, verify},
    step::{Step, StepKind},
};

/// The bytes of an encoding, put together in order.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn of(domain: &[u8]) -> Self {
        Self(domain.to_vec())
    }

    fn put(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    fn number(self, number: u64) -> Self {
        self.put(number.to_be_bytes())
    }

    /// Milliseconds before 1970 are none that we write, and stand as they are in two's complement.
    fn millis(self, unix_ms: i64) -> Self {
        self.put(unix_ms.to_be_bytes())
    }

    fn optional<T: AsRef<[u8]>>(self, value: Option<T>) -> Self {
        match value {
            None => self.put([0]),
            Some(value) => self.put([1]).put(value),
        }
    }

    fn hash(&self) -> B256 {
        B256::from_slice(&Sha256::digest(&self.0))
    }
}

/// Takes an encoding apart; `None` where it is too short or says what no encoder writes.
struct Parts<'a>(&'a [u8]);

impl Parts<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    /// The outer `None` is a damaged encoding.
    fn optional<const N: usize>(&mut self) -> Option<Option<[u8; N]>> {
        match self.take()? {
            [0] => Some(None),
            [1] => self.take().map(Some),
            _ => None,
        }
    }

    const fn end(&self) -> Option<()> {
        if self.0.is_empty() { Some(()) } else { None }
    }
}
