//! What is left of a deleted account in the database's file and its log: nothing that says whose it was.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{collections::HashSet, path::Path};

use alloy::primitives::{Address, keccak256};
use otp_core::{
    clock::now_ms,
    contact::Channel,
    language::Language,
    store::{Binding, Challenge, Delay, NewContact, NewSession, PENDING_MS, Store},
};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use uuid::Uuid;

const ACCOUNTS: u32 = 600;
/// The length of the pieces that are looked for: chance makes none twice.
const PIECE: usize = 8;

fn secret(what: &str, n: u32, hashes: u32) -> Vec<u8> {
    (0..hashes).flat_map(|part| keccak256(format!("{what} {n} {part}")).0).collect()
}

/// An account with a contact that waits to be confirmed. Its wallet, seed and address.
async fn account(store: &Store, n: u32) -> (Uuid, [Vec<u8>; 3]) {
    let wallet = secret("wallet", n, 1)[..20].to_vec();
    let (seed, address) = (secret("seed", n, 3), secret("address", n, 2 + n % 3));
    let session_id = Uuid::now_v7();
    let new = NewSession {
        nonce: &session_id.to_string(),
        nonce_expires_at_ms: now_ms() + 60_000,
        wallet: Address::from_slice(&wallet),
        new_account_id: Uuid::now_v7(),
        new_seed_sealed: &seed,
        session_id,
        domain: "app.example",
        binding: Binding::default(),
        now_ms: now_ms(),
        expires_at_ms: now_ms() + 900_000,
    };
    let account_id = store.start_session(&new).await.unwrap().unwrap();
    let contact = NewContact {
        id: Uuid::now_v7(),
        account_id,
        channel: Channel::Email,
        address_sealed: &address,
        address_tag: keccak256(&address).0,
        language: None,
        default_language: Language::English,
        expires_at_ms: now_ms() + 600_000,
        delay: Delay { now_ms: now_ms(), delay_ms: 0 },
        mail: None,
    };
    let added = store.challenge_contact(&contact).await.unwrap();
    assert!(matches!(added, Challenge::Started { .. }), "{added:?}");
    (account_id, [wallet, seed, address])
}

async fn delete(store: &Store, account_id: Uuid) {
    store.delete_account(account_id, Delay { now_ms: now_ms(), delay_ms: 0 }).await.unwrap();
    while !store.apply_due_changes(now_ms()).await.unwrap().is_empty() {}
}

/// How many pieces of these secrets stand in the file or in its log.
fn found(folder: &Path, secrets: &[Vec<u8>]) -> usize {
    let pieces: HashSet<&[u8]> = secrets.iter().flat_map(|secret| secret.chunks_exact(PIECE)).collect();
    let files = ["otp.db", "otp.db-wal"].map(|name| std::fs::read(folder.join(name)).unwrap());
    files.iter().flat_map(|bytes| bytes.windows(PIECE)).filter(|part| pieces.contains(part)).count()
}

#[tokio::test]
async fn of_hundreds_of_deleted_accounts_no_wallet_seed_or_address_is_left_in_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("otp.db")).await.unwrap();
    let mut accounts = Vec::new();
    for n in 0..ACCOUNTS {
        accounts.push(account(&store, n).await);
    }
    // Nearly all go at once, so that whole pages of the table's indexes become free.
    let (kept, gone) = accounts.split_at(10);
    for (account_id, _) in gone {
        delete(&store, *account_id).await;
    }
    let later_ms = now_ms() + PENDING_MS + 1;
    while !store.erase_closed(later_ms).await.unwrap().accounts.is_empty() {}
    for (place, what) in ["wallet", "seed", "address"].into_iter().enumerate() {
        let of =
            |all: &[(Uuid, [Vec<u8>; 3])]| all.iter().map(|(_, secrets)| secrets[place].clone()).collect::<Vec<_>>();
        assert!(found(folder.path(), &of(kept)) >= kept.len(), "the search finds a {what} that is there");
        assert_eq!(found(folder.path(), &of(gone)), 0, "pieces of a {what}");
    }
}

#[tokio::test]
async fn a_log_that_a_reader_holds_is_emptied_in_the_next_round() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("otp.db");
    let store = Store::open(&path).await.unwrap();
    let (account_id, [_, seed, _]) = account(&store, 0).await;
    delete(&store, account_id).await;
    let mut reader = SqliteConnectOptions::new().filename(&path).read_only(true).connect().await.unwrap();
    let mut held = reader.begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM accounts").execute(&mut *held).await.unwrap();

    let later_ms = now_ms() + PENDING_MS + 1;
    assert_eq!(store.erase_closed(later_ms).await.unwrap().accounts, [account_id]);
    assert!(found(folder.path(), std::slice::from_ref(&seed)) > 0, "the log cannot be emptied while it is read");
    drop(held);
    reader.close().await.unwrap();
    assert!(store.erase_closed(later_ms).await.unwrap().accounts.is_empty());
    assert_eq!(found(folder.path(), &[seed]), 0);
}
