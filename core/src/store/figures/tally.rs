//! Counts the events of a range of blocks: the one definition of each figure.
//!
//! An id alone is nobody's: another issuer can copy one into a batch of its own, so issuers are compared everywhere.

use sqlx::SqliteConnection;

use super::Figures;
use crate::store::{EventKind, StoreError, column};

/// The canonical events of the blocks above the first of `range` up to its second, counted. `chain_s` (Unix seconds) decides
/// which codes have run out.
pub(super) async fn tally(read: &mut SqliteConnection, range: (u64, u64), chain_s: i64) -> Result<Figures, StoreError> {
    let range = (column::signed(range.0), column::signed(range.1));
    let mut figures = Figures::default();
    events(read, range, &mut figures).await?;
    batch_revocations(read, range, &mut figures).await?;
    expiries(read, range, chain_s, &mut figures).await?;
    landings(read, range, &mut figures).await?;
    messages(read, range, &mut figures).await?;
    verifications(read, range, &mut figures).await?;
    Ok(figures)
}

async fn events(read: &mut SqliteConnection, range: (i64, i64), figures: &mut Figures) -> Result<(), StoreError> {
    let rows: Vec<(i64, String, i64)> = sqlx::query_as(
        "SELECT min(timestamp), kind, count(*) FROM events WHERE canonical = 1 AND block_number > ?1 AND block_number <= ?2
         GROUP BY timestamp / 600, kind",
    )
    .bind(range.0)
    .bind(range.1)
    .fetch_all(read)
    .await?;
    for (at_s, kind, count) in rows {
        let count = column::unsigned(count, "events")?;
        match EventKind::from_name(&kind) {
            Some(EventKind::BatchSet) => figures.count(at_s, "issuances", count),
            Some(EventKind::Set) => figures.count(at_s, "issued", count),
            Some(EventKind::Verified) => figures.count(at_s, "verified", count),
            Some(EventKind::Consumed) => figures.count(at_s, "consumed", count),
            Some(EventKind::Revoked) => figures.count(at_s, "revoked", count),
            Some(kind) if kind.is_governance() => figures.count(at_s, &format!("governance:{}", kind.name()), count),
            _ => {}
        }
    }
    Ok(())
}

/// Codes that a revocation of their whole batch took: all but those that were consumed or revoked before.
async fn batch_revocations(
    read: &mut SqliteConnection,
    range: (i64, i64),
    figures: &mut Figures,
) -> Result<(), StoreError> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT b.timestamp, count(*) FROM events b
         JOIN events s ON s.root = b.root AND s.issuer = b.issuer AND s.kind = 'otp-set' AND s.canonical = 1
         WHERE b.kind = 'otp-batch-revoked' AND b.canonical = 1 AND b.block_number > ?1 AND b.block_number <= ?2
         AND NOT EXISTS (SELECT 1 FROM events x WHERE x.on_chain_id = s.on_chain_id AND x.issuer = s.issuer
             AND x.canonical = 1 AND x.kind IN ('otp-consumed', 'otp-revoked')
             AND (x.block_number, x.log_index) < (b.block_number, b.log_index))
         GROUP BY b.block_hash, b.log_index",
    )
    .bind(range.0)
    .bind(range.1)
    .fetch_all(read)
    .await?;
    for (at_s, count) in rows {
        figures.count(at_s, "revoked", column::unsigned(count, "events")?);
    }
    Ok(())
}

/// Codes that ran out: past their expiry nobody had verified or revoked them. Counted at the time of their expiry.
async fn expiries(
    read: &mut SqliteConnection,
    range: (i64, i64),
    chain_s: i64,
    figures: &mut Figures,
) -> Result<(), StoreError> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT min(e.expiry), count(*) FROM events e WHERE e.kind = 'otp-set' AND e.canonical = 1
         AND e.block_number > ?1 AND e.block_number <= ?2 AND e.expiry < ?3
         AND NOT EXISTS (SELECT 1 FROM events x WHERE x.on_chain_id = e.on_chain_id AND x.issuer = e.issuer
             AND x.canonical = 1 AND x.kind IN ('otp-verified', 'otp-revoked') AND x.timestamp <= e.expiry)
         AND NOT EXISTS (SELECT 1 FROM events x WHERE x.root = e.root AND x.issuer = e.issuer AND x.canonical = 1
             AND x.kind = 'otp-batch-revoked' AND x.timestamp <= e.expiry)
         GROUP BY e.expiry / 600",
    )
    .bind(range.0)
    .bind(range.1)
    .bind(chain_s)
    .fetch_all(read)
    .await?;
    for (at_s, count) in rows {
        figures.count(at_s, "expired", column::unsigned(count, "events")?);
    }
    Ok(())
}

/// Of our own codes: how long from the request to the block, and how many wrong digits were compared.
async fn landings(read: &mut SqliteConnection, range: (i64, i64), figures: &mut Figures) -> Result<(), StoreError> {
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
        "SELECT l.timestamp, r.created_at_ms, r.attempts FROM landings l JOIN requests r ON r.id = l.request_id
         WHERE l.block_number > ?1 AND l.block_number <= ?2",
    )
    .bind(range.0)
    .bind(range.1)
    .fetch_all(read)
    .await?;
    for (at_s, requested_ms, wrong) in rows {
        figures.measure(at_s, "request-mined", at_s * 1_000 - requested_ms);
        figures.count(at_s, "wrong", column::unsigned(wrong, "requests")?);
    }
    Ok(())
}

/// Of our own codes: messages that were handed over, by channel, and how long after the block.
async fn messages(read: &mut SqliteConnection, range: (i64, i64), figures: &mut Figures) -> Result<(), StoreError> {
    let rows: Vec<(i64, i64, String)> = sqlx::query_as(
        "SELECT l.timestamp, d.sent_at_ms, d.channel FROM landings l JOIN deliveries d ON d.on_chain_id = l.on_chain_id
         WHERE l.block_number > ?1 AND l.block_number <= ?2 AND d.sent_at_ms IS NOT NULL",
    )
    .bind(range.0)
    .bind(range.1)
    .fetch_all(read)
    .await?;
    for (at_s, sent_ms, channel) in rows {
        figures.measure(at_s, "mined-delivered", sent_ms - at_s * 1_000);
        figures.count(at_s, &format!("delivered:{channel}"), 1);
    }
    Ok(())
}

/// Of our own codes: how long from the request, and from the first message, to the verification.
async fn verifications(
    read: &mut SqliteConnection,
    range: (i64, i64),
    figures: &mut Figures,
) -> Result<(), StoreError> {
    let rows: Vec<(i64, i64, Option<i64>)> = sqlx::query_as(
        "SELECT v.timestamp, r.created_at_ms,
                (SELECT min(d.sent_at_ms) FROM deliveries d WHERE d.on_chain_id = v.on_chain_id)
         FROM events v JOIN issuances i ON i.on_chain_id = v.on_chain_id
         JOIN batches b ON b.id = i.batch_id AND b.issuer = v.issuer AND b.purpose = v.purpose
         JOIN requests r ON r.id = i.request_id
         WHERE v.kind = 'otp-verified' AND v.canonical = 1 AND v.block_number > ?1 AND v.block_number <= ?2",
    )
    .bind(range.0)
    .bind(range.1)
    .fetch_all(read)
    .await?;
    for (at_s, requested_ms, sent_ms) in rows {
        figures.measure(at_s, "request-verified", at_s * 1_000 - requested_ms);
        if let Some(sent_ms) = sent_ms {
            figures.measure(at_s, "delivered-verified", at_s * 1_000 - sent_ms);
        }
    }
    Ok(())
}
