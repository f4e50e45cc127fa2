//! The code in a verification's bytes: it is not stored (protocol.md §6), but derived again whenever they are sent.

use alloy::primitives::Bytes;
use otp_core::store::{Contents, OpenCall};

use super::{IssuingError, sender::Sender};

impl Sender {
    /// Call data with its code in it.
    pub(super) fn full_input(&self, call: &OpenCall, input: &Bytes) -> Result<Bytes, IssuingError> {
        match call.contents {
            Contents::Verification { .. } => Err(IssuingError::NoSigner),
            _ => Ok(input.clone()),
        }
    }

    /// Signed bytes as they are stored.
    pub(super) fn without_code(&self, call: &OpenCall, raw: &[u8]) -> Result<Vec<u8>, IssuingError> {
        match call.contents {
            Contents::Verification { .. } => Err(IssuingError::NoSigner),
            _ => Ok(raw.to_vec()),
        }
    }

    /// Signed bytes as they are sent.
    pub(super) fn with_code(&self, call: &OpenCall, raw: &[u8]) -> Result<Vec<u8>, IssuingError> {
        self.without_code(call, raw)
    }
}
