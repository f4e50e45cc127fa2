//! The final mark: the last block that the chain will not take back and whose events were read a second time. It rises
//! and never falls, and what lies under it is neither rewound nor guessed at. Writer: the indexer.

use super::{Cursor, Store, StoreError, Write, chain::read_cursor, column};
use crate::id::Deployment;

impl Store {
    /// The last final block of a deployment; `None` while none is known.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn final_block(&self, deployment: &Deployment) -> Result<Option<Cursor>, StoreError> {
        let row: Option<(i64, Vec<u8>)> = sqlx::query_as(
            "SELECT final_number, final_hash FROM cursors WHERE chain_id = ? AND verifier = ? AND final_number IS NOT NULL",
        )
        .bind(column::signed(deployment.chain_id))
        .bind(deployment.verifier.as_slice())
        .fetch_optional(&self.readers)
        .await?;
        row.map(|(number, hash)| read_cursor(number, &hash)).transpose()
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
}

/// As [`Store::set_final`], within a transaction.
pub(super) async fn raise_final(tx: &mut Write, deployment: &Deployment, to: Cursor) -> Result<bool, StoreError> {
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
    use alloy::primitives::{Address, B256};

    use super::*;
    use crate::store::{Block, Outbox};

    const DEPLOYMENT: Deployment = Deployment { chain_id: 1, verifier: Address::ZERO };

    fn block(number: u8) -> Block {
        let parent_hash = B256::repeat_byte(number - 1);
        Block { hash: B256::repeat_byte(number), number: number.into(), parent_hash, timestamp: number.into() }
    }

    /// A chain of ten blocks of which the first and the last four are stored.
    async fn store(folder: &tempfile::TempDir) -> Store {
        let store = Store::open(&folder.path().join("otp.db")).await.unwrap();
        store.start_cursor(&DEPLOYMENT, &block(1)).await.unwrap();
        let outbox = Outbox { deployment: DEPLOYMENT, mail_domain: String::new() };
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
