//! What Twilio says later of a text, on the public port where anybody can say it.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use indexer::{channel::sms::callback::Callback, deliver::Worker};
use otp_core::secret::Secret;
use url::form_urlencoded::Serializer;

use crate::{
    api::{serve, serve_with},
    fallback::{issue, person_with_two},
    harness::{Issued, Mailbox, Receiver, Reply, World, follow, until_accepted, work_off},
    sms::{TAKEN, TWILIO, field},
};

const TOKEN: &str = "hunter2";
const URL: &str = "https://otp.example/v1/sms/twilio";

fn callback() -> Callback {
    Callback { url: URL.to_owned(), auth_token: Secret::new(TOKEN.to_owned()) }
}

/// A worker with a phone that tells, and a mail server.
fn worker(world: &World, receiver: &Receiver, mailbox: &Mailbox) -> Worker {
    let mut worker = world.texting(&format!("{TWILIO}callback_url = '{URL}'\n"), receiver);
    worker.channels.email = world.worker(mailbox.smtp_port).channels.email;
    worker
}

fn query(world: &World, issued: &Issued) -> String {
    let id = world.outbox.message_id(issued.id.as_slice(), "sms");
    format!("message={}", id.split('@').next().unwrap())
}

fn signature(token: &str, query: &str, fields: &[(&str, &str)]) -> String {
    let mut sorted = fields.to_vec();
    sorted.sort_unstable();
    let text: String = sorted.iter().flat_map(|(name, value)| [*name, *value]).collect();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    STANDARD.encode(hmac::sign(&key, format!("{URL}?{query}{text}").as_bytes()))
}

async fn call(base: &str, query: &str, fields: &[(&str, &str)], signature: Option<&str>) -> u16 {
    let body = Serializer::new(String::new()).extend_pairs(fields).finish();
    let mut request = reqwest::Client::new().post(format!("{base}/v1/sms/twilio?{query}")).body(body);
    request = request.header("content-type", "application/x-www-form-urlencoded");
    if let Some(signature) = signature {
        request = request.header("x-twilio-signature", signature);
    }
    request.send().await.unwrap().status().as_u16()
}

async fn signed(base: &str, query: &str, status: &str) -> u16 {
    let fields = [("MessageSid", "SM01"), ("MessageStatus", status), ("ErrorCode", "30003")];
    call(base, query, &fields, Some(&signature(TOKEN, query, &fields))).await
}

#[tokio::test]
async fn twilios_word_is_believed_where_it_is_signed_and_once() {
    let (world, receiver, mailbox) = (World::new().await, Receiver::http().await, Mailbox::start().await);
    let (person, phone) = person_with_two(&world).await;
    let (_, issued) = issue(&world, &person, phone, true).await;
    follow(&mut world.tail(&world.chain.url)).await;
    receiver.will([TAKEN]);
    let worker = worker(&world, &receiver, &mailbox);
    work_off(&worker).await;
    let query = query(&world, &issued);
    assert_eq!(field(&receiver.received()[0], "StatusCallback"), format!("{URL}?{query}"));

    let (base, _) = serve_with(&world, Some(callback())).await;
    let fields = [("MessageSid", "SM01"), ("MessageStatus", "undelivered")];
    let right = signature(TOKEN, &query, &fields);
    let (other, delivered) = (format!("message={}", "0".repeat(32)), [fields[0], ("MessageStatus", "delivered")]);
    for (what, query, fields, signature) in [
        ("none", &query, &fields, None),
        ("no base64", &query, &fields, Some("?")),
        ("another token's", &query, &fields, Some(signature("hunter3", &query, &fields).as_str())),
        ("another message's", &other, &fields, Some(right.as_str())),
        ("another status'", &query, &delivered, Some(right.as_str())),
    ] {
        assert_eq!(call(&base, query, fields, signature).await, 403, "{what}");
    }
    assert_eq!(world.deliveries("accepted").await, 1, "nobody was believed");
    assert_eq!(signed(&base, &query, "sent").await, 204);
    assert_eq!(signed(&base, &query, "exploded").await, 400);
    assert_eq!(signed(&base, "message=1", "delivered").await, 400);
    assert_eq!(call(&base, &query, &[("x", &"x".repeat(9_000))], Some(&right)).await, 400);
    assert_eq!(call(&base, &query, &[("x", &"x".repeat(90_000))], Some(&right)).await, 413);
    assert_eq!((world.deliveries("accepted").await, world.deliveries("bounced").await), (1, 0));

    for _ in 0..3 {
        assert_eq!(call(&base, &query, &fields, Some(&right)).await, 204);
        work_off(&worker).await;
    }
    assert_eq!((world.deliveries("bounced").await, world.deliveries("accepted").await), (1, 1));
    let mail = mailbox.one(&person.address).await;
    assert!(mail["text"].as_str().unwrap().contains(issued.code.digits().expose()));
    assert_eq!(signed(&base, &other, "undelivered").await, 204, "and who asks learns of no message");
}

#[tokio::test]
async fn a_text_whose_answer_was_lost_and_that_was_delivered_is_not_sent_again() {
    let (world, receiver, mailbox) = (World::new().await, Receiver::http().await, Mailbox::start().await);
    let (person, phone) = person_with_two(&world).await;
    let (_, issued) = issue(&world, &person, phone, true).await;
    follow(&mut world.tail(&world.chain.url)).await;
    let (base, _) = serve_with(&world, Some(callback())).await;
    let query = query(&world, &issued);
    assert_eq!(signed(&base, &query, "delivered").await, 204);
    assert_eq!(world.deliveries("queued").await, 1, "nobody can have delivered what was never sent");
    receiver.will([Reply::Lose]);
    let worker = worker(&world, &receiver, &mailbox);
    assert!(worker.step().await.unwrap());
    assert_eq!(world.deliveries("queued").await, 1);
    assert_eq!(signed(&base, &query, "delivered").await, 204);
    assert_eq!(world.deliveries("delivered").await, 1);
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    work_off(&worker).await;
    assert_eq!(receiver.received().len(), 1, "no second text");
}

#[tokio::test]
async fn of_two_texts_after_a_lost_answer_the_one_that_arrived_counts_whichever_is_told_of_first() {
    let (world, receiver, mailbox) = (World::new().await, Receiver::http().await, Mailbox::start().await);
    let (person, phone) = person_with_two(&world).await;
    let (base, _) = serve_with(&world, Some(callback())).await;
    let worker = worker(&world, &receiver, &mailbox);
    for (round, words) in [["delivered", "undelivered"], ["undelivered", "delivered"]].into_iter().enumerate() {
        let (_, issued) = issue(&world, &person, phone, true).await;
        follow(&mut world.tail(&world.chain.url)).await;
        receiver.will([Reply::Lose, TAKEN]);
        until_accepted(&world, &worker).await;
        assert_eq!(receiver.received().len(), 2 * (round + 1), "the same text, twice");
        for word in words {
            assert_eq!(signed(&base, &query(&world, &issued), word).await, 204);
            work_off(&worker).await;
        }
        let arrived = u64::try_from(round + 1).unwrap();
        assert_eq!((world.deliveries("delivered").await, world.deliveries("bounced").await), (arrived, 0));
        assert_eq!(signed(&base, &query(&world, &issued), "undelivered").await, 204);
        assert_eq!((world.deliveries("delivered").await, world.deliveries("bounced").await), (arrived, 0));
        work_off(&worker).await;
        // Who hears of the failure alone cannot know of the other text: the code went to the mail as well.
        assert_eq!(mailbox.of(&person.address).await.len(), round);
    }
}

#[tokio::test]
async fn without_a_callback_in_the_configuration_there_is_no_such_route() {
    let world = World::new().await;
    let (base, _) = serve(&world).await;
    assert_eq!(signed(&base, &format!("message={}", "0".repeat(32)), "delivered").await, 404);
}
