//! Rows of blocks and events, many in one statement: a backfill writes thousands of them in a transaction, and every
//! other writer waits for it. Statements come in few sizes, so that each is prepared once.

use std::collections::HashSet;

use alloy::primitives::{Address, B256};
use sqlx::{QueryBuilder, Sqlite};

use super::{
    Block, ChainEvent, EventKind, Outbox, StoreError, Write, column,
    deliveries::{Landing, enqueue_landings, revive_fallbacks},
};

/// Each statement is a turn of the thread that all writes wait for; SQLite takes 32,766 values in one.
const SIZES: [usize; 4] = [512, 64, 8, 1];

/// Cuts rows into the largest sizes that fit.
fn cut<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|size| *size <= rows.len())?;
        let (chunk, rest) = rows.split_at(size);
        rows = rest;
        Some(chunk)
    })
}

/// A block that was orphaned can become canonical again, with the same hash.
pub(super) async fn insert_blocks(tx: &mut Write, blocks: &[Block]) -> Result<(), StoreError> {
    for chunk in cut(blocks) {
        let mut query =
            QueryBuilder::<Sqlite>::new("INSERT INTO blocks (hash, number, parent_hash, timestamp, canonical) ");
        query.push_values(chunk, |mut row, block| {
            row.push_bind(block.hash.as_slice())
                .push_bind(column::signed(block.number))
                .push_bind(block.parent_hash.as_slice())
                .push_bind(column::signed(block.timestamp))
                .push("1");
        });
        query.push(
            " ON CONFLICT DO UPDATE SET canonical = 1, number = excluded.number, parent_hash = excluded.parent_hash,
              timestamp = excluded.timestamp",
        );
        query.build().execute(&mut **tx).await?;
    }
    Ok(())
}

/// What is there at its place is written anew: of a row that was damaged nothing stays.
pub(super) async fn insert_events(tx: &mut Write, events: &[&ChainEvent]) -> Result<(), StoreError> {
    let hash = |value: &Option<B256>| value.map(|hash| hash.to_vec());
    let address = |value: &Option<Address>| value.map(|address| address.to_vec());
    for chunk in cut(events) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO events (block_hash, log_index, block_number, timestamp, tx_hash, canonical, kind, on_chain_id,
             root, issuer, purpose, serial, first, size, expiry, subject, action, party) ",
        );
        query.push_values(chunk, |mut row, event| {
            let (place, facts) = (&event.place, &event.facts);
            row.push_bind(place.block_hash.as_slice())
                .push_bind(column::signed(place.log_index))
                .push_bind(column::signed(place.block_number))
                .push_bind(column::signed(place.timestamp))
                .push_bind(place.tx_hash.as_slice())
                .push("1")
                .push_bind(event.kind.name())
                .push_bind(hash(&facts.on_chain_id))
                .push_bind(hash(&facts.root))
                .push_bind(address(&facts.issuer))
                .push_bind(hash(&facts.purpose))
                .push_bind(facts.serial.map(column::signed))
                .push_bind(facts.first.map(column::signed))
                .push_bind(facts.size.map(column::signed))
                .push_bind(facts.expiry.map(column::signed))
                .push_bind(address(&facts.subject))
                .push_bind(hash(&facts.action))
                .push_bind(address(&facts.party));
        });
        query.push(
            " ON CONFLICT DO UPDATE SET canonical = 1, block_number = excluded.block_number,
              timestamp = excluded.timestamp, tx_hash = excluded.tx_hash, kind = excluded.kind,
              on_chain_id = excluded.on_chain_id, root = excluded.root, issuer = excluded.issuer,
              purpose = excluded.purpose, serial = excluded.serial, first = excluded.first, size = excluded.size,
              expiry = excluded.expiry, subject = excluded.subject, action = excluded.action, party = excluded.party",
        );
        query.build().execute(&mut **tx).await?;
    }
    Ok(())
}

/// Makes the messages due that these events call for, and returns how many. Most codes on a shared contract, and all of a
/// long backfill, are not ours: those are found out many at a time.
pub(super) async fn enqueue_codes(tx: &mut Write, outbox: &Outbox, events: &[&ChainEvent]) -> Result<u64, StoreError> {
    let sets = events.iter().filter(|event| event.kind == EventKind::Set);
    // Another issuer can copy an id into a batch of its own, in the same block too: each is looked up once.
    let mut seen = HashSet::new();
    let ids: Vec<B256> = sets.filter_map(|event| event.facts.on_chain_id).filter(|id| seen.insert(*id)).collect();
    let mut landings = Vec::new();
    for chunk in cut(&ids) {
        landings.extend(landings_of(tx, chunk).await?);
    }
    let mut due = 0;
    for chunk in cut(&landings) {
        due += enqueue_landings(tx, outbox, chunk).await?;
    }
    for landing in landings.iter().filter(|landing| landing.fallback) {
        due += revive_fallbacks(tx, outbox, landing).await?;
    }
    Ok(due)
}

/// Where codes of ours landed, of those that have these ids.
async fn landings_of(tx: &mut Write, ids: &[B256]) -> Result<Vec<Landing>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT l.on_chain_id, l.request_id, l.expiry, r.contact_id, c.channel, c.language, r.fallback
         FROM issuances i CROSS JOIN landings l ON l.on_chain_id = i.on_chain_id AND l.request_id = i.request_id
         JOIN requests r ON r.id = l.request_id JOIN contacts c ON c.id = r.contact_id WHERE i.on_chain_id IN (",
    );
    let mut list = query.separated(", ");
    for id in ids {
        list.push_bind(id.as_slice());
    }
    query.push(")");
    Ok(query.build_query_as().fetch_all(&mut **tx).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_into_few_sizes_and_none_is_lost() {
        let rows: Vec<u32> = (0..662).collect();
        let sizes: Vec<usize> = cut(&rows).map(<[u32]>::len).collect();
        assert_eq!(sizes, [512, 64, 64, 8, 8, 1, 1, 1, 1, 1, 1]);
        assert_eq!(cut(&rows).flatten().copied().collect::<Vec<_>>(), rows);
        assert_eq!(cut::<u32>(&[]).count(), 0);
    }
}
