//! Each contact is written to in its own language, and a repeated message is the same message.

use otp_core::{contact::Channel, language::Language};
use uuid::Uuid;

use crate::{
    fallback::issue,
    harness::{Mailbox, NetProxy, Person, World, follow, until_accepted, work_off},
    recovery::sql,
};

/// Somebody who is written to in German, unconfirmed yet.
async fn german(world: &World) -> Person {
    let address = format!("{}@inbox.example", &Uuid::now_v7().simple().to_string()[16..]);
    world.person_in(Some(Language::German), Channel::Email, &address).await
}

/// Adds the person's address anew, which asks for new digits as well.
async fn ask_for(world: &World, person: &Person, language: Language) {
    let contact = (Channel::Email, person.address.as_str());
    assert!(world.contact_in(Some(language), person.account_id, Uuid::now_v7(), contact).await.is_none());
}

fn subject(mail: &serde_json::Value) -> &str {
    mail["subject"].as_str().unwrap()
}

#[tokio::test]
async fn a_code_and_what_is_told_of_changes_come_in_the_contacts_own_language() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let person = german(&world).await;
    world.confirm(&person).await;
    let (english, mailed) = (Uuid::now_v7(), format!("{}@inbox.example", &Uuid::now_v7().simple().to_string()[16..]));
    world.contact(person.account_id, english, Channel::Email, &mailed).await.unwrap();
    issue(&world, &person, person.contact_id, false).await;
    follow(&mut world.tail(&world.chain.url)).await;
    world.store.enqueue_notices(&world.outbox).await.unwrap();
    work_off(&world.worker(mailbox.smtp_port)).await;

    let mails = mailbox.of(&person.address).await;
    let subjects: Vec<&str> = mails.iter().map(subject).collect();
    assert_eq!(mails.len(), 2, "{subjects:?}");
    assert!(subjects.iter().any(|subject| subject.starts_with("Ihr Einmalcode f\u{fc}r ")), "{subjects:?}");
    assert!(subjects.iter().any(|subject| subject.starts_with("Ein Kontakt soll hinzukommen")), "{subjects:?}");
    assert!(mails.iter().all(|mail| mail["text"].as_str().unwrap().contains("Wenn Sie das nicht waren")));
    let other = mailbox.one(&mailed).await;
    assert_eq!(subject(&other), "Confirm your address for one-time codes");
}

#[tokio::test]
async fn a_code_is_repeated_in_the_language_that_it_was_first_written_in() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let proxy = NetProxy::smtp(mailbox.smtp_port).await;
    let person = german(&world).await;
    world.confirm(&person).await;
    issue(&world, &person, person.contact_id, false).await;
    follow(&mut world.tail(&world.chain.url)).await;
    let worker = world.worker(proxy.port);
    proxy.lose_next_answer();
    assert!(worker.step().await.unwrap());
    assert_eq!(world.deliveries("accepted").await, 0, "nobody knows");
    // By hand, since nothing of a confirmed contact changes without a change that waits.
    sql(&world, "UPDATE contacts SET language = 'en'");
    until_accepted(&world, &worker).await;
    let mails = mailbox.of(&person.address).await;
    assert_eq!(mails.len(), 2);
    for part in ["messageId", "subject", "text", "html", "date"] {
        assert_eq!(mails[0][part], mails[1][part], "{part}");
    }
    assert!(subject(&mails[0]).starts_with("Ihr Einmalcode"));
}

#[tokio::test]
async fn digits_that_are_asked_for_anew_in_another_language_take_the_place_of_the_earlier_ones() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let person = german(&world).await;
    world.store.enqueue_notices(&world.outbox).await.unwrap();
    sql(&world, "UPDATE notices SET created_at_ms = created_at_ms - 60000");
    ask_for(&world, &person, Language::English).await;
    world.store.enqueue_notices(&world.outbox).await.unwrap();
    work_off(&world.worker(mailbox.smtp_port)).await;
    let mail = mailbox.one(&person.address).await;
    assert_eq!(subject(&mail), "Confirm your address for one-time codes");
}
