//! Requests for codes, accepted durably and once. Writer: the relayer (the batcher's part is in `issuance.rs`).

use std::collections::HashSet;

use alloy::primitives::{Address, B256};
use serde_json::Value;
use sqlx::{FromRow, SqliteConnection, SqliteExecutor};
use uuid::Uuid;

use super::{
    Level, Refusal, Rules, Store, StoreError,
    buckets::Buckets,
    column::{self, json},
    rules::{self, QueueBound, Standing},
};
use crate::{contact::Channel, id::Purpose};

/// How long an Idempotency-Key is remembered: 24 h.
const IDEMPOTENCY_MS: i64 = 86_400_000;
/// Stores the requests in the JSON array ?1, as [`insert`] writes them.
const INSERT: &str = "
    INSERT INTO requests (id, account_id, session_id, contact_id, idempotency_key, body_hash, reference, purpose, action,
                          payload_hash, authorization_sealed, created_at_ms, queued_at_ms, max_attempts, fallback)
    SELECT unhex(value ->> 0), unhex(value ->> 1), unhex(value ->> 2), unhex(value ->> 3), value ->> 4,
           unhex(value ->> 5), value ->> 6, unhex(value ->> 7), unhex(value ->> 8), unhex(value ->> 9),
           unhex(value ->> 10), value ->> 11, value ->> 11, value ->> 12, value ->> 13
    FROM json_each(?1)";

/// A request to be accepted.
#[derive(Debug, Clone)]
pub struct NewRequest {
    /// UUIDv7.
    pub id: Uuid,
    /// Who asks.
    pub account_id: Uuid,
    /// The session that asks, the only one that can unlock.
    pub session_id: Uuid,
    /// Where the digits go.
    pub contact_id: Uuid,
    /// The client's Idempotency-Key.
    pub idempotency_key: String,
    /// A hash of what was asked for.
    pub body_hash: B256,
    /// The short name printed in the message.
    pub reference: String,
    /// Which policy applies.
    pub purpose: Purpose,
    /// What the code authorises.
    pub action: B256,
    /// EIP-712 `hashStruct` of the payload; `None` for a blind action.
    pub payload_hash: Option<B256>,
    /// The `Authorization` as JSON, sealed for `id`.
    pub authorization_sealed: Vec<u8>,
    /// Wrong digits that are evaluated, 1 to 5.
    pub max_attempts: u8,
    /// Whether the code may go out over another channel where this one fails for good.
    pub fallback: bool,
    /// Now, in Unix milliseconds.
    pub now_ms: i64,
    /// The account that would issue.
    pub issuer: Address,
    /// The limits that it has to keep to.
    pub rules: Rules,
}

/// What an accepted request is answered with, now and whenever it is sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The request.
    pub id: Uuid,
    /// The short name printed in the message.
    pub reference: String,
    /// Which policy applies.
    pub purpose: Purpose,
    /// What the code authorises.
    pub action: B256,
    /// Unix milliseconds.
    pub created_at_ms: i64,
    /// The confirmed contact's channel; of a repetition not told.
    pub channel: Option<Channel>,
    /// What the buckets hold that it took from; of a repetition nothing, since it takes nothing.
    pub levels: Vec<Level>,
}

/// What became of a [`NewRequest`].
#[derive(Debug, PartialEq, Eq)]
pub enum Submission {
    /// Stored now.
    Accepted(Accepted),
    /// Stored earlier, under the same key and with the same contents.
    Replayed(Accepted),
    /// The key was used for other contents.
    Mismatch,
    /// The contact is no confirmed one of the account.
    Unconfirmed,
    /// Switched off, blocked, or over a limit: nothing was stored and nothing taken.
    Refused(Refusal),
    /// Another request of the account has this reference: draw again.
    ReferenceTaken,
}

#[derive(FromRow)]
struct KnownKey {
    id: Uuid,
    reference: String,
    purpose: Vec<u8>,
    action: Vec<u8>,
    created_at_ms: i64,
    body_hash: Vec<u8>,
}

impl KnownKey {
    async fn find(executor: impl SqliteExecutor<'_>, account: Uuid, key: &str) -> Result<Option<Self>, StoreError> {
        let row = sqlx::query_as(
            "SELECT id, reference, purpose, action, created_at_ms, body_hash FROM requests
             WHERE account_id = ? AND idempotency_key = ?",
        )
        .bind(account)
        .bind(key)
        .fetch_optional(executor)
        .await?;
        Ok(row)
    }

    /// Whether the key is taken still.
    const fn counts_at(&self, now_ms: i64) -> bool {
        self.created_at_ms > now_ms.saturating_sub(IDEMPOTENCY_MS)
    }

    fn against(self, body_hash: B256) -> Result<Submission, StoreError> {
        if self.body_hash != body_hash.as_slice() {
            return Ok(Submission::Mismatch);
        }
        let purpose = column::word(&self.purpose, "requests")?;
        Ok(Submission::Replayed(Accepted {
            id: self.id,
            reference: self.reference,
            purpose: purpose.try_into().map_err(|_| StoreError::Damaged { table: "requests" })?,
            action: column::word(&self.action, "requests")?,
            created_at_ms: self.created_at_ms,
            channel: None,
            levels: Vec::new(),
        }))
    }
}

impl Store {
    /// What an Idempotency-Key was used for in the last 24 h: `Replayed` or `Mismatch`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn find_submission(
        &self,
        account_id: Uuid,
        key: &str,
        body_hash: B256,
        now_ms: i64,
    ) -> Result<Option<Submission>, StoreError> {
        let known = KnownKey::find(&self.readers, account_id, key).await?;
        known.filter(|known| known.counts_at(now_ms)).map(|known| known.against(body_hash)).transpose()
    }

    /// Stores a request once per Idempotency-Key; it is on the disk when this returns.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn submit(&self, new: NewRequest) -> Result<Submission, StoreError> {
        self.submissions.run(new).await
    }
}

/// Stores all that may be stored, as if one came after another. Of an account's several, each but the first is looked at
/// once the one before is stored: nothing but buckets and the queue's bound is counted across accounts, and those are
/// carried on.
pub(super) async fn submit_all(
    write: &mut SqliteConnection,
    queue: &QueueBound,
    all: &[NewRequest],
) -> Result<Vec<Submission>, StoreError> {
    let mut buckets = Buckets::read(write, all.iter().flat_map(|new| &new.rules.takes)).await?;
    let mut done: Vec<Option<Submission>> = all.iter().map(|_| None).collect();
    let mut rest: Vec<usize> = (0..all.len()).collect();
    while !rest.is_empty() {
        let mut accounts = HashSet::new();
        let (round, later) = rest.iter().partition::<Vec<_>, _>(|n| accounts.insert(all[**n].account_id));
        let news: Vec<_> = round.iter().map(|n| &all[*n]).collect();
        let standings = rules::look(write, &news).await?;
        let mut accepted = Vec::with_capacity(news.len());
        for ((n, new), standing) in round.into_iter().zip(news).zip(standings) {
            let submission = submit(write, (queue, accepted.len()), &mut buckets, new, standing).await?;
            if matches!(submission, Submission::Accepted(_)) {
                accepted.push(new);
            }
            done[n] = Some(submission);
        }
        insert(write, &accepted).await?;
        rest = later;
    }
    buckets.write(write).await?;
    Ok(done.into_iter().flatten().collect())
}

/// Says what becomes of a request, where the rows of so many before it are still to be written; where it is accepted, its
/// own is as well.
async fn submit(
    write: &mut SqliteConnection,
    queue: (&QueueBound, usize),
    buckets: &mut Buckets,
    new: &NewRequest,
    standing: Standing,
) -> Result<Submission, StoreError> {
    if standing.is_key_known
        && let Some(known) = KnownKey::find(&mut *write, new.account_id, &new.idempotency_key).await?
        && known.counts_at(new.now_ms)
    {
        return known.against(new.body_hash);
    }
    if new.rules.confirmed && standing.channel()?.is_none() {
        return Ok(Submission::Unconfirmed);
    }
    if standing.is_reference_taken {
        return Ok(Submission::ReferenceTaken);
    }
    let levels = match rules::check(write, queue, buckets, &standing, new).await? {
        Ok(levels) => levels,
        Err(refusal) => return Ok(Submission::Refused(refusal)),
    };
    if standing.is_key_known {
        // It is older than a key is remembered.
        sqlx::query("UPDATE requests SET idempotency_key = NULL WHERE account_id = ? AND idempotency_key = ?")
            .bind(new.account_id)
            .bind(&new.idempotency_key)
            .execute(write)
            .await?;
    }
    let accepted = Accepted {
        id: new.id,
        reference: new.reference.clone(),
        purpose: new.purpose,
        action: new.action,
        created_at_ms: new.now_ms,
        channel: standing.channel()?,
        levels,
    };
    Ok(Submission::Accepted(accepted))
}

async fn insert(write: &mut SqliteConnection, accepted: &[&NewRequest]) -> Result<(), StoreError> {
    if accepted.is_empty() {
        return Ok(());
    }
    let row = |new: &&NewRequest| {
        let ids = [new.id, new.account_id, new.session_id, new.contact_id].map(hex::encode);
        let [id, account, session, contact] = ids.map(Value::from);
        let hashes = [new.body_hash, new.purpose.bytes32(), new.action].map(hex::encode);
        let [body, purpose, action] = hashes.map(Value::from);
        let payload = new.payload_hash.map(hex::encode).into();
        let (key, reference) = (new.idempotency_key.as_str().into(), new.reference.as_str().into());
        let sealed = hex::encode(&new.authorization_sealed).into();
        let (max_attempts, fallback) = (new.max_attempts.into(), u8::from(new.fallback).into());
        [
            id,
            account,
            session,
            contact,
            key,
            body,
            reference,
            purpose,
            action,
            payload,
            sealed,
            new.now_ms.into(),
            max_attempts,
            fallback,
        ]
    };
    let rows: Vec<[Value; 14]> = accepted.iter().map(row).collect();
    sqlx::query(INSERT).bind(json(&rows)?).execute(write).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
