//! Six digits for the full code, three times wrong and never again.

use alloy::{primitives::Bytes, providers::ext::AnvilApi, sol_types::SolCall};
use futures_util::future::join_all;
use otp_core::{
    clock::now_ms,
    contract::OtpVerifier,
    store::{Attempt, NewAttempt},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{Answer, Person, Setup, TestApp, wrong};

/// A person with an issued code, and its digits.
async fn issued(app: &TestApp) -> (Person, Uuid, String) {
    let (person, contact) = app.person().await;
    let otp = app.accepted(&person, contact).await;
    app.issue().await;
    let digits = app.code(&person, otp).await.digits().expose().to_owned();
    (person, otp, digits)
}

fn count(answers: &[Answer], told: (u16, &str)) -> usize {
    answers.iter().filter(|answer| answer.told() == told).count()
}

#[tokio::test]
async fn right_digits_give_calldata_that_the_contract_accepts_once() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let mut otps = Vec::new();
    for _ in 0..5 {
        otps.push(app.accepted(&person, contact).await);
    }
    app.issue().await;
    // Requests that waited together are one batch, so proofs are not empty.
    let otp = otps[3];
    let code = app.code(&person, otp).await;
    let answer = app.unlock(&person, otp, code.digits().expose()).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    assert_eq!(answer.body["code"], code.expose().as_str());
    assert_eq!(answer.body["codeHash"], json!(code.hash()));
    assert!(!answer.body["ticket"]["proof"].as_array().unwrap().is_empty());
    assert_eq!(answer.body["ticket"]["serial"], 3);
    let ticket = &answer.body["ticket"];
    let by_link = format!("/v1/tickets/{}/{}", ticket["issuer"].as_str().unwrap(), ticket["id"].as_str().unwrap());
    let of_link = app.get(&by_link, "").await.body;
    assert_eq!((&of_link["ticket"], &of_link["status"]), (ticket, &json!("issued")), "a link finds the same ticket");
    let calldata: Bytes = serde_json::from_value(answer.body["calldata"].clone()).unwrap();
    let verifier = answer.body["verifier"].as_str().unwrap().parse().unwrap();
    let thief = app.stranger().await;
    assert!(!app.transact(&thief.wallet, verifier, calldata.to_vec()).await.1, "another wallet's is refused");
    assert!(app.transact(&person.wallet, verifier, calldata.to_vec()).await.1, "the contract verifies it");
    assert!(!app.transact(&person.wallet, verifier, calldata.to_vec()).await.1, "and only once");
    app.follow().await;
    let shown = app.get(&format!("/v1/otps/{otp}"), &person.token).await.body;
    assert_eq!(shown["status"], "verified");
    assert_eq!(shown["onChainId"], answer.body["ticket"]["id"]);
    assert_eq!(shown["expiry"], answer.body["expiry"]);
    assert!(shown["blockNumber"].as_u64().is_some() && shown["txHash"].is_string());
    assert!(shown["chainTime"].as_str().unwrap() < shown["expiry"].as_str().unwrap());
    assert_eq!(app.get(&by_link, "").await.body["status"], "verified");
}

#[tokio::test]
async fn the_same_session_gets_the_same_answer_again() {
    let app = TestApp::new().await;
    let (person, otp, digits) = issued(&app).await;
    let first = app.unlock(&person, otp, &digits).await;
    for _ in 0..12 {
        let again = app.unlock(&person, otp, &digits).await;
        assert_eq!((again.status, &again.body), (200, &first.body), "right digits cost no attempt and no guess");
    }
    let shown = app.get(&format!("/v1/otps/{otp}"), &person.token).await.body;
    assert_eq!((&shown["status"], &shown["attemptsLeft"]), (&json!("unlocked"), &json!(3)));
}

#[tokio::test]
async fn three_wrong_digits_lock_for_good_also_across_a_restart() {
    let mut app = TestApp::new().await;
    let (person, otp, digits) = issued(&app).await;
    for left in [2, 1, 0] {
        let answer = app.unlock(&person, otp, &wrong(&digits)).await;
        assert_eq!(answer.told(), (422, "wrong-digits"));
        assert_eq!(answer.body["attemptsLeft"], left);
    }
    assert_eq!(app.unlock(&person, otp, &digits).await.told(), (423, "locked"));
    app.serve(&Setup::default()).await;
    assert_eq!(app.unlock(&person, otp, &digits).await.told(), (423, "locked"));
    app.anvil.node.anvil_increase_time(3_600).await.unwrap();
    app.anvil.node.anvil_mine(Some(1), None).await.unwrap();
    app.follow().await;
    assert_eq!(app.unlock(&person, otp, &digits).await.told(), (423, "locked"), "also once it has expired");
    let shown = app.get(&format!("/v1/otps/{otp}"), &person.token).await.body;
    assert_eq!((&shown["status"], &shown["attemptsLeft"]), (&json!("locked"), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_at_once_three_are_compared() {
    let app = TestApp::new().await;
    let (person, otp, digits) = issued(&app).await;
    let bad = wrong(&digits);
    let answers = join_all((0..50).map(|n| app.unlock(&person, otp, if n < 49 { &bad } else { &digits }))).await;
    let compared = count(&answers, (422, "wrong-digits")) + count(&answers, (200, ""));
    let wrongs = count(&answers, (422, "wrong-digits"));
    assert!(wrongs <= 3 && compared <= 4, "{wrongs} wrong ones compared, {compared} in all");
    assert_eq!(compared + count(&answers, (423, "locked")), 50);
    assert_eq!(wrongs, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_answer_within_the_budget_always_wins() {
    let app = TestApp::new().await;
    let (person, otp, digits) = issued(&app).await;
    let bad = wrong(&digits);
    let answers = join_all((0..50).map(|n| app.unlock(&person, otp, if n % 25 == 7 { &bad } else { &digits }))).await;
    assert_eq!(count(&answers, (422, "wrong-digits")), 2);
    assert_eq!(count(&answers, (200, "")), 48);
}

#[tokio::test]
async fn right_answers_to_many_codes_at_once_do_not_take_each_others_budget() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let mut otps = Vec::new();
    for _ in 0..16 {
        otps.push(app.accepted(&person, contact).await);
    }
    app.issue().await;
    let mut answers = Vec::new();
    for otp in otps {
        let code = app.code(&person, otp).await;
        answers.push((otp, code.digits().expose().to_owned()));
    }
    let answers = join_all(answers.iter().map(|(otp, digits)| app.unlock(&person, *otp, digits))).await;
    assert_eq!(count(&answers, (200, "")), 16);
}

#[tokio::test]
async fn no_other_session_can_unlock_or_use_up_attempts() {
    let app = TestApp::new().await;
    let (person, otp, digits) = issued(&app).await;
    let same_wallet = app.sign_in(&person.wallet).await;
    let stranger = app.stranger().await;
    for other in [&same_wallet, &stranger] {
        for digits in [&digits, &wrong(&digits), &wrong(&digits), &wrong(&digits)] {
            assert_eq!(app.unlock(other, otp, digits).await.told(), (404, "not-found"));
        }
    }
    assert_eq!(app.unlock(&person, otp, &digits).await.status, 200);
}

#[tokio::test]
async fn before_it_is_on_the_chain_no_attempt_is_taken() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let otp = app.accepted(&person, contact).await;
    for _ in 0..4 {
        assert_eq!(app.unlock(&person, otp, "000000").await.told(), (409, "not-issued"));
    }
    app.issue().await;
    let code = app.code(&person, otp).await;
    assert_eq!(app.unlock(&person, otp, code.digits().expose()).await.status, 200);
}

#[tokio::test]
async fn an_expired_code_is_not_unlocked() {
    let app = TestApp::new().await;
    let (person, otp, digits) = issued(&app).await;
    app.anvil.node.anvil_increase_time(61).await.unwrap();
    app.anvil.node.anvil_mine(Some(1), None).await.unwrap();
    app.follow().await;
    assert_eq!(app.unlock(&person, otp, &digits).await.told(), (410, "expired"));
    assert_eq!(app.get(&format!("/v1/otps/{otp}"), &person.token).await.body["status"], "expired");
}

#[tokio::test]
async fn a_revoked_batch_is_not_unlocked() {
    let app = TestApp::new().await;
    let (person, otp, digits) = issued(&app).await;
    let story = app.store.story(person.account, otp).await.unwrap().unwrap();
    let roots = vec![story.issuance.unwrap().root];
    let call = OtpVerifier::revokeBatchesCall { issuer: app.issuer.address(), roots }.abi_encode();
    assert!(app.transact(&app.guardian, app.deployment.verifier, call).await.1);
    app.follow().await;
    assert_eq!(app.unlock(&person, otp, &digits).await.told(), (410, "revoked"));
    assert_eq!(app.get(&format!("/v1/otps/{otp}"), &person.token).await.body["status"], "revoked");
}

#[tokio::test]
async fn an_account_has_ten_wrong_digits_an_hour_across_requests_and_sessions() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let second = app.sign_in(&person.wallet).await;
    let mut otps = Vec::new();
    for n in 0..5 {
        let who = if n % 2 == 0 { &person } else { &second };
        otps.push((who, app.accepted(who, contact).await));
    }
    app.issue().await;
    let mut told = Vec::new();
    for (who, otp) in &otps[..4] {
        let digits = app.code(who, *otp).await.digits().expose().to_owned();
        for _ in 0..3 {
            told.push(app.unlock(who, *otp, &wrong(&digits)).await.status);
        }
    }
    assert_eq!(told, [[422; 10].as_slice(), &[429; 2]].concat());
    let (who, otp) = otps[4];
    let digits = app.code(who, otp).await.digits().expose().to_owned();
    let refused = app.unlock(who, otp, &digits).await;
    assert_eq!(refused.told(), (429, "rate-limited"), "right digits too: they would be an eleventh guess");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 3_500);
    assert_eq!(app.get(&format!("/v1/otps/{otp}"), &who.token).await.body["attemptsLeft"], 3);
}

#[tokio::test]
async fn wrong_digits_of_contacts_and_requests_are_one_budget_and_right_ones_cost_nothing() {
    let app = TestApp::new().await;
    let person = app.stranger().await;
    for n in 0..3 {
        let contact = app.add_contact(&person, &format!("a{n}@example.com")).await;
        let digits = app.contact_digits(&person, contact, 1).await;
        for _ in 0..3 {
            assert_eq!(app.confirm(&person, contact, &wrong(&digits)).await.status, 422);
        }
    }
    let contact = app.add_contact(&person, "right@example.com").await;
    let digits = app.contact_digits(&person, contact, 1).await;
    assert_eq!(app.confirm(&person, contact, &digits).await.status, 200, "the tenth guess, given back");
    let otp = app.accepted(&person, contact).await;
    app.issue().await;
    let digits = app.code(&person, otp).await.digits().expose().to_owned();
    assert_eq!(app.unlock(&person, otp, &digits).await.status, 200);
    assert_eq!(app.unlock(&person, otp, &wrong(&digits)).await.status, 422, "the tenth wrong one");
    assert_eq!(app.unlock(&person, otp, &wrong(&digits)).await.status, 429);
}

#[tokio::test]
async fn attempts_that_a_crash_cut_off_count_as_wrong() {
    let app = TestApp::new().await;
    let (person, otp, digits) = issued(&app).await;
    for _ in 0..3 {
        let new = NewAttempt { account_id: person.account, request_id: otp, takes: Vec::new(), now_ms: now_ms() };
        let (attempt, _) = app.store.begin_attempt(new).await.unwrap();
        assert!(matches!(attempt, Attempt::Counted { .. }));
    }
    assert_eq!(app.unlock(&person, otp, &digits).await.told(), (423, "locked"));
    let shown = app.get(&format!("/v1/otps/{otp}"), &person.token).await.body;
    assert_eq!(shown["status"], Value::from("locked"));
}
