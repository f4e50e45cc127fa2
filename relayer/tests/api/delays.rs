//! When a change that waits is made: not before its time, not unannounced, and never the last contact's removal.

use futures_util::future::join_all;
use otp_core::{
    clock::now_ms,
    store::{Delay, Removal},
};
use relayer::changes;

use crate::{
    app::{TestApp, withdrawal, wrong},
    changes::{DELAY_MS, HOUR_MS, id},
};

#[tokio::test]
async fn when_its_time_has_come_a_change_is_made_once_whatever_the_clock_does() {
    let app = TestApp::new().await;
    let (owner, contact) = app.person().await;
    let (second, _) = app.proved(&owner, "alice@example.org").await;
    let removal = app.delete(&format!("/v1/contacts/{contact}"), &owner.token).await;
    assert_eq!(removal.status, 202);
    let again = app.delete(&format!("/v1/contacts/{contact}"), &owner.token).await;
    assert_eq!(again.body["change"]["id"], removal.body["change"]["id"], "asked again, the same change");
    app.hand_over().await;

    let due = now_ms() + DELAY_MS + 1;
    assert_eq!(changes::step(&app.store, due - HOUR_MS).await.unwrap(), 0);
    let both = join_all([changes::step(&app.store, due), changes::step(&app.store, due)]).await;
    assert_eq!(both.into_iter().map(Result::unwrap).sum::<usize>(), 2, "two tasks at once make each once");
    for clock in [due, due - DELAY_MS, due + DELAY_MS] {
        assert_eq!(changes::step(&app.store, clock).await.unwrap(), 0);
    }
    let owner = app.sign_in(&owner.wallet).await;
    assert_eq!(app.confirmed(&owner).await, [second]);
    app.accepted(&owner, second).await;
    let refused = app.submit(&owner, "key", &withdrawal(contact)).await;
    assert_eq!(refused.told(), (403, "contact-unconfirmed"));
}

#[tokio::test]
async fn a_delay_that_begins_while_the_clock_is_set_back_counts_from_the_latest_time_seen() {
    let app = TestApp::new().await;
    let (owner, contact) = app.person().await;
    let now = now_ms();
    app.store.note_time(now).await.unwrap();
    let back = Delay { now_ms: now - 2 * DELAY_MS, delay_ms: DELAY_MS };
    let Removal::Waits(change) = app.store.remove_contact(owner.account, contact, back).await.unwrap() else {
        panic!("it waits")
    };
    assert!(change.due_at_ms >= now + DELAY_MS, "{}", change.due_at_ms - now);
    assert_eq!(changes::step(&app.store, now + HOUR_MS).await.unwrap(), 0);
}

#[tokio::test]
async fn the_last_confirmed_contact_stays_until_another_one_is_confirmed() {
    let app = TestApp::new().await;
    let (owner, contact) = app.person().await;
    let removal = app.removal(&owner, contact).await;
    let (second, addition) = app.proved(&owner, "alice@example.org").await;
    app.hand_over().await;
    let digits = app.change_digits(&owner, removal, 1).await;
    for given in [&wrong(&digits), &digits, &wrong(&digits), &wrong(&digits), &digits] {
        assert_eq!(app.approve(&owner, removal, given).await.told(), (409, "last-contact"), "nothing is compared");
    }
    assert_eq!(app.confirmed(&owner).await, [contact]);

    // The removal was proposed first and falls due first, here by the clock that each is due at.
    let due = app.store.changes(owner.account).await.unwrap()[0].due_at_ms;
    assert_eq!(changes::step(&app.store, due + DELAY_MS / 2).await.unwrap(), 1, "the addition alone");
    let owner = app.sign_in(&owner.wallet).await;
    assert_eq!(app.confirmed(&owner).await, [contact, second]);
    assert_eq!(changes::step(&app.store, due + DELAY_MS / 2 + HOUR_MS).await.unwrap(), 1, "then the removal");
    let thief = app.sign_in(&owner.wallet).await;
    assert_eq!(app.confirmed(&thief).await, [second]);
    app.proved(&thief, "thief@evil.example").await;
    assert_eq!(app.confirmed(&thief).await, [second], "a third address is nobody's first contact");
    assert!(app.store.changes(owner.account).await.unwrap().iter().all(|change| change.id != addition));
}

#[tokio::test]
async fn of_two_removals_of_the_two_last_contacts_one_is_made() {
    let app = TestApp::new().await;
    let (owner, contact) = app.person().await;
    let (second, addition) = app.proved(&owner, "alice@example.org").await;
    let digits = app.change_digits(&owner, addition, 1).await;
    assert_eq!(app.approve(&owner, addition, &digits).await.status, 200);
    for contact in [contact, second] {
        app.removal(&owner, contact).await;
    }
    app.hand_over().await;
    for clock in [1, HOUR_MS + 2, 3 * HOUR_MS] {
        changes::step(&app.store, now_ms() + DELAY_MS + clock).await.unwrap();
    }
    let owner = app.sign_in(&owner.wallet).await;
    assert_eq!(app.confirmed(&owner).await, [second]);
}

#[tokio::test]
async fn whoever_is_confirmed_later_is_told_of_what_waits_and_can_cancel_it() {
    let app = TestApp::new().await;
    let (owner, contact) = app.person().await;
    let thief = app.sign_in(&owner.wallet).await;
    let deletion = id(&app.delete("/v1/account", &thief.token).await.body["change"]["id"]);
    app.hand_over().await;
    let (second, addition) = app.proved(&owner, "alice@example.org").await;
    let digits = app.change_digits(&owner, addition, 1).await;
    assert_eq!(app.approve(&owner, addition, &digits).await.status, 200);
    let removal = app.removal(&owner, contact).await;
    let digits = app.change_digits(&owner, removal, 1).await;
    assert_eq!(app.approve(&owner, removal, &digits).await.status, 200);
    assert_eq!(app.confirmed(&owner).await, [second]);
    let token = app.cancel_token(&owner, deletion, second).await;
    assert_eq!(app.cancel(deletion, &token).await.status, 200);
    assert_eq!(changes::step(&app.store, now_ms() + DELAY_MS + 1).await.unwrap(), 0);
}

#[tokio::test]
async fn a_change_that_nobody_was_told_of_waits_as_long_again_and_counts_from_when_it_is_told() {
    let app = TestApp::new().await;
    let (owner, contact) = app.person().await;
    let (second, _) = app.proved(&owner, "alice@example.org").await;
    // No mail server, or no indexer, for three days.
    let due = now_ms() + DELAY_MS + 1;
    assert_eq!(changes::step(&app.store, due).await.unwrap(), 0);
    let waits = app.store.changes(owner.account).await.unwrap().remove(0);
    assert!(waits.due_at_ms >= due + DELAY_MS, "its delay begins again");
    assert_eq!(changes::step(&app.store, due + DELAY_MS - 1).await.unwrap(), 0);
    assert_eq!(app.confirmed(&owner).await, [contact]);
    app.hand_over().await;
    assert_eq!(changes::step(&app.store, due + DELAY_MS).await.unwrap(), 1, "now it was announced");
    let owner = app.sign_in(&owner.wallet).await;
    assert_eq!(app.confirmed(&owner).await, [contact, second]);
}

#[tokio::test]
async fn a_change_that_was_told_of_late_is_made_late() {
    let app = TestApp::new().await;
    let (owner, contact) = app.person().await;
    // As if proposed three days ago, all but a minute, and told of only now.
    let then = Delay { now_ms: now_ms() - DELAY_MS + 60_000, delay_ms: DELAY_MS };
    let Removal::Waits(change) = app.store.delete_account(owner.account, then).await.unwrap() else { panic!() };
    app.hand_over().await;
    assert_eq!(changes::step(&app.store, now_ms() + HOUR_MS).await.unwrap(), 0);
    let token = app.cancel_token(&owner, change.id, contact).await;
    assert_eq!(app.cancel(change.id, &token).await.status, 200);
}
