//! The outbox: what is to be sent, to whom, and whether it was. Writer: the indexer.
//!
//! A row is claimed under a lease (`claims.rs`), sent outside any transaction, then settled. A process that dies in
//! between leaves the row as `sending`: when the lease is over the same message goes out again, with the same Message-ID.
//! What is said of it later is in `words.rs`.

mod words;

use sha2::{Digest, Sha256};
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};
use uuid::Uuid;

pub use self::words::{ProviderWord, Teller};
use super::{
    Depths, Store, StoreError, Write,
    column::{self, json},
    group::Outcome,
};
use crate::{clock::now_ms, id::Deployment};

const MESSAGE_DOMAIN: &[u8] = b"otp/message/v1\0";
/// SQLite takes the index of what is due only where its own condition stands as it was written.
pub(super) const RELEASE: &str =
    "UPDATE deliveries SET lease_until_ms = 0 WHERE state IN ('queued', 'sending') AND lease_until_ms > 0";
/// The same of what a reorg may make due again.
pub(super) const RELEASE_ENDED: &str =
    "UPDATE deliveries SET lease_until_ms = 0 WHERE state IN ('cancelled', 'expired') AND lease_until_ms > 0";
/// Marks the messages in the JSON array ?1, `[message, the provider's name for it]` each, as taken at ?2.
pub(super) const ACCEPT: &str = "
    UPDATE deliveries SET state = 'accepted', sent_at_ms = ?2, provider_id = asked.value ->> 1, error = NULL
    FROM json_each(?1) asked
    WHERE message_id = asked.value ->> 0 AND state NOT IN ('delivered', 'bounced')";

/// What message ids are made from.
#[derive(Debug, Clone)]
pub struct Outbox {
    /// Chain and contract.
    pub deployment: Deployment,
    /// The part of a Message-ID after the `@`.
    pub mail_domain: String,
    /// `delivery.depth.*`: what each channel's messages wait for.
    pub depths: Depths,
}

impl Outbox {
    /// The one id that a code's (or a notice's) message ever has: a function of what it is about and of nothing else.
    #[must_use]
    pub fn message_id(&self, about: &[u8], channel: &str) -> String {
        let digest = Sha256::new()
            .chain_update(MESSAGE_DOMAIN)
            .chain_update(self.deployment.chain_id.to_be_bytes())
            .chain_update(self.deployment.verifier)
            .chain_update([u8::try_from(about.len()).unwrap_or(u8::MAX)])
            .chain_update(about)
            .chain_update(channel)
            .finalize();
        format!("{}@{}", hex::encode(&digest[..16]), self.mail_domain)
    }
}

/// How many messages stand where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryCount {
    /// `queued`, `sending`, `accepted`, `delivered`, `bounced`, `failed`, `expired` or `cancelled`.
    pub state: String,
    /// Rows.
    pub count: u64,
}

impl Store {
    /// Gives every open notice without a message its message. Returns how many were added.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn enqueue_notices(&self, outbox: &Outbox) -> Result<u64, StoreError> {
        let open: Vec<NoticeRow> = sqlx::query_as(
            "SELECT n.id, n.contact_id, c.channel, c.language, n.expires_at_ms FROM notices n JOIN contacts c ON c.id = n.contact_id
             WHERE n.expires_at_ms > ? AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.notice_id = n.id)
             ORDER BY n.created_at_ms LIMIT 100",
        )
        .bind(now_ms())
        .fetch_all(&self.readers)
        .await?;
        if open.is_empty() {
            return Ok(0);
        }
        let mut tx = self.write().await?;
        let mut added = 0;
        for notice in open {
            let now = now_ms();
            added += sqlx::query(
                "INSERT INTO deliveries (message_id, notice_id, contact_id, channel, language, created_at_ms, due_at_ms,
                 expires_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(outbox.message_id(notice.id.as_bytes(), &notice.channel))
            .bind(notice.id)
            .bind(notice.contact_id)
            .bind(&notice.channel)
            .bind(&notice.language)
            .bind(now)
            .bind(now)
            .bind(notice.expires_at_ms)
            .execute(&mut *tx)
            .await?
            .rows_affected();
        }
        tx.commit().await?;
        Ok(added)
    }

    /// The provider has the message, and calls it `provider_id` where it has a name for it. Its later word, which another
    /// worker's attempt may have led to, stands.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn mark_accepted(&self, message_id: &str, provider_id: Option<&str>) -> Result<(), StoreError> {
        self.acceptances.run((message_id.to_owned(), provider_id.map(str::to_owned))).await
    }

    /// The message can be tried again from `due_at_ms` on, a notice also when it expires: then it is settled. (A code
    /// expires by chain time, which is no time on this server's clock.) `why` carries no address.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn retry_delivery(&self, message_id: &str, due_at_ms: i64, why: &str) -> Result<(), StoreError> {
        let (message_id, why) = (message_id.to_owned(), why.to_owned());
        self.group.run(move |write| Box::pin(async move { retry(write, &message_id, due_at_ms, &why).await })).await
    }

    /// The message will never go out. `why` carries no address. Where its request allows it, the code is due over another
    /// channel then: true.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn mark_failed(&self, outbox: &Outbox, message_id: &str, why: &str) -> Result<bool, StoreError> {
        let (outbox, message_id, why) = (outbox.clone(), message_id.to_owned(), why.to_owned());
        self.group.run(move |write| Box::pin(async move { fail(write, &outbox, &message_id, &why).await })).await
    }

    /// Ends every lease: for a process that starts and knows that it is the only one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn release_deliveries(&self) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        for release in [RELEASE, RELEASE_ENDED] {
            sqlx::query(release).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Messages by state; states without any are left out.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delivery_counts(&self) -> Result<Vec<DeliveryCount>, StoreError> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT state, COUNT(*) FROM deliveries GROUP BY state ORDER BY state")
                .fetch_all(&self.readers)
                .await?;
        let read = |(state, count)| Ok(DeliveryCount { state, count: column::unsigned(count, "deliveries")? });
        rows.into_iter().map(read).collect()
    }

    /// How many messages wait, and the date of the oldest of them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delivery_queue(&self) -> Result<(u64, Option<i64>), StoreError> {
        let (count, oldest): (i64, Option<i64>) =
            sqlx::query_as("SELECT COUNT(*), MIN(created_at_ms) FROM deliveries WHERE state IN ('queued', 'sending')")
                .fetch_one(&self.readers)
                .await?;
        Ok((column::unsigned(count, "deliveries")?, oldest))
    }
}

/// Marks a message as taken by its contact's own store here; false where it is not to go out any more.
pub(super) async fn take_inapp(tx: &mut Write, message_id: &str) -> Result<bool, StoreError> {
    let taken = sqlx::query(
        "UPDATE deliveries SET state = 'accepted', sent_at_ms = ?, error = NULL
         WHERE message_id = ? AND state IN ('queued', 'sending')",
    )
    .bind(now_ms())
    .bind(message_id)
    .execute(&mut **tx)
    .await?;
    Ok(taken.rows_affected() > 0)
}

/// Makes codes' messages due whose landings answer requests of ours. A message that was not sent is revived with the new
/// expiry (a reorg took the code out and it landed again); one that was sent stays sent.
pub(super) async fn enqueue_landings(tx: &mut Write, outbox: &Outbox, landings: &[Landing]) -> Result<u64, StoreError> {
    let now = now_ms();
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO deliveries (message_id, request_id, on_chain_id, contact_id, channel, language, created_at_ms,
         due_at_ms, expires_at_ms) ",
    );
    query.push_values(landings, |mut row, landing| {
        row.push_bind(outbox.message_id(&landing.on_chain_id, &landing.channel))
            .push_bind(landing.request_id)
            .push_bind(landing.on_chain_id.as_slice())
            .push_bind(landing.contact_id)
            .push_bind(landing.channel.as_str())
            .push_bind(landing.language.as_str())
            .push_bind(now)
            .push_bind(outbox.depths.due_at_ms(&landing.channel, now))
            .push_bind(landing.expiry.saturating_mul(1_000));
    });
    // No conflict target: message_id and (on_chain_id, channel) say the same and collide together.
    query.push(
        " ON CONFLICT DO UPDATE SET state = 'queued', due_at_ms = excluded.due_at_ms,
          expires_at_ms = excluded.expires_at_ms, error = NULL
          WHERE state IN ('queued', 'sending', 'cancelled', 'expired')",
    );
    Ok(query.build().execute(&mut **tx).await?.rows_affected())
}

/// What a code had fallen back on before a reorg took it out.
pub(super) async fn revive_fallbacks(tx: &mut Write, outbox: &Outbox, landing: &Landing) -> Result<u64, StoreError> {
    let others: Vec<String> = sqlx::query_scalar(
        "SELECT channel FROM deliveries
         WHERE on_chain_id = ? AND channel <> ? AND state IN ('queued', 'sending', 'cancelled', 'expired')",
    )
    .bind(landing.on_chain_id.as_slice())
    .bind(&landing.channel)
    .fetch_all(&mut **tx)
    .await?;
    for channel in &others {
        sqlx::query(
            "UPDATE deliveries SET state = 'queued', due_at_ms = ?, expires_at_ms = ?, error = NULL
             WHERE on_chain_id = ? AND channel = ?",
        )
        .bind(outbox.depths.due_at_ms(channel, now_ms()))
        .bind(landing.expiry.saturating_mul(1_000))
        .bind(landing.on_chain_id.as_slice())
        .bind(channel)
        .execute(&mut **tx)
        .await?;
    }
    Ok(u64::try_from(others.len()).unwrap_or_default())
}

/// Records what providers have taken: message and their own name for it, where they have one.
pub(super) async fn accept_all(
    write: &mut SqliteConnection,
    all: &[(String, Option<String>)],
) -> Result<Vec<()>, StoreError> {
    sqlx::query(ACCEPT).bind(json(all)?).bind(now_ms()).execute(write).await?;
    Ok(vec![(); all.len()])
}

async fn retry(
    write: &mut SqliteConnection,
    message_id: &str,
    due_at_ms: i64,
    why: &str,
) -> Result<Outcome<()>, StoreError> {
    sqlx::query(
        "UPDATE deliveries SET lease_until_ms = 0, error = ?2,
         state = CASE state WHEN 'sending' THEN 'queued' ELSE state END,
         due_at_ms = CASE WHEN notice_id IS NULL THEN ?1 ELSE MIN(?1, expires_at_ms) END
         WHERE message_id = ?3 AND state NOT IN ('accepted', 'delivered', 'bounced')",
    )
    .bind(due_at_ms)
    .bind(why)
    .bind(message_id)
    .execute(write)
    .await?;
    Ok(Outcome::Keep(()))
}

async fn fail(
    write: &mut SqliteConnection,
    outbox: &Outbox,
    message_id: &str,
    why: &str,
) -> Result<Outcome<bool>, StoreError> {
    let failed = sqlx::query(
        "UPDATE deliveries SET state = 'failed', error = ?
         WHERE message_id = ? AND state NOT IN ('accepted', 'delivered', 'bounced', 'failed')",
    )
    .bind(why)
    .bind(message_id)
    .execute(&mut *write)
    .await?;
    let fell_back = failed.rows_affected() > 0 && fall_back(write, outbox, message_id).await?;
    Ok(Outcome::Keep(fell_back))
}

/// Makes a code due at the account's next confirmed contact over a channel that it was not tried over, where its request
/// allows that and no provider has said of one of its messages that it arrived. Its message there is one of its own, and
/// the only one (protocol.md §7.3).
async fn fall_back(write: &mut SqliteConnection, outbox: &Outbox, message_id: &str) -> Result<bool, StoreError> {
    let next: Option<FallbackRow> = sqlx::query_as(
        "SELECT d.request_id, d.on_chain_id, d.expires_at_ms, c.id AS contact_id, c.channel, c.language FROM deliveries d
         JOIN requests r ON r.id = d.request_id AND r.fallback = 1 AND r.locked_at_ms IS NULL
         JOIN contacts c ON c.account_id = r.account_id AND c.confirmed_at_ms IS NOT NULL AND c.removed_at_ms IS NULL
         WHERE d.message_id = ? AND c.channel NOT IN (SELECT channel FROM deliveries WHERE on_chain_id = d.on_chain_id)
         AND NOT EXISTS (SELECT 1 FROM deliveries t WHERE t.on_chain_id = d.on_chain_id AND t.state = 'delivered'
                         AND t.reported_by = 'provider')
         AND NOT EXISTS (SELECT 1 FROM switched_off WHERE scope = 'channel' AND name = c.channel)
         ORDER BY c.confirmed_at_ms, c.id LIMIT 1",
    )
    .bind(message_id)
    .fetch_optional(&mut *write)
    .await?;
    let Some(next) = next else { return Ok(false) };
    let now = now_ms();
    let added = sqlx::query(
        "INSERT INTO deliveries (message_id, request_id, on_chain_id, contact_id, channel, language, created_at_ms,
         due_at_ms, expires_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(outbox.message_id(&next.on_chain_id, &next.channel))
    .bind(next.request_id)
    .bind(&next.on_chain_id)
    .bind(next.contact_id)
    .bind(&next.channel)
    .bind(&next.language)
    .bind(now)
    .bind(outbox.depths.due_at_ms(&next.channel, now))
    .bind(next.expires_at_ms)
    .execute(write)
    .await?;
    Ok(added.rows_affected() > 0)
}

#[derive(FromRow)]
struct FallbackRow {
    request_id: Uuid,
    on_chain_id: Vec<u8>,
    expires_at_ms: i64,
    contact_id: Uuid,
    channel: String,
    language: String,
}

#[derive(FromRow)]
struct NoticeRow {
    id: Uuid,
    contact_id: Uuid,
    channel: String,
    language: String,
    expires_at_ms: i64,
}

/// Where a code of ours landed, and whom that is to be told.
#[derive(FromRow)]
pub(super) struct Landing {
    on_chain_id: Vec<u8>,
    request_id: Uuid,
    /// Unix seconds of chain time.
    expiry: i64,
    contact_id: Uuid,
    channel: String,
    language: String,
    pub(super) fallback: bool,
}
