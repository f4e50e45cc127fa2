//! The final mark: the last block that the chain will not take back and whose events were read a second time. It rises
//! and never falls, and what lies under it is neither rewound nor guessed at. Writer: the indexer.

use std::collections::BTreeSet;

use alloy::primitives::B256;
use sqlx::SqliteConnection;

use super::{
    ChainEvent, Cursor, Outbox, Store, StoreError, Stretch, Write,
    chain::read_cursor,
    column,
    rows::{enqueue_codes, insert_blocks, insert_events},
};
use crate::{failpoint, id::Deployment};

/// A second reading of final blocks.
#[derive(Debug, Clone, Copy)]
pub struct Second<'a> {
    /// The final block that it goes on from; `None` where none is known.
    pub settled: Option<Cursor>,
    /// The block that becomes final.
    pub to: Cursor,
    /// What was read.
    pub stretch: Stretch<'a>,
}

impl Store {
    /// The last final block of a deployment; `None` while none is known.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn final_block(&self, deployment: &Deployment) -> Result<Option<Cursor>, StoreError> {
        final_block(&mut *self.readers.acquire().await?, deployment).await
    }

    /// Raises the final mark to a block that is stored as canonical, or is the cursor's. False, and nothing is written,
    /// where the mark stands there or above, or the block is not on the stored chain: it may have been rewound meanwhile.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn set_final(&self, deployment: &Deployment, to: Cursor) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let raised = raise_final(&mut tx, deployment, to).await?;
        tx.commit().await?;
        Ok(raised)
    }

    /// Up to which block final ones are read again next: the highest stored one of the next `blocks` above `last`, or
    /// the first one beyond where there is none; none above `upto`, and none where there is no such block.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn settling(&self, last: u64, upto: u64, blocks: u64) -> Result<Option<Cursor>, StoreError> {
        const NEAR: &str = "SELECT number, hash FROM blocks WHERE canonical = 1 AND number > ? AND number <= ?
                            ORDER BY number DESC LIMIT 1";
        const BEYOND: &str = "SELECT number, hash FROM blocks WHERE canonical = 1 AND number > ? AND number <= ?
                              ORDER BY number LIMIT 1";
        for (statement, upto) in [(NEAR, last.saturating_add(blocks).min(upto)), (BEYOND, upto)] {
            let row: Option<(i64, Vec<u8>)> = sqlx::query_as(statement)
                .bind(column::signed(last))
                .bind(column::signed(upto))
                .fetch_optional(&self.readers)
                .await?;
            if let Some((number, hash)) = row {
                return Ok(Some(read_cursor(number, &hash)?));
            }
        }
        Ok(None)
    }

    /// Raises the final mark to what was read a second time, and adds the events that the first reading missed, with
    /// their messages as far as their codes live at `head_s` (Unix seconds of chain time). Returns how many messages became
    /// due, or `None` where the mark or the chain has moved meanwhile: then nothing was written.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn settle(
        &self,
        outbox: &Outbox,
        second: &Second<'_>,
        missed: &[&ChainEvent],
        head_s: u64,
    ) -> Result<Option<u64>, StoreError> {
        let mut tx = self.write().await?;
        let stands = is_settled_at(&mut tx, &outbox.deployment, second.settled).await?;
        if !stands || !raise_final(&mut tx, &outbox.deployment, second.to).await? {
            return Ok(None);
        }
        let eventful: BTreeSet<B256> = missed.iter().map(|event| event.place.block_hash).collect();
        let blocks = second.stretch.blocks.iter().filter(|block| eventful.contains(&block.hash));
        insert_blocks(&mut tx, &blocks.copied().collect::<Vec<_>>()).await?;
        insert_events(&mut tx, missed).await?;
        failpoint::hit("half-final");
        let lives = |event: &&&ChainEvent| event.facts.expiry.is_some_and(|expiry| expiry >= head_s);
        let due = enqueue_codes(&mut tx, outbox, &missed.iter().filter(lives).copied().collect::<Vec<_>>()).await?;
        tx.commit().await?;
        Ok(Some(due))
    }
}

async fn is_settled_at(tx: &mut Write, deployment: &Deployment, settled: Option<Cursor>) -> Result<bool, StoreError> {
    let stands: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM cursors WHERE chain_id = ? AND verifier = ? AND final_number IS ? AND final_hash IS ?",
    )
    .bind(column::signed(deployment.chain_id))
    .bind(deployment.verifier.as_slice())
    .bind(settled.map(|settled| column::signed(settled.number)))
    .bind(settled.map(|settled| settled.hash.to_vec()))
    .fetch_one(&mut **tx)
    .await?;
    Ok(stands == 1)
}

/// [`Store::final_block`], inside a transaction.
pub(super) async fn final_block(
    connection: &mut SqliteConnection,
    deployment: &Deployment,
) -> Result<Option<Cursor>, StoreError> {
    let row: Option<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT final_number, final_hash FROM cursors WHERE chain_id = ? AND verifier = ? AND final_number IS NOT NULL",
    )
    .bind(column::signed(deployment.chain_id))
    .bind(deployment.verifier.as_slice())
    .fetch_optional(connection)
    .await?;
    row.map(|(number, hash)| read_cursor(number, &hash)).transpose()
}

/// As [`Store::set_final`], within a transaction.
async fn raise_final(tx: &mut Write, deployment: &Deployment, to: Cursor) -> Result<bool, StoreError> {
    let raised = sqlx::query(
        "UPDATE cursors SET final_number = ?1, final_hash = ?2
         WHERE chain_id = ?3 AND verifier = ?4 AND (final_number IS NULL OR final_number < ?1)
         AND (number = ?1 AND hash = ?2 OR number > ?1
              AND EXISTS (SELECT 1 FROM blocks b WHERE b.canonical = 1 AND b.number = ?1 AND b.hash = ?2))",
    )
    .bind(column::signed(to.number))
    .bind(to.hash.as_slice())
    .bind(column::signed(deployment.chain_id))
    .bind(deployment.verifier.as_slice())
    .execute(&mut **tx)
    .await?;
    Ok(raised.rows_affected() == 1)
}

#[cfg(test)]
mod tests {
    use alloy::primitives::Address;

    use super::*;
    use crate::store::{Block, Depths};

    const DEPLOYMENT: Deployment = Deployment { chain_id: 1, verifier: Address::ZERO };

    fn block(number: u8) -> Block {
        let parent_hash = B256::repeat_byte(number - 1);
        Block { hash: B256::repeat_byte(number), number: number.into(), parent_hash, timestamp: number.into() }
    }

    /// A chain of ten blocks of which the first and the last four are stored.
    async fn store(folder: &tempfile::TempDir) -> Store {
        let store = Store::open(&folder.path().join("otp.db")).await.unwrap();
        store.start_cursor(&DEPLOYMENT, &block(1)).await.unwrap();
        let outbox = Outbox { deployment: DEPLOYMENT, mail_domain: String::new(), depths: Depths::default() };
        let blocks: Vec<Block> = (7..=10).map(block).collect();
        assert_eq!(store.apply(&outbox, block(1).cursor(), &blocks, &[]).await.unwrap(), Some(0));
        store
    }

    #[tokio::test]
    async fn the_final_mark_rises_along_the_stored_chain_and_never_falls() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        assert_eq!(store.final_block(&DEPLOYMENT).await.unwrap(), None);
        for (to, raised) in [(8, true), (8, false), (7, false), (10, true), (9, false)] {
            assert_eq!(store.set_final(&DEPLOYMENT, block(to).cursor()).await.unwrap(), raised, "to {to}");
        }
        assert_eq!(store.final_block(&DEPLOYMENT).await.unwrap(), Some(block(10).cursor()));
    }

    #[tokio::test]
    async fn a_block_that_is_not_on_the_stored_chain_does_not_become_final() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let sibling = Cursor { hash: B256::repeat_byte(0xee), ..block(9).cursor() };
        for elsewhere in [block(5).cursor(), block(11).cursor(), sibling] {
            assert!(!store.set_final(&DEPLOYMENT, elsewhere).await.unwrap(), "{elsewhere:?}");
        }
        let rewound = store.rewind(&DEPLOYMENT, block(10).cursor(), block(8).cursor()).await.unwrap();
        assert!(rewound.is_some());
        assert!(!store.set_final(&DEPLOYMENT, block(9).cursor()).await.unwrap(), "an orphan became final");
        assert!(store.set_final(&DEPLOYMENT, block(8).cursor()).await.unwrap());
    }

    #[tokio::test]
    async fn what_is_final_is_not_rewound() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        assert!(store.set_final(&DEPLOYMENT, block(9).cursor()).await.unwrap());
        assert_eq!(store.rewind(&DEPLOYMENT, block(10).cursor(), block(8).cursor()).await.unwrap(), None);
        assert!(store.rewind(&DEPLOYMENT, block(10).cursor(), block(9).cursor()).await.unwrap().is_some());
    }
}
