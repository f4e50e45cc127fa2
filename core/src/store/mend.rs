//! The chain's facts of a stretch of blocks, put right by another reading of the chain. Writer: the indexer, and its
//! commands while no daemon runs.
//!
//! Each stretch is one transaction, so whoever reads meanwhile never sees a hole, and a process that dies leaves every
//! stretch either as it was or as the chain has it. Deliveries stay: their key names the code and not its place, so what
//! is found again is not sent again.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::B256;
use sqlx::FromRow;

use super::{
    Block, ChainEvent, Cursor, EventFilter, Outbox, Store, StoreError, Write,
    chain::cancel_off_chain,
    column, figures,
    rows::{enqueue_codes, insert_blocks, insert_events},
};
use crate::id::Deployment;

/// All that the chain says of the blocks `from..=to`.
#[derive(Debug, Clone, Copy)]
pub struct Stretch<'a> {
    /// The first block.
    pub from: u64,
    /// The last block.
    pub to: u64,
    /// Every block, in order.
    pub blocks: &'a [Block],
    /// Every event, in order.
    pub events: &'a [ChainEvent],
}

/// Where what is stored differs from what the chain says.
#[derive(Debug)]
pub struct Comparison<'a, T> {
    /// On the chain, and not stored.
    pub missing: Vec<&'a T>,
    /// Stored as canonical, and not on the chain.
    pub surplus: Vec<&'a T>,
    /// At one place, with other contents: as it is stored, and as the chain has it.
    pub differing: Vec<(&'a T, &'a T)>,
}

impl<'a, T: PartialEq> Comparison<'a, T> {
    /// Compares by `key`, which says what is the same thing in both.
    pub fn of<K: Ord>(stored: &'a [T], chain: &'a [T], key: impl Fn(&T) -> K) -> Self {
        let mut unmatched: BTreeMap<K, &T> = stored.iter().map(|one| (key(one), one)).collect();
        let (mut missing, mut differing) = (Vec::new(), Vec::new());
        for said in chain {
            match unmatched.remove(&key(said)) {
                None => missing.push(said),
                Some(stored) if stored != said => differing.push((stored, said)),
                Some(_) => {}
            }
        }
        Self { missing, surplus: unmatched.into_values().collect(), differing }
    }
}

/// What a stretch compares to in the store.
#[derive(Debug)]
pub struct Stored {
    /// Its canonical blocks.
    pub blocks: Vec<Block>,
    /// Its canonical events.
    pub events: Vec<ChainEvent>,
}

impl Stored {
    /// The events that differ.
    #[must_use]
    pub fn events<'a>(&'a self, stretch: &Stretch<'a>) -> Comparison<'a, ChainEvent> {
        Comparison::of(&self.events, stretch.events, |event| (event.place.block_hash, event.place.log_index))
    }

    /// The chain's blocks that are or must be stored: those with events, and those that are there.
    #[must_use]
    pub fn wanted(&self, stretch: &Stretch<'_>) -> Vec<Block> {
        let eventful = stretch.events.iter().map(|event| event.place.block_hash);
        let wanted: BTreeSet<B256> = eventful.chain(self.blocks.iter().map(|block| block.hash)).collect();
        stretch.blocks.iter().filter(|block| wanted.contains(&block.hash)).copied().collect()
    }
}

/// What was put right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mended {
    /// Events that were missing.
    pub added: u64,
    /// Events whose row said something else.
    pub changed: u64,
    /// Events that the chain does not have.
    pub removed: u64,
    /// Blocks that were missing, said something else, or are not on the chain.
    pub blocks: u64,
    /// Messages that became due.
    pub due: u64,
    /// Messages that waited, and whose code is not on the chain.
    pub cancelled: u64,
}

impl Mended {
    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            added: self.added + other.added,
            changed: self.changed + other.changed,
            removed: self.removed + other.removed,
            blocks: self.blocks + other.blocks,
            due: self.due + other.due,
            cancelled: self.cancelled + other.cancelled,
        }
    }
}

/// What becomes of rows that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anew {
    /// Those that agree with the chain stay as they are; those that the chain does not have are marked as orphaned.
    Differing,
    /// Canonical events are dropped, and derived again. Orphaned ones stay: no chain tells of them any more.
    All,
}

impl Store {
    /// What is stored as canonical of the blocks `from..=to`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn stored(&self, from: u64, to: u64) -> Result<Stored, StoreError> {
        let filter = EventFilter { from: Some(from), to: Some(to), ..EventFilter::default() };
        let rows: Vec<BlockRow> = sqlx::query_as(
            "SELECT hash, number, parent_hash, timestamp FROM blocks WHERE canonical = 1 AND number BETWEEN ? AND ?
             ORDER BY number, hash",
        )
        .bind(column::signed(from))
        .bind(column::signed(to))
        .fetch_all(&self.readers)
        .await?;
        let blocks: Result<_, _> = rows.into_iter().map(BlockRow::read).collect();
        Ok(Stored { blocks: blocks?, events: self.events(&filter, u32::MAX).await? })
    }

    /// A block by its hash.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn stored_block(&self, hash: B256) -> Result<Option<Block>, StoreError> {
        let row: Option<BlockRow> =
            sqlx::query_as("SELECT hash, number, parent_hash, timestamp FROM blocks WHERE hash = ?")
                .bind(hash.as_slice())
                .fetch_optional(&self.readers)
                .await?;
        row.map(BlockRow::read).transpose()
    }

    /// Makes what is stored of a stretch what the chain says. The cursor stays where it is.
    ///
    /// # Errors
    /// When the store fails: then nothing was written.
    pub async fn mend(&self, outbox: &Outbox, stretch: &Stretch<'_>, anew: Anew) -> Result<Mended, StoreError> {
        let mut tx = self.write().await?;
        // While this transaction is open nobody else writes, and so far it has not: readers see what it would.
        let stored = match self.stored(stretch.from, stretch.to).await {
            Err(StoreError::Damaged { .. }) if anew == Anew::All => {
                orphan_blocks(&mut tx, stretch).await?;
                Stored { blocks: Vec::new(), events: Vec::new() }
            }
            stored => stored?,
        };
        let wanted = stored.wanted(stretch);
        let events = stored.events(stretch);
        let blocks = Comparison::of(&stored.blocks, &wanted, |block| block.hash);
        if anew == Anew::All {
            drop_events(&mut tx, stretch).await?;
            insert_events(&mut tx, &stretch.events.iter().collect::<Vec<_>>()).await?;
        } else {
            for event in &events.surplus {
                orphan_event(&mut tx, event).await?;
            }
            let differing = events.differing.iter().map(|(_, chain)| *chain);
            insert_events(&mut tx, &events.missing.iter().copied().chain(differing).collect::<Vec<_>>()).await?;
        }
        for block in &blocks.surplus {
            sqlx::query("UPDATE blocks SET canonical = 0 WHERE hash = ?")
                .bind(block.hash.as_slice())
                .execute(&mut *tx)
                .await?;
        }
        insert_blocks(&mut tx, &wanted.iter().chain(stretch.blocks.last()).copied().collect::<Vec<_>>()).await?;
        let due = enqueue_codes(&mut tx, outbox, &events.missing).await?;
        if !(events.missing.is_empty() && events.surplus.is_empty() && events.differing.is_empty()) {
            figures::forget(&mut tx, stretch.from).await?;
        }
        let cancelled = if events.surplus.is_empty() { 0 } else { cancel_off_chain(&mut tx).await? };
        tx.commit().await?;
        Ok(Mended {
            added: count(events.missing.len()),
            changed: count(events.differing.len()),
            removed: count(events.surplus.len()),
            blocks: count(blocks.missing.len() + blocks.surplus.len() + blocks.differing.len()),
            due,
            cancelled,
        })
    }

    /// Ends a rebuild: the cursor is set on `last`, and nothing is canonical outside of `from..=last`.
    ///
    /// # Errors
    /// When the store fails: then nothing was written.
    pub async fn stand_on(&self, deployment: &Deployment, from: u64, last: &Block) -> Result<Mended, StoreError> {
        let mut tx = self.write().await?;
        let Cursor { number, hash } = last.cursor();
        let removed = sqlx::query("DELETE FROM events WHERE canonical = 1 AND (block_number < ? OR block_number > ?)")
            .bind(column::signed(from))
            .bind(column::signed(number))
            .execute(&mut *tx)
            .await?
            .rows_affected();
        let blocks = sqlx::query("UPDATE blocks SET canonical = 0 WHERE canonical = 1 AND (number < ? OR number > ?)")
            .bind(column::signed(from))
            .bind(column::signed(number))
            .execute(&mut *tx)
            .await?
            .rows_affected();
        sqlx::query(
            "INSERT INTO cursors (chain_id, verifier, number, hash) VALUES (?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET number = excluded.number, hash = excluded.hash",
        )
        .bind(column::signed(deployment.chain_id))
        .bind(deployment.verifier.as_slice())
        .bind(column::signed(number))
        .bind(hash.as_slice())
        .execute(&mut *tx)
        .await?;
        figures::forget(&mut tx, 0).await?;
        let cancelled = cancel_off_chain(&mut tx).await?;
        tx.commit().await?;
        Ok(Mended { removed, blocks, cancelled, ..Mended::default() })
    }
}

async fn orphan_event(tx: &mut Write, event: &ChainEvent) -> Result<(), StoreError> {
    sqlx::query("UPDATE events SET canonical = 0 WHERE block_hash = ? AND log_index = ?")
        .bind(event.place.block_hash.as_slice())
        .bind(column::signed(event.place.log_index))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn orphan_blocks(tx: &mut Write, stretch: &Stretch<'_>) -> Result<(), StoreError> {
    sqlx::query("UPDATE blocks SET canonical = 0 WHERE canonical = 1 AND number BETWEEN ? AND ?")
        .bind(column::signed(stretch.from))
        .bind(column::signed(stretch.to))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn drop_events(tx: &mut Write, stretch: &Stretch<'_>) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM events WHERE canonical = 1 AND block_number BETWEEN ? AND ?")
        .bind(column::signed(stretch.from))
        .bind(column::signed(stretch.to))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

const fn count(number: usize) -> u64 {
    number as u64
}

#[derive(FromRow)]
struct BlockRow {
    hash: Vec<u8>,
    number: i64,
    parent_hash: Vec<u8>,
    timestamp: i64,
}

impl BlockRow {
    fn read(self) -> Result<Block, StoreError> {
        Ok(Block {
            hash: column::word(&self.hash, "blocks")?,
            number: column::unsigned(self.number, "blocks")?,
            parent_hash: column::word(&self.parent_hash, "blocks")?,
            timestamp: column::unsigned(self.timestamp, "blocks")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_names_what_is_missing_surplus_and_different() {
        let (stored, chain) = ([(1, 'a'), (2, 'b'), (3, 'c')], [(2, 'b'), (3, 'x'), (4, 'd')]);
        let found = Comparison::of(&stored, &chain, |one| one.0);
        assert_eq!(found.missing, [&(4, 'd')]);
        assert_eq!(found.surplus, [&(1, 'a')]);
        assert_eq!(found.differing, [(&(3, 'c'), &(3, 'x'))]);
    }
}
