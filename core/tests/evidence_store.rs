//! The log in the store: in the chain's order, nothing twice, and untouched when the tables that come from the chain are
//! made anew.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use alloy::primitives::{Address, B256, keccak256};
use otp_core::{
    evidence::{Entry, Fields, KeyChange, SigningKey},
    id::Deployment,
    store::{Appended, Block, ChainEvent, Cursor, Depths, EventKind, Facts, HeadRule, Outbox, Place, Store},
};
use sqlx::{ConnectOptions, Executor, sqlite::SqliteConnectOptions};

const DEPLOYMENT: Deployment = Deployment { chain_id: 1, verifier: Address::ZERO };

fn block(number: u64) -> Block {
    let hash = |number: u64| keccak256(number.to_be_bytes());
    Block { hash: hash(number), number, parent_hash: hash(number - 1), timestamp: 1_000 + number }
}

/// A batch of two and a revocation.
fn events(number: u64) -> Vec<ChainEvent> {
    let block = block(number);
    let event = |log_index, kind, id: Option<u64>| ChainEvent {
        place: Place {
            block_hash: block.hash,
            block_number: number,
            timestamp: block.timestamp,
            tx_hash: keccak256([1]),
            log_index,
        },
        kind,
        facts: Facts {
            on_chain_id: id.map(|id| keccak256((number * 10 + id).to_be_bytes())),
            issuer: Some(Address::repeat_byte(2)),
            serial: id,
            ..Facts::default()
        },
    };
    vec![
        event(0, EventKind::BatchSet, None),
        event(1, EventKind::Set, Some(0)),
        event(2, EventKind::Set, Some(1)),
        event(3, EventKind::Revoked, Some(1)),
    ]
}

async fn apply(store: &Store, numbers: std::ops::RangeInclusive<u64>) {
    let outbox = Outbox { deployment: DEPLOYMENT, mail_domain: String::new(), depths: Depths::default() };
    if store.cursor(&DEPLOYMENT).await.unwrap().is_none() {
        store.start_cursor(&DEPLOYMENT, &block(numbers.start() - 1)).await.unwrap();
    }
    for number in numbers {
        let applied =
            store.apply(&outbox, block(number - 1).cursor(), &[block(number)], &events(number)).await.unwrap();
        assert!(applied.is_some());
    }
}

async fn append(store: &Store, limit: u32) -> Option<Appended> {
    store.append_evidence(&DEPLOYMENT, limit, &|_, _| [0; 32]).await.unwrap()
}

async fn begin(store: &Store, key: &SigningKey) {
    let tip = store.evidence_tip().await.unwrap();
    let change =
        KeyChange { deployment: DEPLOYMENT, deployment_block: 1, public_key: key.public_key(), signed_by: None };
    assert!(store.append_evidence_key(tip, change.clone()).await.unwrap());
    assert!(!store.append_evidence_key(tip, change).await.unwrap(), "the log ends elsewhere by now");
}

async fn entries(store: &Store) -> Vec<Entry> {
    let entries = store.evidence_entries(0, 1_000).await.unwrap();
    let mut previous = B256::ZERO;
    for (index, entry) in (0..).zip(&entries) {
        assert_eq!((entry.index, entry.previous, entry.hash), (index, previous, entry.computed_hash()));
        previous = entry.hash;
    }
    entries
}

async fn execute(path: &Path, statement: &'static str) {
    SqliteConnectOptions::new().filename(path).connect().await.unwrap().execute(statement).await.unwrap();
}

#[tokio::test]
async fn steps_are_appended_once_they_are_final_in_order_and_never_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("otp.db");
    let store = Store::open(&path).await.unwrap();
    let key = SigningKey::from_seed(&[7; 32]).unwrap();
    apply(&store, 2..=9).await;
    assert_eq!(append(&store, 100).await, None, "nothing is final");
    store.set_final(&DEPLOYMENT, block(5).cursor()).await.unwrap();
    assert_eq!(append(&store, 100).await, None, "the log has no key");
    begin(&store, &key).await;

    let at = |entries, complete| Some(Appended { entries, final_block: block(5).cursor(), complete });
    assert_eq!(append(&store, 5).await, at(5, false), "no more than may be");
    assert_eq!(append(&store, 100).await, at(7, true));
    assert_eq!(append(&store, 100).await, at(0, true));
    let places: Vec<_> = entries(&store)
        .await
        .into_iter()
        .filter_map(|entry| match entry.fields {
            Fields::Step(step) => Some((step.block_number, step.log_index, step.kind.word())),
            Fields::Key(_) => None,
        })
        .collect();
    let words = [(1, "issued"), (2, "issued"), (3, "revoked")];
    let wanted: Vec<_> = (2..=5).flat_map(|number| words.map(|(log, word)| (number, log, word))).collect();
    assert_eq!(places, wanted);
    store.set_final(&DEPLOYMENT, block(9).cursor()).await.unwrap();
    assert_eq!(append(&store, 100).await.unwrap().entries, 12);
}

#[tokio::test]
async fn a_rebuild_of_what_comes_from_the_chain_neither_doubles_nor_moves_an_entry() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("otp.db");
    let store = Store::open(&path).await.unwrap();
    begin(&store, &SigningKey::from_seed(&[7; 32]).unwrap()).await;
    apply(&store, 2..=9).await;
    store.set_final(&DEPLOYMENT, block(7).cursor()).await.unwrap();
    append(&store, 100).await;
    let before = entries(&store).await;

    execute(&path, "DELETE FROM events; DELETE FROM blocks; DELETE FROM cursors").await;
    assert_eq!(append(&store, 100).await, None);
    apply(&store, 2..=4).await;
    store.set_final(&DEPLOYMENT, block(4).cursor()).await.unwrap();
    assert_eq!(append(&store, 100).await.unwrap().entries, 0, "below what the log has");
    apply(&store, 5..=9).await;
    store.set_final(&DEPLOYMENT, block(7).cursor()).await.unwrap();
    assert_eq!(append(&store, 100).await.unwrap().entries, 0);
    assert_eq!(entries(&store).await, before);
    store.set_final(&DEPLOYMENT, block(9).cursor()).await.unwrap();
    assert_eq!(append(&store, 100).await.unwrap().entries, 6);
}

#[tokio::test]
async fn heads_are_signed_when_they_are_due_and_name_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("otp.db")).await.unwrap();
    let key = SigningKey::from_seed(&[7; 32]).unwrap();
    let rule = HeadRule { entries: 4, after_ms: 1_000, idle_ms: 10_000 };
    let sign = |at: Appended, now_ms| store.sign_evidence(&DEPLOYMENT, rule, at, &key, now_ms);
    let at = |block: Cursor, complete| Appended { entries: 0, final_block: block, complete };
    let first = at(block(2).cursor(), true);
    assert_eq!(sign(first, 0).await.unwrap(), None, "nothing to sign");
    begin(&store, &key).await;
    let zero = sign(first, 50_000).await.unwrap().unwrap();
    assert_eq!((zero.head.number, zero.head.index, zero.head.previous), (0, 0, B256::ZERO));
    assert_eq!(sign(first, 90_000).await.unwrap(), None, "the chain did not go on");
    assert_eq!(sign(at(block(3).cursor(), true), 59_999).await.unwrap(), None);
    let idle = sign(at(block(3).cursor(), true), 60_000).await.unwrap().unwrap();
    assert_eq!((idle.head.index, idle.head.previous), (0, zero.head.digest()));

    apply(&store, 2..=9).await;
    store.set_final(&DEPLOYMENT, block(9).cursor()).await.unwrap();
    append(&store, 3).await;
    let unfinished = at(block(9).cursor(), false);
    assert_eq!(sign(unfinished, 60_500).await.unwrap(), None);
    assert!(sign(unfinished, 61_000).await.unwrap().is_some());
    append(&store, 4).await;
    let many = sign(unfinished, 61_000).await.unwrap().unwrap();
    assert_eq!((many.head.number, many.head.index, many.head.complete), (3, 7, false));
    append(&store, 1).await;
    let back = sign(unfinished, 0).await.unwrap().unwrap();
    assert_eq!(back.head.time_ms, 0, "a clock that was set back keeps nothing unsigned");
    assert!(back.is_signed() && back.head.previous == many.head.digest());
    assert_eq!(store.latest_evidence_head(&DEPLOYMENT).await.unwrap(), Some(back));
    assert_eq!(store.evidence_heads(&DEPLOYMENT, 3, 9).await.unwrap(), [many, back]);
    let segment = store.evidence_segment(5).await.unwrap().unwrap();
    assert_eq!((segment.first, segment.last), (4, 7));
    assert_eq!(store.evidence_segment(9).await.unwrap(), None);
}
