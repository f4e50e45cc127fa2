use std::sync::Arc;

use super::*;
use crate::store::{Binding, Cooldown, NewSession, Take};

struct World {
    _folder: tempfile::TempDir,
    store: Arc<Store>,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("otp.db")).await.unwrap();
        Self { _folder: folder, store: Arc::new(store) }
    }

    /// A new account's request, to a contact that was confirmed.
    async fn request(&self, number: u8, rules: &Rules) -> NewRequest {
        let (session_id, contact_id) = (Uuid::now_v7(), Uuid::now_v7());
        let signed_in = NewSession {
            nonce: &session_id.to_string(),
            nonce_expires_at_ms: 1,
            wallet: Address::repeat_byte(number),
            new_account_id: Uuid::now_v7(),
            new_seed_sealed: b"sealed",
            session_id,
            domain: "app.test",
            binding: Binding::default(),
            now_ms: 1,
            expires_at_ms: i64::MAX,
        };
        let account_id = self.store.start_session(&signed_in).await.unwrap().unwrap();
        sqlx::query(
            "INSERT INTO contacts (id, account_id, channel, address_sealed, address_tag, created_at_ms, confirmed_at_ms)
             VALUES (?, ?, 'email', x'00', zeroblob(32), 1, 1)",
        )
        .bind(contact_id)
        .bind(account_id)
        .execute(self.store.writer.pool())
        .await
        .unwrap();
        NewRequest {
            id: Uuid::now_v7(),
            account_id,
            session_id,
            contact_id,
            idempotency_key: "key".to_owned(),
            body_hash: B256::ZERO,
            reference: "ABCDEF".to_owned(),
            purpose: "login".parse().unwrap(),
            action: B256::repeat_byte(1),
            payload_hash: Some(B256::repeat_byte(2)),
            authorization_sealed: vec![0, 1, 255],
            max_attempts: 3,
            fallback: true,
            now_ms: 1_000_000,
            issuer: Address::ZERO,
            rules: rules.clone(),
        }
    }

    /// Has all of them in one turn, in this order.
    async fn submit(&self, all: Vec<NewRequest>) -> Vec<Submission> {
        let held = self.store.write().await.unwrap();
        let calls = futures_util::future::join_all(all.into_iter().map(|new| self.store.submit(new)));
        let release = async {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            drop(held);
        };
        let (done, ()) = tokio::join!(calls, release);
        done.into_iter().map(Result::unwrap).collect()
    }

    async fn stored(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM requests").fetch_one(&self.store.readers).await.unwrap()
    }
}

/// A word for each; for one that is over a limit, the limit's name.
fn short(done: &[Submission]) -> Vec<&'static str> {
    let word = |submission: &Submission| match submission {
        Submission::Accepted(_) => "accepted",
        Submission::Replayed(_) => "replayed",
        Submission::Mismatch => "mismatch",
        Submission::Unconfirmed => "unconfirmed",
        Submission::ReferenceTaken => "reference",
        Submission::Refused(Refusal::TooMany { scope, .. }) => scope,
        Submission::Refused(_) => "refused",
    };
    done.iter().map(word).collect()
}

#[tokio::test]
async fn of_an_accounts_requests_in_one_turn_each_sees_those_before_it() {
    let world = World::new().await;
    let rules = Rules { confirmed: true, ..Rules::default() };
    let (first, other) = (world.request(1, &rules).await, world.request(2, &rules).await);
    let again = NewRequest { id: Uuid::now_v7(), ..first.clone() };
    let changed = NewRequest { id: Uuid::now_v7(), body_hash: B256::repeat_byte(9), ..first.clone() };
    let same_reference = NewRequest { id: Uuid::now_v7(), idempotency_key: "two".to_owned(), ..first.clone() };
    let foreign =
        NewRequest { id: Uuid::now_v7(), contact_id: first.contact_id, ..world.request(3, &first.rules).await };
    let done = world.submit(vec![first.clone(), other, again, changed, same_reference, foreign]).await;
    assert_eq!(short(&done), ["accepted", "accepted", "replayed", "mismatch", "reference", "unconfirmed"]);
    let (Submission::Accepted(accepted), Submission::Replayed(replayed)) = (&done[0], &done[2]) else { panic!() };
    assert_eq!((accepted.id, replayed.id, accepted.channel), (first.id, first.id, Some(Channel::Email)));
    assert_eq!(world.stored().await, 2);
}

#[tokio::test]
async fn every_column_is_stored_as_it_was_given() {
    let world = World::new().await;
    let new = world.request(1, &Rules::default()).await;
    let blind = NewRequest { payload_hash: None, fallback: false, ..world.request(2, &new.rules).await };
    world.submit(vec![new.clone(), blind.clone()]).await;
    for new in [new, blind] {
        let story = world.store.story(new.account_id, new.id).await.unwrap().unwrap();
        assert_eq!((story.session_id, story.contact_id), (new.session_id, new.contact_id));
        assert_eq!((story.reference, story.purpose, story.action), (new.reference, new.purpose, new.action));
        assert_eq!((story.payload_hash, story.authorization_sealed), (new.payload_hash, new.authorization_sealed));
        assert_eq!((story.created_at_ms, story.attempts_left), (new.now_ms, 3));
        let row: (String, Vec<u8>, i64, i64, bool) = sqlx::query_as(
            "SELECT idempotency_key, body_hash, queued_at_ms, max_attempts, fallback FROM requests WHERE id = ?",
        )
        .bind(new.id)
        .fetch_one(&world.store.readers)
        .await
        .unwrap();
        assert_eq!(row, (new.idempotency_key, new.body_hash.to_vec(), new.now_ms, 3, new.fallback));
    }
}

#[tokio::test]
async fn what_all_share_is_as_exact_in_one_turn_as_one_after_another() {
    let world = World::new().await;
    let shared = Take { scope: "global", key: [7; 16], capacity: 5, interval_us: 3_600_000_000 };
    let limited = Rules { takes: vec![shared], ..Rules::default() };
    let mut all = Vec::new();
    for number in 0..8 {
        all.push(world.request(number, &limited).await);
    }
    let done = world.submit(all).await;
    assert_eq!(short(&done), [["accepted"; 5].as_slice(), &["global"; 3]].concat());
    let Submission::Accepted(last) = &done[4] else { panic!() };
    assert_eq!(last.levels[0].remaining, 0);

    let waiting = Rules { queued: 8, ..Rules::default() };
    let mut all = Vec::new();
    for number in 10..15 {
        all.push(world.request(number, &waiting).await);
    }
    let done = world.submit(all).await;
    assert_eq!(short(&done), ["accepted", "accepted", "accepted", "refused", "refused"], "five waited already");
    assert_eq!(world.stored().await, 8);
}

#[tokio::test]
async fn what_an_account_may_have_waiting_and_a_contacts_pause_hold_within_one_turn() {
    let world = World::new().await;
    let next = |new: &NewRequest, n: u8| NewRequest {
        id: Uuid::now_v7(),
        idempotency_key: format!("key {n}"),
        reference: format!("ABCDE{n}"),
        ..new.clone()
    };
    let two = world.request(1, &Rules { queued_per_account: 2, ..Rules::default() }).await;
    let pause = Cooldown { first_ms: 1_000, longest_ms: 10_000 };
    let one = world.request(2, &Rules { cooldown: pause, ..Rules::default() }).await;
    let all = vec![two.clone(), one.clone(), next(&two, 1), next(&one, 1), next(&two, 2)];
    let done = world.submit(all).await;
    assert_eq!(short(&done), ["accepted", "accepted", "accepted", "contact", "queued"]);
}
