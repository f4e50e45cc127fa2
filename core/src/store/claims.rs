//! Claiming a message: the next due row of the outbox, with everything that its message is made from, as long as it may
//! still go out. Writer: the indexer.

use alloy::primitives::{Address, B256};
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use super::{APPROVAL_TTL_MS, ChangeKind, Store, StoreError, column, depth::HELD_MS, group::Outcome};
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
            let claiming = self.group.run(move |write| Box::pin(async move { claim(write, lease_ms, head_s).await }));
            let Claimed { job, dropped } = claiming.await?;
            let settled = dropped.len();
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

/// What one look at the outbox came to.
#[derive(Default)]
struct Claimed {
    job: Option<Job>,
    dropped: Vec<Dropped>,
}

/// A row that was settled on the way.
struct Dropped {
    message_id: String,
    channel: String,
    state: &'static str,
    why: &'static str,
}

/// Workers that look at the same time share a commit (`group.rs`), so a claim is no wait for the disk of its own.
async fn claim(
    write: &mut SqliteConnection,
    lease_ms: i64,
    head_s: Option<u64>,
) -> Result<Outcome<Claimed>, StoreError> {
    let mut claimed = Claimed::default();
    while claimed.job.is_none() && claimed.dropped.len() < MOST_DROPPED {
        let Some(row) = next_due(write).await? else { break };
        match load(write, &row, head_s).await? {
            Verdict::Send(job) => {
                sqlx::query(
                    "UPDATE deliveries SET state = 'sending', lease_until_ms = ?, attempts = attempts + 1
                     WHERE message_id = ?",
                )
                .bind(now_ms().saturating_add(lease_ms))
                .bind(&row.message_id)
                .execute(&mut *write)
                .await?;
                claimed.job = Some(*job);
            }
            Verdict::Drop { state, why } => {
                sqlx::query("UPDATE deliveries SET state = ?, error = ? WHERE message_id = ?")
                    .bind(state)
                    .bind(why)
                    .bind(&row.message_id)
                    .execute(&mut *write)
                    .await?;
                claimed.dropped.push(Dropped { message_id: row.message_id, channel: row.channel, state, why });
            }
        }
    }
    Ok(Outcome::Keep(claimed))
}

enum Verdict {
    Send(Box<Job>),
    Drop { state: &'static str, why: &'static str },
}

async fn next_due(write: &mut SqliteConnection) -> Result<Option<DueRow>, StoreError> {
    let now = now_ms();
    Ok(sqlx::query_as(concat!(
        "SELECT message_id, request_id, on_chain_id, notice_id, contact_id, channel, language, attempts, created_at_ms,
         expires_at_ms, state = 'sending' AS is_resumed FROM deliveries WHERE ",
        due!(),
        " ORDER BY due_at_ms LIMIT 1"
    ))
    .bind(now)
    .bind(now.saturating_add(LONGEST_PAUSE_MS))
    .bind(HELD_MS)
    .fetch_optional(&mut *write)
    .await?)
}

async fn load(write: &mut SqliteConnection, row: &DueRow, head_s: Option<u64>) -> Result<Verdict, StoreError> {
    let person: PersonRow = sqlx::query_as(
        "SELECT a.id AS account_id, a.wallet, a.seed_sealed, c.address_sealed, c.removed_at_ms, c.confirmed_at_ms,
         c.proved_at_ms, c.challenge FROM contacts c JOIN accounts a ON a.id = c.account_id WHERE c.id = ?",
    )
    .bind(row.contact_id)
    .fetch_one(&mut *write)
    .await?;
    let now_ms = if row.notice_id.is_some() { now_ms() } else { chain_time_ms(write, head_s).await? };
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
        (Some(request_id), Some(id), None) => load_code(write, request_id, column::word(id, "deliveries")?).await?,
        (None, None, Some(notice_id)) => load_notice(write, notice_id, &person).await?,
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
        seed_sealed: person.seed_sealed,
        channel: row.channel.clone(),
        language: row.language,
        contact_id: row.contact_id,
        address_sealed: person.address_sealed,
        content,
    })))
}

async fn chain_time_ms(write: &mut SqliteConnection, head_s: Option<u64>) -> Result<i64, StoreError> {
    let applied_s: i64 = sqlx::query_scalar("SELECT b.timestamp FROM cursors c JOIN blocks b ON b.hash = c.hash")
        .fetch_one(&mut *write)
        .await?;
    Ok(applied_s.max(head_s.map_or(0, column::signed)).saturating_mul(1_000))
}

/// Something to say, or the state to put the row in and why.
type Loaded = Result<Content, (&'static str, &'static str)>;

/// That a request was told of a failure is not asked: what landed all the same, after a reorg, is good, and the relayer
/// takes its word back when it sees the block. Until then a row that was dropped would stay dropped.
async fn load_code(write: &mut SqliteConnection, request_id: Uuid, on_chain_id: B256) -> Result<Loaded, StoreError> {
    let request: RequestRow =
        sqlx::query_as("SELECT action, reference, authorization_sealed, locked_at_ms FROM requests WHERE id = ?")
            .bind(request_id)
            .fetch_one(&mut *write)
            .await?;
    let landed: Option<(Vec<u8>, Vec<u8>, i64, i64)> =
        sqlx::query_as("SELECT issuer, purpose, serial, expiry FROM landings WHERE on_chain_id = ? AND request_id = ?")
            .bind(on_chain_id.as_slice())
            .bind(request_id)
            .fetch_optional(&mut *write)
            .await?;
    if request.locked_at_ms.is_some() {
        return Ok(Err(("failed", "request locked")));
    }
    let Some((issuer, purpose, serial, expiry)) = landed else { return Ok(Err(("cancelled", "off the chain"))) };
    Ok(Ok(Content::Code(CodeContent {
        request_id,
        on_chain_id,
        issuer: column::address(&issuer, "events")?,
        purpose: Purpose::try_from(column::word(&purpose, "events")?)
            .map_err(|_| StoreError::Damaged { table: "events" })?,
        serial: column::unsigned(serial, "events")?,
        expiry: column::unsigned(expiry, "events")?,
        action: column::word(&request.action, "requests")?,
        reference: request.reference,
        authorization_sealed: request.authorization_sealed,
    })))
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

#[derive(FromRow)]
struct RequestRow {
    action: Vec<u8>,
    reference: String,
    authorization_sealed: Vec<u8>,
    locked_at_ms: Option<i64>,
}
