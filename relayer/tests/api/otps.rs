//! Asking for a code.

use std::{collections::HashSet, time::Duration};

use alloy::{primitives::B256, providers::ext::AnvilApi, sol_types::SolCall};
use futures_util::{FutureExt, future::join_all};
use otp_core::{
    authorization::Authorization,
    contract::OtpVerifier,
    store::{Rules, Submission},
};
use relayer::config::LimitsConfig;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{ORIGIN, Setup, TestApp, claims, send, withdrawal};

#[tokio::test]
async fn a_request_is_stored_before_it_is_answered_and_the_batcher_is_woken() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let answer = app.submit(&person, "key", &withdrawal(contact)).await;
    assert_eq!(answer.status, 202, "{:?}", answer.body);
    let id: Uuid = answer.body["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(answer.header("location"), format!("/v1/otps/{id}"));
    assert_eq!(answer.body["status"], "queued");
    assert_eq!(answer.body["purpose"], "withdraw");
    assert_eq!(answer.body["verifier"], app.deployment.verifier.to_checksum(None));
    let reference = answer.body["reference"].as_str().unwrap();
    assert!(reference.len() == 6 && reference.bytes().all(|b| b.is_ascii_uppercase()), "{reference}");
    assert!(app.wake.notified().now_or_never().is_some(), "woken");

    let body: otp_core::authorization::TypedAction =
        serde_json::from_value(withdrawal(contact)["action"].clone()).unwrap();
    let expected = Authorization::try_from(body).unwrap();
    assert_eq!(answer.body["action"], json!(expected.action));
    let shown = app.get(&format!("/v1/otps/{id}"), &person.token).await;
    assert_eq!(shown.body["status"], "queued");
    assert_eq!(shown.body["attemptsLeft"], 3);
    assert_eq!(shown.body["payloadHash"], json!(expected.payload_hash));
    assert_eq!(shown.body["authorization"]["typed"], json!(expected.typed), "so that a page can hash it itself");
    assert_eq!(shown.body["authorization"]["title"], "Withdrawal");
    assert_eq!(shown.body["delivery"]["masked"], "a***@e***.com");
    assert_eq!(app.store.queue_lengths().await.unwrap(), [("withdraw".parse().unwrap(), 1)]);
}

#[tokio::test]
async fn a_sign_in_names_its_session_and_every_other_purpose_an_action() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let answer = app.submit(&person, "one", &json!({ "purpose": "login", "contactId": contact })).await;
    let session: Uuid = claims(&person.token)["jti"].as_str().unwrap().parse().unwrap();
    let expected = Authorization::sign_in(ORIGIN, B256::left_padding_from(session.as_bytes()));
    assert_eq!((answer.status, &answer.body["action"]), (202, &json!(expected.action)));
    let shown = app.get(answer.header("location"), &person.token).await.body;
    let fields = json!([{ "name": "to", "value": ORIGIN }]);
    let word = B256::left_padding_from(session.as_bytes());
    assert_eq!(shown["authorization"], json!({ "title": "Sign in", "fields": fields, "session": word }));
    let other = app.sign_in(&person.wallet).await;
    let answer = app.submit(&other, "two", &json!({ "purpose": "login", "contactId": contact })).await;
    assert_ne!(answer.body["action"], json!(expected.action), "another session is another action");
    let answer = app.submit(&person, "three", &json!({ "purpose": "withdraw", "contactId": contact })).await;
    assert_eq!(answer.told(), (400, "action-invalid"));
}

#[tokio::test]
async fn actions_that_hide_what_they_authorise_are_refused() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let spoiled = |spoil: fn(&mut Value)| {
        let mut body = withdrawal(contact);
        spoil(&mut body);
        body
    };
    let bodies = [
        spoiled(|b| b["action"] = json!(B256::repeat_byte(1))),
        spoiled(|b| b["action"]["consumer"] = json!("0x0000000000000000000000000000000000000000")),
        spoiled(|b| b["action"]["message"]["hidden"] = json!(1)),
        spoiled(|b| drop(b["action"]["message"].as_object_mut().unwrap().remove("to"))),
        spoiled(|b| b["action"]["primaryType"] = json!("Other")),
        spoiled(|b| b["action"]["message"]["amount"] = json!("-1")),
        spoiled(|b| b["action"]["types"]["EIP712Domain"] = json!([])),
    ];
    for (n, body) in bodies.iter().enumerate() {
        let answer = app.submit(&person, &format!("key-{n}"), body).await;
        assert_eq!(answer.told(), (400, "action-invalid"), "{body}");
    }
}

#[tokio::test]
async fn blind_actions_pass_where_they_are_allowed() {
    let app = TestApp::with(Setup { allow_blind_actions: true, ..Setup::default() }).await;
    let (person, contact) = app.person().await;
    let word = B256::repeat_byte(1);
    let body = |action: Value| json!({ "purpose": "withdraw", "contactId": contact, "action": action });
    let answer = app.submit(&person, "one", &body(json!(word))).await;
    assert_eq!((answer.status, &answer.body["action"]), (202, &json!(word)));
    for bad in ["", "0x", "0x01", &"01".repeat(32), &format!("0x{}", "zz".repeat(32))] {
        assert_eq!(app.submit(&person, "two", &body(json!(bad))).await.told(), (400, "action-invalid"), "{bad}");
    }
}

#[tokio::test]
async fn an_idempotency_key_is_needed_and_is_visible_ascii() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let request = || app.request(Method::POST, "/v1/otps").bearer_auth(&person.token).json(&withdrawal(contact));
    let missing = (400, "idempotency-key-missing");
    assert_eq!(send(request()).await.told(), missing);
    for bad in [String::new(), "with space".to_owned(), "x".repeat(256)] {
        assert_eq!(send(request().header("Idempotency-Key", &bad)).await.told(), missing, "{bad}");
    }
    let bytes = reqwest::header::HeaderValue::from_bytes("schlüssel".as_bytes()).unwrap();
    assert_eq!(send(request().header("Idempotency-Key", bytes)).await.told(), missing);
    assert_eq!(send(request().header("Idempotency-Key", "x".repeat(255))).await.status, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_at_once_makes_one_request_and_every_answer_is_the_same() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let body = withdrawal(contact);
    let answers = join_all((0..20).map(|_| app.submit(&person, "key", &body))).await;
    assert!(answers.iter().all(|answer| answer.status == 202 && answer.body == answers[0].body), "{answers:?}");
    assert_eq!(app.store.queue_lengths().await.unwrap(), [("withdraw".parse().unwrap(), 1)]);
    let mut other = withdrawal(contact);
    other["action"]["message"]["amount"] = json!("1001");
    assert_eq!(app.submit(&person, "key", &other).await.told(), (422, "idempotency-mismatch"));
    // Another account's key is another key.
    let (stranger, theirs) = app.person().await;
    let answer = app.submit(&stranger, "key", &withdrawal(theirs)).await;
    assert_eq!(answer.status, 202);
    assert_ne!(answer.body["id"], answers[0].body["id"]);
}

#[tokio::test]
async fn a_key_is_free_again_after_a_day() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let id = app.accepted(&person, contact).await;
    let story = app.store.story(person.account, id).await.unwrap().unwrap();
    let new = |now_ms, id| otp_core::store::NewRequest {
        id,
        account_id: person.account,
        session_id: story.session_id,
        contact_id: contact,
        idempotency_key: "key".to_owned(),
        body_hash: B256::ZERO,
        reference: if now_ms == 0 { "OLD" } else { "NEW" }.to_owned(),
        purpose: story.purpose,
        action: story.action,
        payload_hash: None,
        authorization_sealed: Vec::new(),
        max_attempts: 3,
        fallback: false,
        now_ms,
        issuer: app.issuer.address(),
        rules: Rules::default(),
    };
    let day = 86_400_000;
    assert!(matches!(app.store.submit(new(0, Uuid::now_v7())).await.unwrap(), Submission::Accepted(_)));
    assert!(matches!(app.store.submit(new(day - 1, Uuid::now_v7())).await.unwrap(), Submission::Replayed(_)));
    assert!(matches!(app.store.submit(new(day, Uuid::now_v7())).await.unwrap(), Submission::Accepted(_)));
    assert!(matches!(app.store.submit(new(day + 1, Uuid::now_v7())).await.unwrap(), Submission::Replayed(_)));
}

#[tokio::test]
async fn while_the_chain_is_away_nothing_is_queued_and_repetitions_are_answered() {
    let app = TestApp::with(Setup { fresh_for: Duration::from_secs(3), ..Setup::default() }).await;
    let (person, contact) = app.person().await;
    app.view.refresh(&app.anvil.node).await.unwrap();
    let accepted = app.submit(&person, "before", &withdrawal(contact)).await;
    assert_eq!(accepted.status, 202, "{:?}", accepted.body);
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    let refused = app.submit(&person, "after", &withdrawal(contact)).await;
    assert_eq!(refused.told(), (503, "chain-unavailable"));
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    assert_eq!(app.submit(&person, "before", &withdrawal(contact)).await.body, accepted.body);
    assert_eq!(app.store.queue_lengths().await.unwrap(), [("withdraw".parse().unwrap(), 1)]);
    let ready = send(app.request(Method::GET, "/readyz")).await;
    assert_eq!((ready.status, &ready.body["dependencies"]["chain"]["state"]), (503, &json!("unreachable")));
}

#[tokio::test]
async fn a_chain_that_stands_still_counts_as_away() {
    let app = TestApp::with(Setup { max_head_age: Duration::from_secs(2), ..Setup::default() }).await;
    let (person, contact) = app.person().await;
    app.anvil.node.anvil_set_interval_mining(0).await.unwrap();
    app.anvil.node.anvil_set_auto_mine(false).await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    app.view.refresh(&app.anvil.node).await.unwrap();
    assert_eq!(app.submit(&person, "key", &withdrawal(contact)).await.told(), (503, "chain-unavailable"));
}

#[tokio::test]
async fn while_the_contract_is_paused_issuance_is_disabled() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let paused = app.transact(&app.guardian, app.deployment.verifier, OtpVerifier::pauseCall {}.abi_encode()).await;
    assert!(paused.1);
    app.view.refresh(&app.anvil.node).await.unwrap();
    let answer = app.submit(&person, "key", &withdrawal(contact)).await;
    assert_eq!(answer.told(), (503, "issuance-disabled"));
    assert_ne!(answer.header("retry-after"), "");
}

#[tokio::test]
async fn an_issuer_without_funds_disables_issuance() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    app.anvil.node.anvil_set_balance(app.issuer.address(), Default::default()).await.unwrap();
    app.view.refresh(&app.anvil.node).await.unwrap();
    assert_eq!(app.submit(&person, "key", &withdrawal(contact)).await.told(), (503, "issuance-disabled"));
}

#[tokio::test]
async fn purposes_that_are_not_served_or_not_enabled_are_unknown() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    // "unheard-of" is configured, and the contract has no policy for it.
    for purpose in ["nothing", "keys", "UPPER", "", "unheard-of"] {
        let body = json!({ "purpose": purpose, "contactId": contact });
        assert_eq!(app.submit(&person, "key", &body).await.told(), (404, "purpose-unknown"), "{purpose}");
    }
    let config = send(app.request(Method::GET, "/v1/config")).await.body;
    let names: Vec<&str> = config["purposes"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["login", "withdraw"]);
    assert_eq!(config["purposes"][0]["actionRequired"], false);
    assert_eq!(config["purposes"][1]["actionRequired"], true);
    assert_eq!(config["purposes"][1]["maxAttempts"], 3);
    assert_eq!(config["issuer"], app.issuer.address().to_checksum(None));
    assert_eq!(config["channels"], json!(["email"]));
    assert_eq!((&config["actions"], &config["sponsoring"]), (&json!([]), &json!(false)));
}

#[tokio::test]
async fn codes_go_to_confirmed_contacts_of_the_caller_alone() {
    let app = TestApp::new().await;
    let (_, theirs) = app.person().await;
    let person = app.stranger().await;
    let pending = app.add_contact(&person, "bob@example.com").await;
    let mut answers = Vec::new();
    for contact in [pending, theirs, Uuid::now_v7()] {
        let mut answer = app.submit(&person, "key", &withdrawal(contact)).await;
        assert_eq!(answer.told(), (403, "contact-unconfirmed"));
        answer.body.as_object_mut().unwrap().remove("requestId");
        answers.push(answer.body);
    }
    assert!(answers.iter().all(|body| *body == answers[0]), "the same for unconfirmed, a stranger's and nobody's");
}

#[tokio::test]
async fn a_cooldown_holds_per_contact_and_not_for_repetitions() {
    let cooldown = (Duration::from_secs(30), Duration::from_secs(900));
    let app =
        TestApp::with(Setup { limits: LimitsConfig { cooldown, ..LimitsConfig::unlimited() }, ..Setup::default() })
            .await;
    let (person, contact) = app.person().await;
    assert_eq!(app.submit(&person, "one", &withdrawal(contact)).await.status, 202);
    assert_eq!(app.submit(&person, "one", &withdrawal(contact)).await.status, 202);
    let answer = app.submit(&person, "two", &withdrawal(contact)).await;
    assert_eq!(answer.told(), (429, "rate-limited"));
    assert!((1..=30).contains(&answer.header("retry-after").parse::<u64>().unwrap()));
}

#[tokio::test]
async fn a_wallet_lists_its_own_requests_newest_first_in_pages() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let mut made = Vec::new();
    for _ in 0..25 {
        made.push(app.accepted(&person, contact).await.to_string());
    }
    made.reverse();
    let first = app.get("/v1/otps", &person.token).await.body;
    let cursor = first["nextCursor"].as_str().unwrap();
    let second = app.get(&format!("/v1/otps?cursor={cursor}"), &person.token).await.body;
    assert_eq!(second["nextCursor"], Value::Null);
    let pages = [&first, &second].map(|page| page["otps"].as_array().unwrap().clone()).concat();
    let listed: Vec<&str> = pages.iter().map(|otp| otp["id"].as_str().unwrap()).collect();
    assert_eq!(listed, made);
    let references: HashSet<&str> = pages.iter().map(|otp| otp["reference"].as_str().unwrap()).collect();
    assert_eq!(references.len(), 25, "each has a reference of its own");

    let stranger = app.stranger().await;
    assert_eq!(app.get("/v1/otps", &stranger.token).await.body["otps"], json!([]));
    assert_eq!(app.get(&format!("/v1/otps/{}", made[0]), &stranger.token).await.told(), (404, "not-found"));
    let same_wallet = app.sign_in(&person.wallet).await;
    let seen = app.get(&format!("/v1/otps/{}", made[0]), &same_wallet.token).await;
    assert_eq!((seen.status, &seen.body["attemptsLeft"]), (200, &Value::Null), "attempts are the session's own");
}

#[tokio::test]
async fn falling_back_on_another_channel_is_asked_for_and_is_part_of_what_a_key_stands_for() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let with = |fallback: Value| {
        let mut body = withdrawal(contact);
        body["fallback"] = fallback;
        body
    };
    for bad in [json!("true"), json!(1), json!([]), json!({})] {
        assert_eq!(app.submit(&person, "bad", &with(bad)).await.status, 400);
    }
    let accepted = app.submit(&person, "key", &with(json!(true))).await;
    assert_eq!(accepted.status, 202, "{:?}", accepted.body);
    assert_eq!(app.submit(&person, "key", &with(json!(true))).await.body["id"], accepted.body["id"]);
    assert_eq!(app.submit(&person, "key", &withdrawal(contact)).await.told(), (422, "idempotency-mismatch"));
    let plain = app.submit(&person, "plain", &withdrawal(contact)).await;
    let same = app.submit(&person, "plain", &with(json!(false))).await;
    assert_eq!((same.status, &same.body["id"]), (202, &plain.body["id"]), "not set is false");
}
