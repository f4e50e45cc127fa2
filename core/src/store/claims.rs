//! Claiming a message: the next due row of the outbox, with everything that its message is made from, as long as it may
//! still go out. Workers that look at the same time are served by the same few statements. Writer: the indexer.

use std::mem;

use alloy::primitives::{Address, B256};
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use super::{
    APPROVAL_TTL_MS, ChangeKind, Store, StoreError,
    column::{self, json},
    depth::HELD_MS,
};
use crate::{clock::now_ms, id::Purpose, language::Language, metrics::DELIVERIES};

/// So many rows at most are settled by one claim: others wait for the commit.
const MOST_DROPPED: usize = 64;
/// No retry is put off for longer, whatever the configuration or a provider asks for: a row that is due later was stored
/// before this server's clock was set back.
const LONGEST_PAUSE_MS: i64 = 900_000;
/// Rows that are due at ?1 and that nobody holds. By whatever clock ?2 was written, one beyond it, and one that was never
/// tried, owes its date to a clock that was set back since; what is held waits for a block and no clock.
macro_rules! due {
    () => {
        "state IN ('queued', 'sending') AND lease_until_ms <= ?1
         AND due_at_ms < ?3 AND (due_at_ms <= ?1 OR due_at_ms > ?2 OR attempts = 0)"
    };
}

/// The rows that are due first, ?4 at most, each with whatever its message is made from. One statement for all, since each
/// is a turn of the thread that every write waits for.
pub(super) const DUE: &str = concat!(
    "SELECT d.*, (SELECT b.timestamp FROM cursors u JOIN blocks b ON b.hash = u.hash) AS applied_s,
            a.id AS account_id, a.wallet, a.seed_sealed, c.address_sealed, c.removed_at_ms, c.confirmed_at_ms, c.proved_at_ms,
            c.challenge, r.action, r.reference, r.authorization_sealed, r.locked_at_ms,
            landed.issuer, landed.purpose, landed.serial, landed.expiry
     FROM (SELECT message_id, request_id, on_chain_id, notice_id, contact_id, channel, language, attempts, created_at_ms,
                  expires_at_ms, due_at_ms, state = 'sending' AS is_resumed
           FROM deliveries WHERE ",
    due!(),
    "      ORDER BY due_at_ms LIMIT 0 + ?4) d
     LEFT JOIN contacts c ON c.id = d.contact_id LEFT JOIN accounts a ON a.id = c.account_id
     LEFT JOIN requests r ON r.id = d.request_id
     LEFT JOIN events landed ON landed.rowid = (
         SELECT event FROM landings WHERE on_chain_id = d.on_chain_id AND request_id = d.request_id)
     ORDER BY d.due_at_ms"
);
/// Takes the messages in the JSON array ?1 until ?2.
pub(super) const TAKE: &str = "
    UPDATE deliveries SET state = 'sending', lease_until_ms = ?2, attempts = attempts + 1
    WHERE message_id IN (SELECT value FROM json_each(?1))";
/// Settles the messages in the JSON array ?1, `[message, state, why]` each.
pub(super) const DROP: &str = "
    UPDATE deliveries SET state = asked.value ->> 1, error = asked.value ->> 2 FROM json_each(?1) asked
    WHERE message_id = asked.value ->> 0";

/// A message that this process has claimed and must send or settle.
#[derive(Debug)]
pub struct Job {
    /// Without angle brackets.
    pub message_id: String,
    /// How often it was claimed, this time included.
    pub attempts: u32,
    /// Whether the attempt before this one never ended: its process died, or its lease ran out. It may be out.
    pub is_resumed: bool,
    /// The message's date.
    pub created_at_ms: i64,
    /// When sending it is pointless: by chain time for a code, by this server's clock for a confirmation.
    pub expires_at_ms: i64,
    /// Whose seed.
    pub account_id: Uuid,
    /// The account's wallet.
    pub wallet: Address,
    /// The account's sealed seed.
    pub seed_sealed: Vec<u8>,
    /// Over which channel.
    pub channel: String,
    /// What it was first written in, or is to be.
    pub language: Language,
    /// To which contact.
    pub contact_id: Uuid,
    /// The contact's sealed address.
    pub address_sealed: Vec<u8>,
    /// What it says.
    pub content: Content,
}

/// What a message is about.
#[derive(Debug)]
pub enum Content {
    /// A code that stands on the canonical chain.
    Code(CodeContent),
    /// Digits that confirm a contact.
    Confirmation {
        /// Which of the contact's confirmations.
        challenge: u64,
    },
    /// A change of the account's contacts, or its deletion.
    Change(ChangeContent),
}

/// What a message says of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It waits, and can be cancelled or approved.
    Announced,
    /// Further digits to approve it.
    Digits,
    /// It was made.
    Done,
}

/// The facts of a change's message.
#[derive(Debug)]
pub struct ChangeContent {
    /// The change.
    pub change_id: Uuid,
    /// What changes.
    pub kind: ChangeKind,
    /// What the message says of it.
    pub stage: Stage,
    /// Which digits approve it.
    pub challenge: u64,
    /// Until when they do, in Unix milliseconds.
    pub digits_until_ms: i64,
    /// When it is made unless it is cancelled, in Unix milliseconds.
    pub due_at_ms: i64,
    /// The contact that comes or goes: id, channel and sealed address; `None` for a deletion.
    pub about: Option<(Uuid, String, Vec<u8>)>,
}

/// The facts of a code's message.
#[derive(Debug)]
pub struct CodeContent {
    /// The request.
    pub request_id: Uuid,
    /// The code's id on the chain.
    pub on_chain_id: B256,
    /// Who issued.
    pub issuer: Address,
    /// Which policy.
    pub purpose: Purpose,
    /// The code's number.
    pub serial: u64,
    /// Unix seconds of chain time.
    pub expiry: u64,
    /// What the code authorises, as a hash.
    pub action: B256,
    /// What a person tells two codes apart by.
    pub reference: String,
    /// What the code authorises, to be shown; sealed.
    pub authorization_sealed: Vec<u8>,
}

impl Store {
    /// Takes the next due message for `lease_ms`. Rows that must not go out any more are settled on the way: the code is
    /// off the chain or expired, the request was locked, the contact was removed.
    ///
    /// A code expires by chain time, which is the cursor's block's or `head_s` (Unix seconds, of the node's head where it
    /// is known), whichever is later: a tail that catches up stands far back.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn claim_delivery(&self, lease_ms: i64, head_s: Option<u64>) -> Result<Option<Job>, StoreError> {
        while self.is_delivery_due().await? {
            let Claimed { job, dropped, settled } = self.claims.run(Terms { lease_ms, head_s }).await?;
            for Dropped { message_id, channel, state, why } in dropped {
                metrics::counter!(DELIVERIES, "channel" => channel, "state" => state).increment(1);
                tracing::info!(message_id, state, why, "message not sent");
            }
            if job.is_some() || settled == 0 {
                return Ok(job);
            }
        }
        Ok(None)
    }

    async fn is_delivery_due(&self) -> Result<bool, StoreError> {
        let now = now_ms();
        let due = concat!("SELECT EXISTS (SELECT 1 FROM deliveries WHERE ", due!(), ")");
        let due = sqlx::query_scalar(due).bind(now).bind(now.saturating_add(LONGEST_PAUSE_MS)).bind(HELD_MS);
        Ok(due.fetch_one(&self.readers).await?)
    }
}

/// On what terms a message is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    lease_ms: i64,
    head_s: Option<u64>,
}

/// What a look at the outbox came to.
#[derive(Default)]
pub(super) struct Claimed {
    job: Option<Job>,
    /// Rows to be told of here.
    dropped: Vec<Dropped>,
    /// Rows that were settled by all who looked together: others may be due behind them.
    settled: usize,
}

/// A row that was settled on the way.
struct Dropped {
    message_id: String,
    channel: String,
    state: &'static str,
    why: &'static str,
}

/// Takes a message for each who looks, as far as there are any, the one that is due first for the first of them.
pub(super) async fn claim_all(write: &mut SqliteConnection, asked: &[Terms]) -> Result<Vec<Claimed>, StoreError> {
    let lease_ms = asked.iter().map(|terms| terms.lease_ms).max().unwrap_or_default();
    let head_s = asked.iter().filter_map(|terms| terms.head_s).max();
    // One time for all of it: what was taken is not due again, however the clock is set meanwhile.
    let now_ms = now_ms();
    let (mut jobs, mut dropped) = (Vec::new(), Vec::new());
    while jobs.len() < asked.len() && dropped.len() < MOST_DROPPED {
        let due = next_due(write, now_ms, asked.len() - jobs.len()).await?;
        if due.is_empty() {
            break;
        }
        let (mut taken, mut ended) = (Vec::new(), Vec::new());
        for row in due {
            match load(write, &row, head_s).await? {
                Verdict::Send(job) => {
                    taken.push(row.message_id);
                    jobs.push(*job);
                }
                Verdict::Drop { state, why } => {
                    ended.push((row.message_id.clone(), state, why));
                    dropped.push(Dropped { message_id: row.message_id, channel: row.channel, state, why });
                }
            }
        }
        sqlx::query(TAKE).bind(json(&taken)?).bind(now_ms.saturating_add(lease_ms)).execute(&mut *write).await?;
        if !ended.is_empty() {
            sqlx::query(DROP).bind(json(&ended)?).execute(&mut *write).await?;
        }
    }
    let (settled, mut jobs) = (dropped.len(), jobs.into_iter());
    let claimed = |_: &Terms| Claimed { job: jobs.next(), dropped: mem::take(&mut dropped), settled };
    Ok(asked.iter().map(claimed).collect())
}

enum Verdict {
    Send(Box<Job>),
    Drop { state: &'static str, why: &'static str },
}

/// A row without its contact is an error for all: it would stand first for good, and what is behind it wait in silence.
async fn next_due(write: &mut SqliteConnection, now_ms: i64, most: usize) -> Result<Vec<DueRow>, StoreError> {
    let due = sqlx::query_as(DUE).bind(now_ms).bind(now_ms.saturating_add(LONGEST_PAUSE_MS)).bind(HELD_MS);
    Ok(due.bind(i64::try_from(most).unwrap_or(i64::MAX)).fetch_all(write).await?)
}

async fn load(write: &mut SqliteConnection, row: &DueRow, head_s: Option<u64>) -> Result<Verdict, StoreError> {
    let person = &row.person;
    let now_ms = if row.notice_id.is_some() { now_ms() } else { row.chain_time_ms(head_s)? };
    if row.expires_at_ms <= now_ms {
        return Ok(Verdict::Drop { state: "expired", why: "expired" });
    }
    if person.seed_sealed.is_empty() {
        return Ok(Verdict::Drop { state: "failed", why: "account deleted" });
    }
    if row.request_id.is_some() && person.confirmed_at_ms.is_none() {
        return Ok(Verdict::Drop { state: "failed", why: "contact not confirmed" });
    }
    let content = match (row.request_id, &row.on_chain_id, row.notice_id) {
        (Some(request_id), Some(id), None) => row.code(request_id, column::word(id, "deliveries")?)?,
        (None, None, Some(notice_id)) => load_notice(write, notice_id, person).await?,
        _ => return Err(StoreError::Damaged { table: "deliveries" }),
    };
    // Who was removed is told so, and nothing else.
    let told = matches!(&content, Ok(Content::Change(ChangeContent { stage: Stage::Done, .. })));
    if person.removed_at_ms.is_some() && (!told || person.address_sealed.is_empty()) {
        return Ok(Verdict::Drop { state: "failed", why: "contact removed" });
    }
    let content = match content {
        Ok(content) => content,
        Err((state, why)) => return Ok(Verdict::Drop { state, why }),
    };
    Ok(Verdict::Send(Box::new(Job {
        message_id: row.message_id.clone(),
        attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX).saturating_add(1),
        is_resumed: row.is_resumed,
        created_at_ms: row.created_at_ms,
        expires_at_ms: row.expires_at_ms,
        account_id: person.account_id,
        wallet: column::address(&person.wallet, "accounts")?,
        seed_sealed: person.seed_sealed.clone(),
        channel: row.channel.clone(),
        language: row.language,
        contact_id: row.contact_id,
        address_sealed: person.address_sealed.clone(),
        content,
    })))
}

/// Something to say, or the state to put the row in and why.
type Loaded = Result<Content, (&'static str, &'static str)>;

impl DueRow {
    fn chain_time_ms(&self, head_s: Option<u64>) -> Result<i64, StoreError> {
        let applied_s = self.applied_s.ok_or(StoreError::Damaged { table: "cursors" })?;
        Ok(applied_s.max(head_s.map_or(0, column::signed)).saturating_mul(1_000))
    }

    /// That a request was told of a failure is not asked: what landed all the same, after a reorg, is good, and the relayer
    /// takes its word back when it sees the block. Until then a row that was dropped would stay dropped.
    fn code(&self, request_id: Uuid, on_chain_id: B256) -> Result<Loaded, StoreError> {
        if self.locked_at_ms.is_some() {
            return Ok(Err(("failed", "request locked")));
        }
        let (Some(issuer), Some(purpose), Some(serial), Some(expiry)) =
            (&self.issuer, &self.purpose, self.serial, self.expiry)
        else {
            return Ok(Err(("cancelled", "off the chain")));
        };
        let (Some(action), Some(reference), Some(authorization_sealed)) =
            (&self.action, &self.reference, &self.authorization_sealed)
        else {
            return Err(StoreError::Damaged { table: "requests" });
        };
        Ok(Ok(Content::Code(CodeContent {
            request_id,
            on_chain_id,
            issuer: column::address(issuer, "events")?,
            purpose: column::purpose(purpose, "events")?,
            serial: column::unsigned(serial, "events")?,
            expiry: column::unsigned(expiry, "events")?,
            action: column::word(action, "requests")?,
            reference: reference.clone(),
            authorization_sealed: authorization_sealed.clone(),
        })))
    }
}

async fn load_notice(write: &mut SqliteConnection, notice_id: Uuid, person: &PersonRow) -> Result<Loaded, StoreError> {
    let notice: NoticeRow =
        sqlx::query_as("SELECT kind, change_id, challenge, created_at_ms FROM notices WHERE id = ?")
            .bind(notice_id)
            .fetch_one(&mut *write)
            .await?;
    let challenge = column::unsigned(notice.challenge, "notices")?;
    let stage = match (notice.kind.as_str(), notice.change_id) {
        // The digits of an earlier confirmation no longer count once a newer one was asked for.
        ("contact-confirmation", None) if notice.challenge == person.challenge && person.proved_at_ms.is_none() => {
            return Ok(Ok(Content::Confirmation { challenge }));
        }
        ("contact-confirmation", None) => return Ok(Err(("cancelled", "superseded"))),
        ("change-announced", Some(id)) => (Stage::Announced, id),
        ("change-digits", Some(id)) => (Stage::Digits, id),
        ("change-done", Some(id)) => (Stage::Done, id),
        _ => return Err(StoreError::Damaged { table: "notices" }),
    };
    load_change(write, stage, challenge, notice.created_at_ms).await
}

/// An announcement is pointless once its change was made or cancelled.
async fn load_change(
    write: &mut SqliteConnection,
    (stage, change_id): (Stage, Uuid),
    challenge: u64,
    created_at_ms: i64,
) -> Result<Loaded, StoreError> {
    let change: ChangeFacts = sqlx::query_as(
        "SELECT x.kind, x.state, x.due_at_ms, x.challenge, x.challenge_expires_at_ms, x.contact_id, c.channel,
                c.address_sealed
         FROM contact_changes x LEFT JOIN contacts c ON c.id = x.contact_id WHERE x.id = ?",
    )
    .bind(change_id)
    .fetch_one(&mut *write)
    .await?;
    if change.state != if stage == Stage::Done { "done" } else { "waiting" } {
        return Ok(Err(("cancelled", "superseded")));
    }
    let about = match (change.contact_id, change.channel, change.address_sealed) {
        (Some(id), Some(channel), Some(sealed)) => Some((id, channel, sealed)),
        _ => None,
    };
    Ok(Ok(Content::Change(ChangeContent {
        change_id,
        kind: change.kind,
        stage,
        challenge,
        // Who is told later is told of the digits that run, and until when they do.
        digits_until_ms: if change.challenge == column::signed(challenge) {
            change.challenge_expires_at_ms
        } else {
            created_at_ms.saturating_add(APPROVAL_TTL_MS)
        },
        due_at_ms: change.due_at_ms,
        about,
    })))
}

#[derive(FromRow)]
struct NoticeRow {
    kind: String,
    change_id: Option<Uuid>,
    challenge: i64,
    created_at_ms: i64,
}

#[derive(FromRow)]
struct ChangeFacts {
    #[sqlx(try_from = "String")]
    kind: ChangeKind,
    state: String,
    due_at_ms: i64,
    challenge: i64,
    challenge_expires_at_ms: i64,
    contact_id: Option<Uuid>,
    channel: Option<String>,
    address_sealed: Option<Vec<u8>>,
}

#[derive(FromRow)]
struct DueRow {
    message_id: String,
    request_id: Option<Uuid>,
    on_chain_id: Option<Vec<u8>>,
    notice_id: Option<Uuid>,
    contact_id: Uuid,
    channel: String,
    #[sqlx(try_from = "String")]
    language: Language,
    attempts: i64,
    created_at_ms: i64,
    expires_at_ms: i64,
    is_resumed: bool,
    /// When the cursor's block was, in Unix seconds.
    applied_s: Option<i64>,
    #[sqlx(flatten)]
    person: PersonRow,
    // Of the request, where there is one.
    action: Option<Vec<u8>>,
    reference: Option<String>,
    authorization_sealed: Option<Vec<u8>>,
    locked_at_ms: Option<i64>,
    // Of its landing.
    issuer: Option<Vec<u8>>,
    purpose: Option<Vec<u8>>,
    serial: Option<i64>,
    expiry: Option<i64>,
}

#[derive(FromRow)]
struct PersonRow {
    account_id: Uuid,
    wallet: Vec<u8>,
    seed_sealed: Vec<u8>,
    address_sealed: Vec<u8>,
    removed_at_ms: Option<i64>,
    confirmed_at_ms: Option<i64>,
    proved_at_ms: Option<i64>,
    challenge: i64,
}
