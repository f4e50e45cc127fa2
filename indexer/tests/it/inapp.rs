//! Messages that are sealed to their reader's key and kept here.

use otp_core::{
    clock::now_ms,
    contact::Channel,
    inapp::{self, Sealed},
    store::{InappMessage, NewInapp},
};
use serde_json::Value;

use crate::harness::{Person, World, follow, work_off};

const PRIVATE: [u8; 32] = [0x42; 32];

impl World {
    async fn reader(&self) -> Person {
        let person = self.person_at(Channel::Inapp, &inapp::public_key(&PRIVATE).unwrap()).await;
        self.confirm(&person).await;
        person
    }

    async fn kept(&self, person: &Person) -> Vec<InappMessage> {
        self.store.inapp_messages(person.account_id, 0, 100).await.unwrap()
    }
}

fn read(message: &InappMessage) -> Value {
    let json = inapp::open(&PRIVATE, &message.message_id, message.contact_id, &message.sealed).unwrap();
    serde_json::from_slice(&json).unwrap()
}

#[tokio::test]
async fn a_code_is_kept_once_and_only_its_reader_can_read_it() {
    let world = World::new().await;
    let person = world.reader().await;
    let issued = world.issue_to(&person).await;
    follow(&mut world.tail(&world.chain.url)).await;
    work_off(&world.worker(1)).await;

    let kept = world.kept(&person).await;
    assert_eq!(kept.len(), 1);
    let message = read(&kept[0]);
    assert_eq!((message["version"].as_u64(), message["type"].as_str()), (Some(1), Some("code")));
    assert_eq!(message["digits"], issued.code.digits().expose());
    assert_eq!(message["id"], kept[0].message_id);
    assert_eq!(message["code"]["onChainId"], issued.id.to_string());
    assert_eq!(message["code"]["action"], issued.action.to_string());
    assert_eq!(message["code"]["fields"][0], serde_json::json!({ "name": "amount", "value": "1000000000" }));
    assert!(message["code"]["link"].as_str().unwrap().starts_with("http://127.0.0.1:8090/verify#v1."));
    assert!(message["code"]["reportLink"].as_str().unwrap().starts_with("http://127.0.0.1:8090/report#v1."));
    assert_eq!(world.store.inapp_messages(person.account_id, kept[0].number, 100).await.unwrap(), []);
    let stranger = world.reader().await;
    assert_eq!(world.kept(&stranger).await, [], "another account with the same key");

    world.store.close().await;
    for file in std::fs::read_dir(world.folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let digits = issued.code.digits().expose().as_bytes();
        let shown = bytes.windows(digits.len() + 2).any(|part| part[1..7] == *digits && part[0] == b'"');
        assert!(!shown, "the digits stand in a file in clear");
    }
}

#[tokio::test]
async fn a_message_that_the_chain_took_back_is_not_kept() {
    let world = World::new().await;
    let person = world.reader().await;
    world.issue_to(&person).await;
    let mut tail = world.tail(&world.chain.url);
    follow(&mut tail).await;
    let job = world.store.claim_delivery(60_000, None).await.unwrap().unwrap();
    world.chain.reorg(1).await;
    follow(&mut tail).await;
    assert_eq!(world.deliveries("cancelled").await, 1);
    let sealed = Sealed { enc: vec![1; 32], ciphertext: vec![2; 16] };
    let new = NewInapp {
        message_id: &job.message_id,
        contact_id: job.contact_id,
        sealed: &sealed,
        created_at_ms: job.created_at_ms,
        expires_at_ms: job.expires_at_ms,
        keep_ms: 1_000,
    };
    assert!(!world.store.keep_inapp(&new).await.unwrap());
    assert_eq!(world.kept(&person).await, []);
}

#[tokio::test]
async fn of_two_workers_with_one_message_one_keeps_it() {
    let world = World::new().await;
    let person = world.reader().await;
    world.issue_to(&person).await;
    follow(&mut world.tail(&world.chain.url)).await;
    let worker = world.worker(1);
    let job = world.store.claim_delivery(60_000, None).await.unwrap().unwrap();
    world.store.release_deliveries().await.unwrap();
    work_off(&worker).await;
    let sealed = Sealed { enc: vec![1; 32], ciphertext: vec![2; 16] };
    let new = NewInapp {
        message_id: &job.message_id,
        contact_id: job.contact_id,
        sealed: &sealed,
        created_at_ms: job.created_at_ms,
        expires_at_ms: job.expires_at_ms,
        keep_ms: 1_000,
    };
    assert!(!world.store.keep_inapp(&new).await.unwrap());
    assert_eq!(read(&world.kept(&person).await[0])["type"], "code");
}

#[tokio::test]
async fn a_message_that_is_too_old_is_neither_handed_out_nor_kept() {
    let world = World::new().await;
    let person = world.person_at(Channel::Inapp, &inapp::public_key(&PRIVATE).unwrap()).await;
    world.store.enqueue_notices(&world.outbox).await.unwrap();
    let mut worker = world.worker(1);
    worker.channels.inapp.keep = std::time::Duration::ZERO;
    work_off(&worker).await;
    let kept = world.kept(&person).await;
    assert_eq!(read(&kept[0])["type"], "contact-confirmation");
    assert_eq!(read(&kept[0])["digits"], person.seed.contact_digits(person.contact_id, 1).expose());
    assert_eq!(world.store.prune_inapp(now_ms()).await.unwrap(), 0);
    assert_eq!(world.store.prune_inapp(kept[0].expires_at_ms).await.unwrap(), 1);
    assert_eq!(world.kept(&person).await, []);
}
