//! A channel that fails for good, and what its provider says later.

use otp_core::{
    contact::Channel,
    metrics::Recorder,
    store::{ProviderWord, Teller},
};
use uuid::Uuid;

use crate::harness::{Issued, Mailbox, Person, World, follow, work_off};

/// Somebody with a confirmed phone, over which nothing can be sent here, and a confirmed mail address.
pub(crate) async fn person_with_two(world: &World) -> (Person, Uuid) {
    let (person, phone) = (world.confirmed_person().await, Uuid::now_v7());
    let change = world.contact(person.account_id, phone, Channel::Sms, "+4930123456").await.unwrap();
    world.approve(&person, change.id).await;
    world.confirm_contact(&person, phone).await;
    (person, phone)
}

pub(crate) async fn issue(world: &World, person: &Person, contact_id: Uuid, fallback: bool) -> (Uuid, Issued) {
    let authorization = world.withdrawal();
    let request = world.request_to(person, contact_id, fallback, &authorization).await;
    let issued = world.batch(&[(person, request, authorization.action)]).await.remove(0);
    world.chain.set_otps(world.chain.issuer, issued.serial, &[issued.id]).await;
    (request, issued)
}

#[tokio::test]
async fn a_channel_that_fails_for_good_hands_the_code_to_another_one_where_that_was_allowed_and_only_there() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let (person, phone) = person_with_two(&world).await;
    let worker = world.worker(mailbox.smtp_port);
    let (refused, _) = issue(&world, &person, phone, false).await;
    follow(&mut world.tail(&world.chain.url)).await;
    work_off(&worker).await;
    assert!(mailbox.of(&person.address).await.is_empty(), "nobody had allowed it");
    let story = world.store.story(person.account_id, refused).await.unwrap().unwrap();
    assert_eq!(story.delivery.unwrap().state, "failed");

    let (request, issued) = issue(&world, &person, phone, true).await;
    follow(&mut world.tail(&world.chain.url)).await;
    work_off(&worker).await;
    let mail = mailbox.one(&person.address).await;
    assert!(mail["text"].as_str().unwrap().contains(issued.code.digits().expose()));
    let delivery = world.store.story(person.account_id, request).await.unwrap().unwrap().delivery.unwrap();
    assert_eq!((delivery.state.as_str(), delivery.channel), ("accepted", Channel::Email));
    assert_eq!(delivery.contact_id, person.contact_id);
}

#[tokio::test]
async fn what_had_fallen_back_goes_out_again_after_a_reorg_only_where_it_was_not_sent() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let (person, phone) = person_with_two(&world).await;
    let (_, issued) = issue(&world, &person, phone, true).await;
    let mut tail = world.tail(&world.chain.url);
    follow(&mut tail).await;
    // The phone fails, the mail waits.
    assert!(world.worker(1).step().await.unwrap());
    assert_eq!((world.deliveries("failed").await, world.deliveries("queued").await), (1, 1));
    world.chain.reorg(1).await;
    follow(&mut tail).await;
    assert_eq!(world.deliveries("cancelled").await, 1);
    work_off(&world.worker(mailbox.smtp_port)).await;
    assert!(mailbox.of(&person.address).await.is_empty(), "it is off the chain");

    world.chain.set_otps(world.chain.issuer, issued.serial, &[issued.id]).await;
    follow(&mut tail).await;
    work_off(&world.worker(mailbox.smtp_port)).await;
    mailbox.one(&person.address).await;
}

#[tokio::test]
async fn a_code_that_a_provider_has_told_to_have_arrived_goes_no_further() {
    let world = World::new().await;
    let (person, phone) = person_with_two(&world).await;
    let hook = Uuid::now_v7();
    let change = world.contact(person.account_id, hook, Channel::Webhook, "https://hooks.example/").await.unwrap();
    world.approve(&person, change.id).await;
    world.confirm_contact(&person, hook).await;
    for arrived in [true, false] {
        let (_, issued) = issue(&world, &person, phone, true).await;
        follow(&mut world.tail(&world.chain.url)).await;
        let report = async |channel, word| {
            let message_id = world.outbox.message_id(issued.id.as_slice(), channel);
            world.store.report_delivery(&world.outbox, &message_id, word, Teller::Provider).await.unwrap()
        };
        world.store.claim_delivery(60_000, None).await.unwrap().unwrap();
        assert_eq!(report("sms", ProviderWord::Bounced).await, Some(true), "the mail is next");
        world.store.claim_delivery(60_000, None).await.unwrap().unwrap();
        if arrived {
            assert_eq!(report("sms", ProviderWord::Delivered).await, Some(false), "the other one of two texts");
        }
        assert_eq!(report("email", ProviderWord::Bounced).await, Some(!arrived));
    }
    assert_eq!(world.deliveries("queued").await, 1);
}

/// Of webhooks, since no other test has providers speak of these: the counts are the process'.
#[tokio::test]
async fn what_a_provider_says_is_counted_once_for_each_change_of_state() {
    Recorder::install().unwrap();
    let counted = |state: &str| {
        let series = format!("otp_deliveries_total{{channel=\"webhook\",state=\"{state}\"}} ");
        let text = Recorder::install().unwrap().render();
        text.lines().find_map(|line| line.strip_prefix(&series)).map_or(0, |count| count.parse::<u64>().unwrap())
    };
    let world = World::new().await;
    let person = world.person_at(Channel::Webhook, "https://hooks.example/").await;
    world.confirm(&person).await;
    let issued = world.issue_to(&person).await;
    follow(&mut world.tail(&world.chain.url)).await;
    world.store.claim_delivery(60_000, None).await.unwrap().unwrap();
    let message_id = world.outbox.message_id(issued.id.as_slice(), "webhook");
    for (word, bounced, delivered) in [
        (ProviderWord::Bounced, 1, 0),
        (ProviderWord::Bounced, 1, 0),
        (ProviderWord::Delivered, 1, 1),
        (ProviderWord::Delivered, 1, 1),
    ] {
        world.store.report_delivery(&world.outbox, &message_id, word, Teller::Provider).await.unwrap();
        assert_eq!((counted("bounced"), counted("delivered")), (bounced, delivered), "{word:?}");
    }
}

#[tokio::test]
async fn a_bounce_is_believed_once_of_a_message_that_was_accepted_and_shows_in_the_request() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let (person, request) = {
        let person = world.confirmed_person().await;
        let (request, _) = issue(&world, &person, person.contact_id, false).await;
        (person, request)
    };
    follow(&mut world.tail(&world.chain.url)).await;
    let message_id = world.outbox.message_id(
        world.store.story(person.account_id, request).await.unwrap().unwrap().issuance.unwrap().on_chain_id.as_slice(),
        "email",
    );
    let report_on = async |message: &str, word| {
        world.store.report_delivery(&world.outbox, message, word, Teller::Provider).await.unwrap()
    };
    let report = async |word| report_on(&message_id, word).await;
    assert_eq!(report(ProviderWord::Bounced).await, None, "it was never sent");
    work_off(&world.worker(mailbox.smtp_port)).await;
    assert_eq!(report_on("of@nobody", ProviderWord::Bounced).await, None);
    assert_eq!(report(ProviderWord::Delivered).await, Some(false));
    assert_eq!(report(ProviderWord::Bounced).await, Some(false), "a mailbox takes a message and returns it");
    assert_eq!(report(ProviderWord::Delivered).await, None);
    let story = world.store.story(person.account_id, request).await.unwrap().unwrap();
    assert_eq!(story.delivery.as_ref().unwrap().state, "bounced");
    assert_eq!(story.status(0), otp_core::store::Status::Issued, "it is not delivered any more");
}
