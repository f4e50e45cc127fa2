//! What a thief with the wallet key, or with a stolen session, can do to contacts and account: propose, and be cancelled.

use futures_util::future::join_all;
use otp_core::{
    clock::now_ms,
    store::{Delay, Outbox, PENDING_MS, Removal},
};
use relayer::changes;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{Answer, Person, TestApp, send, withdrawal, wrong};

pub(crate) const DELAY_MS: i64 = 259_200_000;
pub(crate) const HOUR_MS: i64 = 3_600_000;

pub(crate) fn id(value: &Value) -> Uuid {
    value.as_str().unwrap().parse().unwrap()
}

impl TestApp {
    /// Adds an address as a change, and proves it.
    pub(crate) async fn proved(&self, person: &Person, address: &str) -> (Uuid, Uuid) {
        let body = json!({ "channel": "email", "address": address });
        let added = self.post("/v1/contacts", &person.token, &body).await;
        assert_eq!(added.status, 202, "{:?}", added.body);
        let (contact, change) = (id(&added.body["contactId"]), id(&added.body["change"]["id"]));
        let digits = self.contact_digits(person, contact, 1).await;
        let answer = self.confirm(person, contact, &digits).await;
        assert_eq!((answer.status, &answer.body["confirmed"]), (200, &json!(false)), "{:?}", answer.body);
        (contact, change)
    }

    /// Every message that is asked for is handed over, as by the indexer.
    pub(crate) async fn hand_over(&self) {
        let outbox = Outbox {
            deployment: self.deployment,
            mail_domain: "otp.example".to_owned(),
            depths: otp_core::store::Depths::default(),
        };
        self.store.enqueue_notices(&outbox).await.unwrap();
        while let Some(job) = self.store.claim_delivery(60_000, None).await.unwrap() {
            self.store.mark_accepted(&job.message_id, None).await.unwrap();
        }
    }

    /// Asks for a contact's removal; the change.
    pub(crate) async fn removal(&self, person: &Person, contact: Uuid) -> Uuid {
        let answer = self.delete(&format!("/v1/contacts/{contact}"), &person.token).await;
        assert_eq!(answer.status, 202, "{:?}", answer.body);
        id(&answer.body["change"]["id"])
    }

    pub(crate) async fn approve(&self, person: &Person, change: Uuid, digits: &str) -> Answer {
        let path = format!("/v1/contact-changes/{change}/approve");
        self.post(&path, &person.token, &json!({ "digits": digits })).await
    }

    /// What the messages of a change would have.
    pub(crate) async fn change_digits(&self, person: &Person, change: Uuid, challenge: u64) -> String {
        self.seed(person).await.change_digits(change, challenge).expose().to_owned()
    }

    /// Follows the link of a message, without a session.
    pub(crate) async fn cancel(&self, change: Uuid, token: &str) -> Answer {
        let path = format!("/v1/contact-changes/{change}/cancel");
        send(self.request(reqwest::Method::POST, &path).json(&json!({ "token": token }))).await
    }

    pub(crate) async fn cancel_token(&self, person: &Person, change: Uuid, contact: Uuid) -> String {
        self.seed(person).await.cancel_token(change, contact).expose().to_string()
    }

    pub(crate) async fn confirmed(&self, person: &Person) -> Vec<Uuid> {
        let list = self.get("/v1/contacts", &person.token).await.body;
        let confirmed = list["contacts"].as_array().unwrap().iter().filter(|contact| contact["confirmed"] == true);
        confirmed.map(|contact| id(&contact["contactId"])).collect()
    }
}

#[tokio::test]
async fn with_the_wallet_key_alone_nothing_is_effective_before_the_delay_and_the_victims_links_stop_it() {
    let app = TestApp::new().await;
    let (owner, contact) = app.person().await;
    let thief = app.sign_in(&owner.wallet).await;
    let (his, addition) = app.proved(&thief, "thief@evil.example").await;
    let removal = app.delete(&format!("/v1/contacts/{contact}"), &thief.token).await;
    let deletion = app.delete("/v1/account", &thief.token).await;
    assert_eq!((removal.status, deletion.status), (202, 202));
    let waiting = app.get("/v1/contact-changes", &thief.token).await.body;
    assert_eq!(waiting["changes"].as_array().unwrap().len(), 3);

    assert_eq!(changes::step(&app.store, now_ms() + DELAY_MS - 60_000).await.unwrap(), 0, "a minute before");
    assert_eq!(app.confirmed(&thief).await, [contact]);
    let refused = app.submit(&thief, "key", &json!({ "purpose": "login", "contactId": his })).await;
    assert_eq!(refused.told(), (403, "contact-unconfirmed"));

    for change in [addition, id(&removal.body["change"]["id"]), id(&deletion.body["change"]["id"])] {
        let token = app.cancel_token(&owner, change, contact).await;
        let answer = app.cancel(change, &token).await;
        assert_eq!((answer.status, &answer.body["state"]), (200, &json!("cancelled")), "{:?}", answer.body);
    }
    assert_eq!(changes::step(&app.store, now_ms() + 2 * DELAY_MS).await.unwrap(), 0, "nothing is left to be made");
    for session in [&thief, &owner] {
        assert_eq!(app.get("/v1/contacts", &session.token).await.status, 401, "cancelling ends every session");
    }
    // He can sign in again, since he has the key; it gains him nothing but another try.
    let thief = app.sign_in(&owner.wallet).await;
    assert_eq!(app.confirmed(&thief).await, [contact]);
    let listed = app.get("/v1/contacts", &thief.token).await.body;
    assert_eq!(listed["contacts"].as_array().unwrap().len(), 1, "his address is gone");
}

#[tokio::test]
async fn a_contact_that_waited_from_before_the_first_was_confirmed_needs_a_change_too() {
    let app = TestApp::new().await;
    let owner = app.stranger().await;
    let thief = app.sign_in(&owner.wallet).await;
    let his = app.add_contact(&thief, "thief@evil.example").await;
    let his_digits = app.contact_digits(&thief, his, 1).await;
    let contact = app.add_contact(&owner, "alice@example.com").await;
    let digits = app.contact_digits(&owner, contact, 1).await;
    assert_eq!(app.confirm(&owner, contact, &digits).await.status, 200);
    assert_eq!(app.get("/v1/contacts", &thief.token).await.status, 401, "a change of contacts ends other sessions");
    let thief = app.sign_in(&owner.wallet).await;
    assert_eq!(app.confirm(&thief, his, &his_digits).await.told(), (403, "contact-change-needs-approval"));
    // The owner can clear it away, since it was never confirmed.
    assert_eq!(app.delete(&format!("/v1/contacts/{his}"), &owner.token).await.status, 204);
    assert_eq!(app.confirm(&thief, his, &his_digits).await.told(), (404, "not-found"));
}

#[tokio::test]
async fn an_approval_by_a_confirmed_contact_takes_effect_at_once() {
    let app = TestApp::new().await;
    let (owner, contact) = app.person().await;
    let elsewhere = app.sign_in(&owner.wallet).await;
    let (second, change) = app.proved(&owner, "alice@example.org").await;
    let digits = app.change_digits(&owner, change, 1).await;
    assert_eq!(app.approve(&owner, change, &digits).await.status, 200);
    assert_eq!(app.approve(&owner, change, &digits).await.status, 200, "again is no fault");
    assert_eq!(app.confirmed(&owner).await, [contact, second]);
    assert_eq!(app.get("/v1/contacts", &elsewhere.token).await.status, 401, "other sessions end");

    // Approved before it is proved: it receives codes once it is.
    let body = json!({ "channel": "email", "address": "alice@example.net" });
    let added = app.post("/v1/contacts", &owner.token, &body).await.body;
    let (third, change) = (id(&added["contactId"]), id(&added["change"]["id"]));
    let digits = app.change_digits(&owner, change, 1).await;
    assert_eq!(app.approve(&owner, change, &digits).await.status, 200);
    assert_eq!(app.confirmed(&owner).await.len(), 2);
    let digits = app.contact_digits(&owner, third, 1).await;
    assert_eq!(app.confirm(&owner, third, &digits).await.body["confirmed"], true);
    assert_eq!(app.confirmed(&owner).await.len(), 3);

    // The new contact's own digits approve nothing.
    let removal = app.delete(&format!("/v1/contacts/{third}"), &owner.token).await.body;
    let change = id(&removal["change"]["id"]);
    let digits = app.change_digits(&owner, change, 1).await;
    let others = app.contact_digits(&owner, third, 1).await;
    if others != digits {
        assert_eq!(app.approve(&owner, change, &others).await.told(), (422, "wrong-digits"));
    }
    assert_eq!(app.approve(&owner, change, &digits).await.status, 200);
    assert_eq!(app.confirmed(&owner).await, [contact, second]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_has_three_attempts_however_many_come_at_once_and_new_digits_after_ten_minutes() {
    let app = TestApp::new().await;
    let (owner, _) = app.person().await;
    let (_, change) = app.proved(&owner, "alice@example.org").await;
    let digits = app.change_digits(&owner, change, 1).await;
    let bad = wrong(&digits);
    let answers = join_all((0..30).map(|_| app.approve(&owner, change, &bad))).await;
    let told = |told| answers.iter().filter(|answer| answer.told() == told).count();
    assert_eq!((told((422, "wrong-digits")), told((423, "locked"))), (3, 27));
    assert_eq!(app.approve(&owner, change, &digits).await.told(), (423, "locked"));

    let path = format!("/v1/contact-changes/{change}/digits");
    let early = send(app.request(reqwest::Method::POST, &path).bearer_auth(&owner.token)).await;
    assert_eq!(early.told(), (429, "rate-limited"));
    assert!((590..=601).contains(&early.header("retry-after").parse::<u64>().unwrap()));
    let later = now_ms() + 600_001;
    app.store.renew_change(owner.account, change, later).await.unwrap();
    let renewed = app.change_digits(&owner, change, 2).await;
    if renewed != digits {
        assert_eq!(app.approve(&owner, change, &digits).await.told(), (422, "wrong-digits"), "the old ones");
    }
    assert_eq!(app.approve(&owner, change, &renewed).await.status, 200);
}

#[tokio::test]
async fn digits_that_approve_expire_and_come_ten_times_at_most() {
    let app = TestApp::new().await;
    let (owner, _) = app.person().await;
    let (_, change) = app.proved(&owner, "alice@example.org").await;
    let mut clock = now_ms();
    for _ in 0..9 {
        clock += 600_001;
        let expired = app.store.begin_approval(owner.account, change, clock).await.unwrap();
        assert_eq!(format!("{expired:?}"), "Expired");
        let renewed = app.store.renew_change(owner.account, change, clock).await.unwrap();
        assert!(format!("{renewed:?}").starts_with("Sent"), "{renewed:?}");
    }
    let used_up = app.store.renew_change(owner.account, change, clock + 600_001).await.unwrap();
    assert_eq!(format!("{used_up:?}"), "UsedUp");
}

#[tokio::test]
async fn a_link_cancels_its_own_change_and_a_wrong_one_answers_as_one_that_is_not_there() {
    let app = TestApp::new().await;
    let (owner, contact) = app.person().await;
    let (_, change) = app.proved(&owner, "alice@example.org").await;
    let right = app.cancel_token(&owner, change, contact).await;
    let (stranger, stranger_contact) = app.person().await;
    let others = [
        (change, app.cancel_token(&owner, Uuid::now_v7(), contact).await),
        (change, app.cancel_token(&owner, change, Uuid::nil()).await),
        (change, app.cancel_token(&stranger, change, stranger_contact).await),
        (Uuid::now_v7(), right.clone()),
    ];
    let mut bodies = Vec::new();
    for (change, token) in &others {
        let mut answer = app.cancel(*change, token).await;
        assert_eq!(answer.told(), (404, "not-found"));
        answer.body.as_object_mut().unwrap().remove("requestId");
        bodies.push(answer.body.to_string());
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    for bad in ["", "x", &right[1..], &format!("{right}0"), &right.to_uppercase().replace(char::is_numeric, "A")] {
        assert_eq!(app.cancel(change, bad).await.told(), (400, "bad-request"), "{bad}");
    }
    assert_eq!(app.get("/v1/contacts", &owner.token).await.status, 200, "nothing has happened");
    let first = app.cancel(change, &right).await;
    assert_eq!((first.status, &first.body["sessionsEnded"]), (200, &json!(1)));
    let again = app.cancel(change, &right).await;
    assert_eq!((again.status, &again.body["sessionsEnded"]), (200, &json!(0)), "again is no fault");
}

#[tokio::test]
async fn a_change_that_was_made_is_not_cancelled_and_a_removed_contact_cancels_nothing() {
    let app = TestApp::new().await;
    let (owner, contact) = app.person().await;
    let (second, change) = app.proved(&owner, "alice@example.org").await;
    let digits = app.change_digits(&owner, change, 1).await;
    assert_eq!(app.approve(&owner, change, &digits).await.status, 200);
    let token = app.cancel_token(&owner, change, contact).await;
    assert_eq!(app.cancel(change, &token).await.told(), (410, "expired"));

    let removal = app.delete(&format!("/v1/contacts/{contact}"), &owner.token).await.body;
    let removal = id(&removal["change"]["id"]);
    let (_, waiting) = app.proved(&owner, "alice@example.net").await;
    let digits = app.change_digits(&owner, removal, 1).await;
    assert_eq!(app.approve(&owner, removal, &digits).await.status, 200);
    let removed = app.cancel_token(&owner, waiting, contact).await;
    assert_eq!(app.cancel(waiting, &removed).await.told(), (404, "not-found"));
    let kept = app.cancel_token(&owner, waiting, second).await;
    assert_eq!(app.cancel(waiting, &kept).await.status, 200);
}

#[tokio::test]
async fn trying_an_address_does_not_tell_whether_it_is_a_contact() {
    let app = TestApp::new().await;
    let (owner, contact) = app.person().await;
    let thief = app.sign_in(&owner.wallet).await;
    let mut shapes = Vec::new();
    for address in ["alice@example.com", "bella@example.com"] {
        let answer = app.post("/v1/contacts", &thief.token, &json!({ "channel": "email", "address": address })).await;
        let mut body = answer.body;
        for hidden in ["contactId", "change", "masked"] {
            assert!(body.as_object_mut().unwrap().remove(hidden).is_some());
        }
        shapes.push((answer.status, body));
    }
    assert_eq!(shapes[0], shapes[1]);
    // Made all the same, it changes nothing: the contact stays the one it was.
    app.hand_over().await;
    assert_eq!(changes::step(&app.store, now_ms() + DELAY_MS + 1).await.unwrap(), 2);
    let owner = app.sign_in(&owner.wallet).await;
    assert_eq!(app.confirmed(&owner).await, [contact]);
}

#[tokio::test]
async fn no_more_than_three_changes_wait_and_ten_a_day_are_proposed() {
    let app = TestApp::new().await;
    let (owner, _) = app.person().await;
    let mut told = Vec::new();
    let mut contacts = Vec::new();
    for n in 0..4 {
        let body = json!({ "channel": "email", "address": format!("a{n}@example.org") });
        let answer = app.post("/v1/contacts", &owner.token, &body).await;
        contacts.extend(answer.body["contactId"].as_str().map(str::to_owned));
        told.push(answer.status);
    }
    assert_eq!(told, [202, 202, 202, 429]);
    assert_eq!(app.delete("/v1/account", &owner.token).await.told(), (429, "rate-limited"));
    // A contact that was never confirmed goes at once, and its change with it; what was proposed stays counted.
    for contact in contacts {
        assert_eq!(app.delete(&format!("/v1/contacts/{contact}"), &owner.token).await.status, 204);
    }
    assert_eq!(app.get("/v1/contact-changes", &owner.token).await.body["changes"], json!([]));
    let delay = Delay { now_ms: now_ms(), delay_ms: 0 };
    let mut proposed = 3;
    while let Removal::Waits(_) = app.store.delete_account(owner.account, delay).await.unwrap() {
        proposed += 1;
        let change = app.store.changes(owner.account).await.unwrap().remove(0);
        app.store.cancel_change(change.id, now_ms()).await.unwrap();
    }
    assert_eq!(proposed, 10);
}

#[tokio::test]
async fn anothers_change_answers_as_one_that_is_not_there() {
    let app = TestApp::new().await;
    let (owner, _) = app.person().await;
    let (_, change) = app.proved(&owner, "alice@example.org").await;
    let digits = app.change_digits(&owner, change, 1).await;
    let stranger = app.stranger().await;
    for id in [change, Uuid::now_v7()] {
        assert_eq!(app.approve(&stranger, id, &digits).await.told(), (404, "not-found"));
        let path = format!("/v1/contact-changes/{id}/digits");
        let renewed = send(app.request(reqwest::Method::POST, &path).bearer_auth(&stranger.token)).await;
        assert_eq!(renewed.told(), (404, "not-found"));
    }
    assert_eq!(app.get("/v1/contact-changes", &stranger.token).await.body["changes"], json!([]));
    assert_eq!(app.approve(&owner, change, &digits).await.status, 200, "no attempt was used up");
}

#[tokio::test]
async fn a_deleted_account_is_erased_its_pending_code_still_finishes_and_its_wallet_begins_anew() {
    let app = TestApp::new().await;
    let (owner, contact) = app.person().await;
    let idle = app.sign_in(&owner.wallet).await;
    let deletion = app.delete("/v1/account", &owner.token).await;
    assert_eq!(deletion.status, 202);
    let change = id(&deletion.body["change"]["id"]);
    let otp = app.accepted(&owner, contact).await;
    let digits = app.change_digits(&owner, change, 1).await;
    assert_eq!(app.approve(&owner, change, &digits).await.status, 200);

    assert_eq!(app.get("/v1/contacts", &idle.token).await.status, 401, "sessions without a pending code end");
    let refused = app.submit(&owner, "key", &withdrawal(contact)).await;
    assert_eq!(refused.told(), (403, "contact-unconfirmed"), "nothing new is asked for");
    let body = json!({ "channel": "email", "address": "new@example.com" });
    assert_eq!(app.post("/v1/contacts", &owner.token, &body).await.told(), (403, "account-closed"));
    app.issue().await;
    let code = app.code(&owner, otp).await;
    let unlocked = app.unlock(&owner, otp, code.digits().expose()).await;
    assert_eq!((unlocked.status, unlocked.body["code"].as_str()), (200, Some(code.expose().as_str())));

    let anew = app.sign_in(&owner.wallet).await;
    assert_ne!(anew.account, owner.account, "the wallet has a new account");
    assert!(app.confirmed(&anew).await.is_empty());

    let seed = app.store.sealed_seed(owner.account).await.unwrap();
    let address = app.store.contacts(owner.account).await.unwrap().remove(0).address_sealed;
    assert!(app.store.erase_closed(now_ms() + PENDING_MS - 60_000).await.unwrap().accounts.is_empty(), "too early");
    let erased = app.store.erase_closed(now_ms() + PENDING_MS + 1).await.unwrap();
    assert_eq!(erased.accounts, [owner.account]);
    assert!(app.store.erase_closed(now_ms() + PENDING_MS + 1).await.unwrap().accounts.is_empty(), "once");
    assert_eq!(app.get("/v1/otps", &owner.token).await.status, 401);
    assert!(app.store.sealed_seed(owner.account).await.unwrap().is_empty());
    assert!(app.store.sealed_seed(anew.account).await.unwrap().len() > 32, "the new account has its own");
    for file in ["otp.db", "otp.db-wal"] {
        let bytes = std::fs::read(app.folder.path().join(file)).unwrap_or_default();
        for gone in [&seed, &address] {
            assert!(!bytes.windows(gone.len()).any(|part| part == gone.as_slice()), "{file}");
        }
    }
}

#[tokio::test]
async fn an_account_without_a_confirmed_contact_is_deleted_at_once() {
    let app = TestApp::new().await;
    let person = app.stranger().await;
    assert_eq!(app.delete("/v1/account", &person.token).await.status, 202);
    assert_eq!(changes::step(&app.store, now_ms() + 1).await.unwrap(), 1);
    assert_eq!(app.get("/v1/contacts", &person.token).await.status, 401);
    assert_ne!(app.sign_in(&person.wallet).await.account, person.account);
}
