//! Limits: durable, of those who ask, and silent about others.

use std::time::Duration;

use alloy::signers::{SignerSync, local::PrivateKeySigner};
use otp_core::{contact::Channel, store::Outbox};
use relayer::config::{Limit, LimitsConfig};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::{
    app::{Answer, Setup, TestApp, send, withdrawal, wrong},
    changes::id,
};

fn limit(text: &str) -> Limit {
    text.parse().unwrap()
}

fn limited(change: impl FnOnce(&mut LimitsConfig)) -> Setup {
    let mut limits = LimitsConfig::unlimited();
    change(&mut limits);
    Setup { limits, ..Setup::default() }
}

async fn nonce_from(app: &TestApp, forwarded: &str) -> Answer {
    send(app.request(Method::GET, "/v1/auth/nonce").header("x-forwarded-for", forwarded)).await
}

#[tokio::test]
async fn an_account_gets_three_requests_in_five_minutes_and_repetitions_for_nothing() {
    let setup = limited(|limits| limits.requests_per_account = limit("3/5m"));
    let mut app = TestApp::with(setup).await;
    let (person, contact) = app.person().await;
    for left in [2, 1, 0] {
        let answer = app.submit(&person, &format!("key-{left}"), &withdrawal(contact)).await;
        assert_eq!(answer.status, 202, "{:?}", answer.body);
        assert_eq!(answer.header("ratelimit-policy"), "\"account\";q=3;w=300");
        assert!(answer.header("ratelimit").starts_with(&format!("\"account\";r={left};t=")), "{:?}", answer.headers);
        assert_eq!(app.submit(&person, &format!("key-{left}"), &withdrawal(contact)).await.body, answer.body);
    }
    let refused = app.submit(&person, "one-more", &withdrawal(contact)).await;
    assert_eq!(refused.told(), (429, "rate-limited"));
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((90..=100).contains(&wait), "{wait}");
    assert!(refused.header("ratelimit").starts_with("\"account\";r=0;t="), "{:?}", refused.headers);
    assert_eq!(app.submit(&person, "key-0", &withdrawal(contact)).await.status, 202, "a repetition");

    let another_session = app.sign_in(&person.wallet).await;
    assert_eq!(app.submit(&another_session, "two-more", &withdrawal(contact)).await.status, 429);
    let (other, others) = app.person().await;
    assert_eq!(app.submit(&other, "key", &withdrawal(others)).await.status, 202, "another account is another's");

    app.serve(&limited(|limits| limits.requests_per_account = limit("3/5m"))).await;
    assert_eq!(app.submit(&person, "after", &withdrawal(contact)).await.status, 429, "a restart fills no bucket");
}

#[tokio::test]
async fn a_client_is_known_by_what_trusted_proxies_say_and_not_by_what_it_says_itself() {
    let app = TestApp::with(limited(|limits| limits.nonces_per_ip = limit("2/1h"))).await;
    for forged in ["1.1.1.1", "2.2.2.2"] {
        assert_eq!(nonce_from(&app, forged).await.status, 200);
    }
    assert_eq!(nonce_from(&app, "3.3.3.3").await.told(), (429, "rate-limited"), "nobody trusts the peer");

    let app = TestApp::with(limited(|limits| {
        limits.nonces_per_ip = limit("2/1h");
        limits.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    }))
    .await;
    for forged in ["1.1.1.1", "9.9.9.9, 1.1.1.1"] {
        assert_eq!(nonce_from(&app, forged).await.status, 200);
    }
    let refused = nonce_from(&app, "8.8.8.8, 1.1.1.1").await;
    assert_eq!((refused.status, refused.header("ratelimit-policy")), (429, "\"ip\";q=2;w=3600"));
    assert_eq!(nonce_from(&app, "2.2.2.2").await.status, 200);
    for (n, status) in [(1, 200), (2, 200), (3, 429)] {
        assert_eq!(nonce_from(&app, &format!("2001:db8:1:2::{n}")).await.status, status, "one /64 is one client");
    }
    assert_eq!(nonce_from(&app, "2001:db8:1:3::1").await.status, 200);
}

#[tokio::test]
async fn a_purpose_may_have_a_limit_of_its_own() {
    let app = TestApp::with(limited(|limits| {
        limits.requests_per_account = limit("2/1h");
        limits.requests_by_purpose = vec!["login account 1/1h".parse().unwrap()];
    }))
    .await;
    let (person, contact) = app.person().await;
    let login = json!({ "purpose": "login", "contactId": contact });
    assert_eq!(app.submit(&person, "a", &login).await.status, 202);
    assert_eq!(app.submit(&person, "b", &login).await.status, 429);
    for (key, status) in [("c", 202), ("d", 202), ("e", 429)] {
        assert_eq!(app.submit(&person, key, &withdrawal(contact)).await.status, status, "{key}");
    }
}

#[tokio::test]
async fn the_pause_between_requests_to_a_contact_doubles() {
    let cooldown = (Duration::from_secs(2), Duration::from_secs(60));
    let app = TestApp::with(limited(|limits| limits.cooldown = cooldown)).await;
    let (person, contact) = app.person().await;
    assert_eq!(app.submit(&person, "a", &withdrawal(contact)).await.status, 202);
    let refused = app.submit(&person, "b", &withdrawal(contact)).await;
    assert_eq!((refused.told(), refused.header("retry-after")), ((429, "rate-limited"), "2"));
    tokio::time::sleep(Duration::from_millis(2_050)).await;
    assert_eq!(app.submit(&person, "c", &withdrawal(contact)).await.status, 202);
    let refused = app.submit(&person, "d", &withdrawal(contact)).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "4"));
}

#[tokio::test]
async fn so_many_requests_may_wait_for_the_chain_of_an_account_and_in_all() {
    let app = TestApp::with(limited(|limits| {
        limits.queued_per_account = 2;
        limits.queued = 3;
    }))
    .await;
    let (person, contact) = app.person().await;
    let (other, others) = app.person().await;
    for (key, status) in [("a", 202), ("b", 202), ("c", 429)] {
        assert_eq!(app.submit(&person, key, &withdrawal(contact)).await.status, status, "{key}");
    }
    assert_eq!(app.submit(&other, "a", &withdrawal(others)).await.status, 202);
    let full = app.submit(&other, "b", &withdrawal(others)).await;
    assert_eq!((full.told(), full.header("retry-after")), ((503, "busy"), "5"));
    assert_eq!(app.submit(&other, "a", &withdrawal(others)).await.status, 202, "a repetition");
}

#[tokio::test]
async fn limits_tighten_while_sign_ins_fail_and_only_then() {
    let app = TestApp::with(limited(|limits| {
        limits.requests_per_account = limit("4/1h");
        limits.tighten_above_percent = 60;
        limits.tighten_samples = 10;
        limits.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    }))
    .await;
    let (person, contact) = app.person().await;
    let answer = app.submit(&person, "a", &withdrawal(contact)).await;
    assert_eq!(answer.header("ratelimit-policy"), "\"account\";q=4;w=3600");
    let mallory = PrivateKeySigner::random();
    let sign_in_wrongly = async |from: &str| {
        let message = app.message(person.wallet.address()).await.text();
        let signature = mallory.sign_message_sync(message.as_bytes()).unwrap();
        let body = json!({ "message": message, "signature": signature.to_string() });
        let request = app.request(Method::POST, "/v1/auth/login").header("x-forwarded-for", from);
        assert_eq!(send(request.json(&body)).await.status, 401);
    };
    for _ in 0..20 {
        sign_in_wrongly("203.0.113.1").await;
    }
    let answer = app.submit(&person, "still", &withdrawal(contact)).await;
    assert_eq!(answer.header("ratelimit-policy"), "\"account\";q=4;w=3600", "one client tightens nothing");
    for n in 2..12 {
        sign_in_wrongly(&format!("203.0.113.{n}")).await;
    }
    let answer = app.submit(&person, "b", &withdrawal(contact)).await;
    assert_eq!((answer.status, answer.header("ratelimit-policy")), (429, "\"account\";q=1;w=3600"));
}

#[tokio::test]
async fn a_thief_cannot_flood_a_strangers_mailbox_nor_learn_that_others_did() {
    let app = TestApp::with(limited(|limits| limits.contact_mails_per_destination = limit("2/1h"))).await;
    let outbox = Outbox {
        deployment: app.deployment,
        mail_domain: "example.com".to_owned(),
        depths: otp_core::store::Depths::default(),
    };
    let mut sent = 0;
    for spelling in ["victim@example.com", "vic.tim@example.com", "victim+1@example.com", "v.i.c.t.i.m+2@example.com"] {
        let thief = app.stranger().await;
        let body = json!({ "channel": "email", "address": spelling });
        let answer = app.post("/v1/contacts", &thief.token, &body).await;
        assert_eq!((answer.status, &answer.body["confirmed"]), (202, &json!(false)), "{spelling}");
        sent += app.store.enqueue_notices(&outbox).await.unwrap();
    }
    assert_eq!(sent, 2, "messages to one mailbox");
}

#[tokio::test]
async fn a_phone_that_a_request_may_fall_back_on_counts_for_its_prefix_as_one_that_was_asked_for() {
    let limited = limited(|limits| limits.requests_per_destination = limit("1/1h"));
    let app = TestApp::with(Setup { channels: vec![Channel::Email, Channel::Sms], ..limited }).await;
    let mut people = Vec::new();
    for n in 0..2 {
        let person = app.stranger().await;
        let body = json!({ "channel": "sms", "address": format!("+49 30 12345{n}") });
        let phone = id(&app.post("/v1/contacts", &person.token, &body).await.body["contactId"]);
        let digits = app.contact_digits(&person, phone, 1).await;
        assert_eq!(app.confirm(&person, phone, &digits).await.status, 200);
        let (mail, change) = app.proved(&person, "alice@example.com").await;
        let digits = app.change_digits(&person, change, 1).await;
        assert_eq!(app.approve(&person, change, &digits).await.status, 200);
        people.push((person, mail));
    }
    let [(alice, alices), (bob, bobs)] = &people[..] else { unreachable!() };
    let submit = async |who, key, contact, fallback: bool| {
        let mut body = withdrawal(contact);
        body["fallback"] = json!(fallback);
        app.submit(who, key, &body).await.status
    };
    assert_eq!(submit(alice, "a", *alices, true).await, 202);
    assert_eq!(submit(bob, "b", *bobs, true).await, 429, "both phones are of one prefix");
    assert_eq!(submit(bob, "c", *bobs, false).await, 202, "the mail alone has none");
}

#[tokio::test]
async fn confirmations_are_limited_by_account_and_by_address() {
    let app = TestApp::with(limited(|limits| {
        limits.contact_mails_per_account = limit("2/1h");
        limits.contact_mails_per_ip = limit("3/1h");
    }))
    .await;
    let (person, other) = (app.stranger().await, app.stranger().await);
    for (who, n, status) in
        [(&person, 1, 202), (&person, 2, 202), (&person, 3, 429), (&other, 4, 202), (&other, 5, 429)]
    {
        let body = json!({ "channel": "email", "address": format!("a{n}@example.com") });
        assert_eq!(app.post("/v1/contacts", &who.token, &body).await.status, status, "{n}");
    }
}

#[tokio::test]
async fn every_attempt_at_digits_is_limited_by_address() {
    let app = TestApp::with(limited(|limits| limits.unlocks_per_ip = limit("1/1h"))).await;
    let (person, contact) = app.person().await;
    for path in ["contact-changes/{}/approve", "contacts/{}/confirm", "otps/{}/unlock"] {
        let path = format!("/v1/{}", path.replace("{}", &contact.to_string()));
        let answer = app.post(&path, &person.token, &json!({ "digits": "000000" })).await;
        let policy = answer.header("ratelimit-policy");
        assert_eq!((answer.told(), policy), ((429, "rate-limited"), "\"ip\";q=1;w=3600"), "{path}");
    }
}

#[tokio::test]
async fn wrong_digits_of_an_approval_tighten_limits_too() {
    let app = TestApp::with(limited(|limits| {
        limits.tighten_above_percent = 60;
        limits.tighten_samples = 4;
        limits.requests_per_account = limit("4/1h");
        limits.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    }))
    .await;
    let (person, contact) = app.person().await;
    let deletion = app.delete("/v1/account", &person.token).await;
    let change: Uuid = deletion.body["change"]["id"].as_str().unwrap().parse().unwrap();
    let digits = wrong(app.seed(&person).await.change_digits(change, 1).expose());
    for n in 1..=3 {
        let request = app.request(Method::POST, &format!("/v1/contact-changes/{change}/approve"));
        let request = request.header("x-forwarded-for", format!("203.0.113.{n}")).bearer_auth(&person.token);
        assert_eq!(send(request.json(&json!({ "digits": digits }))).await.told(), (422, "wrong-digits"));
    }
    let answer = app.submit(&person, "a", &withdrawal(contact)).await;
    assert_eq!(answer.header("ratelimit-policy"), "\"account\";q=2;w=3600", "three of four were wrong");
}
