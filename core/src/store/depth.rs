//! How deep a code's block must lie before its message goes out, for each channel.
//!
//! A message that has to wait is stored in the transaction that applies its block, as every other one, and held: it is
//! never due by time, and becomes due by depth. Writer: the indexer.

use std::str::FromStr;

use super::{Store, StoreError, column};
use crate::{clock::now_ms, contact::Channel};

/// `due_at_ms` of a message that is held: no clock gets there.
pub(super) const HELD_MS: i64 = i64::MAX;
/// Whether a message waits for its block's depth. SQLite takes the index of what is due only where its own condition stands
/// as it was written.
pub(super) const IS_ANY_HELD: &str = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE state IN ('queued', 'sending') AND state = 'queued' AND due_at_ms = ?)";
pub(super) const RELEASE: &str = "
    UPDATE deliveries SET due_at_ms = ?1
    WHERE state IN ('queued', 'sending') AND state = 'queued' AND due_at_ms = ?2 AND channel = ?3
      AND EXISTS (SELECT 1 FROM landings l WHERE l.on_chain_id = deliveries.on_chain_id AND l.block_number <= ?4)";

/// What a message waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Depth {
    /// Nothing: it goes out with its block.
    #[default]
    Latest,
    /// So many blocks on top.
    Blocks(u64),
    /// The chain's own word `safe`.
    Safe,
    /// The chain's own word `finalized`.
    Finalized,
}

impl FromStr for Depth {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "latest" | "0" => Ok(Self::Latest),
            "safe" => Ok(Self::Safe),
            "finalized" => Ok(Self::Finalized),
            number => match number.parse() {
                Ok(blocks @ 1..=10_000) => Ok(Self::Blocks(blocks)),
                _ => Err("latest, safe, finalized or a number of blocks up to 10000 is expected"),
            },
        }
    }
}

/// The depth of each channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depths {
    /// Of mails.
    pub email: Depth,
    /// Of text messages.
    pub sms: Depth,
    /// Of calls to a person's URL.
    pub webhook: Depth,
    /// Of sealed messages that the page fetches.
    pub inapp: Depth,
}

impl Depths {
    /// A channel's.
    #[must_use]
    pub const fn of(&self, channel: Channel) -> Depth {
        match channel {
            Channel::Email => self.email,
            Channel::Sms => self.sms,
            Channel::Webhook => self.webhook,
            Channel::Inapp => self.inapp,
        }
    }

    /// When the message of a block that was just applied is due.
    pub(super) fn due_at_ms(&self, channel: &str, now_ms: i64) -> i64 {
        match channel.parse().map_or(Depth::Latest, |channel| self.of(channel)) {
            Depth::Latest => now_ms,
            _ => HELD_MS,
        }
    }
}

impl Store {
    /// Whether a message waits for its block's depth.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn is_any_held(&self) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar(IS_ANY_HELD).bind(HELD_MS).fetch_one(&self.readers).await?)
    }

    /// Makes the held messages of a channel due whose code stands in a block up to this one. Returns how many.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn release_held(&self, channel: Channel, upto: u64) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let release = sqlx::query(RELEASE).bind(now_ms()).bind(HELD_MS).bind(channel.as_str());
        let released = release.bind(column::signed(upto)).execute(&mut *tx).await?.rows_affected();
        tx.commit().await?;
        Ok(released)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_depth_is_a_word_or_a_number_of_blocks() {
        for (text, depth) in [
            ("latest", Depth::Latest),
            ("0", Depth::Latest),
            ("12", Depth::Blocks(12)),
            ("safe", Depth::Safe),
            ("finalized", Depth::Finalized),
        ] {
            assert_eq!(text.parse(), Ok(depth));
        }
        for bad in ["", "-1", "10001", "final", "1.5"] {
            assert!(bad.parse::<Depth>().is_err(), "{bad}");
        }
    }
}
