//! Appending: final steps that are not in the log yet, in the chain's order, and keys.

use alloy::primitives::{Address, B256};
use sqlx::FromRow;
use uuid::Uuid;

use super::{TABLE, Tip, insert_entry, step_of, tip};
use crate::{
    clock::now_ms,
    evidence::{Attested, Entry, Fields, KeyChange, Step, StepKind},
    failpoint,
    id::Deployment,
    store::{ChainEvent, Cursor, EventFilter, Store, StoreError, Write, column, events},
};

/// The longest that an issued code's entry waits for its message to be handed over: longer than any code lives.
const DELIVERY_WAIT_MS: i64 = 900_000;

/// How an account's keyed hash is made: of its id and its 32 random bytes.
pub type Attesting<'a> = &'a (dyn Fn(Uuid, &[u8; 32]) -> [u8; 32] + Sync);

/// What a round of appending did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Entries written.
    pub entries: u64,
    /// Up to where the chain is final.
    pub final_block: Cursor,
    /// Whether every step up to there is in the log now.
    pub complete: bool,
}

impl Store {
    /// Where the log ends.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn evidence_tip(&self) -> Result<Tip, StoreError> {
        tip(&mut *self.readers.acquire().await?).await
    }

    /// Appends an entry that names another key, where the log still ends at `tip`; `false` where it does not.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn append_evidence_key(&self, at: Tip, key: KeyChange) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        if tip(&mut tx).await? != at {
            return Ok(false);
        }
        insert_entry(&mut tx, &Entry::new(at.next, at.hash, Fields::Key(key), None)).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Appends at most `limit` steps that are final and not in the log, with what we attest of them. An issued code whose
    /// message is on its way is waited for, and everything after it. `None` while nothing is final, or the log has no key.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn append_evidence(
        &self,
        deployment: &Deployment,
        limit: u32,
        attesting: Attesting<'_>,
    ) -> Result<Option<Appended>, StoreError> {
        let Some(final_block) = self.final_block(deployment).await? else { return Ok(None) };
        // Most rounds find nothing, and ask for no write.
        if self.events(&self.not_logged(final_block).await?, 1).await?.is_empty() {
            return Ok(Some(Appended { entries: 0, final_block, complete: true }));
        }
        let mut tx = self.write().await?;
        let mut end = tip(&mut tx).await?;
        if end.key.is_none() {
            return Ok(None);
        }
        let not_logged = not_logged(&mut tx, final_block).await?;
        let found = events::select(&mut tx, &not_logged, limit).await?;
        let all = u32::try_from(found.len()).is_ok_and(|count| count < limit);
        let (first, mut waits) = (end.next, false);
        for event in &found {
            let Some(step) = step_of(event) else { continue };
            let ours = ours(&mut tx, event).await?;
            if step.kind == StepKind::Issued && ours.as_ref().is_some_and(|ours| ours.is_on_its_way(now_ms())) {
                waits = true;
                break;
            }
            end = append(&mut tx, end, step, ours, attesting).await?;
            failpoint::hit("half-logged");
        }
        tx.commit().await?;
        Ok(Some(Appended { entries: end.next - first, final_block, complete: all && !waits }))
    }

    async fn not_logged(&self, final_block: Cursor) -> Result<EventFilter, StoreError> {
        not_logged(&mut *self.readers.acquire().await?, final_block).await
    }
}

/// Which events come after the last step of the log and are final.
async fn not_logged(connection: &mut sqlx::SqliteConnection, final_block: Cursor) -> Result<EventFilter, StoreError> {
    let last: Option<(i64, i64)> = sqlx::query_as(
        "SELECT block_number, log_index FROM evidence WHERE block_number IS NOT NULL
         ORDER BY block_number DESC, log_index DESC LIMIT 1",
    )
    .fetch_optional(connection)
    .await?;
    let read = |(block, log)| Ok::<_, StoreError>((column::unsigned(block, TABLE)?, column::unsigned(log, TABLE)?));
    Ok(EventFilter {
        to: Some(final_block.number),
        after: last.map(read).transpose()?,
        steps_only: true,
        ..EventFilter::default()
    })
}

/// Writes one entry, and its opening where the code is one of ours.
async fn append(
    tx: &mut Write,
    end: Tip,
    step: Step,
    ours: Option<Ours>,
    attesting: Attesting<'_>,
) -> Result<Tip, StoreError> {
    let opening = match ours {
        Some(ours) => Some((ours.account_id, ours.attest(tx, attesting).await?)),
        None => None,
    };
    let commitment = opening.as_ref().map(|(_, attested)| attested.commitment());
    let entry = Entry::new(end.next, end.hash, Fields::Step(step), commitment);
    insert_entry(tx, &entry).await?;
    if let Some((account_id, attested)) = opening {
        sqlx::query(
            "INSERT INTO evidence_attested (idx, account_id, salt, account_tag, requested_at_ms, delivered_at_ms, channel,
             written_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(column::signed(entry.index))
        .bind(account_id)
        .bind(attested.salt.as_slice())
        .bind(attested.account.as_slice())
        .bind(attested.requested_at_ms)
        .bind(attested.delivered_at_ms)
        .bind(attested.channel)
        .bind(now_ms())
        .execute(&mut **tx)
        .await?;
    }
    Ok(Tip { next: entry.index + 1, hash: entry.hash, key: end.key })
}

/// What we know of a code that a request of ours was given.
#[derive(FromRow)]
struct Ours {
    account_id: Uuid,
    requested_at_ms: i64,
    delivered_at_ms: Option<i64>,
    channel: String,
    /// Of a message that is still to be handed over: when it was enqueued, and when its code expires.
    waiting_since_ms: Option<i64>,
    waiting_until_ms: Option<i64>,
}

impl Ours {
    /// By both clocks: a chain whose time is ahead must not hold the log up for longer than any code lives.
    fn is_on_its_way(&self, now_ms: i64) -> bool {
        let (Some(since), Some(until)) = (self.waiting_since_ms, self.waiting_until_ms) else { return false };
        self.delivered_at_ms.is_none() && now_ms < until && now_ms.abs_diff(since) < DELIVERY_WAIT_MS.unsigned_abs()
    }

    async fn attest(self, tx: &mut Write, attesting: Attesting<'_>) -> Result<Attested, StoreError> {
        let of_account = account_salt(tx, self.account_id).await?;
        Ok(Attested {
            salt: random()?.into(),
            account: attesting(self.account_id, &of_account).into(),
            requested_at_ms: self.requested_at_ms,
            delivered_at_ms: self.delivered_at_ms,
            channel: self.channel,
        })
    }
}

/// `None` for a code of somebody else, a copy of ours in another issuer's batch, and an account that is erased.
async fn ours(tx: &mut Write, event: &ChainEvent) -> Result<Option<Ours>, StoreError> {
    let facts = &event.facts;
    let (Some(id), Some(issuer)) = (facts.on_chain_id, facts.issuer) else { return Ok(None) };
    landed(tx, id, issuer, facts.serial).await
}

async fn landed(tx: &mut Write, id: B256, issuer: Address, serial: Option<u64>) -> Result<Option<Ours>, StoreError> {
    let row = sqlx::query_as(
        "SELECT r.account_id, r.created_at_ms AS requested_at_ms, d.sent_at_ms AS delivered_at_ms,
                coalesce(d.channel, c.channel) AS channel,
                iif(d.state IN ('queued', 'sending'), d.created_at_ms, NULL) AS waiting_since_ms,
                iif(d.state IN ('queued', 'sending'), d.expires_at_ms, NULL) AS waiting_until_ms
         FROM landings l
         JOIN requests r ON r.id = l.request_id
         JOIN accounts a ON a.id = r.account_id
         JOIN contacts c ON c.id = r.contact_id
         LEFT JOIN deliveries d ON d.on_chain_id = l.on_chain_id
         WHERE l.on_chain_id = ?1 AND l.issuer = ?2 AND (?3 IS NULL OR l.serial = ?3) AND a.erased_at_ms IS NULL
         ORDER BY d.sent_at_ms IS NULL, d.sent_at_ms, d.state NOT IN ('queued', 'sending'), d.created_at_ms DESC LIMIT 1",
    )
    .bind(id.as_slice())
    .bind(issuer.as_slice())
    .bind(serial.map(column::signed));
    Ok(row.fetch_optional(&mut **tx).await?)
}

async fn account_salt(tx: &mut Write, account_id: Uuid) -> Result<[u8; 32], StoreError> {
    sqlx::query("INSERT INTO evidence_accounts (account_id, salt) VALUES (?, ?) ON CONFLICT DO NOTHING")
        .bind(account_id)
        .bind(random()?.as_slice())
        .execute(&mut **tx)
        .await?;
    let salt: Vec<u8> = sqlx::query_scalar("SELECT salt FROM evidence_accounts WHERE account_id = ?")
        .bind(account_id)
        .fetch_one(&mut **tx)
        .await?;
    Ok(column::word(&salt, "evidence_accounts")?.0)
}

fn random() -> Result<[u8; 32], StoreError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| sqlx::Error::Io(std::io::Error::other(e)))?;
    Ok(bytes)
}
