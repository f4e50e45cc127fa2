//! What the issuing tables hold, as types.

use alloy::primitives::{Address, B256};
use uuid::Uuid;

use crate::id::Purpose;

/// The right to send as an account of ours, taken by [`take_sender`](super::Store::take_sender).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The account.
    pub sender: Address,
    /// Rises with each taking.
    pub fence: i64,
}

/// A request that waits for a number, with what its code derives from.
#[derive(Debug)]
pub struct QueuedRequest {
    /// The request.
    pub id: Uuid,
    /// Its account.
    pub account_id: Uuid,
    /// The account's wallet: the code's subject.
    pub subject: Address,
    /// The account's sealed seed.
    pub seed_sealed: Vec<u8>,
    /// What the code authorises.
    pub action: B256,
}

/// A signed form of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTransaction {
    /// Transaction hash.
    pub hash: B256,
    /// EIP-2718 bytes, as they are sent; of a verification with its code blanked out.
    pub raw: Vec<u8>,
    /// EIP-1559 fee cap.
    pub max_fee_per_gas_wei: u128,
    /// EIP-1559 tip.
    pub max_priority_fee_per_gas_wei: u128,
    /// When it was signed.
    pub signed_at_ms: i64,
}

/// A batch that is about to be stored.
#[derive(Debug)]
pub struct NewBatch<'a> {
    /// Which policy.
    pub purpose: Purpose,
    /// The first serial.
    pub first: u64,
    /// Merkle root over the leaves.
    pub root: B256,
    /// Account nonce of the transaction.
    pub nonce: u64,
    /// Unix seconds of chain time past which the contract refuses it.
    pub deadline: u64,
    /// Requests and their on-chain ids, in order of serial.
    pub codes: &'a [(Uuid, B256)],
    /// The first signed form.
    pub transaction: SignedTransaction,
}

/// A call other than a batch that is about to be stored.
#[derive(Debug)]
pub struct NewCall<'a> {
    /// What it does.
    pub contents: NewContents<'a>,
    /// Account nonce of the transaction.
    pub nonce: u64,
    /// Unix seconds of chain time past which the contract refuses it, if it ever does.
    pub deadline: Option<u64>,
    /// The first signed form.
    pub transaction: SignedTransaction,
}

/// What a [`NewCall`] does.
#[derive(Debug, Clone, Copy)]
pub enum NewContents<'a> {
    /// `revoke` of these on-chain ids.
    Revocation(&'a [B256]),
    /// `verifyFor` of this request's code.
    Verification(Uuid),
    /// Nothing, to close a gap in the nonces.
    Filler,
}

/// A call that is not final.
#[derive(Debug)]
pub struct OpenCall {
    /// Row id.
    pub id: i64,
    /// What it does.
    pub contents: Contents,
    /// Account nonce.
    pub nonce: u64,
    /// Unix seconds of chain time past which the contract refuses it, if it ever does.
    pub deadline: Option<u64>,
    /// Unix milliseconds.
    pub created_at_ms: i64,
    /// Past its deadline: whoever waited was told and its nonce is being freed.
    pub late: bool,
    /// The block its nonce was mined in, as last seen.
    pub mined: Option<MinedAt>,
    /// It was mined without effect: it reverted, or a cancellation took its place.
    pub void: bool,
    /// It is void and its requests still wait to be told, or for new numbers.
    pub awaited: bool,
    /// Every signed form, oldest first. Only of a call that is in no block.
    pub transactions: Vec<SignedTransaction>,
}

/// What an [`OpenCall`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// `setOtps`
    Batch {
        /// Which policy.
        purpose: Purpose,
        /// How many codes.
        size: u64,
        /// Merkle root.
        root: B256,
    },
    /// `revoke`
    Revocation,
    /// `verifyFor`
    Verification {
        /// Whose code.
        request_id: Uuid,
    },
    /// Nothing.
    Filler,
}

impl Contents {
    /// The word in the table, in logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Batch { .. } => "batch",
            Self::Revocation => "revocation",
            Self::Verification { .. } => "verification",
            Self::Filler => "filler",
        }
    }
}

/// Where a call landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinedAt {
    /// Which of the call's transactions.
    pub tx_hash: B256,
    /// Its block.
    pub block_number: u64,
    /// Its block.
    pub block_hash: B256,
}
