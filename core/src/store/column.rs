//! Columns of a fixed length: a row with another one was not written by us. And rows as JSON, for a statement that takes any
//! number of them; bytes are hexadecimal in there.

use alloy::primitives::{Address, B256};
use serde::Serialize;

use super::StoreError;
use crate::id::Purpose;

pub(super) fn word(bytes: &[u8], table: &'static str) -> Result<B256, StoreError> {
    B256::try_from(bytes).map_err(|_| StoreError::Damaged { table })
}

pub(super) fn address(bytes: &[u8], table: &'static str) -> Result<Address, StoreError> {
    Address::try_from(bytes).map_err(|_| StoreError::Damaged { table })
}

/// A count or a number that is never negative.
pub(super) fn unsigned<T: TryFrom<i64>>(number: i64, table: &'static str) -> Result<T, StoreError> {
    T::try_from(number).map_err(|_| StoreError::Damaged { table })
}

/// SQLite's integers are signed; what is stored stays far below 2^63.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A purpose that this system wrote; the chain's may have other names.
pub(super) fn purpose(bytes: &[u8], table: &'static str) -> Result<Purpose, StoreError> {
    Purpose::try_from(word(bytes, table)?).map_err(|_| StoreError::Damaged { table })
}

/// Rows for `json_each`.
pub(super) fn json<T: Serialize>(rows: &[T]) -> Result<String, StoreError> {
    Ok(serde_json::to_string(rows).map_err(|error| sqlx::Error::Encode(Box::new(error)))?)
}

/// What was found, each in its place among so many that were asked for.
pub(super) fn placed<T>(asked: usize, found: impl Iterator<Item = (i64, T)>) -> Vec<Option<T>> {
    let mut all: Vec<_> = std::iter::repeat_with(|| None).take(asked).collect();
    for (n, one) in found {
        if let Some(place) = usize::try_from(n).ok().and_then(|n| all.get_mut(n)) {
            *place = Some(one);
        }
    }
    all
}
