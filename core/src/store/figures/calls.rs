//! Transactions that went straight to the verifier, found in final blocks: what reverted leaves no event, and what an
//! issuance cost is in its receipt alone.

use alloy::primitives::B256;

use super::{Cell, Figures, Follower, SLOT_S, Store, StoreError, Write, bucket_of, column, keep, move_follower};
use crate::id::Deployment;

/// The outcome of what failed on the chain and did not when it was run again.
pub const UNEXPLAINED: &str = "unexplained";
const SUCCEEDED: &str = "succeeded";

/// A transaction to the verifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractCall {
    /// The block.
    pub block_hash: B256,
    /// The block.
    pub block_number: u64,
    /// The block's timestamp in Unix seconds.
    pub timestamp: u64,
    /// The transaction's place in the block.
    pub tx_index: u64,
    /// The transaction.
    pub tx_hash: B256,
    /// The function's name in the interface, or `other`.
    pub function: &'static str,
    /// The name of the error that it reverted with, or [`UNEXPLAINED`]; `None` where it succeeded.
    pub error: Option<&'static str>,
    /// The whole transaction's.
    pub gas_used: u64,
    /// Codes that an issuance carried, else 0.
    pub codes: u64,
}

impl Store {
    /// Keeps the calls of the blocks above `from` up to `to`, and counts them. False when the follower stands elsewhere: then
    /// nothing was written.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn record_calls(
        &self,
        deployment: &Deployment,
        from: Option<u64>,
        to: u64,
        calls: &[ContractCall],
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        if !move_follower(&mut tx, deployment, Follower::Calls, from, to).await? {
            return Ok(false);
        }
        let mut figures = Figures::default();
        for call in calls {
            let added = sqlx::query(
                "INSERT INTO contract_calls (block_hash, tx_index, block_number, timestamp, tx_hash, function, outcome,
                 gas_used, codes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(call.block_hash.as_slice())
            .bind(column::signed(call.tx_index))
            .bind(column::signed(call.block_number))
            .bind(column::signed(call.timestamp))
            .bind(call.tx_hash.as_slice())
            .bind(call.function)
            .bind(call.error.unwrap_or(SUCCEEDED))
            .bind(column::signed(call.gas_used))
            .bind(column::signed(call.codes))
            .execute(&mut *tx)
            .await?;
            if added.rows_affected() == 1 {
                let gas = (column::signed(call.gas_used), column::signed(call.codes));
                count(&mut figures, column::signed(call.timestamp), call.function, call.error, gas);
            }
        }
        keep(&mut tx, &figures).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// Counts every call that is kept.
pub(super) async fn recount(tx: &mut Write, figures: &mut Figures) -> Result<(), StoreError> {
    let rows: Vec<(i64, String, String, i64, i64)> =
        sqlx::query_as("SELECT timestamp, function, outcome, gas_used, codes FROM contract_calls")
            .fetch_all(&mut **tx)
            .await?;
    for (at_s, function, outcome, gas_used, codes) in rows {
        let error = Some(outcome.as_str()).filter(|outcome| *outcome != SUCCEEDED);
        count(figures, at_s, &function, error, (gas_used, codes));
    }
    Ok(())
}

fn count(figures: &mut Figures, at_s: i64, function: &str, error: Option<&str>, (gas_used, codes): (i64, i64)) {
    if let Some(error) = error {
        figures.count(at_s, &format!("reverted:{function}:{error}"), 1);
    } else if codes > 0 {
        let cell = Cell { count: codes.unsigned_abs(), total: gas_used };
        figures.add(at_s.div_euclid(SLOT_S), "gas", bucket_of(gas_used / codes), cell);
    }
}
