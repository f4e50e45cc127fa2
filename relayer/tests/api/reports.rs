//! "This was not me": the link in a code's message, and the page that it opens.

use std::time::Duration;

use alloy::{primitives::Bytes, providers::ext::AnvilApi};
use otp_core::store::{Binding, NewSession};
use relayer::config::{Limit, LimitsConfig, Quota};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{Answer, Person, Setup, TestApp, send};

impl TestApp {
    async fn report(&self, otp: Uuid, token: &str) -> Answer {
        let path = format!("/v1/otps/{otp}/report");
        send(self.request(Method::POST, &path).json(&json!({ "token": token }))).await
    }

    /// What the message would carry.
    async fn report_token(&self, person: &Person, otp: Uuid) -> String {
        self.seed(person).await.report_token(otp).expose().to_string()
    }

    /// A session of a wallet that began at `now_ms`.
    async fn later_session(&self, person: &Person, now_ms: i64) -> Uuid {
        let session_id = Uuid::now_v7();
        let new = NewSession {
            nonce: &session_id.to_string(),
            nonce_expires_at_ms: now_ms + 60_000,
            wallet: person.wallet.address(),
            new_account_id: Uuid::now_v7(),
            new_seed_sealed: b"",
            session_id,
            domain: "localhost:3000",
            binding: Binding::default(),
            now_ms,
            expires_at_ms: now_ms + 900_000,
        };
        assert_eq!(self.store.start_session(&new).await.unwrap(), Some(person.account));
        session_id
    }

    /// Another contact in the place of this one, by approval.
    async fn replace_contact(&self, person: &Person, contact: Uuid) {
        let (_, addition) = self.proved(person, "alice@example.org").await;
        let digits = self.change_digits(person, addition, 1).await;
        assert_eq!(self.approve(person, addition, &digits).await.status, 200);
        let removal = self.removal(person, contact).await;
        let digits = self.change_digits(person, removal, 1).await;
        assert_eq!(self.approve(person, removal, &digits).await.status, 200);
    }

    async fn status(&self, person: &Person, otp: Uuid) -> Value {
        let again = self.sign_in(&person.wallet).await;
        self.get(&format!("/v1/otps/{otp}"), &again.token).await.body["status"].clone()
    }
}

#[tokio::test]
async fn a_report_locks_the_code_revokes_it_on_the_chain_and_ends_all_sessions() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let elsewhere = app.sign_in(&person.wallet).await;
    let otp = app.accepted(&person, contact).await;
    app.issue().await;
    let token = app.report_token(&person, otp).await;
    let first = app.report(otp, &token).await;
    assert_eq!(first.status, 200, "{:?}", first.body);
    assert_eq!(first.body, json!({ "id": otp, "locked": true, "revocation": "owed", "sessionsEnded": 2 }));
    for session in [&person, &elsewhere] {
        assert_eq!(app.get("/v1/contacts", &session.token).await.status, 401);
    }
    assert_eq!(app.status(&person, otp).await, "locked");
    let again = app.report(otp, &token).await;
    assert_eq!((again.status, &again.body["revocation"]), (200, &json!("owed")), "again is no fault");
    app.issue().await;
    assert_eq!(app.status(&person, otp).await, "revoked", "on the chain");
}

#[tokio::test]
async fn a_request_that_still_waits_is_withdrawn() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let otp = app.accepted(&person, contact).await;
    let token = app.report_token(&person, otp).await;
    assert_eq!(app.report(otp, &token).await.body["revocation"], "withdrawn");
    assert_eq!(app.report(otp, &token).await.body["revocation"], "withdrawn");
    app.issue().await;
    assert_eq!(app.store.story(person.account, otp).await.unwrap().unwrap().issuance.map(|found| found.serial), None);
}

#[tokio::test]
async fn a_code_that_was_verified_is_revoked_before_it_is_consumed() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let otp = app.accepted(&person, contact).await;
    app.issue().await;
    let code = app.code(&person, otp).await;
    let unlocked = app.unlock(&person, otp, code.digits().expose()).await.body;
    let calldata: Bytes = serde_json::from_value(unlocked["calldata"].clone()).unwrap();
    assert!(app.transact(&person.wallet, app.deployment.verifier, calldata.to_vec()).await.1);
    app.follow().await;
    let token = app.report_token(&person, otp).await;
    assert_eq!(app.report(otp, &token).await.body["revocation"], "owed");
    app.issue().await;
    assert_eq!(app.status(&person, otp).await, "revoked");
}

#[tokio::test]
async fn a_report_long_after_its_code_costs_no_gas_and_still_ends_sessions() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let otp = app.accepted(&person, contact).await;
    app.issue().await;
    app.anvil.node.anvil_increase_time(7_200).await.unwrap();
    app.anvil.node.anvil_mine(Some(1), None).await.unwrap();
    app.follow().await;
    let token = app.report_token(&person, otp).await;
    let answer = app.report(otp, &token).await;
    assert_eq!((&answer.body["revocation"], &answer.body["sessionsEnded"]), (&json!("moot"), &json!(1)));
}

#[tokio::test]
async fn a_wrong_token_and_an_unknown_request_answer_alike_and_do_nothing() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let otp = app.accepted(&person, contact).await;
    let right = app.report_token(&person, otp).await;
    let mut bodies = Vec::new();
    let others = [
        (otp, app.report_token(&person, Uuid::now_v7()).await),
        (otp, app.seed(&person).await.cancel_token(otp, contact).expose().to_string()),
        (otp, "0".repeat(32)),
        (Uuid::now_v7(), right.clone()),
    ];
    for (id, token) in &others {
        let mut answer = app.report(*id, token).await;
        assert_eq!(answer.told(), (404, "not-found"));
        answer.body.as_object_mut().unwrap().remove("requestId");
        bodies.push(answer.body.to_string());
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    for bad in ["", &right[1..], &format!("{right}\n")] {
        assert_eq!(app.report(otp, bad).await.told(), (400, "bad-request"));
    }
    assert_eq!(app.get(&format!("/v1/otps/{otp}"), &person.token).await.body["status"], "queued");
}

#[tokio::test]
async fn the_page_behind_a_link_runs_its_own_script_alone_and_does_nothing_when_it_is_read() {
    let app = TestApp::new().await;
    for path in ["/report", "/cancel", "/links.js", "/links.css"] {
        let answer = app.request(Method::GET, path).send().await.unwrap();
        let headers = answer.headers().clone();
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default();
        assert_eq!(answer.status(), 200, "{path}");
        let policy = header("content-security-policy");
        for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!((header("x-content-type-options"), header("referrer-policy")), ("nosniff", "no-referrer"));
        let text = answer.text().await.unwrap();
        for inline in ["onclick", "onload", "style=", "javascript:", "http://", "https://", "innerHTML", "eval("] {
            assert!(!text.contains(inline), "{path} has {inline}");
        }
        if header("content-type").starts_with("text/html") {
            assert!(text.contains("<html lang=\"en\">") && text.contains("role=\"status\""));
            assert_eq!(text.matches("<script").count(), 1);
            assert!(text.contains("<script src=\"links.js\" defer></script>"));
        }
    }
}

#[tokio::test]
async fn an_old_link_ends_no_session_that_began_after_its_code_and_a_removed_contacts_does_nothing() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let otp = app.accepted(&person, contact).await;
    app.issue().await;
    let token = app.report_token(&person, otp).await;
    let first = app.report(otp, &token).await;
    assert_eq!((first.status, &first.body["sessionsEnded"]), (200, &json!(1)));

    // The code lives a minute; a session that is not older than that cannot have asked for it.
    let row = app.store.reportable(otp).await.unwrap().unwrap();
    let over_ms = row.expiry_s.unwrap() * 1_000 + 1;
    let later = app.later_session(&person, over_ms).await;
    for over in [false, true] {
        let again = app.store.report(otp, &row, over, over_ms + 1).await.unwrap();
        assert_eq!((again.newly_locked, again.sessions_ended), (false, 0));
    }
    assert!(app.store.session(later, over_ms + 1).await.unwrap().is_some(), "it goes on");

    let person = app.sign_in(&person.wallet).await;
    app.replace_contact(&person, contact).await;
    assert_eq!(app.report(otp, &token).await.told(), (404, "not-found"), "its contact was removed");
    assert_eq!(app.get("/v1/contacts", &person.token).await.status, 200);
}

#[tokio::test]
async fn reports_are_limited_for_each_address() {
    let mut limits = LimitsConfig::unlimited();
    limits.unlocks_per_ip = Limit(Some(Quota { count: 2, period: Duration::from_secs(300) }));
    let app = TestApp::with(Setup { limits, ..Setup::default() }).await;
    for expected in [404, 404, 429] {
        assert_eq!(app.report(Uuid::now_v7(), &"0".repeat(32)).await.status, expected);
    }
}
