//! What the timelock that governs the verifier did: how long a change could be seen before it was made.

use alloy::primitives::B256;
use sqlx::FromRow;

use super::{Figures, Follower, Store, StoreError, Write, column, keep, move_follower};
use crate::{id::Deployment, store::Place};

/// What became of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimelockStepKind {
    /// `CallScheduled`
    Scheduled,
    /// `CallExecuted`
    Executed,
    /// `Cancelled`
    Cancelled,
}

impl TimelockStepKind {
    fn from_name(name: &str) -> Option<Self> {
        [Self::Scheduled, Self::Executed, Self::Cancelled].into_iter().find(|kind| kind.name() == name)
    }

    /// The word of the table and of the interface.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Executed => "executed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A step of an operation. One of several calls has a step for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimelockStep {
    /// Where.
    pub place: Place,
    /// The operation's id.
    pub operation: B256,
    /// What became of it.
    pub kind: TimelockStepKind,
}

impl Store {
    /// The timelock's steps in final blocks, latest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn timelock_steps(&self, most: u32) -> Result<Vec<TimelockStep>, StoreError> {
        let rows: Vec<StepRow> = sqlx::query_as(
            "SELECT block_hash, log_index, block_number, timestamp, tx_hash, operation, step FROM timelock_steps
             ORDER BY block_number DESC, log_index DESC LIMIT ?",
        )
        .bind(most)
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(StepRow::read).collect()
    }

    /// Keeps the steps of the blocks above `from` up to `to`, and counts them. False when the follower stands elsewhere:
    /// then nothing was written.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn record_timelock(
        &self,
        deployment: &Deployment,
        from: Option<u64>,
        to: u64,
        steps: &[TimelockStep],
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        if !move_follower(&mut tx, deployment, Follower::Timelock, from, to).await? {
            return Ok(false);
        }
        let mut figures = Figures::default();
        for step in steps {
            let place = &step.place;
            let added = sqlx::query(
                "INSERT INTO timelock_steps (block_hash, log_index, block_number, timestamp, tx_hash, operation, step)
                 VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(place.block_hash.as_slice())
            .bind(column::signed(place.log_index))
            .bind(column::signed(place.block_number))
            .bind(column::signed(place.timestamp))
            .bind(place.tx_hash.as_slice())
            .bind(step.operation.as_slice())
            .bind(step.kind.name())
            .execute(&mut *tx)
            .await?;
            if added.rows_affected() == 1 {
                count(&mut tx, step, &mut figures).await?;
            }
        }
        keep(&mut tx, &figures).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// Counts every step that is kept.
pub(super) async fn recount(tx: &mut Write, figures: &mut Figures) -> Result<(), StoreError> {
    let rows: Vec<StepRow> = sqlx::query_as(
        "SELECT block_hash, log_index, block_number, timestamp, tx_hash, operation, step FROM timelock_steps",
    )
    .fetch_all(&mut **tx)
    .await?;
    for row in rows {
        count(tx, &row.read()?, figures).await?;
    }
    Ok(())
}

async fn count(tx: &mut Write, step: &TimelockStep, figures: &mut Figures) -> Result<(), StoreError> {
    let (place, at_s) = (&step.place, column::signed(step.place.timestamp));
    // An operation of several calls tells each of them; it counts once.
    let (told, scheduled_s): (bool, Option<i64>) = sqlx::query_as(
        "SELECT coalesce(max(step = ?2 AND tx_hash = ?3 AND log_index < ?5), 0),
                max(timestamp) FILTER (WHERE step = 'scheduled' AND (block_number, log_index) < (?4, ?5))
         FROM timelock_steps WHERE operation = ?1",
    )
    .bind(step.operation.as_slice())
    .bind(step.kind.name())
    .bind(place.tx_hash.as_slice())
    .bind(column::signed(place.block_number))
    .bind(column::signed(place.log_index))
    .fetch_one(&mut **tx)
    .await?;
    if told {
        return Ok(());
    }
    figures.count(at_s, &format!("timelock:{}", step.kind.name()), 1);
    if let (TimelockStepKind::Executed, Some(scheduled_s)) = (step.kind, scheduled_s) {
        figures.measure(at_s, "governance-delay", (at_s - scheduled_s) * 1_000);
    }
    Ok(())
}

#[derive(FromRow)]
struct StepRow {
    block_hash: Vec<u8>,
    log_index: i64,
    block_number: i64,
    timestamp: i64,
    tx_hash: Vec<u8>,
    operation: Vec<u8>,
    step: String,
}

impl StepRow {
    fn read(self) -> Result<TimelockStep, StoreError> {
        const TABLE: &str = "timelock_steps";
        let kind = TimelockStepKind::from_name(&self.step).ok_or(StoreError::Damaged { table: TABLE })?;
        let place = Place {
            block_hash: column::word(&self.block_hash, TABLE)?,
            block_number: column::unsigned(self.block_number, TABLE)?,
            timestamp: column::unsigned(self.timestamp, TABLE)?,
            tx_hash: column::word(&self.tx_hash, TABLE)?,
            log_index: column::unsigned(self.log_index, TABLE)?,
        };
        Ok(TimelockStep { place, operation: column::word(&self.operation, TABLE)?, kind })
    }
}
