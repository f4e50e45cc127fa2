//! A request's story: where it stands, told from the tables of both daemons. Nobody writes it.

use alloy::primitives::{Address, B256};
use sqlx::{FromRow, SqlitePool};
use uuid::Uuid;

use super::{
    MOST_WRONG_IN_A_ROW, Status, Store, StoreError,
    column::{self, json, placed},
};
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
    /// Its account's seed, sealed for the account.
    pub seed_sealed: Vec<u8>,
    /// Whether too many wrong digits in a row have locked the account, as [`Store::is_account_locked`] says.
    pub is_account_locked: bool,
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

/// The stories in the JSON array ?1, `[account, request]` each. Everything in one statement, and so of one moment: each statement more is a turn of the connection's thread. Of several
/// batches it is the last that lives, of several messages, which there are where channels failed, the last one.
const STORY: &str = "
    SELECT asked.key AS n, r.session_id, a.wallet, a.seed_sealed, a.wrong_in_row, r.contact_id, c.channel, c.address_sealed, r.reference,
           r.purpose, r.action, r.payload_hash, r.authorization_sealed, r.created_at_ms,
           iif(r.locked_at_ms IS NULL, r.max_attempts - r.attempts, 0) AS attempts_left,
           r.unlocked_at_ms, r.locked_at_ms, r.failure, r.failed_at_ms,
           i.batch_id, b.issuer, i.serial, i.on_chain_id, b.root, l.tx_hash, l.created_at_ms AS signed_at_ms,
           landed.timestamp AS issued_at_s, landed.expiry AS expiry_s, landed.tx_hash AS issued_tx_hash,
           landed.block_number AS issued_block,
           (SELECT timestamp FROM events e WHERE e.canonical = 1 AND e.issuer = b.issuer
                AND e.on_chain_id = i.on_chain_id AND e.kind = 'otp-verified') AS verified_at_s,
           (SELECT timestamp FROM events e WHERE e.canonical = 1 AND e.issuer = b.issuer
                AND e.on_chain_id = i.on_chain_id AND e.kind = 'otp-consumed') AS consumed_at_s,
           coalesce(
               (SELECT timestamp FROM events e WHERE e.canonical = 1 AND e.issuer = b.issuer
                    AND e.on_chain_id = i.on_chain_id AND e.kind = 'otp-revoked'),
               (SELECT timestamp FROM events e WHERE e.canonical = 1 AND e.issuer = b.issuer
                    AND e.root = b.root AND e.kind = 'otp-batch-revoked')) AS revoked_at_s,
           d.channel AS sent_channel, d.contact_id AS sent_contact, dc.address_sealed AS sent_address, d.state AS sent_state,
           d.attempts AS sent_attempts, d.sent_at_ms
    FROM json_each(?1) asked CROSS JOIN requests r ON r.id = unhex(asked.value ->> 1) AND r.account_id = unhex(asked.value ->> 0)
    JOIN accounts a ON a.id = r.account_id JOIN contacts c ON c.id = r.contact_id
    LEFT JOIN issuances i ON i.on_chain_id = (
        SELECT given.on_chain_id FROM issuances given JOIN calls ON calls.id = given.batch_id
        WHERE given.request_id = r.id AND calls.state <> 'dead' ORDER BY given.batch_id DESC LIMIT 1)
    LEFT JOIN batches b ON b.id = i.batch_id
    LEFT JOIN calls l ON l.id = i.batch_id
    LEFT JOIN events landed ON landed.rowid = (SELECT event FROM landings WHERE on_chain_id = i.on_chain_id)
    LEFT JOIN deliveries d ON d.rowid = (
        SELECT rowid FROM deliveries WHERE on_chain_id = i.on_chain_id ORDER BY created_at_ms DESC, rowid DESC LIMIT 1)
    LEFT JOIN contacts dc ON dc.id = d.contact_id";

#[derive(FromRow)]
pub(super) struct StoryRow {
    n: i64,
    session_id: Uuid,
    wallet: Vec<u8>,
    seed_sealed: Vec<u8>,
    wrong_in_row: i64,
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
    #[sqlx(flatten)]
    issuance: IssuanceColumns,
    #[sqlx(flatten)]
    chain: ChainColumns,
    #[sqlx(flatten)]
    delivery: DeliveryColumns,
}

/// All there or none.
#[derive(FromRow)]
struct IssuanceColumns {
    batch_id: Option<i64>,
    issuer: Option<Vec<u8>>,
    serial: Option<i64>,
    on_chain_id: Option<Vec<u8>>,
    root: Option<Vec<u8>>,
    tx_hash: Option<Vec<u8>>,
    signed_at_ms: Option<i64>,
}

#[derive(FromRow)]
struct ChainColumns {
    issued_at_s: Option<i64>,
    expiry_s: Option<i64>,
    issued_tx_hash: Option<Vec<u8>>,
    issued_block: Option<i64>,
    verified_at_s: Option<i64>,
    consumed_at_s: Option<i64>,
    revoked_at_s: Option<i64>,
}

#[derive(FromRow)]
struct DeliveryColumns {
    sent_channel: Option<String>,
    sent_contact: Option<Uuid>,
    sent_address: Option<Vec<u8>>,
    sent_state: Option<String>,
    sent_attempts: Option<i64>,
    sent_at_ms: Option<i64>,
}

impl Store {
    /// The story of one of the account's requests, read as of one moment; `None` where it has no such request.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn story(&self, account_id: Uuid, request_id: Uuid) -> Result<Option<Story>, StoreError> {
        let question = (account_id, request_id);
        let row = match self.stories.ask(question).await {
            Some(row) => row,
            None => find_all(&self.readers, &[question]).await?.pop().flatten(),
        };
        row.map(|row| row.read(request_id)).transpose()
    }

    /// Serials and ids of a batch, in order of serial: what its tree is built from.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn batch_ids(&self, batch_id: i64) -> Result<Vec<(u64, B256)>, StoreError> {
        // One row, since each is handed from thread to thread.
        let batch = "SELECT json_group_array(json_array(serial, hex(on_chain_id))) FROM issuances WHERE batch_id = ?";
        let batch: String = sqlx::query_scalar(batch).bind(batch_id).fetch_one(&self.readers).await?;
        let damaged = |_| StoreError::Damaged { table: "issuances" };
        let mut ids: Vec<(u64, B256)> = serde_json::from_str(&batch).map_err(damaged)?;
        ids.sort_unstable_by_key(|(serial, _)| *serial);
        Ok(ids)
    }
}

/// The rows of the stories, each of an account and its request.
pub(super) async fn find_all(
    readers: &SqlitePool,
    asked: &[(Uuid, Uuid)],
) -> Result<Vec<Option<StoryRow>>, StoreError> {
    let rows: Vec<_> = asked.iter().map(|(account, request)| (hex::encode(account), hex::encode(request))).collect();
    let found: Vec<StoryRow> = sqlx::query_as(STORY).bind(json(&rows)?).fetch_all(readers).await?;
    Ok(placed(asked.len(), found.into_iter().map(|row| (row.n, row))))
}

impl StoryRow {
    fn read(self, id: Uuid) -> Result<Story, StoreError> {
        let purpose: Purpose =
            column::word(&self.purpose, TABLE)?.try_into().map_err(|_| StoreError::Damaged { table: TABLE })?;
        Ok(Story {
            id,
            session_id: self.session_id,
            wallet: column::address(&self.wallet, "accounts")?,
            seed_sealed: self.seed_sealed,
            is_account_locked: self.wrong_in_row >= MOST_WRONG_IN_A_ROW,
            contact_id: self.contact_id,
            channel: self.channel,
            address_sealed: self.address_sealed,
            reference: self.reference,
            purpose,
            action: column::word(&self.action, TABLE)?,
            payload_hash: self.payload_hash.map(|hash| column::word(&hash, TABLE)).transpose()?,
            authorization_sealed: self.authorization_sealed,
            created_at_ms: self.created_at_ms,
            attempts_left: column::unsigned(self.attempts_left, TABLE)?,
            unlocked_at_ms: self.unlocked_at_ms,
            locked_at_ms: self.locked_at_ms,
            failed: self.failed_at_ms.map(|at_ms| (at_ms, self.failure.unwrap_or_default())),
            issuance: self.issuance.read()?,
            chain: self.chain.read()?,
            delivery: self.delivery.read()?,
        })
    }
}

impl IssuanceColumns {
    fn read(self) -> Result<Option<Issuance>, StoreError> {
        let (Some(batch_id), Some(issuer), Some(serial), Some(id), Some(root), Some(signed_at_ms)) =
            (self.batch_id, self.issuer, self.serial, self.on_chain_id, self.root, self.signed_at_ms)
        else {
            return Ok(None);
        };
        Ok(Some(Issuance {
            batch_id,
            issuer: column::address(&issuer, "batches")?,
            serial: column::unsigned(serial, "issuances")?,
            on_chain_id: column::word(&id, "issuances")?,
            root: column::word(&root, "batches")?,
            tx_hash: self.tx_hash.map(|hash| column::word(&hash, "calls")).transpose()?,
            signed_at_ms,
        }))
    }
}

impl ChainColumns {
    fn read(self) -> Result<ChainFacts, StoreError> {
        let landed = (self.issued_at_s, self.expiry_s, self.issued_tx_hash, self.issued_block);
        let issued = match landed {
            (Some(at_s), Some(expiry_s), Some(tx_hash), Some(block_number)) => Some(Issued {
                at_s,
                expiry_s,
                tx_hash: column::word(&tx_hash, "events")?,
                block_number: column::unsigned(block_number, "events")?,
            }),
            _ => None,
        };
        let Self { verified_at_s, consumed_at_s, revoked_at_s, .. } = self;
        Ok(ChainFacts { issued, verified_at_s, consumed_at_s, revoked_at_s })
    }
}

impl DeliveryColumns {
    fn read(self) -> Result<Option<DeliveryFacts>, StoreError> {
        let (Some(channel), Some(contact_id), Some(address_sealed), Some(state), Some(attempts)) =
            (self.sent_channel, self.sent_contact, self.sent_address, self.sent_state, self.sent_attempts)
        else {
            return Ok(None);
        };
        Ok(Some(DeliveryFacts {
            channel: Channel::try_from(channel).map_err(|_| StoreError::Damaged { table: "deliveries" })?,
            contact_id,
            address_sealed,
            state,
            attempts: column::unsigned(attempts, "deliveries")?,
            sent_at_ms: self.sent_at_ms,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::plan;

    #[tokio::test]
    async fn a_story_looks_up_what_is_its_own_and_makes_no_other_landings() {
        let plan = plan::of(STORY).await;
        let whole = ["SCAN", "MATERIALIZE", "AUTOMATIC"];
        let costly: Vec<_> = plan
            .lines()
            .filter(|step| !step.starts_with("SCAN asked") && whole.iter().any(|word| step.contains(word)))
            .collect();
        assert!(costly.is_empty(), "{costly:?}");
        assert!(plan.contains("events_id (on_chain_id=? AND kind=?)"), "{plan}");
    }
}
