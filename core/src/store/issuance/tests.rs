//! What a database that takes no writes leaves of a call: nothing.

use alloy::primitives::{Address, B256};

use super::{NewCall, NewContents, SignedTransaction};
use crate::store::Store;

/// More than fits into the pages that a database has to spare.
const LARGE: usize = 300_000;

fn call(nonce: u64) -> NewCall<'static> {
    let transaction = SignedTransaction {
        hash: B256::with_last_byte(u8::try_from(nonce).unwrap()),
        raw: vec![7; LARGE],
        max_fee_per_gas_wei: 2,
        max_priority_fee_per_gas_wei: 1,
        signed_at_ms: 0,
    };
    NewCall { contents: NewContents::Filler, nonce, deadline: None, transaction }
}

#[tokio::test]
async fn a_database_that_is_full_or_read_only_stores_a_call_with_its_nonce_or_neither() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("otp.db")).await.unwrap();
    let sender = Address::repeat_byte(1);
    let lease = store.take_sender(sender).await.unwrap();
    for (nonce, (broken, mended)) in (0..).zip([
        ("PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1000000"),
        ("PRAGMA query_only = 1", "PRAGMA query_only = 0"),
    ]) {
        sqlx::query(broken).execute(store.writer.pool()).await.unwrap();
        assert!(store.commit_call(lease, &call(nonce)).await.is_err(), "{broken}");
        assert_eq!(store.next_nonce(sender).await.unwrap(), nonce, "{broken}: the nonce is free");
        assert_eq!(store.open_calls(sender).await.unwrap().len() as u64, nonce, "{broken}");
        sqlx::query(mended).execute(store.writer.pool()).await.unwrap();
        store.commit_call(lease, &call(nonce)).await.unwrap();
        assert_eq!(store.next_nonce(sender).await.unwrap(), nonce + 1);
    }
    let open = store.open_calls(sender).await.unwrap();
    assert!(open.iter().all(|call| call.transactions.len() == 1 && call.transactions[0].raw.len() == LARGE));
}

#[tokio::test]
async fn a_nonce_is_spent_once_whatever_it_is_for_and_a_void_lease_spends_none() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("otp.db")).await.unwrap();
    let sender = Address::repeat_byte(1);
    let lease = store.take_sender(sender).await.unwrap();
    store.commit_call(lease, &call(3)).await.unwrap();
    assert!(store.commit_call(lease, &call(3)).await.is_err(), "one row per nonce");
    assert_eq!(store.next_nonce(sender).await.unwrap(), 4);
    let newer = store.take_sender(sender).await.unwrap();
    assert!(store.commit_call(lease, &call(4)).await.is_err(), "the fence has risen");
    store.commit_call(newer, &call(4)).await.unwrap();
}
