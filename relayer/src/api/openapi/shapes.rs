//! The shapes of bodies, for the document. What is sent in them is fuzzed against it.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

macro_rules! texts {
    ($($(#[doc = $doc:literal])+ $name:ident $pattern:literal;)+) => {
        $($(#[doc = $doc])+
        #[derive(Serialize, ToSchema)]
        #[schema(value_type = String, pattern = $pattern)]
        pub struct $name(pub String);)+
    };
}

texts! {
    /// An address; in answers as EIP-55 has it.
    Address "^0x[0-9a-fA-F]{40}$";
    /// 32 bytes.
    Word "^0x[0-9a-fA-F]{64}$";
    /// Bytes of any length.
    Hex "^0x([0-9a-fA-F]{2})*$";
    /// RFC 3339, UTC.
    Time "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?Z$";
    /// Six digits.
    SixDigits "^[0-9]{6}$";
}

/// Some JSON.
#[derive(Serialize, ToSchema)]
#[schema(value_type = Object)]
pub struct Anything(pub serde_json::Value);

/// RFC 9457; members of its own beside these.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// `/problems/<slug>`
    #[schema(pattern = "^/problems/[a-z-]+$")]
    pub r#type: String,
    /// The kind of problem in a few words.
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What is wrong, and what to do.
    pub detail: String,
    /// As in `x-request-id`.
    pub request_id: Uuid,
}

/// The process serves.
#[derive(Serialize, ToSchema)]
pub struct Live {
    /// `live`
    pub status: String,
}

/// Readiness by dependency.
#[derive(Serialize, ToSchema)]
pub struct Ready {
    /// `ready` or `degraded`
    pub status: String,
    /// State and details by dependency.
    pub dependencies: Anything,
    /// What will stop issuance unless somebody acts, by name.
    pub warnings: Anything,
}

/// What this relayer serves.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// EIP-155.
    pub chain_id: u64,
    /// The contract.
    pub verifier: Address,
    /// Who issues.
    pub issuer: Address,
    /// Where people sign in.
    pub domains: Vec<Domain>,
    /// What codes can be asked for.
    pub purposes: Vec<Purpose>,
    /// On which channels.
    pub channels: Vec<Channel>,
    /// Whether codes are issued now.
    pub issuance: Option<Anything>,
}

/// A page that signs people in.
#[derive(Serialize, ToSchema)]
pub struct Domain {
    /// As in the first line of an EIP-4361 message.
    pub domain: String,
    /// As in its `URI`.
    pub uri: String,
    /// The CORS origin.
    pub origin: String,
}

/// A purpose with its policy.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Purpose {
    /// Its name.
    pub name: String,
    /// How long a code lives, in seconds.
    pub ttl: u32,
    /// Wrong digits per code.
    #[schema(minimum = 1, maximum = 5)]
    pub max_attempts: u8,
    /// Least seconds between two requests to one contact.
    pub cooldown: u64,
    /// Whether a request must say what it authorises.
    pub action_required: bool,
}

/// What messages go over.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// Mail.
    Email,
    /// Text messages.
    Sms,
    /// HTTPS calls.
    Webhook,
    /// Sealed messages.
    Inapp,
}

/// For an EIP-4361 message.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Nonce {
    /// Works once.
    pub nonce: String,
    /// And until then.
    pub expires_at: Time,
}

/// A signed EIP-4361 message.
#[derive(Serialize, ToSchema)]
pub struct Login {
    /// The text that was signed.
    #[schema(max_length = 4096)]
    pub message: String,
    /// Of the account (EIP-191), or of a contract account (ERC-1271, ERC-6492).
    pub signature: Hex,
}

/// A session.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoggedIn {
    /// For `Authorization`.
    pub token: String,
    /// The scheme that it goes with: `Bearer` or `DPoP`.
    pub token_type: String,
    /// When it ends.
    pub expires_at: Time,
    /// Who signed in.
    pub wallet: Address,
}

/// The caller's contacts.
#[derive(Serialize, ToSchema)]
pub struct Contacts {
    /// All of them.
    pub contacts: Vec<Contact>,
}

/// Where codes can go.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Contact {
    /// Its id.
    pub contact_id: Uuid,
    /// Its channel.
    pub channel: Channel,
    /// The address as it may be shown.
    pub masked: String,
    /// Whether its owner has shown digits sent to it.
    pub proved: bool,
    /// Whether codes go to it.
    pub confirmed: bool,
    /// When it was added.
    pub created_at: Time,
}

/// A new contact.
#[derive(Serialize, ToSchema)]
pub struct NewContact {
    /// Its channel; which are open, `GET /v1/config` says.
    pub channel: Channel,
    /// An e-mail address, a telephone number (E.164), an https URL or an X25519 public key.
    pub address: String,
}

/// A contact that digits were sent to.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddedContact {
    /// Its id.
    pub contact_id: Uuid,
    /// Its channel.
    pub channel: Channel,
    /// The address as it may be shown.
    pub masked: String,
    /// Not yet.
    pub confirmed: bool,
    /// What has to be waited for, where the account has a contact already.
    pub change: Option<Change>,
}

/// The digits of a message.
#[derive(Serialize, ToSchema)]
pub struct Digits {
    /// ASCII digits.
    pub digits: SixDigits,
}

/// The token of a link in a message.
#[derive(Serialize, ToSchema)]
pub struct Token {
    /// As it stands in the link.
    pub token: String,
}

/// Changes that wait.
#[derive(Serialize, ToSchema)]
pub struct Changes {
    /// All of them.
    pub changes: Vec<Change>,
}

/// A change that was accepted.
#[derive(Serialize, ToSchema)]
pub struct AcceptedChange {
    /// It waits.
    pub change: Change,
}

/// A change of contacts, announced to all of them.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Its id.
    pub id: Uuid,
    /// What it does.
    pub kind: String,
    /// Where it stands.
    pub state: String,
    /// When it was asked for.
    pub created_at: Time,
    /// When it happens by itself.
    pub due_at: Time,
    /// Until when the digits that approve it are good.
    pub digits_expire_at: Time,
    /// The contact that it is about.
    pub contact_id: Option<Uuid>,
    /// Its channel.
    pub channel: Option<Channel>,
    /// Its address as it may be shown.
    pub masked: Option<String>,
}

/// What became of a change.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeOutcome {
    /// The change.
    pub id: Uuid,
    /// `done` or `cancelled`.
    pub state: String,
    /// How many sessions were ended with it.
    pub sessions_ended: Option<u64>,
}

/// New digits are on their way.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeDigits {
    /// The change.
    pub id: Uuid,
    /// How long they are good.
    pub digits_expire_at: Time,
}

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
    /// The contract.
    pub verifier: Address,
    /// EIP-155.
    pub chain_id: u64,
    /// When it was accepted.
    pub created_at: Time,
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
    /// Where it stands.
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
