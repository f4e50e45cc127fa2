//! What the relayer answers, as far as the testbed reads it.

use alloy::primitives::{Address, B256, Bytes, aliases::U40};
use serde::Deserialize;
use uuid::Uuid;

/// `GET /v1/config`
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RelayerConfig {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Where people sign in.
    pub domains: Vec<Domain>,
}

/// A page that signs people in.
#[derive(Debug, Clone, Deserialize)]
pub struct Domain {
    /// RFC 3986 authority.
    pub domain: String,
    /// What a sign-in message must name.
    pub uri: String,
}

#[derive(Deserialize)]
pub(super) struct Nonce {
    pub(super) nonce: String,
}

#[derive(Deserialize)]
pub(super) struct Session {
    pub(super) token: String,
}

/// A contact, just added.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contact {
    /// Its id.
    pub contact_id: Uuid,
    /// The address as pages show it.
    pub masked: String,
}

/// A request for a code.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Otp {
    /// The request's id.
    pub id: Uuid,
    /// What the message and the page show, to tell two codes apart.
    pub reference: String,
    /// Where it stands.
    pub status: String,
    /// What it authorises.
    pub action: B256,
    /// The commitment, once there is one.
    pub on_chain_id: Option<B256>,
    /// Its number.
    pub serial: Option<u64>,
    /// The issuance.
    pub tx_hash: Option<B256>,
    /// Why it failed, where it did.
    pub failure: Option<String>,
}

/// The full code and what goes with it. No Debug: it holds the code.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unlocked {
    /// Digits and key.
    pub code: String,
    /// `keccak256(abi.encodePacked(code))`
    pub code_hash: B256,
    /// What it authorises.
    pub action: B256,
    /// Beside the code, what the contract asks for.
    pub ticket: Ticket,
    /// `verify(ticket, action, code)`, encoded.
    pub calldata: Bytes,
    /// Where to send it.
    pub verifier: Address,
}

/// The contract's `Ticket`.
#[derive(Debug, Clone, Deserialize)]
pub struct Ticket {
    /// The commitment.
    pub id: B256,
    /// Who issued it.
    pub issuer: Address,
    /// The policy, as the contract has it.
    pub purpose: B256,
    /// Its number.
    pub serial: u64,
    /// The way to the batch's root.
    pub proof: Vec<B256>,
}

impl Ticket {
    /// The fields in the contract's order: each set of bindings has a type of its own for it.
    #[must_use]
    pub fn fields(&self) -> (B256, Address, B256, U40, Vec<B256>) {
        (self.id, self.issuer, self.purpose, U40::saturating_from(self.serial), self.proof.clone())
    }
}
