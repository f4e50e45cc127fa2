//! Messages to in-app keys, fetched by their owner.

use otp_core::{
    contact::Channel,
    inapp::{self, Sealed},
    store::{Depths, NewInapp, Outbox},
};
use serde_json::json;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::app::{Person, Setup, TestApp};

const PRIVATE: [u8; 32] = [0x42; 32];

impl TestApp {
    /// Does the indexer's part: seals `text` to every in-app contact that is to be told something.
    async fn seal_notices(&self, text: &str) -> usize {
        let outbox =
            Outbox { deployment: self.deployment, mail_domain: "otp.example".to_owned(), depths: Depths::default() };
        self.store.enqueue_notices(&outbox).await.unwrap();
        let mut sealed_count = 0;
        while let Some(job) = self.store.claim_delivery(60_000, None).await.unwrap() {
            let key = self.keyring.open_sealed("contact", job.contact_id, &job.address_sealed).unwrap();
            let key = std::str::from_utf8(&key).unwrap();
            let json = Zeroizing::new(text.as_bytes().to_vec());
            let sealed = inapp::seal(key, &job.message_id, job.contact_id, json).unwrap();
            let new = NewInapp {
                message_id: &job.message_id,
                contact_id: job.contact_id,
                sealed: &sealed,
                created_at_ms: job.created_at_ms,
                expires_at_ms: job.expires_at_ms,
                keep_ms: 60_000,
            };
            assert!(self.store.keep_inapp(&new).await.unwrap());
            sealed_count += 1;
        }
        sealed_count
    }

    async fn inapp_person(&self) -> (Person, Uuid) {
        let person = self.stranger().await;
        let body = json!({ "channel": "inapp", "address": inapp::public_key(&PRIVATE).unwrap() });
        let added = self.post("/v1/contacts", &person.token, &body).await;
        assert_eq!(added.status, 202, "{:?}", added.body);
        let contact = added.body["contactId"].as_str().unwrap().parse().unwrap();
        (person, contact)
    }
}

#[tokio::test]
async fn the_owner_of_a_key_fetches_opens_and_confirms_and_nobody_else_gets_anything() {
    let app = TestApp::with(Setup { channels: vec![Channel::Inapp], ..Setup::default() }).await;
    let (person, contact) = app.inapp_person().await;
    let digits = app.contact_digits(&person, contact, 1).await;
    assert_eq!(app.seal_notices(&format!("{{\"digits\":\"{digits}\"}}")).await, 1);

    let fetched = app.get("/v1/inapp/messages", &person.token).await;
    assert_eq!(fetched.status, 200);
    assert_eq!(fetched.header("cache-control"), "no-store");
    assert_eq!(fetched.body["suite"], "0x0020,0x0001,0x0002");
    let message = &fetched.body["messages"][0];
    let bytes = |name: &str| hex::decode(message[name].as_str().unwrap()).unwrap();
    let sealed = Sealed { enc: bytes("enc"), ciphertext: bytes("ciphertext") };
    let opened = inapp::open(&PRIVATE, message["id"].as_str().unwrap(), contact, &sealed).unwrap();
    let opened: serde_json::Value = serde_json::from_slice(&opened).unwrap();
    assert_eq!(app.confirm(&person, contact, opened["digits"].as_str().unwrap()).await.status, 200);

    let next = fetched.body["next"].as_u64().unwrap();
    let after = app.get(&format!("/v1/inapp/messages?after={next}"), &person.token).await;
    assert_eq!((after.body["messages"].as_array().unwrap().len(), after.body["next"].as_u64()), (0, Some(next)));
    let (other, _) = app.inapp_person().await;
    assert_eq!(app.get("/v1/inapp/messages", &other.token).await.body["messages"], json!([]));
    assert_eq!(app.get("/v1/inapp/messages", "none").await.told(), (401, "unauthenticated"));
}

#[tokio::test]
async fn a_cursor_that_is_none_is_refused() {
    let app = TestApp::with(Setup { channels: vec![Channel::Inapp], ..Setup::default() }).await;
    let (person, _) = app.inapp_person().await;
    app.seal_notices("{}").await;
    for bad in ["after=", "after=x", "after=-1", "after=18446744073709551616", "before=1", "after=1&after=2"] {
        let refused = app.get(&format!("/v1/inapp/messages?{bad}"), &person.token).await;
        assert_eq!(refused.told(), (400, "bad-request"), "{bad}");
    }
    let beyond = app.get("/v1/inapp/messages?after=18446744073709551615", &person.token).await;
    assert_eq!((beyond.status, &beyond.body["messages"]), (200, &json!([])));
}
