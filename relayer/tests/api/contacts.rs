//! Contacts and their confirmation. What changes once one is confirmed is in `changes.rs`.

use std::time::Duration;

use futures_util::future::{join, join_all};
use otp_core::{
    clock::now_ms,
    contact::Channel,
    language::Language,
    store::{Confirmation, Delay, NewContact},
};
use serde_json::json;
use uuid::Uuid;

use crate::app::{Person, Setup, TestApp, wrong};

/// A contact whose message went out some time ago, so that another one may.
async fn add_earlier(app: &TestApp, person: &Person, address: &str, ago_ms: i64) -> Uuid {
    let id = Uuid::now_v7();
    let now_ms = now_ms() - ago_ms;
    let new = NewContact {
        id,
        account_id: person.account,
        channel: Channel::Email,
        address_sealed: &app.keyring.seal("contact", id, address.as_bytes()).unwrap(),
        address_tag: app.keyring.tag("contact-lookup", format!("email\0{address}").as_bytes()),
        language: None,
        default_language: Language::English,
        expires_at_ms: now_ms + 600_000,
        delay: Delay { now_ms, delay_ms: 259_200_000 },
        mail: None,
    };
    app.store.challenge_contact(&new).await.unwrap();
    id
}

#[tokio::test]
async fn the_first_contact_is_confirmed_by_its_digits_and_shown_masked() {
    let app = TestApp::new().await;
    let person = app.stranger().await;
    let body = json!({ "channel": "email", "address": "Alice@Example.COM" });
    let added = app.post("/v1/contacts", &person.token, &body).await;
    assert_eq!(added.status, 202);
    assert_eq!(added.body["masked"], "A***@e***.com");
    assert_eq!(added.body["confirmed"], false);
    let contact = added.body["contactId"].as_str().unwrap().parse().unwrap();
    let digits = app.contact_digits(&person, contact, 1).await;
    assert_eq!(app.confirm(&person, contact, &digits).await.status, 200);
    assert_eq!(app.confirm(&person, contact, &digits).await.status, 200, "again is no fault");
    let list = app.get("/v1/contacts", &person.token).await;
    assert_eq!(list.body["contacts"].as_array().unwrap().len(), 1);
    assert_eq!(list.body["contacts"][0]["confirmed"], true);
    assert!(!list.body.to_string().contains("example"), "{}", list.body);
}

#[tokio::test]
async fn a_contact_is_written_to_in_the_language_that_it_asks_for_until_it_is_confirmed() {
    let app = TestApp::new().await;
    let person = app.stranger().await;
    let body = json!({ "channel": "email", "address": "alice@example.com", "language": "de-AT" });
    let added = app.post("/v1/contacts", &person.token, &body).await;
    assert_eq!(added.status, 202, "{}", added.body);
    for bad in [json!("d"), json!("de_AT"), json!(""), json!("de-".repeat(20)), json!(7), json!(["de"])] {
        let body = json!({ "channel": "email", "address": "alice@example.com", "language": bad });
        assert_eq!(app.post("/v1/contacts", &person.token, &body).await.status, 400, "{body}");
    }
    let contact = added.body["contactId"].as_str().unwrap().parse().unwrap();
    let digits = app.contact_digits(&person, contact, 1).await;
    assert_eq!(app.confirm(&person, contact, &digits).await.body["language"], "de");

    // Who has the wallet key alone adds the address once more, and changes nothing of the one that codes go to.
    let body = json!({ "channel": "email", "address": "alice@example.com", "language": "en" });
    assert_eq!(app.post("/v1/contacts", &person.token, &body).await.status, 202);
    let list = app.get("/v1/contacts", &person.token).await;
    let confirmed = list.body["contacts"].as_array().unwrap().iter().find(|row| row["confirmed"] == true).unwrap();
    assert_eq!(confirmed["language"], "de");
}

#[tokio::test]
async fn without_a_language_or_with_one_that_is_not_written_it_is_the_operators() {
    let app = TestApp::new().await;
    for (asked, written) in [(None, "en"), (Some("fr-CA"), "en"), (Some("DE"), "de")] {
        let person = app.stranger().await;
        let mut body = json!({ "channel": "email", "address": "alice@example.com" });
        if let Some(asked) = asked {
            body["language"] = asked.into();
        }
        assert_eq!(app.post("/v1/contacts", &person.token, &body).await.status, 202);
        let list = app.get("/v1/contacts", &person.token).await;
        assert_eq!(list.body["contacts"][0]["language"], written, "{asked:?}");
    }
}

#[tokio::test]
async fn bad_addresses_are_refused_and_not_repeated() {
    let channels = vec![Channel::Email, Channel::Sms, Channel::Webhook, Channel::Inapp];
    let app = TestApp::with(Setup { channels, ..Setup::default() }).await;
    let person = app.stranger().await;
    for (channel, address) in [
        ("pigeon", "alice@example.com"),
        ("Email", "alice@example.com"),
        ("email", "alice"),
        ("email", "a@b.com,c@d.com"),
        ("email", "a@b.com\r\nBcc: c@d.com"),
        ("email", "alice@127.0.0.1"),
        ("sms", "030123456"),
        ("webhook", "http://example.com/"),
        ("webhook", "https://169.254.169.254/latest/meta-data"),
        ("webhook", "https://localhost.localdomain/"),
        ("inapp", "0100000000000000000000000000000000000000000000000000000000000000"),
    ] {
        let answer = app.post("/v1/contacts", &person.token, &json!({ "channel": channel, "address": address })).await;
        assert_eq!(answer.told(), (400, "contact-invalid"), "{channel} {address}");
        assert!(!answer.body.to_string().contains(address), "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_confirmations_at_once_one_wins() {
    let app = TestApp::new().await;
    let person = app.stranger().await;
    let (a, b) = (app.add_contact(&person, "a@example.com").await, app.add_contact(&person, "b@example.com").await);
    let (digits_a, digits_b) = (app.contact_digits(&person, a, 1).await, app.contact_digits(&person, b, 1).await);
    let (first, second) = join(app.confirm(&person, a, &digits_a), app.confirm(&person, b, &digits_b)).await;
    let mut told = [first.told(), second.told()];
    told.sort_unstable();
    assert_eq!(told, [(200, ""), (403, "contact-change-needs-approval")]);
}

#[tokio::test]
async fn of_two_confirmations_that_both_were_compared_one_wins() {
    let app = TestApp::new().await;
    let person = app.stranger().await;
    let mut guesses = Vec::new();
    for address in ["a@example.com", "b@example.com"] {
        let contact = app.add_contact(&person, address).await;
        match app.store.begin_confirmation(person.account, contact, now_ms()).await.unwrap() {
            Confirmation::Guess { guess, .. } => guesses.push((contact, guess)),
            other => panic!("{other:?}"),
        }
    }
    let mut outcomes = Vec::new();
    for (contact, guess) in guesses {
        let whose = (person.account, person.session());
        outcomes.push((contact, app.store.confirm_contact(whose, contact, guess, now_ms()).await.unwrap()));
    }
    assert_eq!(outcomes[0].1, Confirmation::Proved { contact_id: outcomes[0].0 });
    assert_eq!(outcomes[1].1, Confirmation::NeedsChange);
}

#[tokio::test]
async fn three_wrong_digits_lock_a_challenge_and_a_new_one_has_new_digits() {
    let app = TestApp::new().await;
    let person = app.stranger().await;
    let contact = add_earlier(&app, &person, "alice@example.com", 60_000).await;
    let digits = app.contact_digits(&person, contact, 1).await;
    for left in [2, 1, 0] {
        let answer = app.confirm(&person, contact, &wrong(&digits)).await;
        assert_eq!(answer.told(), (422, "wrong-digits"));
        assert_eq!(answer.body["attemptsLeft"], left);
    }
    assert_eq!(app.confirm(&person, contact, &digits).await.told(), (423, "locked"));

    assert_eq!(app.add_contact(&person, "alice@EXAMPLE.com").await, contact, "the same contact");
    let renewed = app.contact_digits(&person, contact, 2).await;
    if renewed != digits {
        assert_eq!(app.confirm(&person, contact, &digits).await.told(), (422, "wrong-digits"));
    }
    assert_eq!(app.confirm(&person, contact, &renewed).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_most_three_digits_are_compared_however_many_arrive_at_once() {
    let app = TestApp::new().await;
    let person = app.stranger().await;
    let contact = app.add_contact(&person, "alice@example.com").await;
    let digits = app.contact_digits(&person, contact, 1).await;
    let bad = wrong(&digits);
    let answers = join_all((0..30).map(|_| app.confirm(&person, contact, &bad))).await;
    let compared = answers.iter().filter(|answer| answer.told() == (422, "wrong-digits")).count();
    let locked = answers.iter().filter(|answer| answer.told() == (423, "locked")).count();
    assert_eq!((compared, locked), (3, 27));
}

#[tokio::test(flavor = "multi_thread")]
async fn right_digits_at_once_with_two_wrong_ones_win() {
    let app = TestApp::new().await;
    let person = app.stranger().await;
    let contact = app.add_contact(&person, "alice@example.com").await;
    let digits = app.contact_digits(&person, contact, 1).await;
    let bad = wrong(&digits);
    let tries = (0..20).map(|n| app.confirm(&person, contact, if n < 2 { &bad } else { &digits }));
    let answers = join_all(tries).await;
    assert!(answers[2..].iter().all(|answer| answer.status == 200), "{answers:?}");
}

#[tokio::test]
async fn an_account_has_ten_wrong_digits_an_hour_across_challenges() {
    let app = TestApp::new().await;
    let person = app.stranger().await;
    let mut told = Vec::new();
    for n in 0..4 {
        let contact = app.add_contact(&person, &format!("a{n}@example.com")).await;
        let digits = app.contact_digits(&person, contact, 1).await;
        for _ in 0..3 {
            let answer = app.confirm(&person, contact, &wrong(&digits)).await;
            told.push((answer.status, answer.header("retry-after").parse::<u64>().unwrap_or_default()));
        }
    }
    assert!(told[..10].iter().all(|(status, _)| *status == 422), "{told:?}");
    assert!(told[10..].iter().all(|(status, wait)| *status == 429 && (3_500..=3_600).contains(wait)), "{told:?}");
}

#[tokio::test]
async fn messages_to_an_address_and_of_an_account_are_few() {
    let app = TestApp::new().await;
    let person = app.stranger().await;
    let add = async |address: String| {
        let body = json!({ "channel": "email", "address": address });
        app.post("/v1/contacts", &person.token, &body).await
    };
    let first = add("a0@example.com".to_owned()).await;
    let again = add("a0@example.com".to_owned()).await;
    assert_eq!(again.told(), (429, "rate-limited"));
    assert!((1..=30).contains(&again.header("retry-after").parse::<u64>().unwrap()));
    // Removing it first changes nothing.
    let path = format!("/v1/contacts/{}", first.body["contactId"].as_str().unwrap());
    assert_eq!(app.delete(&path, &person.token).await.status, 204);
    assert_eq!(add("a0@example.com".to_owned()).await.status, 429);
    for n in 1..5 {
        assert_eq!(add(format!("a{n}@example.com")).await.status, 202, "{n}");
    }
    let sixth = add("a5@example.com".to_owned()).await;
    assert_eq!(sixth.status, 429);
    assert!(sixth.header("retry-after").parse::<u64>().unwrap() > 3_500);
}

#[tokio::test]
async fn digits_of_a_contact_expire() {
    let app = TestApp::with(Setup { confirmation_ttl: Duration::from_millis(300), ..Setup::default() }).await;
    let person = app.stranger().await;
    let contact = app.add_contact(&person, "alice@example.com").await;
    let digits = app.contact_digits(&person, contact, 1).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(app.confirm(&person, contact, &digits).await.told(), (410, "expired"));
}

#[tokio::test]
async fn a_strangers_contact_answers_as_one_that_is_not_there() {
    let app = TestApp::new().await;
    let owner = app.stranger().await;
    let contact = app.add_contact(&owner, "alice@example.com").await;
    let digits = app.contact_digits(&owner, contact, 1).await;
    let stranger = app.stranger().await;
    let problem = |mut body: serde_json::Value| {
        body.as_object_mut().unwrap().remove("requestId");
        body
    };
    for digits in [&digits, &wrong(&digits)] {
        let theirs = app.confirm(&stranger, contact, digits).await;
        let nobodys = app.confirm(&stranger, Uuid::now_v7(), digits).await;
        assert_eq!(theirs.told(), (404, "not-found"));
        assert_eq!(problem(theirs.body), problem(nobodys.body));
    }
    assert_eq!(app.delete(&format!("/v1/contacts/{contact}"), &stranger.token).await.told(), (404, "not-found"));
    assert_eq!(app.confirm(&owner, contact, &digits).await.status, 200, "no attempt was used up");
}

#[tokio::test]
async fn channels_that_are_not_open_and_throw_away_mailboxes_are_refused_by_name() {
    let app = TestApp::new().await;
    let person = app.stranger().await;
    for (channel, address, told) in [
        ("sms", "+4930123456", "channel-unavailable"),
        ("webhook", "https://example.com/", "channel-unavailable"),
        ("inapp", "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a", "channel-unavailable"),
        ("email", "alice@mailinator.com", "contact-disposable"),
        ("email", "alice@in.MAILINATOR.com", "contact-disposable"),
    ] {
        let answer = app.post("/v1/contacts", &person.token, &json!({ "channel": channel, "address": address })).await;
        assert_eq!(answer.told(), (400, told), "{address}");
    }
}

#[tokio::test]
async fn each_open_channel_takes_its_addresses_and_shows_them_masked() {
    let channels = vec![Channel::Email, Channel::Sms, Channel::Inapp, Channel::Webhook];
    let app = TestApp::with(Setup { channels, ..Setup::default() }).await;
    let person = app.stranger().await;
    for (channel, address, masked) in [
        ("email", "jose\u{301}@B\u{fc}cher.example", "j***@xn--b***.example"),
        ("sms", "+49 30 123456", "+49***56"),
        ("inapp", "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a", "8520***"),
        ("webhook", "https://8.8.8.8/hook/secret", "https://8***.8/***"),
    ] {
        let answer = app.post("/v1/contacts", &person.token, &json!({ "channel": channel, "address": address })).await;
        assert_eq!(
            (answer.status, answer.body["masked"].as_str()),
            (202, Some(masked)),
            "{address}: {:?}",
            answer.body
        );
    }
}

#[tokio::test]
async fn no_address_stands_in_clear_in_the_database_files() {
    let app = TestApp::new().await;
    let person = app.stranger().await;
    let contact = app.add_contact(&person, "canary.of.alice@canary-domain.example").await;
    let digits = app.contact_digits(&person, contact, 1).await;
    assert_eq!(app.confirm(&person, contact, &digits).await.status, 200);
    app.add_contact(&person, "canary.of.bob@canary-domain.example").await;
    let mut read = 0;
    for file in std::fs::read_dir(app.folder.path()).unwrap().map(Result::unwrap) {
        let name = file.file_name().into_string().unwrap();
        if !name.starts_with("otp.db") {
            continue;
        }
        let bytes = std::fs::read(file.path()).unwrap();
        for canary in ["canary.of", "canary-domain", &person.account.to_string()] {
            assert!(!bytes.windows(canary.len()).any(|part| part.eq_ignore_ascii_case(canary.as_bytes())), "{name}");
        }
        // The search finds what is there: the account's id, as its 16 bytes.
        read += usize::from(bytes.windows(16).any(|part| part == person.account.as_bytes()));
    }
    assert!(read >= 1, "the rows are in one of the files");
}
