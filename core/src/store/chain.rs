//! What the chain says: the cursor, the blocks it stood on, the verifier's events. Writer: the indexer.
//!
//! A block's events, the deliveries they call for and the cursor's move are one transaction that only passes while the
//! cursor stands where the caller read it, so nothing is skipped and nothing applied twice.

use alloy::primitives::{Address, B256};
use sqlx::SqliteConnection;

use super::{
    Store, StoreError, Write, column,
    deliveries::Outbox,
    rows::{enqueue_codes, insert_blocks, insert_events},
};
use crate::{failpoint, id::Deployment};

/// The last block applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Block number.
    pub number: u64,
    /// Block hash.
    pub hash: B256,
}

/// A block as its header has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Block hash.
    pub hash: B256,
    /// Block number.
    pub number: u64,
    /// The hash of the block before.
    pub parent_hash: B256,
    /// Unix seconds.
    pub timestamp: u64,
}

impl Block {
    /// The block as a place to stand on.
    #[must_use]
    pub const fn cursor(&self) -> Cursor {
        Cursor { number: self.number, hash: self.hash }
    }
}

/// Which of the verifier's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// `OtpBatchSet`
    BatchSet,
    /// `OtpSet`
    Set,
    /// `OtpVerified`
    Verified,
    /// `OtpConsumed`
    Consumed,
    /// `OtpRevoked`
    Revoked,
    /// `OtpBatchRevoked`
    BatchRevoked,
    /// `PolicySet`
    PolicySet,
    /// `RoleGranted`
    RoleGranted,
    /// `RoleRevoked`
    RoleRevoked,
    /// `Paused`
    Paused,
    /// `Unpaused`
    Unpaused,
    /// `Upgraded` of the proxy (ERC-1967)
    Upgraded,
    /// A log whose topic the interface does not have, as of a contract that was upgraded.
    Unknown,
    /// A log of a known topic that the contract, as we know it, cannot have written.
    Malformed,
}

impl EventKind {
    const ALL: [Self; 14] = [
        Self::BatchSet,
        Self::Set,
        Self::Verified,
        Self::Consumed,
        Self::Revoked,
        Self::BatchRevoked,
        Self::PolicySet,
        Self::Unknown,
        Self::Malformed,
        Self::RoleGranted,
        Self::RoleRevoked,
        Self::Paused,
        Self::Unpaused,
        Self::Upgraded,
    ];

    /// The name in the table and in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BatchSet => "otp-batch-set",
            Self::Set => "otp-set",
            Self::Verified => "otp-verified",
            Self::Consumed => "otp-consumed",
            Self::Revoked => "otp-revoked",
            Self::BatchRevoked => "otp-batch-revoked",
            Self::PolicySet => "policy-set",
            Self::Unknown => "unknown",
            Self::Malformed => "malformed",
            Self::RoleGranted => "role-granted",
            Self::RoleRevoked => "role-revoked",
            Self::Paused => "paused",
            Self::Unpaused => "unpaused",
            Self::Upgraded => "upgraded",
        }
    }

    /// Whether it changes who may do what, or the contract itself.
    #[must_use]
    pub const fn is_governance(self) -> bool {
        matches!(
            self,
            Self::PolicySet | Self::RoleGranted | Self::RoleRevoked | Self::Paused | Self::Unpaused | Self::Upgraded
        )
    }

    /// The kind of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Where an event stands on the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The block.
    pub block_hash: B256,
    /// The block.
    pub block_number: u64,
    /// The block's timestamp in Unix seconds.
    pub timestamp: u64,
    /// The transaction.
    pub tx_hash: B256,
    /// The log's index in the block.
    pub log_index: u64,
}

/// What an event says; each kind has some of these. An otp-set event repeats its batch's facts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The code's id.
    pub on_chain_id: Option<B256>,
    /// The batch's Merkle root.
    pub root: Option<B256>,
    /// Who issued.
    pub issuer: Option<Address>,
    /// Which policy.
    pub purpose: Option<B256>,
    /// The code's number.
    pub serial: Option<u64>,
    /// The batch's first number.
    pub first: Option<u64>,
    /// The batch's size.
    pub size: Option<u64>,
    /// Unix seconds of chain time.
    pub expiry: Option<u64>,
    /// The wallet that verified, or whom a role was given or taken from.
    pub subject: Option<Address>,
    /// What the code authorised, or the role that was given or taken.
    pub action: Option<B256>,
    /// The consumer, who revoked, who changed a role or paused, or the new implementation.
    pub party: Option<Address>,
}

/// One event of the verifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainEvent {
    /// Where.
    pub place: Place,
    /// Which.
    pub kind: EventKind,
    /// What.
    pub facts: Facts,
}

/// What a rewind undid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewound {
    /// Events that are canonical no more.
    pub events: u64,
    /// Deliveries that were waiting and will not go out unless their code lands again.
    pub deliveries: u64,
    /// Messages that are out, of codes that are on the chain no more: they stay sent.
    pub sent: u64,
}

impl Store {
    /// Where the tail of a deployment stands; `None` before its first start.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn cursor(&self, deployment: &Deployment) -> Result<Option<Cursor>, StoreError> {
        cursor(&mut *self.readers.acquire().await?, deployment).await
    }

    /// Whether the file holds another deployment's chain facts: they would mix with ours.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn follows_another(&self, deployment: &Deployment) -> Result<bool, StoreError> {
        let others = "SELECT EXISTS (SELECT 1 FROM cursors WHERE chain_id <> ? OR verifier <> ?)";
        Ok(sqlx::query_scalar(others)
            .bind(column::signed(deployment.chain_id))
            .bind(deployment.verifier.as_slice())
            .fetch_one(&self.readers)
            .await?)
    }

    /// Puts the first cursor of a deployment on the block before its contract's.
    ///
    /// # Errors
    /// When the store fails or there is a cursor already.
    pub async fn start_cursor(&self, deployment: &Deployment, block: &Block) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query("INSERT INTO cursors (chain_id, verifier, number, hash) VALUES (?, ?, ?, ?)")
            .bind(column::signed(deployment.chain_id))
            .bind(deployment.verifier.as_slice())
            .bind(column::signed(block.number))
            .bind(block.hash.as_slice())
            .execute(&mut *tx)
            .await?;
        insert_blocks(&mut tx, &[*block]).await?;
        Ok(tx.commit().await?)
    }

    /// Applies blocks on top of `from`: the last one becomes the cursor. `blocks` may leave out blocks without events,
    /// never the last. Returns how many deliveries became due, or `None` when the cursor stands elsewhere: then nothing
    /// was written.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn apply(
        &self,
        outbox: &Outbox,
        from: Cursor,
        blocks: &[Block],
        events: &[ChainEvent],
    ) -> Result<Option<u64>, StoreError> {
        let Some(last) = blocks.last() else { return Ok(Some(0)) };
        let mut tx = self.write().await?;
        if !move_cursor(&mut tx, &outbox.deployment, from, last.cursor()).await? {
            return Ok(None);
        }
        let events: Vec<&ChainEvent> = events.iter().collect();
        insert_blocks(&mut tx, blocks).await?;
        insert_events(&mut tx, &events).await?;
        failpoint::hit("half-applied");
        let deliveries = enqueue_codes(&mut tx, outbox, &events).await?;
        tx.commit().await?;
        Ok(Some(deliveries))
    }

    /// Goes back to `to`: blocks and events above it are canonical no more, and what waited to be sent because of them
    /// is cancelled. `None` when the cursor does not stand on `from`, or `to` lies below what is final.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn rewind(
        &self,
        deployment: &Deployment,
        from: Cursor,
        to: Cursor,
    ) -> Result<Option<Rewound>, StoreError> {
        let mut tx = self.write().await?;
        if !move_cursor(&mut tx, deployment, from, to).await? {
            return Ok(None);
        }
        let above = column::signed(to.number);
        let sent = count_sent_above(&mut tx, above).await?;
        sqlx::query("UPDATE blocks SET canonical = 0 WHERE canonical = 1 AND number > ?")
            .bind(above)
            .execute(&mut *tx)
            .await?;
        let events = sqlx::query("UPDATE events SET canonical = 0 WHERE canonical = 1 AND block_number > ?")
            .bind(above)
            .execute(&mut *tx)
            .await?
            .rows_affected();
        failpoint::hit("half-rewound");
        let deliveries = cancel_off_chain(&mut tx).await?;
        tx.commit().await?;
        Ok(Some(Rewound { events, deliveries, sent }))
    }

    /// Stored canonical blocks below a number, highest first: where a common ancestor is looked for.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn blocks_below(&self, number: u64, limit: u32) -> Result<Vec<Cursor>, StoreError> {
        let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(
            "SELECT number, hash FROM blocks WHERE canonical = 1 AND number < ? ORDER BY number DESC LIMIT ?",
        )
        .bind(column::signed(number))
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(|(number, hash)| read_cursor(number, &hash)).collect()
    }
}

/// [`Store::cursor`], inside a transaction.
pub(super) async fn cursor(
    connection: &mut SqliteConnection,
    deployment: &Deployment,
) -> Result<Option<Cursor>, StoreError> {
    let row: Option<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT number, hash FROM cursors WHERE chain_id = ? AND verifier = ?")
            .bind(column::signed(deployment.chain_id))
            .bind(deployment.verifier.as_slice())
            .fetch_optional(connection)
            .await?;
    row.map(|(number, hash)| read_cursor(number, &hash)).transpose()
}

pub(super) fn read_cursor(number: i64, hash: &[u8]) -> Result<Cursor, StoreError> {
    Ok(Cursor { number: column::unsigned(number, "cursors")?, hash: column::word(hash, "cursors")? })
}

/// Compare-and-set; false when the cursor stands elsewhere, or the way leads below what is final.
async fn move_cursor(tx: &mut Write, deployment: &Deployment, from: Cursor, to: Cursor) -> Result<bool, StoreError> {
    let moved = sqlx::query(
        "UPDATE cursors SET number = ?1, hash = ?2 WHERE chain_id = ?3 AND verifier = ?4 AND number = ?5 AND hash = ?6
         AND (final_number IS NULL OR final_number < ?1 OR final_number = ?1 AND final_hash = ?2)",
    )
    .bind(column::signed(to.number))
    .bind(to.hash.as_slice())
    .bind(column::signed(deployment.chain_id))
    .bind(deployment.verifier.as_slice())
    .bind(column::signed(from.number))
    .bind(from.hash.as_slice())
    .execute(&mut **tx)
    .await?;
    Ok(moved.rows_affected() == 1)
}

async fn count_sent_above(tx: &mut Write, number: i64) -> Result<u64, StoreError> {
    let sent: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM events e JOIN landings l ON l.on_chain_id = e.on_chain_id AND l.block_hash = e.block_hash
         JOIN deliveries d ON d.on_chain_id = l.on_chain_id AND d.sent_at_ms IS NOT NULL
         WHERE e.canonical = 1 AND e.block_number > ? AND e.kind = 'otp-set'",
    )
    .bind(number)
    .fetch_one(&mut **tx)
    .await?;
    column::unsigned(sent, "deliveries")
}

/// Cancels what waits to be sent of codes that are on the chain no more. Returns how many.
pub(super) async fn cancel_off_chain(tx: &mut Write) -> Result<u64, StoreError> {
    let cancelled = sqlx::query(
        "UPDATE deliveries SET state = 'cancelled', error = 'reorg' WHERE state IN ('queued', 'sending')
         AND on_chain_id IS NOT NULL
         AND NOT EXISTS (SELECT 1 FROM landings l WHERE l.on_chain_id = deliveries.on_chain_id)",
    );
    Ok(cancelled.execute(&mut **tx).await?.rows_affected())
}
