//! How many wrong digits are evaluated: by the contract's policy for a request, by the hour and in a row for an account.

use std::collections::HashSet;

use alloy::{
    primitives::{Address, Bytes},
    providers::{Provider, ext::AnvilApi},
    rpc::types::TransactionRequest,
    sol_types::SolCall,
};
use futures_util::future::{join, join_all};
use otp_core::{
    clock::now_ms,
    contract::{IOtpVerifier::Policy, OtpVerifier},
    id::Purpose,
    store::{Attempt, MOST_WRONG_IN_A_ROW, NewAttempt, Settlement},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{Answer, Person, TestApp, withdrawal, wrong};

const HOUR_MS: i64 = 3_600_000;

impl TestApp {
    /// What governance decides, once its delay has passed.
    async fn set_policy(&self, purpose: &str, ttl: u32, max_attempts: u8, enabled: bool) {
        let purpose: Purpose = purpose.parse().unwrap();
        let policy = Policy { ttl, grace: 300, maxAttempts: max_attempts, enabled };
        let call = OtpVerifier::setPolicyCall { purpose: purpose.bytes32(), policy };
        let (node, timelock) = (&self.anvil.node, self.contracts.timelock);
        testbed::anvil::fund(node, timelock).await.unwrap();
        node.anvil_impersonate_account(timelock).await.unwrap();
        let request = TransactionRequest::default().from(timelock).to(self.deployment.verifier);
        let sent = node
            .send_transaction(request.input(Bytes::from(call.abi_encode()).into()).gas_limit(1_000_000))
            .await
            .unwrap();
        let hash = *sent.tx_hash();
        node.anvil_mine(Some(1), None).await.unwrap();
        assert!(node.get_transaction_receipt(hash).await.unwrap().expect("mined").status());
    }

    async fn right_digits(&self, person: &Person, otp: Uuid) -> String {
        self.code(person, otp).await.digits().expose().to_owned()
    }

    /// So many wrong answers to a request, and what each was told.
    async fn answer_wrong(&self, person: &Person, otp: Uuid, times: usize) -> Vec<Answer> {
        let digits = wrong(&self.right_digits(person, otp).await);
        let mut answers = Vec::new();
        for _ in 0..times {
            answers.push(self.unlock(person, otp, &digits).await);
        }
        answers
    }

    async fn purpose(&self, name: &str) -> Value {
        let config = self.get("/v1/config", "").await.body;
        let purposes = config["purposes"].as_array().unwrap();
        purposes.iter().find(|purpose| purpose["name"] == name).cloned().unwrap_or_default()
    }
}

fn told(answers: &[Answer]) -> Vec<(u16, Option<u64>)> {
    answers.iter().map(|answer| (answer.status, answer.body["attemptsLeft"].as_u64())).collect()
}

#[tokio::test]
async fn the_policy_of_the_block_that_issued_counts_not_that_of_the_request() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let stricter = app.accepted(&person, contact).await;
    app.set_policy("withdraw", 60, 1, true).await;
    app.issue().await;
    assert_eq!(told(&app.answer_wrong(&person, stricter, 2).await), [(422, Some(0)), (423, None)]);

    let looser = app.accepted(&person, contact).await;
    app.set_policy("withdraw", 60, 5, true).await;
    app.issue().await;
    let answers = told(&app.answer_wrong(&person, looser, 6).await);
    assert_eq!(answers, [(422, Some(4)), (422, Some(3)), (422, Some(2)), (422, Some(1)), (422, Some(0)), (423, None)]);

    // What comes after leaves an issued code as it is.
    let earlier = app.accepted(&person, contact).await;
    app.issue().await;
    app.set_policy("withdraw", 60, 1, true).await;
    app.follow().await;
    assert_eq!(told(&app.answer_wrong(&person, earlier, 2).await), [(422, Some(4)), (422, Some(3))]);
    let digits = app.right_digits(&person, earlier).await;
    assert_eq!(app.unlock(&person, earlier, &digits).await.status, 200);
}

#[tokio::test]
async fn purposes_and_times_to_live_are_the_contracts_from_its_next_block_on() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let ask = async |purpose: &str| {
        let mut body = withdrawal(contact);
        body["purpose"] = json!(purpose);
        app.submit(&person, &Uuid::now_v7().to_string(), &body).await
    };
    assert_eq!(ask("unheard-of").await.told(), (404, "purpose-unknown"));
    app.set_policy("unheard-of", 90, 2, true).await;
    app.set_policy("withdraw", 120, 3, true).await;
    app.follow().await;
    let known = app.purpose("unheard-of").await;
    assert_eq!((&known["ttl"], &known["maxAttempts"]), (&json!(90), &json!(2)));
    let answer = ask("unheard-of").await;
    assert_eq!(answer.status, 202, "{:?}", answer.body);
    let withdrawal = app.accepted(&person, contact).await;
    app.issue().await;
    let story = app.store.story(person.account, withdrawal).await.unwrap().unwrap();
    let issued = story.chain.issued.unwrap();
    assert_eq!(issued.expiry_s - issued.at_s, 120);

    app.set_policy("withdraw", 120, 3, false).await;
    app.follow().await;
    assert_eq!(ask("withdraw").await.told(), (404, "purpose-unknown"));
    assert_eq!(app.purpose("withdraw").await, Value::Null);
    let digits = app.right_digits(&person, withdrawal).await;
    assert_eq!(app.unlock(&person, withdrawal, &digits).await.status, 200, "issued before, and still good");
}

#[tokio::test]
async fn before_the_batcher_saw_the_block_no_more_is_evaluated_than_every_policy_allows() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let [guessed, known] = [app.accepted(&person, contact).await, app.accepted(&person, contact).await];
    app.set_policy("withdraw", 60, 1, true).await;
    app.issue_in(1).await;
    let answers = app.answer_wrong(&person, guessed, 3).await;
    assert_eq!(answers[0].told(), (422, "wrong-digits"));
    assert_eq!((answers[1].told(), answers[2].told()), ((409, "not-issued"), (409, "not-issued")));
    assert_eq!(answers[1].header("retry-after"), "1");
    let digits = app.right_digits(&person, known).await;
    assert_eq!(app.unlock(&person, known, &digits).await.status, 200, "a right answer need not wait");
    app.issue().await;
    let digits = app.right_digits(&person, guessed).await;
    assert_eq!(app.unlock(&person, guessed, &digits).await.told(), (423, "locked"), "the policy allowed one");
}

#[tokio::test]
async fn an_answer_waits_for_the_batcher_to_see_the_block() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let otp = app.accepted(&person, contact).await;
    app.issue_in(1).await;
    assert_eq!(told(&app.answer_wrong(&person, otp, 1).await), [(422, Some(2))]);
    let digits = app.right_digits(&person, otp).await;
    let (right, ()) = join(app.unlock(&person, otp, &digits), app.issue()).await;
    assert_eq!(right.status, 200, "{:?}", right.body);
    assert_eq!(told(&app.answer_wrong(&person, otp, 1).await), [(422, Some(1))], "the right one was given back");
}

/// Counts an attempt that no limit is asked about.
async fn begin(app: &TestApp, account_id: Uuid, request_id: Uuid, now_ms: i64) -> Attempt {
    app.store.begin_attempt(NewAttempt { account_id, request_id, takes: Vec::new(), now_ms }).await.unwrap().0
}

#[tokio::test]
async fn attempts_that_come_together_are_counted_as_if_one_came_after_another() {
    let app = TestApp::new().await;
    let mut requests = Vec::new();
    for _ in 0..3 {
        let (person, contact) = app.person().await;
        requests.push((person.account, app.accepted(&person, contact).await));
    }
    app.issue().await;
    let all = (0..9).map(|n| {
        let (account, request) = requests[n % 3];
        begin(&app, account, request, now_ms())
    });
    let mut counted = vec![Vec::new(); 3];
    for (n, attempt) in join_all(all).await.into_iter().enumerate() {
        let Attempt::Counted { guess, attempts_left } = attempt else { panic!("attempt {n}: {attempt:?}") };
        counted[n % 3].push((guess, attempts_left));
    }
    let guesses: HashSet<_> = counted.iter().flatten().map(|(guess, _)| format!("{guess:?}")).collect();
    assert_eq!(guesses.len(), 9, "each is a guess of its own");
    let mut settling = Vec::new();
    // So many of each request's three were right.
    for ((counted, (_, request_id)), rights) in counted.iter().zip(&requests).zip([1, 2, 0]) {
        assert_eq!(counted.iter().map(|(_, left)| *left).collect::<Vec<_>>(), [2, 1, 0]);
        for (n, (guess, _)) in counted.iter().enumerate() {
            let settlement = Settlement { request_id: *request_id, guess: *guess, right: n < rights, now_ms: now_ms() };
            settling.push(app.store.settle_attempt(settlement));
        }
    }
    for settled in join_all(settling).await {
        settled.unwrap();
    }
    for ((account, request), left) in requests.into_iter().zip([Some(0), Some(1), None]) {
        let story = app.store.story(account, request).await.unwrap().unwrap();
        assert_eq!((story.unlocked_at_ms.is_some(), story.locked_at_ms.is_some()), (left.is_some(), left.is_none()));
        match begin(&app, account, request, now_ms()).await {
            Attempt::Counted { attempts_left, .. } => assert_eq!(Some(attempts_left), left),
            attempt => assert_eq!((attempt, left), (Attempt::Locked, None)),
        }
    }
}

/// Takes wrong guesses at issued requests, an hour apart as far as the budget sees, and asks for new codes in between.
async fn guess_wrong(app: &TestApp, person: &Person, contact: Uuid, times: i64, begin_ms: i64) {
    let mut otps = Vec::new();
    for _ in 0..=times / 3 {
        otps.push(app.accepted(person, contact).await);
    }
    app.issue().await;
    for n in 0..times {
        let otp = otps[usize::try_from(n / 3).unwrap()];
        let at_ms = begin_ms + n * (HOUR_MS + 1);
        let attempt = begin(app, person.account, otp, at_ms).await;
        let Attempt::Counted { guess, .. } = attempt else { panic!("guess {n}: {attempt:?}") };
        let settlement = Settlement { request_id: otp, guess, right: false, now_ms: at_ms };
        app.store.settle_attempt(settlement).await.unwrap();
    }
}

#[tokio::test]
async fn a_hundred_wrong_in_a_row_lock_an_account_until_its_operator_unlocks_it() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    guess_wrong(&app, &person, contact, MOST_WRONG_IN_A_ROW - 1, now_ms()).await;
    let otp = app.accepted(&person, contact).await;
    app.issue().await;
    let digits = app.right_digits(&person, otp).await;
    assert_eq!(app.unlock(&person, otp, &digits).await.status, 200, "the hundredth was right, and ends the row");

    let later_ms = now_ms() + 200 * HOUR_MS;
    guess_wrong(&app, &person, contact, MOST_WRONG_IN_A_ROW, later_ms).await;
    let otp = app.accepted(&person, contact).await;
    app.issue().await;
    let digits = app.right_digits(&person, otp).await;
    let second = app.sign_in(&person.wallet).await;
    for _ in 0..2 {
        assert_eq!(app.unlock(&person, otp, &digits).await.told(), (423, "account-locked"), "also a right one");
    }
    assert_eq!(app.unlock(&second, otp, &digits).await.told(), (404, "not-found"));
    assert_eq!(app.confirm(&person, contact, "000000").await.told(), (423, "account-locked"));
    for path in ["contacts", "contact-changes"] {
        let act = if path == "contacts" { "confirm" } else { "approve" };
        let strange = format!("/v1/{path}/{}/{act}", Uuid::now_v7());
        let told = app.post(&strange, &person.token, &json!({ "digits": "000000" })).await;
        assert_eq!(told.told(), (404, "not-found"), "what is nobody's takes no turn");
    }
    // Nor does any time that passes, or a second process that never looked.
    let year_ms = later_ms + 8_766 * HOUR_MS;
    let attempt = begin(&app, person.account, otp, year_ms).await;
    assert!(matches!(attempt, Attempt::TooMany { .. }), "{attempt:?}");
    let (stranger, contact) = app.person().await;
    let other = app.accepted(&stranger, contact).await;
    app.issue().await;
    let right = app.right_digits(&stranger, other).await;
    assert_eq!(app.unlock(&stranger, other, &right).await.status, 200, "nobody else is locked");

    assert_eq!(app.store.unlock_account(Address::repeat_byte(9)).await.unwrap(), None);
    let unlocked = app.store.unlock_account(person.wallet.address()).await.unwrap();
    assert_eq!(unlocked, Some((person.account, true)));
    assert_eq!(app.unlock(&person, otp, &digits).await.status, 200);
    assert_eq!(app.store.unlock_account(person.wallet.address()).await.unwrap(), Some((person.account, false)));
}

#[tokio::test]
async fn a_clock_that_is_set_back_or_ahead_gives_no_more_guesses_than_the_budget() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let mut otps = Vec::new();
    for _ in 0..8 {
        otps.push(app.accepted(&person, contact).await);
    }
    app.issue().await;
    let now_ms = now_ms();
    let guess = async |n: usize, at_ms: i64| {
        let attempt = begin(&app, person.account, otps[n / 3], at_ms).await;
        matches!(attempt, Attempt::Counted { .. })
    };
    for n in 0..10 {
        assert!(guess(n, now_ms).await);
    }
    for at_ms in [now_ms, now_ms - 1, now_ms - HOUR_MS, now_ms - 24 * HOUR_MS, 0] {
        assert!(!guess(10, at_ms).await, "at {at_ms}");
    }
    // An hour on there are ten more; back again there are none, for the ten then made lie ahead.
    for n in 10..20 {
        assert!(guess(n, now_ms + HOUR_MS + 1).await);
    }
    for at_ms in [now_ms + HOUR_MS + 1, now_ms, now_ms - HOUR_MS] {
        assert!(!guess(20, at_ms).await, "back at {at_ms}");
    }
}

#[tokio::test]
async fn proving_an_address_of_ones_own_does_not_end_the_row_of_wrong_digits() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    guess_wrong(&app, &person, contact, MOST_WRONG_IN_A_ROW - 1, now_ms()).await;
    let thief = app.sign_in(&person.wallet).await;
    app.proved(&thief, "thief@evil.example").await;
    let otp = app.accepted(&person, contact).await;
    app.issue().await;
    assert_eq!(app.answer_wrong(&person, otp, 1).await[0].told(), (422, "wrong-digits"));
    let digits = app.right_digits(&person, otp).await;
    assert_eq!(app.unlock(&person, otp, &digits).await.told(), (423, "account-locked"), "that was the hundredth");
}
