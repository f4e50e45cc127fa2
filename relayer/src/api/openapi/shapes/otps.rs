//! Requests for codes, and what becomes of them.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Address, Anything, Channel, Hex, Time, Word};

/// What a code is asked for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewOtp {
    /// One of `GET /v1/config`'s.
    pub purpose: String,
    /// What it authorises; absent for a sign-in.
    pub action: Option<Action>,
    /// Where the message goes.
    pub contact_id: Uuid,
    /// Whether it may go to the account's next confirmed contact of another channel where this one fails for good.
    #[schema(default = false)]
    pub fallback: Option<bool>,
}

/// EIP-712 types and message without a domain, or where configuration allows it the bare hash of an action.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum Action {
    /// In words.
    Typed(TypedAction),
    /// Blind.
    Blind(Word),
}

/// What a code authorises.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TypedAction {
    /// The contract that spends the code.
    pub consumer: Address,
    /// The struct's name.
    pub primary_type: String,
    /// EIP-712 types by name.
    pub types: Anything,
    /// The struct's values.
    pub message: Anything,
}

/// A request that was accepted, and will end on the chain or with a reason.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AcceptedOtp {
    /// Its id.
    pub id: Uuid,
    /// Which code is meant, in message and page.
    pub reference: String,
    /// Where it stands.
    pub status: Status,
    /// Its purpose.
    pub purpose: String,
    /// What it authorises.
    pub action: Word,
    /// The contract.
    pub verifier: Address,
    /// EIP-155.
    pub chain_id: u64,
    /// When it was accepted.
    pub created_at: Time,
}

/// Where a request stands.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "docs of the interface say it as a whole: api.md's status line")]
pub enum Status {
    Queued,
    Submitted,
    Issued,
    Delivered,
    Unlocked,
    Verified,
    Consumed,
    Locked,
    Expired,
    Revoked,
    Failed,
}

/// A page of requests, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Otps {
    /// The caller's own.
    pub otps: Vec<Otp>,
    /// For what follows; null at the end.
    #[schema(required = true)]
    pub next_cursor: Option<Uuid>,
}

/// A request as its owner sees it; what is not known yet is absent.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Otp {
    /// Its id.
    pub id: Uuid,
    /// Which code is meant, in message and page.
    pub reference: String,
    /// Where it stands.
    pub status: Status,
    /// How it came there.
    pub history: Vec<Reached>,
    /// Its purpose.
    pub purpose: String,
    /// What it authorises.
    pub action: Word,
    /// EIP-712's, where it has one.
    pub payload_hash: Option<Word>,
    /// The same in words, for its owner; gone where it was erased.
    pub authorization: Option<Authorizes>,
    /// The contract.
    pub verifier: Address,
    /// EIP-155.
    pub chain_id: u64,
    /// When it was accepted.
    pub created_at: Time,
    /// The newest block's time, by which codes expire.
    pub chain_time: Time,
    /// The message.
    pub delivery: Delivery,
    /// The commitment.
    pub on_chain_id: Option<Word>,
    /// Who issued.
    pub issuer: Option<Address>,
    /// Its number.
    pub serial: Option<u64>,
    /// The issuance.
    pub tx_hash: Option<Word>,
    /// Its block.
    pub block_number: Option<u64>,
    /// When the code expires, in chain time.
    pub expiry: Option<Time>,
    /// Why it failed.
    pub failure: Option<String>,
    /// For the session that made it.
    pub attempts_left: Option<u64>,
}

/// What a code authorises.
#[derive(Serialize, ToSchema)]
pub struct Authorizes {
    /// The struct's name, or what else it is.
    pub title: String,
    /// Names and values, in order.
    pub fields: Vec<NamedValue>,
    /// As the request gave it, where it gave it in words.
    pub typed: Option<TypedAction>,
    /// Of a sign-in: which session, so that its payload `SignIn(string origin,bytes32 session)` can be hashed.
    pub session: Option<Word>,
}

/// A name and its value, as text.
#[derive(Serialize, ToSchema)]
pub struct NamedValue {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// A status and its time.
#[derive(Serialize, ToSchema)]
pub struct Reached {
    /// The status.
    pub status: Status,
    /// Since when.
    pub at: Time,
}

/// The way of a message.
#[derive(Serialize, ToSchema)]
pub struct Delivery {
    /// Its channel.
    pub channel: Channel,
    /// Its address as it may be shown.
    pub masked: String,
    /// `queued`, `sending`, `accepted` (its provider has it), `delivered` or `bounced` (its provider's later word),
    /// `failed`, `expired` or `cancelled`.
    pub state: String,
    /// How often it was tried.
    pub attempts: u64,
}

/// The full code, and all that `verify` asks for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unlocked {
    /// Digits and key.
    #[schema(pattern = "^[0-9]{6}[a-z2-7]{26}$")]
    pub code: String,
    /// keccak256 of it.
    pub code_hash: Word,
    /// What it authorises.
    pub action: Word,
    /// EIP-712's, where it has one.
    pub payload_hash: Option<Word>,
    /// What the contract asks for beside the code.
    pub ticket: Ticket,
    /// The contract.
    pub verifier: Address,
    /// EIP-155.
    pub chain_id: u64,
    /// When the code expires, in chain time.
    pub expiry: Time,
    /// `verify(ticket, action, code)`.
    pub calldata: Hex,
}

/// The contract's `Ticket`.
#[derive(Serialize, ToSchema)]
pub struct Ticket {
    /// The commitment.
    pub id: Word,
    /// Who issued.
    pub issuer: Address,
    /// The purpose as the contract has it.
    pub purpose: Word,
    /// Its number.
    pub serial: u64,
    /// The way to the batch's root.
    pub proof: Vec<Word>,
}

/// A code's ticket as the chain's logs have it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuedTicket {
    /// What the contract asks for beside the code.
    pub ticket: Ticket,
    /// The batch.
    pub root: Word,
    /// When the code expires, in chain time.
    pub expiry: Time,
    /// The newest block's time.
    pub chain_time: Time,
    /// The contract.
    pub verifier: Address,
    /// EIP-155.
    pub chain_id: u64,
    /// `issued`, `expired`, `verified`, `consumed` or `revoked`.
    pub status: String,
}

/// What a report did.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reported {
    /// The request.
    pub id: Uuid,
    /// It is.
    pub locked: bool,
    /// `withdrawn` before it got to the chain, `owed` there, `moot` where it can do nothing any more.
    pub revocation: String,
    /// How many sessions were ended.
    pub sessions_ended: u64,
}

/// A `verifyFor` to be sent.
#[derive(Serialize, ToSchema)]
pub struct Sponsoring {
    /// Digits and key.
    pub code: String,
    /// Unix seconds, as the wallet has signed it.
    pub deadline: u64,
    /// EIP-712 `Verify`, by the wallet.
    pub signature: Hex,
}

/// It is on its way.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    /// The transaction; a replacement has another hash.
    pub tx_hash: Word,
}
