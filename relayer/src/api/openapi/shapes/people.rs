//! Sign-in, contacts, and changes of them.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Address, Channel, Hex, SixDigits, Time};

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
    /// What it is written to in: `en` or `de`.
    pub language: String,
    /// Whether its owner has shown digits sent to it.
    pub proved: bool,
    /// Whether codes go to it.
    pub confirmed: bool,
    /// When it was added.
    pub created_at: Time,
}

/// A contact whose digits were right.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProvedContact {
    /// Its id.
    pub contact_id: Uuid,
    /// Its channel.
    pub channel: Channel,
    /// The address as it may be shown.
    pub masked: String,
    /// What it is written to in: `en` or `de`.
    pub language: String,
    /// Whether its owner has shown digits sent to it.
    pub proved: bool,
    /// Whether codes go to it.
    pub confirmed: bool,
    /// When it was added.
    pub created_at: Time,
    /// What messages to a webhook are signed with; in the answer to the digits that proved it and never again.
    pub signing_secret: Option<String>,
}

/// A new contact.
#[derive(Serialize, ToSchema)]
pub struct NewContact {
    /// Its channel; which are open, `GET /v1/config` says.
    pub channel: Channel,
    /// An e-mail address, a telephone number (E.164), an https URL or an X25519 public key.
    pub address: String,
    /// What it is to be written to in: a language tag (BCP 47), such as `de` or `en-GB`. What was asked for earlier stays
    /// where it is absent; where messages are not written in it, they are in the operator's language.
    pub language: Option<String>,
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

/// Messages for the caller's in-app keys.
#[derive(Serialize, ToSchema)]
pub struct InappMessages {
    /// HPKE's KEM, KDF and AEAD by their numbers in RFC 9180.
    pub suite: String,
    /// Oldest first.
    pub messages: Vec<InappMessage>,
    /// `after` for what follows.
    pub next: u64,
}

/// A sealed message.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InappMessage {
    /// Its id, bound by the seal.
    pub id: String,
    /// Whose key it is sealed to, bound by the seal.
    pub contact_id: Uuid,
    /// When it was first due.
    pub created_at: Time,
    /// When what it says is worth nothing any more.
    pub expires_at: Time,
    /// The ephemeral public key.
    pub enc: Hex,
    /// Ciphertext and tag.
    pub ciphertext: Hex,
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
