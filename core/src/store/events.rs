//! Reads of the chain's facts for auditors: events by filter, and a batch's codes to rebuild a ticket from. The writer
//! is `chain.rs`.

use alloy::primitives::{Address, B256};
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::{ChainEvent, EventKind, Facts, Place, Store, StoreError, column};

const COLUMNS: &str = "SELECT block_hash, log_index, block_number, timestamp, tx_hash, kind, on_chain_id, root, issuer, \
                       purpose, serial, first, size, expiry, subject, action, party FROM events WHERE canonical = ";

/// Which events are asked for, canonical ones unless it says otherwise; what is `None` does not restrict.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// First block number.
    pub from: Option<u64>,
    /// Last block number.
    pub to: Option<u64>,
    /// The code's id.
    pub on_chain_id: Option<B256>,
    /// The batch's root.
    pub root: Option<B256>,
    /// Which event.
    pub kind: Option<EventKind>,
    /// Who issued.
    pub issuer: Option<Address>,
    /// Only events after this block number and log index.
    pub after: Option<(u64, u64)>,
    /// Only events up to this block number and log index.
    pub until: Option<(u64, u64)>,
    /// Only steps of codes and policies. What else there is (batches' own events, whose facts each of their codes repeats,
    /// governance, what nobody understands) must not use up the limit of whoever asks for steps.
    pub steps_only: bool,
    /// Only governance's. What every deployment has few of, and has an index; of more than the limit the last ones.
    pub governance_only: bool,
    /// Those that a reorg took away instead of those that stand.
    pub orphaned: bool,
}

impl Store {
    /// Events in the chain's order, at most `limit`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn events(&self, filter: &EventFilter, limit: u32) -> Result<Vec<ChainEvent>, StoreError> {
        select(&mut *self.readers.acquire().await?, filter, limit).await
    }

    /// The place of the canonical event that stands `count` events after what `filter` begins with; `None` where there are
    /// fewer. Up to there a filter that no index serves looks at `count` rows and no more.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn place_after(&self, filter: &EventFilter, count: u32) -> Result<Option<(u64, u64)>, StoreError> {
        let (block_number, log_index) = filter.after.map_or((-1, -1), |(b, l)| (column::signed(b), column::signed(l)));
        let row: Option<(i64, i64)> = sqlx::query_as(
            "SELECT block_number, log_index FROM events INDEXED BY events_place
             WHERE canonical = 1 AND block_number >= ? AND (block_number, log_index) > (?, ?)
             ORDER BY block_number, log_index LIMIT 1 OFFSET ?",
        )
        .bind(filter.from.map_or(0, column::signed))
        .bind(block_number)
        .bind(log_index)
        .bind(count.saturating_sub(1))
        .fetch_optional(&self.readers)
        .await?;
        row.map(|(b, l)| Ok((column::unsigned(b, "events")?, column::unsigned(l, "events")?))).transpose()
    }
}

/// [`Store::events`], also inside a transaction.
pub(super) async fn select(
    connection: &mut SqliteConnection,
    filter: &EventFilter,
    limit: u32,
) -> Result<Vec<ChainEvent>, StoreError> {
    let mut rows: Vec<EventRow> = written(COLUMNS, filter, limit).build_query_as().fetch_all(connection).await?;
    if filter.governance_only {
        rows.reverse();
    }
    rows.into_iter().map(EventRow::read).collect()
}

/// The statement of a filter, which begins with `columns`.
fn written(columns: &str, filter: &EventFilter, limit: u32) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::<Sqlite>::new(columns);
    // Written out, since an index over canonical events alone is chosen before values are bound.
    query.push(if filter.orphaned { "0" } else { "1" });
    if let Some(from) = filter.from {
        query.push(" AND block_number >= ").push_bind(column::signed(from));
    }
    if let Some(to) = filter.to {
        query.push(" AND block_number <= ").push_bind(column::signed(to));
    }
    if let Some(id) = filter.on_chain_id {
        query.push(" AND on_chain_id = ").push_bind(id.to_vec());
    }
    if let Some(root) = filter.root {
        query.push(" AND root = ").push_bind(root.to_vec());
    }
    if let Some(kind) = filter.kind {
        // Written out too: one of governance's is then found by the index that they have.
        query.push(" AND kind = '").push(kind.name()).push("'");
    }
    if let Some(issuer) = filter.issuer {
        query.push(" AND issuer = ").push_bind(issuer.to_vec());
    }
    if let Some((block_number, log_index)) = filter.after {
        query.push(" AND (block_number, log_index) > (").push_bind(column::signed(block_number));
        query.push(", ").push_bind(column::signed(log_index)).push(")");
    }
    if let Some((block_number, log_index)) = filter.until {
        query.push(" AND (block_number, log_index) <= (").push_bind(column::signed(block_number));
        query.push(", ").push_bind(column::signed(log_index)).push(")");
    }
    if filter.steps_only {
        let steps = " AND kind IN ('otp-set', 'otp-verified', 'otp-consumed', 'otp-revoked', 'otp-batch-revoked', 'policy-set')";
        query.push(steps);
    }
    if filter.governance_only || filter.kind.is_some_and(EventKind::is_governance) {
        // As migration 0011 has it.
        let governance =
            " AND kind IN ('policy-set', 'role-granted', 'role-revoked', 'paused', 'unpaused', 'upgraded')";
        query.push(governance);
    }
    let order = if filter.governance_only {
        " ORDER BY block_number DESC, log_index DESC LIMIT "
    } else {
        " ORDER BY block_number, log_index LIMIT "
    };
    query.push(order).push_bind(limit);
    query
}

#[derive(FromRow)]
struct EventRow {
    block_hash: Vec<u8>,
    log_index: i64,
    block_number: i64,
    timestamp: i64,
    tx_hash: Vec<u8>,
    kind: String,
    on_chain_id: Option<Vec<u8>>,
    root: Option<Vec<u8>>,
    issuer: Option<Vec<u8>>,
    purpose: Option<Vec<u8>>,
    serial: Option<i64>,
    first: Option<i64>,
    size: Option<i64>,
    expiry: Option<i64>,
    subject: Option<Vec<u8>>,
    action: Option<Vec<u8>>,
    party: Option<Vec<u8>>,
}

impl EventRow {
    fn read(self) -> Result<ChainEvent, StoreError> {
        let place = Place {
            block_hash: column::word(&self.block_hash, "events")?,
            block_number: column::unsigned(self.block_number, "events")?,
            timestamp: column::unsigned(self.timestamp, "events")?,
            tx_hash: column::word(&self.tx_hash, "events")?,
            log_index: column::unsigned(self.log_index, "events")?,
        };
        let kind = EventKind::from_name(&self.kind).ok_or(StoreError::Damaged { table: "events" })?;
        let facts = Facts {
            on_chain_id: hash(self.on_chain_id)?,
            root: hash(self.root)?,
            issuer: address(self.issuer)?,
            purpose: hash(self.purpose)?,
            serial: number(self.serial)?,
            first: number(self.first)?,
            size: number(self.size)?,
            expiry: number(self.expiry)?,
            subject: address(self.subject)?,
            action: hash(self.action)?,
            party: address(self.party)?,
        };
        Ok(ChainEvent { place, kind, facts })
    }
}

fn hash(value: Option<Vec<u8>>) -> Result<Option<B256>, StoreError> {
    value.map(|bytes| column::word(&bytes, "events")).transpose()
}

fn number(value: Option<i64>) -> Result<Option<u64>, StoreError> {
    value.map(|number| column::unsigned(number, "events")).transpose()
}

fn address(value: Option<Vec<u8>>) -> Result<Option<Address>, StoreError> {
    value.map(|bytes| column::address(&bytes, "events")).transpose()
}

#[cfg(test)]
mod tests {
    use sqlx::Row;

    use super::*;

    const SETS: u64 = 30_000;

    /// A store with many issued codes and then one event of each of these kinds.
    async fn filled(folder: &tempfile::TempDir) -> Store {
        let store = Store::open(&folder.path().join("otp.db")).await.unwrap();
        let mut write = store.write().await.unwrap();
        let row = "INSERT INTO events (block_hash, log_index, block_number, timestamp, tx_hash, canonical, kind, on_chain_id)";
        let sets = format!(
            "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {SETS}) {row}
             SELECT randomblob(32), i % 100, i / 100, 0, zeroblob(32), 1, 'otp-set',
                    randomblob(32) FROM n"
        );
        sqlx::query(sqlx::AssertSqlSafe(sets)).execute(&mut *write).await.unwrap();
        for (log, kind) in ["otp-verified", "paused", "unpaused"].into_iter().enumerate() {
            let one = format!("{row} VALUES (zeroblob(32), {log}, 999, 0, zeroblob(32), 1, '{kind}', NULL)");
            sqlx::query(sqlx::AssertSqlSafe(one)).execute(&mut *write).await.unwrap();
        }
        write.commit().await.unwrap();
        store
    }

    async fn plan(store: &Store, filter: &EventFilter) -> String {
        let mut query = written(&format!("EXPLAIN QUERY PLAN {COLUMNS}"), filter, 10);
        let rows = query.build().fetch_all(&store.readers).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>("detail")).collect::<Vec<_>>().join("; ")
    }

    #[tokio::test]
    async fn one_of_governances_events_is_found_without_a_look_at_all_others() {
        let folder = tempfile::tempdir().unwrap();
        let store = filled(&folder).await;
        for filter in [
            EventFilter { kind: Some(EventKind::Paused), ..EventFilter::default() },
            EventFilter { kind: Some(EventKind::RoleGranted), after: Some((7, 1)), ..EventFilter::default() },
            EventFilter { governance_only: true, ..EventFilter::default() },
        ] {
            let plan = plan(&store, &filter).await;
            assert!(plan.contains("events_governance") && !plan.contains("TEMP B-TREE"), "{filter:?}: {plan}");
        }
        let last = EventFilter { governance_only: true, ..EventFilter::default() };
        let last = store.events(&last, 1).await.unwrap();
        assert_eq!(last[0].kind, EventKind::Unpaused, "of more than the limit the last ones");
    }

    #[tokio::test]
    async fn what_no_index_leads_to_is_looked_for_a_stretch_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let store = filled(&folder).await;
        let mut filter = EventFilter { kind: Some(EventKind::Verified), ..EventFilter::default() };
        let until = store.place_after(&filter, 20_000).await.unwrap();
        assert_eq!(until, Some((199, 99)));
        filter.until = until;
        let plan = plan(&store, &filter).await;
        assert!(plan.contains("events_place"), "{plan}");
        assert!(store.events(&filter, 10).await.unwrap().is_empty());
        filter.after = until;
        filter.until = store.place_after(&filter, 20_000).await.unwrap();
        assert_eq!(filter.until, None, "the rest is shorter");
        assert_eq!(store.events(&filter, 10).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn strangers_who_hold_every_connection_of_theirs_keep_nobody_else_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let store = filled(&folder).await;
        let guest = store.guest().await.unwrap();
        let held = [guest.readers.acquire().await.unwrap(), guest.readers.acquire().await.unwrap()];
        let refused = guest.events(&EventFilter::default(), 1).await;
        assert!(matches!(refused, Err(StoreError::Sqlite(sqlx::Error::PoolTimedOut))), "{refused:?}");
        assert_eq!(store.events(&EventFilter::default(), 1).await.unwrap().len(), 1);
        drop(held);
        guest.close_guest().await;
        store.close().await;
        assert!(!folder.path().join("otp.db-wal").exists(), "the log was not folded into the file");
    }
}
