//! A request's story: where it stands, told from the tables of both daemons. Nobody writes it.

use alloy::primitives::{Address, B256};
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use super::{Status, Store, StoreError, column};
use crate::{contact::Channel, id::Purpose};

const TABLE: &str = "requests";

/// The number that a request was given last.
#[derive(Debug, Clone)]
pub struct Issuance {
    /// The batch's row.
    pub batch_id: i64,
    /// Who issues.
    pub issuer: Address,
    /// The code's number.
    pub serial: u64,
    /// The code's id.
    pub on_chain_id: B256,
    /// The batch's Merkle root.
    pub root: B256,
    /// The form of the transaction that was mined, as far as known.
    pub tx_hash: Option<B256>,
    /// When the batch was signed, in Unix milliseconds.
    pub signed_at_ms: i64,
}

/// What the canonical chain says of an [`Issuance`]. Times are Unix seconds of block timestamps.
#[derive(Debug, Clone, Default)]
pub struct ChainFacts {
    /// The `OtpSet` of our issuer, serial and id.
    pub issued: Option<Issued>,
    /// `OtpVerified`
    pub verified_at_s: Option<i64>,
    /// `OtpConsumed`
    pub consumed_at_s: Option<i64>,
    /// `OtpRevoked` or `OtpBatchRevoked`
    pub revoked_at_s: Option<i64>,
}

/// Where and until when a code stands on the chain.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The block's timestamp, in Unix seconds.
    pub at_s: i64,
    /// The last second in which the code can be verified, in Unix seconds of chain time.
    pub expiry_s: i64,
    /// The transaction.
    pub tx_hash: B256,
    /// The block.
    pub block_number: u64,
}

/// How the message stands.
#[derive(Debug, Clone)]
pub struct DeliveryFacts {
    /// Over which channel: the contact's that was asked for, or where that failed the one that was fallen back on.
    pub channel: Channel,
    /// To which contact.
    pub contact_id: Uuid,
    /// The contact's address, sealed for `contact_id`.
    pub address_sealed: Vec<u8>,
    /// `queued`, `sending`, `accepted`, `delivered`, `bounced`, `failed`, `expired` or `cancelled`.
    pub state: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Unix milliseconds.
    pub sent_at_ms: Option<i64>,
}

/// Everything that is known of one request.
#[derive(Debug, Clone)]
pub struct Story {
    /// The request.
    pub id: Uuid,
    /// The session that made it.
    pub session_id: Uuid,
    /// The wallet that the code is for.
    pub wallet: Address,
    /// Where the digits go.
    pub contact_id: Uuid,
    /// The contact's channel.
    pub channel: Channel,
    /// The contact's address, sealed for `contact_id`.
    pub address_sealed: Vec<u8>,
    /// The short name printed in the message.
    pub reference: String,
    /// Which policy applies.
    pub purpose: Purpose,
    /// What the code authorises.
    pub action: B256,
    /// EIP-712 `hashStruct` of the payload; `None` for a blind action.
    pub payload_hash: Option<B256>,
    /// What it authorises in words, sealed for the request; empty once erased.
    pub authorization_sealed: Vec<u8>,
    /// Unix milliseconds.
    pub created_at_ms: i64,
    /// Wrong digits that can still be evaluated.
    pub attempts_left: u32,
    /// Unix milliseconds.
    pub unlocked_at_ms: Option<i64>,
    /// Unix milliseconds.
    pub locked_at_ms: Option<i64>,
    /// When, in Unix milliseconds, and why it failed.
    pub failed: Option<(i64, String)>,
    /// Its number, once it has one.
    pub issuance: Option<Issuance>,
    /// What the chain says.
    pub chain: ChainFacts,
    /// Its message, once there is one.
    pub delivery: Option<DeliveryFacts>,
}

impl Story {
    /// The statuses that hold, in order, with the time at which each was reached in Unix milliseconds. Never empty; the
    /// last one is the status. `head_s` is the chain's time in Unix seconds.
    ///
    /// The chain wins: delivery and unlocking of a code that a reorg took away do not count, and a code that was
    /// verified neither expires nor is locked.
    #[must_use]
    pub fn reached(&self, head_s: u64) -> Vec<(Status, i64)> {
        let ms = |seconds: i64| seconds.saturating_mul(1_000);
        let on_chain = self.chain.issued.as_ref();
        let taken = |delivery: &&DeliveryFacts| matches!(delivery.state.as_str(), "accepted" | "delivered");
        let sent = self.delivery.as_ref().filter(taken).and_then(|delivery| delivery.sent_at_ms);
        let late = on_chain.filter(|issued| u64::try_from(issued.expiry_s).is_ok_and(|expiry| head_s > expiry));
        let unused = self.chain.verified_at_s.is_none() && self.chain.revoked_at_s.is_none();
        let expired = late.filter(|_| unused && self.locked_at_ms.is_none());
        let failed = self.failed.as_ref().filter(|_| on_chain.is_none());
        let revoked = self.chain.revoked_at_s.filter(|_| self.chain.consumed_at_s.is_none());
        [
            (Status::Queued, Some(self.created_at_ms)),
            (Status::Submitted, self.issuance.as_ref().map(|issuance| issuance.signed_at_ms)),
            (Status::Issued, on_chain.map(|issued| ms(issued.at_s))),
            (Status::Delivered, sent.filter(|_| on_chain.is_some())),
            (Status::Unlocked, self.unlocked_at_ms.filter(|_| on_chain.is_some())),
            (Status::Locked, self.locked_at_ms),
            (Status::Expired, expired.map(|issued| ms(issued.expiry_s))),
            (Status::Failed, failed.map(|(at_ms, _)| *at_ms)),
            (Status::Verified, self.chain.verified_at_s.map(ms)),
            (Status::Revoked, revoked.map(ms)),
            (Status::Consumed, self.chain.consumed_at_s.map(ms)),
        ]
        .into_iter()
        .filter_map(|(status, at_ms)| Some((status, at_ms?)))
        .collect()
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self, head_s: u64) -> Status {
        self.reached(head_s).last().map_or(Status::Queued, |(status, _)| *status)
    }
}

#[derive(FromRow)]
struct RequestRow {
    session_id: Uuid,
    wallet: Vec<u8>,
    contact_id: Uuid,
    #[sqlx(try_from = "String")]
    channel: Channel,
    address_sealed: Vec<u8>,
    reference: String,
    purpose: Vec<u8>,
    action: Vec<u8>,
    payload_hash: Option<Vec<u8>>,
    authorization_sealed: Vec<u8>,
    created_at_ms: i64,
    attempts_left: i64,
    unlocked_at_ms: Option<i64>,
    locked_at_ms: Option<i64>,
    failure: Option<String>,
    failed_at_ms: Option<i64>,
}

#[derive(FromRow)]
struct IssuanceRow {
    batch_id: i64,
    issuer: Vec<u8>,
    serial: i64,
    on_chain_id: Vec<u8>,
    root: Vec<u8>,
    tx_hash: Option<Vec<u8>>,
    created_at_ms: i64,
}

impl Store {
    /// Whether this session made the request, and so may unlock it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn is_request_of(&self, session_id: Uuid, request_id: Uuid) -> Result<bool, StoreError> {
        let made = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM requests WHERE id = ? AND session_id = ?)");
        Ok(made.bind(request_id).bind(session_id).fetch_one(&self.readers).await?)
    }

    /// The story of one of the account's requests, read as of one moment; `None` where it has no such request.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn story(&self, account_id: Uuid, request_id: Uuid) -> Result<Option<Story>, StoreError> {
        let mut read = self.readers.begin().await?;
        let Some(row) = request(&mut read, account_id, request_id).await? else { return Ok(None) };
        let purpose: Purpose =
            column::word(&row.purpose, TABLE)?.try_into().map_err(|_| StoreError::Damaged { table: TABLE })?;
        let issuance = issuance(&mut read, request_id).await?;
        let (mut chain, mut delivery) = (ChainFacts::default(), None);
        if let Some(issuance) = &issuance {
            chain = chain_facts(&mut read, issuance).await?;
            delivery = delivery_facts(&mut read, issuance.on_chain_id).await?;
        }
        Ok(Some(Story {
            id: request_id,
            session_id: row.session_id,
            wallet: column::address(&row.wallet, "accounts")?,
            contact_id: row.contact_id,
            channel: row.channel,
            address_sealed: row.address_sealed,
            reference: row.reference,
            purpose,
            action: column::word(&row.action, TABLE)?,
            payload_hash: row.payload_hash.map(|hash| column::word(&hash, TABLE)).transpose()?,
            authorization_sealed: row.authorization_sealed,
            created_at_ms: row.created_at_ms,
            attempts_left: column::unsigned(row.attempts_left, TABLE)?,
            unlocked_at_ms: row.unlocked_at_ms,
            locked_at_ms: row.locked_at_ms,
            failed: row.failed_at_ms.map(|at_ms| (at_ms, row.failure.unwrap_or_default())),
            issuance,
            chain,
            delivery,
        }))
    }

    /// Serials and ids of a batch, in order of serial: what its tree is built from.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn batch_ids(&self, batch_id: i64) -> Result<Vec<(u64, B256)>, StoreError> {
        let rows: Vec<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT serial, on_chain_id FROM issuances WHERE batch_id = ? ORDER BY serial")
                .bind(batch_id)
                .fetch_all(&self.readers)
                .await?;
        rows.iter()
            .map(|(serial, id)| Ok((column::unsigned(*serial, "issuances")?, column::word(id, "issuances")?)))
            .collect()
    }
}

async fn request(
    read: &mut SqliteConnection,
    account_id: Uuid,
    request_id: Uuid,
) -> Result<Option<RequestRow>, StoreError> {
    let row = sqlx::query_as(
        "SELECT r.session_id, a.wallet, r.contact_id, c.channel, c.address_sealed, r.reference, r.purpose, r.action,
                r.payload_hash, r.authorization_sealed, r.created_at_ms,
                iif(r.locked_at_ms IS NULL, r.max_attempts - r.attempts, 0) AS attempts_left,
                r.unlocked_at_ms, r.locked_at_ms, r.failure, r.failed_at_ms
         FROM requests r JOIN accounts a ON a.id = r.account_id JOIN contacts c ON c.id = r.contact_id
         WHERE r.id = ? AND r.account_id = ?",
    )
    .bind(request_id)
    .bind(account_id)
    .fetch_optional(read)
    .await?;
    Ok(row)
}

async fn issuance(read: &mut SqliteConnection, request_id: Uuid) -> Result<Option<Issuance>, StoreError> {
    let row: Option<IssuanceRow> = sqlx::query_as(
        "SELECT i.batch_id, b.issuer, i.serial, i.on_chain_id, b.root, c.tx_hash, c.created_at_ms
         FROM issuances i JOIN batches b ON b.id = i.batch_id JOIN calls c ON c.id = i.batch_id
         WHERE i.request_id = ? AND c.state <> 'dead' ORDER BY i.batch_id DESC LIMIT 1",
    )
    .bind(request_id)
    .fetch_optional(read)
    .await?;
    row.map(|row| {
        Ok(Issuance {
            batch_id: row.batch_id,
            issuer: column::address(&row.issuer, "batches")?,
            serial: column::unsigned(row.serial, "issuances")?,
            on_chain_id: column::word(&row.on_chain_id, "issuances")?,
            root: column::word(&row.root, "batches")?,
            tx_hash: row.tx_hash.map(|hash| column::word(&hash, "calls")).transpose()?,
            signed_at_ms: row.created_at_ms,
        })
    })
    .transpose()
}

async fn chain_facts(read: &mut SqliteConnection, issuance: &Issuance) -> Result<ChainFacts, StoreError> {
    let mut facts = ChainFacts { issued: landing(read, issuance.on_chain_id).await?, ..ChainFacts::default() };
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT kind, timestamp FROM events WHERE canonical = 1 AND issuer = ?1 AND (
             (on_chain_id = ?2 AND kind IN ('otp-verified', 'otp-consumed', 'otp-revoked'))
             OR (root = ?3 AND kind = 'otp-batch-revoked'))",
    )
    .bind(issuance.issuer.as_slice())
    .bind(issuance.on_chain_id.as_slice())
    .bind(issuance.root.as_slice())
    .fetch_all(read)
    .await?;
    for (kind, at_s) in rows {
        let fact = match kind.as_str() {
            "otp-verified" => &mut facts.verified_at_s,
            "otp-consumed" => &mut facts.consumed_at_s,
            _ => &mut facts.revoked_at_s,
        };
        *fact = Some(at_s);
    }
    Ok(facts)
}

async fn landing(read: &mut SqliteConnection, on_chain_id: B256) -> Result<Option<Issued>, StoreError> {
    let row: Option<(i64, i64, Vec<u8>, i64)> =
        sqlx::query_as("SELECT timestamp, expiry, tx_hash, block_number FROM landings WHERE on_chain_id = ?")
            .bind(on_chain_id.as_slice())
            .fetch_optional(read)
            .await?;
    row.map(|(at_s, expiry_s, tx_hash, block_number)| {
        Ok(Issued {
            at_s,
            expiry_s,
            tx_hash: column::word(&tx_hash, "events")?,
            block_number: column::unsigned(block_number, "events")?,
        })
    })
    .transpose()
}

/// Of several messages, which there are where channels failed, the last one.
async fn delivery_facts(read: &mut SqliteConnection, on_chain_id: B256) -> Result<Option<DeliveryFacts>, StoreError> {
    let row: Option<DeliveryRow> = sqlx::query_as(
        "SELECT d.channel, d.contact_id, c.address_sealed, d.state, d.attempts, d.sent_at_ms FROM deliveries d
         JOIN contacts c ON c.id = d.contact_id WHERE d.on_chain_id = ? ORDER BY d.created_at_ms DESC, d.rowid DESC LIMIT 1",
    )
    .bind(on_chain_id.as_slice())
    .fetch_optional(read)
    .await?;
    row.map(|row| {
        Ok(DeliveryFacts {
            channel: row.channel,
            contact_id: row.contact_id,
            address_sealed: row.address_sealed,
            state: row.state,
            attempts: column::unsigned(row.attempts, "deliveries")?,
            sent_at_ms: row.sent_at_ms,
        })
    })
    .transpose()
}

#[derive(FromRow)]
struct DeliveryRow {
    #[sqlx(try_from = "String")]
    channel: Channel,
    contact_id: Uuid,
    address_sealed: Vec<u8>,
    state: String,
    attempts: i64,
    sent_at_ms: Option<i64>,
}
