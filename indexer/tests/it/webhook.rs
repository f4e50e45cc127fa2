//! Messages to people's own URLs, over TLS to a real receiver that answers badly when it is told to.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use indexer::{
    channel::webhook::{SIGNATURE, TIMESTAMP, Webhook},
    deliver::Worker,
};
use otp_core::{clock::now_ms, contact::Channel};
use serde_json::Value;
use sha2::Sha256;

use crate::harness::{Person, Receiver, Reply, World, follow, until_accepted, work_off};

const URL: &str = "https://hooks.receiver.example/otp?x=1";
const TIMEOUT: Duration = Duration::from_secs(2);

impl World {
    async fn hooked(&self, url: &str) -> Person {
        let person = self.person_at(Channel::Webhook, url).await;
        self.confirm(&person).await;
        person
    }

    fn hooking(&self, receiver: &Receiver) -> Worker {
        let mut worker = self.worker(1);
        let webhook = Webhook::reaching(receiver.resolver(), receiver.certificate(), TIMEOUT).unwrap();
        worker.channels.webhook = Some(webhook);
        worker
    }
}

#[tokio::test]
async fn a_code_is_posted_signed_and_its_receiver_can_tell_that_it_is_ours() {
    let (world, receiver) = (World::new().await, Receiver::https().await);
    let person = world.hooked(URL).await;
    let issued = world.issue_to(&person).await;
    follow(&mut world.tail(&world.chain.url)).await;
    work_off(&world.hooking(&receiver)).await;
    assert_eq!(world.deliveries("accepted").await, 1);

    let received = receiver.received();
    assert_eq!(received.len(), 1);
    let (headers, body) = (&received[0].headers, &received[0].body);
    assert_eq!(received[0].line, "POST /otp?x=1 HTTP/1.1");
    assert_eq!(headers["content-type"], "application/json");
    let message: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(message["digits"], issued.code.digits().expose());
    assert_eq!(message["id"], headers["idempotency-key"]);
    let timestamp: i64 = headers[TIMESTAMP].parse().unwrap();
    assert!((now_ms() / 1_000 - timestamp).abs() <= 30);
    let secret = person.seed.webhook_secret(person.contact_id).expose();
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    let mac = mac.chain_update(format!("{timestamp}.")).chain_update(body).finalize();
    assert_eq!(headers[SIGNATURE], format!("v1={}", hex::encode(mac.into_bytes())));
}

#[tokio::test]
async fn after_a_lost_answer_a_hang_or_a_server_fault_the_very_same_message_comes_again() {
    let (world, receiver) = (World::new().await, Receiver::https().await);
    let person = world.hooked(URL).await;
    world.issue_to(&person).await;
    follow(&mut world.tail(&world.chain.url)).await;
    receiver.will([Reply::Lose, Reply::Hang, Reply::Answer(503, "", "")]);
    until_accepted(&world, &world.hooking(&receiver)).await;
    let received = receiver.received();
    assert_eq!(received.len(), 4, "as many repeats as faults");
    for again in &received {
        assert_eq!(again.body, received[0].body);
        assert_eq!(again.headers["idempotency-key"], received[0].headers["idempotency-key"]);
    }
}

#[tokio::test]
async fn a_receiver_that_asks_for_a_pause_gets_it() {
    let (world, receiver) = (World::new().await, Receiver::https().await);
    let person = world.hooked(URL).await;
    world.issue_to(&person).await;
    follow(&mut world.tail(&world.chain.url)).await;
    receiver.will([Reply::Answer(429, "retry-after: 2\r\n", "")]);
    let (worker, begun) = (world.hooking(&receiver), std::time::Instant::now());
    until_accepted(&world, &worker).await;
    assert!(begun.elapsed() >= Duration::from_secs(2), "asked again after {:?}", begun.elapsed());
    assert_eq!(receiver.received().len(), 2);
}

#[tokio::test]
async fn refusals_for_good_and_redirects_end_it() {
    let (world, receiver) = (World::new().await, Receiver::https().await);
    let mut tail = world.tail(&world.chain.url);
    let worker = world.hooking(&receiver);
    let refusals = [
        Reply::Answer(410, "", ""),
        Reply::Answer(404, "", ""),
        Reply::Answer(302, "location: https://hooks.receiver.example/elsewhere\r\n", ""),
        Reply::Answer(307, "location: http://127.0.0.1/\r\n", ""),
    ];
    for (place, refusal) in refusals.into_iter().enumerate() {
        let person = world.hooked(URL).await;
        world.issue_to(&person).await;
        follow(&mut tail).await;
        receiver.will([refusal]);
        work_off(&worker).await;
        assert_eq!(receiver.received().len(), place + 1);
        assert_eq!(world.deliveries("failed").await, u64::try_from(place).unwrap() + 1);
    }
}

#[tokio::test]
async fn nothing_goes_to_the_inside_whatever_a_name_says_when_it_is_sent() {
    let (world, receiver) = (World::new().await, Receiver::https().await);
    let mut tail = world.tail(&world.chain.url);
    let mut worker = world.worker(1);
    worker.channels.webhook = Some(Webhook::new(TIMEOUT).unwrap());
    // Both were public when they were added, as far as anybody can tell: the rows are what is left of that.
    let literal = format!("https://{}/", receiver.address);
    let named = format!("https://localhost:{}/", receiver.address.port());
    for (url, state) in [(literal, "failed"), (named, "queued")] {
        let person = world.hooked(&url).await;
        world.issue_to(&person).await;
        follow(&mut tail).await;
        assert!(worker.step().await.unwrap());
        assert_eq!(world.deliveries(state).await, 1, "{url}");
    }
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_gets_no_message() {
    let (world, receiver) = (World::new().await, Receiver::https().await);
    let person = world.hooked(URL).await;
    world.issue_to(&person).await;
    follow(&mut world.tail(&world.chain.url)).await;
    let mut worker = world.worker(1);
    worker.channels.webhook = Some(Webhook::reaching(receiver.resolver(), None, TIMEOUT).unwrap());
    assert!(worker.step().await.unwrap());
    assert!(receiver.received().is_empty());
    assert_eq!(world.deliveries("queued").await, 1);
}
