//! What comes back: reports of mail servers, in a mailbox that anybody can write to.

use std::{fs, path::PathBuf, sync::Arc};

use indexer::bounces::Reports;
use otp_core::store::{ProviderWord, Teller};

use crate::{
    fallback::{issue, person_with_two},
    harness::{Mailbox, World, follow, work_off},
};

fn reports(world: &World) -> Reports {
    Reports { store: world.store.clone(), outbox: world.outbox.clone(), due: Arc::default() }
}

fn maildir(world: &World) -> PathBuf {
    let maildir = world.folder.path().join("bounces");
    for part in ["new", "cur", "tmp"] {
        fs::create_dir_all(maildir.join(part)).unwrap();
    }
    maildir
}

fn report(message_id: &str) -> String {
    report_of(message_id, "failed")
}

fn report_of(message_id: &str, action: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.example\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nNo such user\r\n\
         --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n\
         Final-Recipient: rfc822; x@inbox.example\r\nAction: {action}\r\nStatus: 5.1.1\r\n\r\n\
         --b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{message_id}>\r\n\r\n--b--\r\n"
    )
}

#[tokio::test]
async fn a_bounce_in_the_mailbox_is_taken_down_and_moved_and_read_again_changes_nothing() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let (person, issued) = world.issue_one().await;
    follow(&mut world.tail(&world.chain.url)).await;
    work_off(&world.worker(mailbox.smtp_port)).await;
    let mail = mailbox.one(&person.address).await;
    let message_id = mail["messageId"].as_str().unwrap().trim_matches(['<', '>']);
    assert_eq!(
        message_id,
        world.outbox.message_id(issued.id.as_slice(), "email"),
        "what a mail server returns names it"
    );
    let (maildir, reports) = (maildir(&world), reports(&world));
    for round in 1..=2 {
        // As after a crash before the file was moved.
        fs::write(maildir.join("new/1.mx"), report(message_id)).unwrap();
        assert_eq!(reports.round(&maildir).await.unwrap().unwrap(), 1);
        assert!(maildir.join("cur/1.mx:2,S").exists() && !maildir.join("new/1.mx").exists());
        assert_eq!(world.deliveries("bounced").await, 1, "round {round}");
    }
    let lost = world.store.lost_messages(10).await.unwrap();
    assert_eq!((lost.len(), lost[0].message_id.as_str(), lost[0].is_code), (1, message_id, true));
    assert!(lost[0].reason.as_ref().unwrap().contains("anybody can forge"), "{lost:?}");
}

#[tokio::test]
async fn a_mails_forged_failure_stands_only_until_its_provider_has_spoken() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let (person, _) = person_with_two(&world).await;
    let (maildir, reports) = (maildir(&world), reports(&world));
    for word in [ProviderWord::Delivered, ProviderWord::Bounced] {
        let (request, issued) = issue(&world, &person, person.contact_id, true).await;
        follow(&mut world.tail(&world.chain.url)).await;
        work_off(&world.worker(mailbox.smtp_port)).await;
        let message_id = world.outbox.message_id(issued.id.as_slice(), "email");
        let forge = async |action| {
            fs::write(maildir.join("new/1"), report_of(&message_id, action)).unwrap();
            reports.round(&maildir).await.unwrap().unwrap();
        };
        forge("failed").await;
        assert_eq!(world.deliveries("bounced").await, 1);
        assert!(reports.take(&message_id, word, Teller::Provider, "").await.unwrap(), "{word:?} replaces it");
        for action in ["failed", "delivered"] {
            forge(action).await;
            let bounced = u64::from(word == ProviderWord::Bounced);
            assert_eq!((world.deliveries("bounced").await, world.deliveries("queued").await), (bounced, bounced));
        }
        assert!(!reports.take(&message_id, word, Teller::Provider, "").await.unwrap(), "once");
        let delivery = world.store.story(person.account_id, request).await.unwrap().unwrap().delivery.unwrap();
        let fell_back = word == ProviderWord::Bounced;
        assert_eq!(delivery.channel.as_str(), if fell_back { "sms" } else { "email" });
    }
}

#[tokio::test]
async fn a_mail_about_a_text_says_nothing_and_the_texts_provider_is_heard_afterwards() {
    let world = World::new().await;
    let (person, phone) = person_with_two(&world).await;
    let (maildir, reports) = (maildir(&world), reports(&world));
    let (_, issued) = issue(&world, &person, phone, true).await;
    follow(&mut world.tail(&world.chain.url)).await;
    let job = world.store.claim_delivery(60_000, None).await.unwrap().unwrap();
    let message_id = world.outbox.message_id(issued.id.as_slice(), "sms");
    assert_eq!(job.message_id, message_id);
    world.store.mark_accepted(&message_id, Some("SM01@carrier.example")).await.unwrap();
    for forged in ["failed", "delivered"] {
        for id in [message_id.as_str(), "SM01@carrier.example"] {
            fs::write(maildir.join("new/1"), report_of(id, forged)).unwrap();
            reports.round(&maildir).await.unwrap().unwrap();
            assert_eq!(world.deliveries("accepted").await, 1, "{forged} {id}");
        }
    }
    assert!(world.store.lost_messages(10).await.unwrap().is_empty());
    assert!(reports.take(&message_id, ProviderWord::Bounced, Teller::Provider, "30003").await.unwrap());
    assert_eq!((world.deliveries("bounced").await, world.deliveries("queued").await), (1, 1), "the mail is due");
}

#[tokio::test]
async fn reports_of_what_we_do_not_know_or_cannot_read_change_nothing_and_end_nothing() {
    let world = World::new().await;
    let (_, issued) = world.issue_one().await;
    follow(&mut world.tail(&world.chain.url)).await;
    let (maildir, reports) = (maildir(&world), reports(&world));
    // Nobody has had the message yet, so nobody can report on it.
    fs::write(maildir.join("new/1"), report(&world.outbox.message_id(issued.id.as_slice(), "email"))).unwrap();
    fs::write(maildir.join("new/2"), report("somebody@else.example")).unwrap();
    fs::write(maildir.join("new/3"), vec![b'x'; 10 << 20]).unwrap();
    fs::write(maildir.join("new/4"), [0xFF; 100]).unwrap();
    std::os::unix::fs::symlink("/dev/zero", maildir.join("new/5")).unwrap();
    fs::create_dir(maildir.join("new/6")).unwrap();
    assert_eq!(reports.round(&maildir).await.unwrap().unwrap(), 6);
    assert_eq!(fs::read_dir(maildir.join("new")).unwrap().count(), 0);
    assert_eq!((world.deliveries("queued").await, world.deliveries("bounced").await), (1, 0));
    assert!(reports.round(&world.folder.path().join("none")).await.unwrap().is_err(), "told, and not fatal");
}

#[tokio::test]
async fn a_report_that_anybody_can_forge_sends_no_code_to_another_contact() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let (person, _) = person_with_two(&world).await;
    let (maildir, reports) = (maildir(&world), reports(&world));
    for forged in [true, false] {
        let (request, issued) = issue(&world, &person, person.contact_id, true).await;
        follow(&mut world.tail(&world.chain.url)).await;
        work_off(&world.worker(mailbox.smtp_port)).await;
        // All of it stands on the chain, or in every mail that this service sends.
        let message_id = world.outbox.message_id(issued.id.as_slice(), "email");
        if forged {
            fs::write(maildir.join("new/1"), report(&message_id)).unwrap();
            reports.round(&maildir).await.unwrap().unwrap();
            assert_eq!((world.deliveries("bounced").await, world.deliveries("queued").await), (1, 0));
        } else {
            assert!(reports.take(&message_id, ProviderWord::Bounced, Teller::Provider, "").await.unwrap());
            assert_eq!(world.deliveries("queued").await, 1, "whom the operator trusts is believed");
        }
        let delivery = world.store.story(person.account_id, request).await.unwrap().unwrap().delivery.unwrap();
        assert_eq!(delivery.channel.as_str(), if forged { "email" } else { "sms" });
    }
}

#[tokio::test]
async fn an_arrival_that_anybody_can_forge_keeps_no_message_back() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let (person, issued) = world.issue_one().await;
    follow(&mut world.tail(&world.chain.url)).await;
    let (maildir, reports) = (maildir(&world), reports(&world));
    // A worker had it and died: it was tried, and must go out again.
    world.store.claim_delivery(60_000, None).await.unwrap().unwrap();
    for action in ["delivered", "failed"] {
        let message_id = world.outbox.message_id(issued.id.as_slice(), "email");
        fs::write(maildir.join("new/1"), report_of(&message_id, action)).unwrap();
        reports.round(&maildir).await.unwrap().unwrap();
        assert_eq!(world.deliveries("sending").await, 1, "{action}");
    }
    world.store.release_deliveries().await.unwrap();
    work_off(&world.worker(mailbox.smtp_port)).await;
    mailbox.one(&person.address).await;
    assert_eq!(world.deliveries("accepted").await, 1);
}
