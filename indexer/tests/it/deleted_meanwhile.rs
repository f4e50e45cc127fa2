//! A contact or a whole account that goes while a code is on its way: that is recorded and counted, ends nothing, and no
//! code goes to anybody else.

use otp_core::{
    clock::now_ms,
    contact::Channel,
    metrics::Recorder,
    store::{Delay, PENDING_MS, ProviderWord, Removal, Teller},
};
use uuid::Uuid;

use crate::{
    fallback::{issue, person_with_two},
    harness::{Mailbox, Person, World, follow, work_off},
};

/// Removes a confirmed contact as its owner does who has another one to approve it.
async fn remove(world: &World, person: &Person, contact_id: Uuid) {
    let delay = Delay { now_ms: now_ms(), delay_ms: 259_200_000 };
    let removal = world.store.remove_contact(person.account_id, contact_id, delay).await.unwrap();
    let Removal::Waits(change) = removal else { panic!("{removal:?}") };
    world.approve(person, change.id).await;
    assert!(world.store.contacts(person.account_id).await.unwrap().iter().all(|contact| contact.id != contact_id));
}

fn counted(channel: &str, state: &str) -> u64 {
    let text = Recorder::install().unwrap().render();
    let series = format!("otp_deliveries_total{{channel=\"{channel}\",state=\"{state}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&series)).map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn a_contact_that_was_removed_between_issuance_and_delivery_gets_nothing_and_nobody_else_does() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let (person, _) = person_with_two(&world).await;
    let (request, issued) = issue(&world, &person, person.contact_id, false).await;
    follow(&mut world.tail(&world.chain.url)).await;
    assert_eq!(world.deliveries("queued").await, 1);
    remove(&world, &person, person.contact_id).await;
    // The address is somebody else's by now, who has a code of their own on its way.
    let heir = world.person_at(Channel::Email, &person.address).await;
    world.confirm(&heir).await;
    let (_, theirs) = issue(&world, &heir, heir.contact_id, false).await;
    follow(&mut world.tail(&world.chain.url)).await;

    let before = {
        Recorder::install().unwrap();
        counted("email", "failed")
    };
    work_off(&world.worker(mailbox.smtp_port)).await;
    let mail = mailbox.one(&person.address).await;
    let text = mail["text"].as_str().unwrap();
    assert!(text.contains(theirs.code.digits().expose()) && !text.contains(issued.code.digits().expose()), "{text}");
    let delivery = world.store.story(person.account_id, request).await.unwrap().unwrap().delivery.unwrap();
    assert_eq!((delivery.state.as_str(), delivery.contact_id), ("failed", person.contact_id));
    let lost = world.store.lost_messages(10).await.unwrap();
    assert_eq!(lost.iter().filter(|row| row.reason.as_deref() == Some("contact removed")).count(), 1, "{lost:?}");
    assert!(counted("email", "failed") > before, "and counted");
}

#[tokio::test]
async fn an_account_that_was_deleted_between_issuance_and_delivery_gets_nothing() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let (person, _) = world.issue_one().await;
    world.store.delete_account(person.account_id, Delay { now_ms: now_ms(), delay_ms: 0 }).await.unwrap();
    let days = |days: i64| now_ms() + days * 86_400_000;
    for day in 1..4 {
        world.store.enqueue_notices(&world.outbox).await.unwrap();
        work_off(&world.worker(mailbox.smtp_port)).await;
        world.store.apply_due_changes(days(day)).await.unwrap();
    }
    let told = mailbox.of(&person.address).await.len();
    let erased = world.store.erase_closed(days(4) + PENDING_MS).await.unwrap();
    assert_eq!(erased.accounts, [person.account_id]);
    follow(&mut world.tail(&world.chain.url)).await;
    assert_eq!(world.deliveries("queued").await, 1, "the chain tells of a code of nobody's");
    work_off(&world.worker(mailbox.smtp_port)).await;
    assert_eq!(world.deliveries("failed").await, 1);
    assert_eq!(mailbox.of(&person.address).await.len(), told);
    // And the daemon goes on for others.
    let (other, _) = world.issue_one().await;
    follow(&mut world.tail(&world.chain.url)).await;
    work_off(&world.worker(mailbox.smtp_port)).await;
    mailbox.one(&other.address).await;
}

#[tokio::test]
async fn a_contact_that_was_removed_before_a_bounce_is_not_fallen_back_on_nor_one_removed_after_it_written_to() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    for removed_first in [true, false] {
        // A code goes to the mail address, and may fall back on the phone.
        let (person, phone) = person_with_two(&world).await;
        let (request, issued) = issue(&world, &person, person.contact_id, true).await;
        follow(&mut world.tail(&world.chain.url)).await;
        work_off(&world.worker(mailbox.smtp_port)).await;
        mailbox.one(&person.address).await;
        let failed = world.deliveries("failed").await;
        let message_id = world.outbox.message_id(issued.id.as_slice(), "email");
        if removed_first {
            remove(&world, &person, phone).await;
        }
        let fell_back = world
            .store
            .report_delivery(&world.outbox, &message_id, ProviderWord::Bounced, Teller::Provider)
            .await
            .unwrap();
        assert_eq!(fell_back, Some(!removed_first));
        if !removed_first {
            remove(&world, &person, phone).await;
        }
        work_off(&world.worker(mailbox.smtp_port)).await;
        assert_eq!(mailbox.of(&person.address).await.len(), 1);
        assert_eq!(world.deliveries("failed").await - failed, u64::from(!removed_first), "given up, for nobody else");
        let delivery = world.store.story(person.account_id, request).await.unwrap().unwrap().delivery.unwrap();
        let state = if removed_first { "bounced" } else { "failed" };
        assert_eq!(delivery.state, state);
    }
}
