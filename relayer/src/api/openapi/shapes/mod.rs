//! The shapes of bodies, for the document. What is sent in them is fuzzed against it.

mod otps;
mod people;

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

pub use self::{otps::*, people::*};

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
    /// Whether verifications are paid for, on `POST /v1/otps/{id}/sponsor`.
    pub sponsoring: bool,
    /// What contracts do against codes, for the page: files of `page.actions`.
    pub actions: Vec<Anything>,
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
