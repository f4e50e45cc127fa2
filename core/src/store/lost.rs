//! Messages that did not arrive, without a word of whose they are. Nobody writes it.

use sqlx::FromRow;

use super::{Store, StoreError, column};

/// A message that failed or bounced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostMessage {
    /// Its id.
    pub message_id: String,
    /// Its channel.
    pub channel: String,
    /// Whether it carries a code of the chain; the others are the relayer's notices.
    pub is_code: bool,
    /// `failed` or `bounced`.
    pub state: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Why; no address.
    pub reason: Option<String>,
    /// When it was first due, in Unix milliseconds.
    pub created_at_ms: i64,
}

impl Store {
    /// Messages that failed or bounced, latest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn lost_messages(&self, most: u32) -> Result<Vec<LostMessage>, StoreError> {
        let rows: Vec<LostRow> = sqlx::query_as(
            "SELECT message_id, channel, on_chain_id IS NOT NULL AS is_code, state, attempts, error, created_at_ms
             FROM deliveries WHERE state IN ('failed', 'bounced') ORDER BY created_at_ms DESC LIMIT ?",
        )
        .bind(most)
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(LostMessage::try_from).collect()
    }
}

#[derive(FromRow)]
struct LostRow {
    message_id: String,
    channel: String,
    is_code: bool,
    state: String,
    attempts: i64,
    error: Option<String>,
    created_at_ms: i64,
}

impl TryFrom<LostRow> for LostMessage {
    type Error = StoreError;

    fn try_from(row: LostRow) -> Result<Self, StoreError> {
        Ok(Self {
            message_id: row.message_id,
            channel: row.channel,
            is_code: row.is_code,
            state: row.state,
            attempts: column::unsigned(row.attempts, "deliveries")?,
            reason: row.error,
            created_at_ms: row.created_at_ms,
        })
    }
}
