//! How often confirmation messages may go out: nobody's mailbox is filled from here.

use sqlx::SqliteConnection;

use super::NewContact;
use crate::store::{StoreError, Taken, buckets, guesses::seconds_until};

/// The least time between two messages to one address.
const RESEND_AFTER_MS: i64 = 30_000;
/// Confirmation messages per account in [`NOTICE_WINDOW_MS`].
const NOTICES: i64 = 5;
/// One hour.
const NOTICE_WINDOW_MS: i64 = 3_600_000;

/// Whether one more message may go to the address.
pub(super) async fn may_be_written_to(write: &mut SqliteConnection, new: &NewContact<'_>) -> Result<bool, StoreError> {
    if let Taken::Refused { .. } = buckets::take(write, new.mail.as_slice()).await? {
        let account_id = new.account_id;
        tracing::warn!(target: "security", event = "contact-flooded", %account_id, "a confirmation is not sent: its address had too many");
        return Ok(false);
    }
    Ok(true)
}

/// How long until another confirmation message may go out, in seconds. Removed contacts count: removing and adding an
/// address again sends no more mail to it. Confirmed ones do not: their answer would tell that they are.
pub(super) async fn wait_s(write: &mut SqliteConnection, new: &NewContact<'_>) -> Result<Option<u64>, StoreError> {
    let now_ms = new.delay.now_ms;
    let last: Option<i64> = sqlx::query_scalar(
        "SELECT max(n.created_at_ms) FROM notices n JOIN contacts c ON c.id = n.contact_id
         WHERE n.account_id = ? AND n.kind = 'contact-confirmation' AND c.channel = ? AND c.address_tag = ?
         AND c.confirmed_at_ms IS NULL",
    )
    .bind(new.account_id)
    .bind(new.channel.as_str())
    .bind(new.address_tag.as_slice())
    .fetch_one(&mut *write)
    .await?;
    if let Some(free_at) = last.map(|at| at.saturating_add(RESEND_AFTER_MS)).filter(|at| *at > now_ms) {
        return Ok(Some(seconds_until(free_at, now_ms)));
    }
    // The fifth last one: once it has left the window, there is room again.
    let oldest: Option<i64> = sqlx::query_scalar(
        "SELECT created_at_ms FROM notices WHERE account_id = ? AND kind = 'contact-confirmation'
         ORDER BY created_at_ms DESC LIMIT 1 OFFSET ?",
    )
    .bind(new.account_id)
    .bind(NOTICES - 1)
    .fetch_optional(write)
    .await?;
    let free_at = oldest.map(|at| at.saturating_add(NOTICE_WINDOW_MS));
    Ok(free_at.filter(|at| *at > now_ms).map(|at| seconds_until(at, now_ms)))
}
