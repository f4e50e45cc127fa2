//! Where a search leads: from a transaction, a number, a root, a message or a wallet to codes and requests. Nothing is
//! written here.

use alloy::primitives::{Address, B256};
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use super::{
    ChainEvent, Cursor, EventFilter, Store, StoreError, chain::cursor, column, events::select, finality::final_block,
};
use crate::{contact::Channel, id::Deployment};

/// A code, as it can be told from every other one: another issuer can copy an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CodeKey {
    /// The code's id.
    pub on_chain_id: B256,
    /// Who issued it.
    pub issuer: Address,
}

/// What is stored of a code, as of one cursor.
#[derive(Debug, Clone)]
pub struct CodeFacts {
    /// Its own canonical events, in the chain's order.
    pub events: Vec<ChainEvent>,
    /// The same that reorgs took away.
    pub orphaned: Vec<ChainEvent>,
    /// All canonical events of its batch.
    pub batch: Vec<ChainEvent>,
    /// The last block applied.
    pub cursor: Cursor,
    /// The time of that block, in Unix seconds.
    pub now_s: u64,
    /// The last final block.
    pub final_number: Option<u64>,
}

/// A request and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestKey {
    /// The account.
    pub account_id: Uuid,
    /// The request.
    pub request_id: Uuid,
}

/// A message of a code.
#[derive(Debug, Clone)]
pub struct MessageFacts {
    /// Its id.
    pub message_id: String,
    /// Over which channel.
    pub channel: Channel,
    /// To which contact.
    pub contact_id: Uuid,
    /// The contact's address, sealed for `contact_id`; empty once it was erased.
    pub address_sealed: Vec<u8>,
    /// `queued`, `sending`, `accepted`, `delivered`, `bounced`, `failed`, `expired` or `cancelled`.
    pub state: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was first due, in Unix milliseconds.
    pub created_at_ms: i64,
    /// When it was handed over, in Unix milliseconds.
    pub sent_at_ms: Option<i64>,
    /// When the provider said what became of it, in Unix milliseconds.
    pub reported_at_ms: Option<i64>,
    /// Why it failed; no address.
    pub error: Option<String>,
}

impl Store {
    /// Codes that a transaction issued, verified, consumed or revoked.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn codes_of_transaction(&self, tx_hash: B256, most: u32) -> Result<Vec<CodeKey>, StoreError> {
        let rows: Vec<CodeRow> = sqlx::query_as(
            "SELECT s.on_chain_id, s.issuer, s.serial FROM events t
             JOIN events s ON s.root = t.root AND s.issuer = t.issuer AND s.kind = 'otp-set' AND s.canonical = 1
             WHERE t.tx_hash = ?1 AND t.kind <> 'otp-set' AND t.canonical = 1
                   AND t.kind IN ('otp-batch-set', 'otp-batch-revoked')
             UNION
             SELECT t.on_chain_id, t.issuer, 0 FROM events t
             WHERE t.tx_hash = ?1 AND t.kind <> 'otp-set' AND t.canonical = 1
                   AND t.kind IN ('otp-verified', 'otp-consumed', 'otp-revoked')
             ORDER BY 3, 1 LIMIT ?2",
        )
        .bind(tx_hash.as_slice())
        .bind(most)
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(CodeRow::read).collect()
    }

    /// Codes with a number, whichever issuer and purpose it counts for.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn codes_with_serial(&self, serial: u64, most: u32) -> Result<Vec<CodeKey>, StoreError> {
        let serial = column::signed(serial);
        let rows: Vec<CodeRow> = sqlx::query_as(
            "SELECT s.on_chain_id, s.issuer, s.serial FROM events b
             JOIN events s ON s.root = b.root AND s.issuer = b.issuer AND s.kind = 'otp-set' AND s.canonical = 1
             WHERE b.kind = 'otp-batch-set' AND b.canonical = 1 AND b.first BETWEEN ?1 - 79 AND ?1 AND s.serial = ?1
             ORDER BY s.block_number DESC, s.log_index DESC LIMIT ?2",
        )
        .bind(serial)
        .bind(most)
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(CodeRow::read).collect()
    }

    /// Codes of the batches with a root.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn codes_of_root(&self, root: B256, most: u32) -> Result<Vec<CodeKey>, StoreError> {
        let rows: Vec<CodeRow> = sqlx::query_as(
            "SELECT on_chain_id, issuer, serial FROM events WHERE root = ? AND kind = 'otp-set' AND canonical = 1
             ORDER BY issuer, serial LIMIT ?",
        )
        .bind(root.as_slice())
        .bind(most)
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(CodeRow::read).collect()
    }

    /// Codes with an id, also one that a reorg took away: of several issuers where somebody copied it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn codes_with_id(&self, on_chain_id: B256, most: u32) -> Result<Vec<CodeKey>, StoreError> {
        let rows: Vec<CodeRow> = sqlx::query_as(
            "SELECT DISTINCT on_chain_id, issuer, 0 AS serial FROM events WHERE on_chain_id = ? AND kind = 'otp-set' LIMIT ?",
        )
        .bind(on_chain_id.as_slice())
        .bind(most)
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(CodeRow::read).collect()
    }

    /// The number that a request was given last.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn code_of_request(&self, request_id: Uuid) -> Result<Option<CodeKey>, StoreError> {
        let row: Option<CodeRow> = sqlx::query_as(
            "SELECT i.on_chain_id, b.issuer, i.serial FROM issuances i JOIN batches b ON b.id = i.batch_id
             WHERE i.request_id = ? ORDER BY i.batch_id DESC LIMIT 1",
        )
        .bind(request_id)
        .fetch_optional(&self.readers)
        .await?;
        row.map(CodeRow::read).transpose()
    }

    /// The request that a code was issued for; `None` where it is none of ours.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn request_of_code(&self, code: CodeKey) -> Result<Option<RequestKey>, StoreError> {
        let row: Option<RequestRow> = sqlx::query_as(
            "SELECT r.account_id, r.id FROM issuances i JOIN batches b ON b.id = i.batch_id
             JOIN requests r ON r.id = i.request_id WHERE i.on_chain_id = ? AND b.issuer = ?",
        )
        .bind(code.on_chain_id.as_slice())
        .bind(code.issuer.as_slice())
        .fetch_optional(&self.readers)
        .await?;
        Ok(row.map(RequestKey::from))
    }

    /// A request by its id, whoever's it is.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn request_with_id(&self, request_id: Uuid) -> Result<Option<RequestKey>, StoreError> {
        let row: Option<RequestRow> = sqlx::query_as("SELECT account_id, id FROM requests WHERE id = ?")
            .bind(request_id)
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.map(RequestKey::from))
    }

    /// A wallet's requests, latest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn requests_of_wallet(&self, wallet: Address, most: u32) -> Result<Vec<RequestKey>, StoreError> {
        let rows: Vec<RequestRow> = sqlx::query_as(
            "SELECT r.account_id, r.id FROM accounts a JOIN requests r ON r.account_id = a.id
             WHERE a.wallet = ? AND a.closed_at_ms IS NULL ORDER BY r.id DESC LIMIT ?",
        )
        .bind(wallet.as_slice())
        .bind(most)
        .fetch_all(&self.readers)
        .await?;
        Ok(rows.into_iter().map(RequestKey::from).collect())
    }

    /// Requests in a transaction that we signed, mined or not.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn requests_of_transaction(&self, tx_hash: B256, most: u32) -> Result<Vec<RequestKey>, StoreError> {
        let rows: Vec<RequestRow> = sqlx::query_as(
            "SELECT r.account_id, r.id FROM transactions t JOIN issuances i ON i.batch_id = t.call_id
             JOIN requests r ON r.id = i.request_id WHERE t.hash = ? ORDER BY i.serial LIMIT ?",
        )
        .bind(tx_hash.as_slice())
        .bind(most)
        .fetch_all(&self.readers)
        .await?;
        Ok(rows.into_iter().map(RequestKey::from).collect())
    }

    /// The request that a message belongs to; `None` for notices too.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn request_of_message(&self, message_id: &str) -> Result<Option<RequestKey>, StoreError> {
        let row: Option<RequestRow> = sqlx::query_as(
            "SELECT r.account_id, r.id FROM deliveries d JOIN requests r ON r.id = d.request_id WHERE d.message_id = ?",
        )
        .bind(message_id)
        .fetch_optional(&self.readers)
        .await?;
        Ok(row.map(RequestKey::from))
    }

    /// A code's messages, the first one first; none where the code is not ours.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn messages_of_code(&self, code: CodeKey) -> Result<Vec<MessageFacts>, StoreError> {
        let rows: Vec<MessageRow> = sqlx::query_as(
            "SELECT d.message_id, d.channel, d.contact_id, c.address_sealed, d.state, d.attempts, d.created_at_ms,
                    d.sent_at_ms, d.reported_at_ms, d.error
             FROM deliveries d JOIN contacts c ON c.id = d.contact_id
             JOIN issuances i ON i.on_chain_id = d.on_chain_id JOIN batches b ON b.id = i.batch_id
             WHERE d.on_chain_id = ? AND b.issuer = ? ORDER BY d.created_at_ms, d.rowid",
        )
        .bind(code.on_chain_id.as_slice())
        .bind(code.issuer.as_slice())
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(MessageRow::read).collect()
    }

    /// The entry of the evidence log that an event has, and the number of the first head that covers it; by its place on
    /// the chain.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn evidence_of_event(
        &self,
        block_number: u64,
        log_index: u64,
    ) -> Result<Option<(u64, Option<u64>)>, StoreError> {
        let row: Option<(i64, Option<i64>)> = sqlx::query_as(
            "SELECT idx, (SELECT number FROM evidence_heads h WHERE h.idx >= e.idx ORDER BY h.idx, h.number LIMIT 1)
             FROM evidence e WHERE block_number = ? AND log_index = ?",
        )
        .bind(column::signed(block_number))
        .bind(column::signed(log_index))
        .fetch_optional(&self.readers)
        .await?;
        row.map(|(index, head)| {
            let head = head.map(|head| column::unsigned(head, "evidence_heads")).transpose()?;
            Ok((column::unsigned(index, "evidence")?, head))
        })
        .transpose()
    }

    /// The time of the last block applied, in Unix seconds; `None` before the tail's first start.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn chain_time(&self, deployment: &Deployment) -> Result<Option<u64>, StoreError> {
        chain_time(&mut *self.readers.acquire().await?, deployment).await
    }

    /// What is stored of a code, all of it as of one cursor; `None` before the tail's first start.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn code_facts(
        &self,
        deployment: &Deployment,
        code: CodeKey,
        most: u32,
    ) -> Result<Option<CodeFacts>, StoreError> {
        let mut read = self.readers.begin().await?;
        let Some(cursor) = cursor(&mut read, deployment).await? else { return Ok(None) };
        let now_s = chain_time(&mut read, deployment).await?.unwrap_or_default();
        let final_number = final_block(&mut read, deployment).await?.map(|last| last.number);
        let issuer = Some(code.issuer);
        let of_code = EventFilter { on_chain_id: Some(code.on_chain_id), issuer, ..EventFilter::default() };
        let events = select(&mut read, &of_code, most).await?;
        let orphaned = select(&mut read, &EventFilter { orphaned: true, ..of_code }, most).await?;
        let root = events.iter().chain(&orphaned).find_map(|event| event.facts.root);
        let batch = match root {
            Some(_) => select(&mut read, &EventFilter { root, issuer, ..EventFilter::default() }, most).await?,
            None => Vec::new(),
        };
        Ok(Some(CodeFacts { events, orphaned, batch, cursor, now_s, final_number }))
    }
}

async fn chain_time(connection: &mut SqliteConnection, deployment: &Deployment) -> Result<Option<u64>, StoreError> {
    let timestamp: Option<i64> = sqlx::query_scalar(
        "SELECT b.timestamp FROM cursors c JOIN blocks b ON b.hash = c.hash WHERE c.chain_id = ? AND c.verifier = ?",
    )
    .bind(column::signed(deployment.chain_id))
    .bind(deployment.verifier.as_slice())
    .fetch_optional(connection)
    .await?;
    timestamp.map(|timestamp| column::unsigned(timestamp, "blocks")).transpose()
}

#[derive(FromRow)]
struct CodeRow {
    on_chain_id: Vec<u8>,
    issuer: Vec<u8>,
    #[expect(dead_code, reason = "a union is ordered by what it selects")]
    serial: i64,
}

impl CodeRow {
    fn read(self) -> Result<CodeKey, StoreError> {
        let on_chain_id = column::word(&self.on_chain_id, "events")?;
        Ok(CodeKey { on_chain_id, issuer: column::address(&self.issuer, "events")? })
    }
}

#[derive(FromRow)]
struct RequestRow {
    account_id: Uuid,
    id: Uuid,
}

impl From<RequestRow> for RequestKey {
    fn from(row: RequestRow) -> Self {
        Self { account_id: row.account_id, request_id: row.id }
    }
}

#[derive(FromRow)]
struct MessageRow {
    message_id: String,
    #[sqlx(try_from = "String")]
    channel: Channel,
    contact_id: Uuid,
    address_sealed: Vec<u8>,
    state: String,
    attempts: i64,
    created_at_ms: i64,
    sent_at_ms: Option<i64>,
    reported_at_ms: Option<i64>,
    error: Option<String>,
}

impl MessageRow {
    fn read(self) -> Result<MessageFacts, StoreError> {
        Ok(MessageFacts {
            message_id: self.message_id,
            channel: self.channel,
            contact_id: self.contact_id,
            address_sealed: self.address_sealed,
            state: self.state,
            attempts: column::unsigned(self.attempts, "deliveries")?,
            created_at_ms: self.created_at_ms,
            sent_at_ms: self.sent_at_ms,
            reported_at_ms: self.reported_at_ms,
            error: self.error,
        })
    }
}
