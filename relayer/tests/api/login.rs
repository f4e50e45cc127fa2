//! Signing in with a wallet.

use std::collections::BTreeMap;

use alloy::{
    primitives::{Address, Signature},
    signers::{SignerSync, local::PrivateKeySigner},
};
use serde_json::json;

use crate::{
    app::{ORIGIN, TestApp, send},
    message::{Message, seconds_from_now},
};

#[tokio::test]
async fn a_wallet_signs_in_and_gets_a_token_and_a_strict_cookie() {
    let app = TestApp::new().await;
    let wallet = PrivateKeySigner::random();
    let answer = app.login(&wallet, &app.message(wallet.address()).await.text()).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    assert_eq!(answer.body["wallet"], wallet.address().to_checksum(None));
    let cookie = answer.header("set-cookie");
    // The page is on http, so on localhost: not every browser takes the prefix there.
    assert!(cookie.starts_with("otp-session="), "{cookie}");
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict", "Max-Age=900"] {
        assert!(cookie.split("; ").any(|part| part == attribute), "{attribute} in {cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.body["tokenType"], "Bearer");

    let mut message = app.message(wallet.address()).await;
    (message.domain, message.uri) = ("app.example".to_owned(), "https://app.example/sign-in".to_owned());
    let answer = app.login(&wallet, &message.text()).await;
    assert!(answer.header("set-cookie").starts_with("__Host-otp-session="), "{:?}", answer.headers);
}

/// What is wrong with a message, the check that is told, and how the message is spoiled.
type Fault = (&'static str, fn(&mut Message));

#[tokio::test]
async fn every_bad_field_is_refused_and_named() {
    let app = TestApp::new().await;
    let wallet = PrivateKeySigner::random();
    let faults: [Fault; 21] = [
        ("domain", |m| m.domain = "evil.example".to_owned()),
        ("domain", |m| m.domain = "localhost:3001".to_owned()),
        ("domain", |m| m.domain = "user@localhost:3000".to_owned()),
        ("uri", |m| m.uri = "http://evil.example/".to_owned()),
        ("uri", |m| m.uri = "https://app.example/sign-in".to_owned()),
        ("scheme", |m| m.domain = format!("https://{}", m.domain)),
        ("chain-id", |m| m.chain_id += 1),
        ("format", |m| m.version = 2),
        ("format", |m| m.nonce = "short".to_owned()),
        ("nonce", |m| m.nonce = "0123456789abcdef0123456789abcdef".to_owned()),
        ("format", |m| m.version = 0),
        ("format", |m| m.issued_at = "yesterday".to_owned()),
        ("format", |m| m.issued_at = seconds_from_now(0).replace('T', " ")),
        ("statement", |m| m.statement = "Give me <everything>".to_owned()),
        ("request-id", |m| m.more.push("Request ID: a b".to_owned())),
        ("issued-at", |m| m.issued_at = seconds_from_now(90)),
        ("issued-at", |m| m.issued_at = seconds_from_now(-121)),
        ("expiration-time", |m| m.more.push(format!("Expiration Time: {}", seconds_from_now(-1)))),
        ("not-before", |m| m.more.push(format!("Not Before: {}", seconds_from_now(30)))),
        ("signature", |m| m.wallet = Address::repeat_byte(1)),
        ("size", |m| m.more.push(format!("Request ID: {}", "x".repeat(4_096)))),
    ];
    for (check, spoil) in faults {
        let mut message = app.message(wallet.address()).await;
        spoil(&mut message);
        let answer = app.login(&wallet, &message.text()).await;
        assert_eq!(answer.told(), (401, "siwe-invalid"), "{check}: {:?}", answer.body);
        assert_eq!(answer.body["check"], check, "{:?}", answer.body);
        assert_eq!(answer.header("set-cookie"), "");
    }
}

#[tokio::test]
async fn a_signature_that_is_none_is_refused() {
    let app = TestApp::new().await;
    let wallet = PrivateKeySigner::random();
    let message = app.message(wallet.address()).await.text();
    for signature in
        ["", "0x", "0xzz", &"00".repeat(65), &format!("0x{}", "00".repeat(64)), &format!("0x{}", "ff".repeat(65))]
    {
        let body = json!({ "message": message, "signature": signature });
        let answer = send(app.request(reqwest::Method::POST, "/v1/auth/login").json(&body)).await;
        assert_eq!(answer.told(), (401, "siwe-invalid"), "{signature}");
        assert_eq!(answer.body["check"], "signature");
    }
    // None of these used the nonce up.
    assert_eq!(app.login(&wallet, &message).await.status, 200);
}

#[tokio::test]
async fn a_message_cannot_be_changed_after_signing_nor_sent_from_another_page() {
    let app = TestApp::new().await;
    let wallet = PrivateKeySigner::random();
    let message = app.message(wallet.address()).await.text();
    let signature = alloy::signers::SignerSync::sign_message_sync(&wallet, message.as_bytes()).unwrap();
    let login = |message: String| json!({ "message": message, "signature": format!("0x{}", hex::encode(signature.as_bytes())) });
    let changed = login(message.replace("Sign in to the test", "Sign in to the tesT"));
    let request = || app.request(reqwest::Method::POST, "/v1/auth/login");
    assert_eq!(send(request().json(&changed)).await.body["check"], "signature");
    let elsewhere = request().header("Origin", "https://app.example").json(&login(message.clone()));
    assert_eq!(send(elsewhere).await.body["check"], "origin");
    let from_home = send(request().header("Origin", ORIGIN).json(&login(message))).await;
    assert_eq!(from_home.status, 200);
    assert_eq!(from_home.header("access-control-allow-origin"), ORIGIN);
    assert_eq!(from_home.header("access-control-allow-credentials"), "true");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_signs_in_once_however_many_try_at_once() {
    let app = TestApp::new().await;
    let wallet = PrivateKeySigner::random();
    let message = app.message(wallet.address()).await.text();
    let answers = futures_util::future::join_all((0..50).map(|_| app.login(&wallet, &message))).await;
    let (mut in_, mut out) = (0, 0);
    for answer in answers {
        match answer.told() {
            (200, _) => in_ += 1,
            (401, "siwe-invalid") if answer.body["check"] == "nonce" => out += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((in_, out), (1, 49));
}

#[tokio::test(flavor = "multi_thread")]
async fn first_sign_ins_at_once_make_one_account() {
    let app = TestApp::new().await;
    let wallet = PrivateKeySigner::random();
    let people = futures_util::future::join_all((0..8).map(|_| app.sign_in(&wallet))).await;
    assert!(people.iter().all(|person| person.account == people[0].account));
    app.add_contact(&people[0], "alice@example.com").await;
    let seen = app.get("/v1/contacts", &people[7].token).await;
    assert_eq!(seen.body["contacts"][0]["masked"], "a***@e***.com");
}

#[tokio::test]
async fn the_public_vectors_of_what_must_not_be_read_are_refused() {
    let app = TestApp::new().await;
    let wallet = PrivateKeySigner::random();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/siwe");
    let mut sent = 0;
    for file in ["parsing_negative", "invalid_uris", "invalid_resources", "own_negative"] {
        let vectors = std::fs::read(format!("{folder}/{file}.json")).unwrap();
        let vectors: BTreeMap<String, String> = serde_json::from_slice(&vectors).unwrap();
        for (name, message) in vectors {
            let answer = app.login(&wallet, &message).await;
            assert_eq!(answer.told(), (401, "siwe-invalid"), "{file}, {name}: {:?}", answer.body);
            let check = answer.body["check"].as_str().unwrap();
            assert!(["format", "statement", "request-id"].contains(&check), "{file}, {name}: {check}");
            sent += 1;
        }
    }
    assert!(sent > 80, "{sent}");
}

#[tokio::test]
async fn a_wallets_clock_may_differ_and_a_message_is_no_older_than_its_nonce() {
    let app = TestApp::new().await;
    let wallet = PrivateKeySigner::random();
    for seconds in [-100, -30, 0, 30, 55] {
        let mut message = app.message(wallet.address()).await;
        message.issued_at = seconds_from_now(seconds);
        message.more = vec![
            format!("Expiration Time: {}", seconds_from_now(30)),
            format!("Not Before: {}", seconds_from_now(-1)),
            "Request ID: a%20b".to_owned(),
            "Resources:".to_owned(),
            "- https://app.example/terms".to_owned(),
        ];
        let answer = app.login(&wallet, &message.text()).await;
        assert_eq!(answer.status, 200, "{seconds}: {:?}", answer.body);
    }
}

#[tokio::test]
async fn a_signature_has_one_form() {
    let app = TestApp::new().await;
    let wallet = PrivateKeySigner::random();
    let message = app.message(wallet.address()).await.text();
    let good = wallet.sign_message_sync(message.as_bytes()).unwrap();
    // The same signature with the other s, which recovers to the same key.
    let order =
        alloy::primitives::U256::from_str_radix("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
            .unwrap();
    let high = Signature::new(good.r(), order - good.s(), !good.v());
    assert_eq!(high.recover_address_from_msg(message.as_bytes()).unwrap(), wallet.address());
    let eip155 = [&good.as_bytes()[..64], &[37 + u8::from(good.v())]].concat();
    let compact = good.as_erc2098();
    for signature in [high.as_bytes().as_slice(), &eip155, &compact] {
        assert_eq!(app.login_by(&message, signature).await.body["check"], "signature");
    }
    let raw = [&good.as_bytes()[..64], &[u8::from(good.v())]].concat();
    assert_eq!(app.login_by(&message, &raw).await.status, 200, "v of 0 and 1, as some wallets have it");
}
