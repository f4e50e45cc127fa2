//! A database of the first release, with rows in every state that it knew, opened by this one.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{collections::BTreeMap, path::Path};

use otp_core::{clock::now_ms, store::Store};
use sqlx::{
    Connection, Row, SqliteConnection,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteRow},
};
use uuid::Uuid;

/// What a delivery was called before the third migration, and what it has to be called since.
const STATES: [(&str, &str); 5] = [
    ("pending", "queued"),
    ("sent", "accepted"),
    ("cancelled", "cancelled"),
    ("expired", "expired"),
    ("dead", "failed"),
];

async fn connect(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).foreign_keys(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// The migrations up to this one, as they are compiled into the daemons.
fn upto(version: i64) -> Migrator {
    let all = sqlx::migrate!("src/store/migrations");
    Migrator::with_migrations(all.iter().filter(|migration| migration.version <= version).cloned().collect())
}

/// An account with a confirmed contact, and a code's and a notice's message in this state.
async fn people(db: &mut SqliteConnection, state: &str) -> [Uuid; 4] {
    let [account, session, contact, request, notice] = std::array::from_fn(|_| Uuid::now_v7());
    let wallet = &account.as_bytes().repeat(2)[..20];
    let hash = |id: Uuid| id.as_bytes().repeat(2);
    let mut purpose = b"withdraw".to_vec();
    purpose.resize(32, 0);
    let rows: [(&'static str, Vec<Vec<u8>>); 5] = [
        (
            "INSERT INTO accounts (id, wallet, seed_sealed, created_at_ms) VALUES (?, ?, x'01', 1)",
            vec![id(account), wallet.to_vec()],
        ),
        (
            "INSERT INTO sessions (id, account_id, domain, key_version, fingerprint, created_at_ms, expires_at_ms)
             VALUES (?, ?, 'app.example', 1, ?, 1, 2)",
            vec![id(session), id(account), hash(session)],
        ),
        (
            "INSERT INTO contacts (id, account_id, channel, address_sealed, address_tag, created_at_ms, proved_at_ms,
             allowed_at_ms, confirmed_at_ms) VALUES (?, ?, 'email', x'02', ?, 1, 2, 2, 2)",
            vec![id(contact), id(account), hash(contact)],
        ),
        (
            "INSERT INTO requests (id, account_id, session_id, contact_id, body_hash, reference, purpose, action,
             authorization_sealed, created_at_ms, queued_at_ms, state, max_attempts)
             VALUES (?, ?, ?, ?, ?, '7K3M', ?, ?, x'03', 1, 1, 'batched', 3)",
            vec![id(request), id(account), id(session), id(contact), hash(request), purpose, hash(request)],
        ),
        (
            "INSERT INTO notices (id, account_id, contact_id, kind, challenge, created_at_ms, expires_at_ms)
             VALUES (?, ?, ?, 'contact-confirmation', 1, 1, 2)",
            vec![id(notice), id(account), id(contact)],
        ),
    ];
    for (sql, values) in rows {
        let mut query = sqlx::query(sql);
        for value in values {
            query = query.bind(value);
        }
        query.execute(&mut *db).await.unwrap();
    }
    let sent = (state == "sent").then_some(7_i64);
    for (about, request_id, on_chain_id, notice_id) in
        [("code", Some(request), Some(hash(request)), None), ("notice", None, None, Some(notice))]
    {
        sqlx::query(
            "INSERT INTO deliveries (message_id, request_id, on_chain_id, notice_id, contact_id, channel, state, attempts,
             created_at_ms, due_at_ms, lease_until_ms, expires_at_ms, sent_at_ms, error)
             VALUES (?, ?, ?, ?, ?, 'email', ?, 3, 4, 5, 0, 6, ?, 'why')",
        )
        .bind(format!("{about}-{state}@otp.example"))
        .bind(request_id)
        .bind(on_chain_id)
        .bind(notice_id)
        .bind(contact)
        .bind(state)
        .bind(sent)
        .execute(&mut *db)
        .await
        .unwrap();
    }
    [account, session, contact, request]
}

fn id(id: Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

/// What must not have changed of a delivery: all that it had but for its state.
fn facts(row: &SqliteRow) -> String {
    let numbers: [i64; 4] = ["attempts", "created_at_ms", "due_at_ms", "expires_at_ms"].map(|column| row.get(column));
    let ids: [Option<Vec<u8>>; 4] =
        ["request_id", "on_chain_id", "notice_id", "contact_id"].map(|column| row.get(column));
    let words: [String; 2] = ["channel", "error"].map(|column| row.get(column));
    format!("{numbers:?} {ids:?} {words:?} {:?}", row.get::<Option<i64>, _>("sent_at_ms"))
}

async fn deliveries(path: &Path) -> BTreeMap<String, SqliteRow> {
    let mut db = connect(path).await;
    let rows = sqlx::query("SELECT * FROM deliveries").fetch_all(&mut db).await.unwrap();
    rows.into_iter().map(|row| (row.get("message_id"), row)).collect()
}

#[tokio::test]
async fn rows_of_the_first_migrations_in_every_old_state_survive_to_the_newest() {
    for version in [1, 2] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("otp.db");
        let mut db = connect(&path).await;
        upto(version).run(&mut db).await.unwrap();
        let mut accounts = Vec::new();
        for (old, _) in STATES {
            accounts.push(people(&mut db, old).await);
        }
        db.close().await.unwrap();
        let before = deliveries(&path).await;

        let store = Store::open(&path).await.unwrap();
        let counts = store.delivery_counts().await.unwrap();
        for (old, new) in STATES {
            let count = counts.iter().find(|row| row.state == new).map(|row| row.count);
            assert_eq!(count, Some(2), "{old} from {version}");
        }
        for [account, _, contact, request] in accounts {
            let contacts = store.contacts(account).await.unwrap();
            assert_eq!((contacts.len(), contacts[0].id, contacts[0].confirmed_at_ms), (1, contact, Some(2)));
            assert!(store.story(account, request).await.unwrap().is_some());
        }
        store.close().await;
        // Opened once more it is as it is.
        Store::open(&path).await.unwrap().close().await;

        let after = deliveries(&path).await;
        assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
        for (message_id, old) in &before {
            let new = &after[message_id];
            assert_eq!(facts(old), facts(new), "{message_id}");
            let (was, is): (String, String) = (old.get("state"), new.get("state"));
            assert!(STATES.contains(&(was.as_str(), is.as_str())), "{message_id}: {was} became {is}");
        }
        let mut db = connect(&path).await;
        let broken = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut db).await.unwrap();
        assert_eq!(broken.len(), 0, "rows that others name are there");
        let whole: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut db).await.unwrap();
        assert_eq!(whole, "ok");
    }
}

#[tokio::test]
async fn what_was_due_before_is_due_after() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("otp.db");
    let mut db = connect(&path).await;
    upto(1).run(&mut db).await.unwrap();
    people(&mut db, "pending").await;
    sqlx::query("UPDATE deliveries SET expires_at_ms = ?").bind(now_ms() + 600_000).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
    let store = Store::open(&path).await.unwrap();
    assert_eq!(store.delivery_queue().await.unwrap().0, 2);
    store.close().await;
}
