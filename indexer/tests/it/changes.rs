//! What people are told of changes to their contacts.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use otp_core::{
    clock::now_ms,
    contact::Channel,
    store::{ChangeRow, Confirmation, Delay, Removal},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Mailbox, Person, World, work_off};

fn delay() -> Delay {
    Delay { now_ms: now_ms(), delay_ms: 259_200_000 }
}

impl World {
    /// Adds an address to an account; the contact, and the change that waits.
    async fn add(&self, person: &Person, channel: Channel, address: &str) -> (Uuid, Option<ChangeRow>) {
        let id = Uuid::now_v7();
        (id, self.contact(person.account_id, id, channel, address).await)
    }

    async fn notices(&self) -> u64 {
        self.store.enqueue_notices(&self.outbox).await.unwrap()
    }
}

#[tokio::test]
async fn a_change_is_announced_to_the_confirmed_contacts_and_not_to_the_new_one() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let person = world.confirmed_person().await;
    world.notices().await;
    let (_, change) = world.add(&person, Channel::Email, "thief@evil.example").await;
    let change = change.unwrap();
    assert_eq!(world.notices().await, 2, "an announcement and a confirmation");
    let worker = world.worker(mailbox.smtp_port);
    work_off(&worker).await;

    let mail = mailbox.one(&person.address).await;
    let (text, html) = (mail["text"].as_str().unwrap(), mail["html"].as_str().unwrap());
    let digits = person.seed.change_digits(change.id, 1);
    assert!(text.contains("A contact is to be added") && text.contains(digits.expose()), "{text}");
    assert!(html.contains(digits.expose()) && !text.contains("thief@evil"), "{text}");
    let link = text.lines().find_map(|line| line.strip_prefix("http://127.0.0.1:8090/cancel#v1.")).unwrap();
    let linked: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(link).unwrap()).unwrap();
    let token = person.seed.cancel_token(change.id, person.contact_id);
    assert_eq!(linked, json!({ "id": change.id, "token": token.expose().as_str() }));
    let new = mailbox.one("thief@evil.example").await;
    let text = new["text"].as_str().unwrap();
    assert!(text.contains("Confirm this address") && !text.contains("cancel#") && !text.contains(digits.expose()));
}

#[tokio::test]
async fn the_removed_contact_is_told_that_it_was_and_of_nothing_after() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let person = world.confirmed_person().await;
    // The last one would stay.
    let (second, addition) = world.add(&person, Channel::Email, "second@example.com").await;
    world.approve(&person, addition.unwrap().id).await;
    let begun = world.store.begin_confirmation(person.account_id, second, now_ms()).await.unwrap();
    let Confirmation::Guess { guess, .. } = begun else { panic!("{begun:?}") };
    let whose = (person.account_id, person.session_id);
    world.store.confirm_contact(whose, second, guess, now_ms()).await.unwrap();
    let worker = world.worker(mailbox.smtp_port);
    world.notices().await;
    work_off(&worker).await;
    let (cancelled, before) = (world.deliveries("cancelled").await, mailbox.of(&person.address).await.len());
    let Removal::Waits(change) =
        world.store.remove_contact(person.account_id, person.contact_id, delay()).await.unwrap()
    else {
        panic!("it waits")
    };
    // The announcement is pointless once the change was made; what was made is told.
    assert_eq!(world.notices().await, 2);
    world.approve(&person, change.id).await;
    assert_eq!(world.notices().await, 2);
    work_off(&worker).await;
    let mails = mailbox.of(&person.address).await;
    let removed = |mail: &&Value| mail["subject"].as_str().unwrap().contains("A contact was removed");
    assert_eq!((mails.len(), mails.iter().filter(removed).count()), (before + 1, 1));
    assert_eq!(world.deliveries("failed").await, 1, "the announcement to who is removed");
    assert_eq!(world.deliveries("cancelled").await, cancelled + 1, "and to who stays");
}

#[tokio::test]
async fn further_digits_and_a_deletion_are_told() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let person = world.confirmed_person().await;
    world.notices().await;
    let Removal::Waits(change) = world.store.delete_account(person.account_id, delay()).await.unwrap() else {
        panic!("it waits")
    };
    let worker = world.worker(mailbox.smtp_port);
    world.notices().await;
    work_off(&worker).await;
    // The renewal is of the future, so its digits live when it is read.
    world.store.renew_change(person.account_id, change.id, now_ms() + 600_001).await.unwrap();
    world.notices().await;
    work_off(&worker).await;
    world.approve(&person, change.id).await;
    world.notices().await;
    work_off(&worker).await;
    let mails = mailbox.of(&person.address).await;
    let subjects: Vec<_> = mails.iter().map(|mail| mail["subject"].as_str().unwrap()).collect();
    for part in ["Your account is to be deleted", "Digits to approve a change", "Your account was deleted"] {
        assert_eq!(subjects.iter().filter(|subject| subject.contains(part)).count(), 1, "{subjects:?}");
    }
    let digits = person.seed.change_digits(change.id, 2);
    assert!(mails.iter().any(|mail| mail["text"].as_str().unwrap().contains(digits.expose())));
}

#[tokio::test]
async fn messages_to_an_erased_account_are_given_up() {
    let world = World::new().await;
    let person = world.confirmed_person().await;
    world.notices().await;
    let Removal::Waits(change) = world.store.delete_account(person.account_id, delay()).await.unwrap() else {
        panic!("it waits")
    };
    world.approve(&person, change.id).await;
    world.notices().await;
    let erased = world.store.erase_closed(now_ms() + otp_core::store::PENDING_MS + 1).await.unwrap();
    assert_eq!(erased.accounts, [person.account_id]);
    work_off(&world.worker(1)).await;
    assert_eq!((world.deliveries("queued").await, world.deliveries("accepted").await), (0, 0));
    assert!(world.deliveries("failed").await > 0);
}

#[tokio::test]
async fn a_message_over_a_channel_without_a_sender_is_given_up_at_once() {
    let world = World::new().await;
    let person = world.confirmed_person().await;
    for (channel, address) in [(Channel::Sms, "+4930123456"), (Channel::Webhook, "https://8.8.8.8/")] {
        let before = world.deliveries("failed").await;
        world.add(&person, channel, address).await;
        world.notices().await;
        let worker = world.worker(1);
        let job = loop {
            let job = world.store.claim_delivery(1, None).await.unwrap().expect("its message is due");
            if job.channel == channel.as_str() {
                break job;
            }
        };
        let (over, message) = worker.compose(&job).unwrap();
        let failure = worker.channels.hand_over(over, &message).await.unwrap_err();
        assert_eq!(failure.to_string(), "there is no sender for this channel: configure it at the indexer");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        // No mail server listens on port 1: an announcement by mail stays pending, the other message is dead.
        work_off(&worker).await;
        assert_eq!(world.deliveries("failed").await, before + 1, "{channel}");
    }
}
