//! A reorg that is deeper than `issue.confirmations` takes calls out again that were followed no more. A node that counts
//! too few transactions looks the same, so it has to show that it lost their receipts too.

use alloy::providers::Provider;

use super::{IssuingError, sender::Sender};

/// The most final calls that are opened again in one turn.
const MAX_REOPENED: usize = 16;

/// What a look below the calls that are open has shown.
pub(super) struct Reopened {
    /// How many final calls are open again.
    pub(super) calls: usize,
    /// The chain's nonce, which is above every call that the chain shows.
    pub(super) nonce: u64,
    /// There may be more of them: the next turn goes on, and nonces of theirs are no gaps.
    pub(super) more: bool,
}

impl Sender {
    /// Opens final calls again that the chain does not count and has in their blocks no more, from the newest down to the
    /// first one that is still there.
    pub(super) async fn reopen(&self, counted: u64) -> Result<Reopened, IssuingError> {
        let store = &self.ground.store;
        let last = store.last_final(self.lease.sender, counted, MAX_REOPENED).await?;
        let more = last.len() == MAX_REOPENED;
        for (calls, (id, nonce, mined)) in last.iter().enumerate() {
            let receipt = self.ground.node.get_transaction_receipt(mined.tx_hash).await?;
            if receipt.and_then(|receipt| receipt.block_hash) == Some(mined.block_hash) {
                tracing::warn!(counted, nonce, "the node counts fewer transactions than it has receipts of");
                return Ok(Reopened { calls, nonce: nonce.saturating_add(1), more: false });
            }
            store.reopen_call(self.lease, *id).await?;
        }
        Ok(Reopened { calls: last.len(), nonce: counted, more })
    }
}
