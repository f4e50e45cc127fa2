//! From the chain to the inbox, over a mail server that fails.

use std::collections::HashSet;

use alloy::primitives::B256;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use indexer::tail::Step;
use otp_core::{
    clock::now_ms,
    store::{Attempt, MinedAt, NewAttempt, ProviderWord, Settlement, Teller},
};
use serde_json::Value;
use uuid::Uuid;

use crate::harness::{Chain, Mailbox, NetProxy, Person, World, follow, work_off};

#[tokio::test]
async fn a_code_on_the_chain_arrives_once_with_digits_and_a_link_that_opens() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let (person, issued) = world.issue_one().await;
    let mut tail = world.tail(&world.chain.url);
    follow(&mut tail).await;
    work_off(&world.worker(mailbox.smtp_port)).await;

    let mail = mailbox.one(&person.address).await;
    let (text, html) = (mail["text"].as_str().unwrap(), mail["html"].as_str().unwrap());
    assert!(text.contains(issued.code.digits().expose()) && html.contains(issued.code.digits().expose()));
    assert!(
        text.contains("1,000,000,000") && !mail["subject"].as_str().unwrap().contains(issued.code.digits().expose())
    );
    assert_eq!(mail["headers"]["auto-submitted"], "auto-generated");
    let link = text.lines().find_map(|line| line.strip_prefix("http://127.0.0.1:8090/verify#v1.")).unwrap();
    let linked: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(link).unwrap()).unwrap();
    assert_eq!(linked["code"], issued.code.expose().as_str());
    assert_eq!(linked["id"], issued.id.to_string());
    assert_eq!(world.deliveries("accepted").await, 1);

    assert_eq!(tail.step().await.unwrap(), Step::Idle);
    work_off(&world.worker(mailbox.smtp_port)).await;
    mailbox.one(&person.address).await;
}

#[tokio::test]
async fn a_code_that_lands_after_its_requester_was_told_of_a_failure_is_delivered() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let (person, issued) = world.issue_one().await;
    // As after a reorg, while the relayer has not seen the new block yet.
    let batch = world.store.open_calls(world.chain.issuer).await.unwrap().remove(0);
    world.store.mark_late(world.lease, batch.id, "too late").await.unwrap();
    follow(&mut world.tail(&world.chain.url)).await;
    work_off(&world.worker(mailbox.smtp_port)).await;
    let mail = mailbox.one(&person.address).await;
    assert!(mail["text"].as_str().unwrap().contains(issued.code.digits().expose()));
}

#[tokio::test]
async fn a_batch_reaches_each_of_its_people_and_nobody_else() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let authorization = world.withdrawal();
    let (mut people, mut requests) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let person = world.confirmed_person().await;
        requests.push(world.request(&person, &authorization).await);
        people.push(person);
    }
    let rows: Vec<_> = people.iter().zip(&requests).map(|(p, r)| (p, *r, authorization.action)).collect();
    let issued = world.batch(&rows).await;
    let ids: Vec<_> = issued.iter().map(|code| code.id).collect();
    world.chain.set_otps(world.chain.issuer, issued[0].serial, &ids).await;
    follow(&mut world.tail(&world.chain.url)).await;
    work_off(&world.worker(mailbox.smtp_port)).await;
    for (person, code) in people.iter().zip(&issued) {
        assert!(mailbox.one(&person.address).await["text"].as_str().unwrap().contains(code.code.digits().expose()));
    }
}

#[tokio::test]
async fn a_mail_server_that_was_down_gets_the_message_when_it_is_back() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let proxy = NetProxy::smtp(mailbox.smtp_port).await;
    let (person, _) = world.issue_one().await;
    follow(&mut world.tail(&world.chain.url)).await;
    let worker = world.worker(proxy.port);
    proxy.down(true);
    assert!(worker.step().await.unwrap());
    assert!(!world.progress.is_mail_up());
    assert_eq!(world.deliveries("queued").await, 1);
    assert!(!worker.step().await.unwrap(), "a failed message is not tried again at once");
    proxy.down(false);
    while world.deliveries("accepted").await == 0 {
        worker.step().await.unwrap();
    }
    assert!(world.progress.is_mail_up());
    mailbox.one(&person.address).await;
}

#[tokio::test]
async fn a_lost_answer_leads_to_the_very_same_message_again() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let proxy = NetProxy::smtp(mailbox.smtp_port).await;
    let (person, _) = world.issue_one().await;
    follow(&mut world.tail(&world.chain.url)).await;
    let worker = world.worker(proxy.port);
    proxy.lose_next_answer();
    assert!(worker.step().await.unwrap());
    assert_eq!(world.deliveries("queued").await, 1);
    while world.deliveries("accepted").await == 0 {
        worker.step().await.unwrap();
    }
    let mails = mailbox.of(&person.address).await;
    assert_eq!(mails.len(), 2, "the server took it twice, which no sender can prevent");
    for part in ["messageId", "date", "subject", "text", "html"] {
        assert!(!mails[0][part].is_null(), "{part} is missing");
        assert_eq!(mails[0][part], mails[1][part], "{part}");
    }
}

#[tokio::test]
async fn a_crash_between_sending_and_settling_sends_the_same_message_again() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let (person, _) = world.issue_one().await;
    follow(&mut world.tail(&world.chain.url)).await;
    let worker = world.worker(mailbox.smtp_port);
    let job = world.store.claim_delivery(60_000, None).await.unwrap().unwrap();
    assert!(!job.is_resumed);
    let (channel, message) = worker.compose(&job).unwrap();
    worker.channels.hand_over(channel, &message).await.unwrap();
    assert!(!worker.step().await.unwrap(), "the lease holds");
    // A second later, so that a date of sending would differ.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    world.store.release_deliveries().await.unwrap();
    let again = world.store.claim_delivery(0, None).await.unwrap().unwrap();
    assert!(again.is_resumed, "what may be a repeat is counted");
    work_off(&worker).await;
    let mails = mailbox.of(&person.address).await;
    assert_eq!(mails.len(), 2);
    for part in ["messageId", "date", "text"] {
        assert_eq!(mails[0][part], mails[1][part], "{part}");
    }
}

#[tokio::test]
async fn a_foreign_issuer_that_copies_our_id_causes_no_message() {
    let world = World::new().await;
    let person = world.confirmed_person().await;
    let authorization = world.withdrawal();
    let request_id = world.request(&person, &authorization).await;
    let issued = world.batch(&[(&person, request_id, authorization.action)]).await.remove(0);
    let mut tail = world.tail(&world.chain.url);

    world.chain.set_otps(world.chain.stranger, issued.serial, &[issued.id]).await;
    follow(&mut tail).await;
    assert_eq!(world.store.delivery_counts().await.unwrap(), []);

    world.chain.set_otps(world.chain.issuer, issued.serial, &[issued.id]).await;
    follow(&mut tail).await;
    assert_eq!(world.deliveries("queued").await, 1);
}

#[tokio::test]
async fn a_batch_of_which_we_know_nothing_is_kept_and_causes_no_message() {
    let world = World::new().await;
    let ids = [alloy::primitives::B256::repeat_byte(1), alloy::primitives::B256::repeat_byte(2)];
    world.chain.set_otps(world.chain.issuer, 0, &ids).await;
    follow(&mut world.tail(&world.chain.url)).await;
    assert_eq!(world.store.delivery_counts().await.unwrap(), []);
    assert_eq!(
        world.store.events(&Default::default(), 20).await.unwrap().len(),
        10,
        "deployment, policy, batch, two ids"
    );
}

#[tokio::test]
async fn a_code_that_is_not_the_chains_is_never_sent() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let mut person = world.confirmed_person().await;
    // A seed restored from the wrong backup: ids were made with another one.
    person.seed = otp_core::code::Seed::generate().unwrap();
    let authorization = world.withdrawal();
    let request_id = world.request(&person, &authorization).await;
    let issued = world.batch(&[(&person, request_id, authorization.action)]).await.remove(0);
    world.chain.set_otps(world.chain.issuer, issued.serial, &[issued.id]).await;
    follow(&mut world.tail(&world.chain.url)).await;
    work_off(&world.worker(mailbox.smtp_port)).await;
    assert_eq!(world.deliveries("failed").await, 1);
    assert!(mailbox.of(&person.address).await.is_empty());
}

#[tokio::test]
async fn words_that_the_action_does_not_mean_are_never_sent() {
    let world = World::new().await;
    let person = world.confirmed_person().await;
    let (shown, meant) = (world.withdrawal(), world.withdrawal());
    let mut stored = shown.clone();
    stored.action = meant.action;
    let request_id = world.request(&person, &stored).await;
    // The row names one action, the sealed words another.
    let issued = world.batch(&[(&person, request_id, shown.action)]).await.remove(0);
    world.chain.set_otps(world.chain.issuer, issued.serial, &[issued.id]).await;
    follow(&mut world.tail(&world.chain.url)).await;
    work_off(&world.worker(1)).await;
    assert_eq!(world.deliveries("failed").await, 1);
}

#[tokio::test]
async fn a_confirmation_is_mailed_once_and_not_after_it_was_used() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let (waiting, done) = (world.person().await, world.confirmed_person().await);
    let worker = world.worker(mailbox.smtp_port);
    assert_eq!(world.store.enqueue_notices(&world.outbox).await.unwrap(), 2);
    assert_eq!(world.store.enqueue_notices(&world.outbox).await.unwrap(), 0);
    work_off(&worker).await;
    let mail = mailbox.one(&waiting.address).await;
    let digits = waiting.seed.contact_digits(waiting.contact_id, 1);
    let text = mail["text"].as_str().unwrap();
    assert!(text.contains(digits.expose()) && text.contains("valid for 10 minutes"), "{text}");
    assert!(mailbox.of(&done.address).await.is_empty());
    assert_eq!(world.deliveries("cancelled").await, 1);
}

#[tokio::test]
async fn a_code_expires_by_chain_time_where_the_chain_is_behind_this_servers_clock() {
    let hour_ago = u64::try_from(now_ms()).unwrap() / 1_000 - 3_600;
    let (world, mailbox) = (World::on(Chain::start_at(Some(hour_ago)).await).await, Mailbox::start().await);
    let proxy = NetProxy::smtp(mailbox.smtp_port).await;
    let (person, _) = world.issue_one().await;
    let mut tail = world.tail(&world.chain.url);
    follow(&mut tail).await;
    let worker = world.worker(proxy.port);
    proxy.down(true);
    assert!(worker.step().await.unwrap());
    assert!(!worker.step().await.unwrap(), "a failed message is not tried again at once");
    proxy.down(false);
    while world.deliveries("accepted").await == 0 {
        worker.step().await.unwrap();
    }
    mailbox.one(&person.address).await;

    world.issue_one().await;
    follow(&mut tail).await;
    world.chain.ask("evm_increaseTime", serde_json::json!([601])).await;
    world.chain.mine(1).await;
    follow(&mut tail).await;
    work_off(&worker).await;
    assert_eq!(world.deliveries("expired").await, 1);
}

#[tokio::test]
async fn a_code_expires_by_chain_time_where_the_chain_is_ahead_of_this_servers_clock() {
    let hour_ahead = u64::try_from(now_ms()).unwrap() / 1_000 + 3_600;
    let (world, mailbox) = (World::on(Chain::start_at(Some(hour_ahead)).await).await, Mailbox::start().await);
    let (person, _) = world.issue_one().await;
    let mut tail = world.tail(&world.chain.url);
    follow(&mut tail).await;
    work_off(&world.worker(mailbox.smtp_port)).await;
    mailbox.one(&person.address).await;

    world.issue_one().await;
    follow(&mut tail).await;
    world.chain.ask("evm_increaseTime", serde_json::json!([601])).await;
    world.chain.mine(1).await;
    follow(&mut tail).await;
    work_off(&world.worker(mailbox.smtp_port)).await;
    assert_eq!(world.deliveries("expired").await, 1);
}

#[tokio::test]
async fn a_code_that_expired_while_the_indexer_was_away_is_not_sent() {
    let world = World::new().await;
    world.issue_one().await;
    world.chain.ask("evm_increaseTime", serde_json::json!([601])).await;
    world.chain.mine(1).await;
    let mut tail = world.tail(&world.chain.url);
    while world.deliveries("queued").await == 0 {
        tail.step().await.unwrap();
    }
    work_off(&world.worker(1)).await;
    assert_eq!(world.deliveries("expired").await, 1, "the tail stands below the head still");
}

/// Uses up a request's attempts, once the batcher has seen its block, which tells how many there are.
async fn lock(world: &World, person: &Person, request_id: Uuid) {
    let call = world.store.open_calls(world.chain.issuer).await.unwrap().remove(0);
    let mined = MinedAt { tx_hash: call.transactions[0].hash, block_number: 1, block_hash: B256::ZERO };
    world.store.mark_mined(world.lease, call.id, &mined, Some(3)).await.unwrap();
    for _ in 0..3 {
        let new = NewAttempt { account_id: person.account_id, request_id, takes: Vec::new(), now_ms: now_ms() };
        let (attempt, _) = world.store.begin_attempt(new).await.unwrap();
        let Attempt::Counted { guess, .. } = attempt else { panic!("{attempt:?}") };
        let settlement = Settlement { request_id, guess, right: false, now_ms: now_ms() };
        world.store.settle_attempt(settlement).await.unwrap();
    }
}

#[tokio::test]
async fn workers_that_look_at_once_take_each_message_once_and_each_is_settled_as_its_own() {
    let world = World::new().await;
    let authorization = world.withdrawal();
    let mut asked = Vec::new();
    for _ in 0..8 {
        let person = world.confirmed_person().await;
        let request = world.request(&person, &authorization).await;
        asked.push((person, request));
    }
    let rows: Vec<_> = asked.iter().map(|(person, request)| (person, *request, authorization.action)).collect();
    let issued = world.batch(&rows).await;
    let ids: Vec<_> = issued.iter().map(|code| code.id).collect();
    world.chain.set_otps(world.chain.issuer, issued[0].serial, &ids).await;
    let (locked, request) = &asked[3];
    lock(&world, locked, *request).await;
    follow(&mut world.tail(&world.chain.url)).await;

    let claims = join_all((0..10).map(|_| world.store.claim_delivery(60_000, None))).await;
    let jobs: Vec<_> = claims.into_iter().filter_map(Result::unwrap).collect();
    let claimed: HashSet<_> = jobs.iter().map(|job| (job.account_id, job.message_id.clone())).collect();
    let due = asked.iter().zip(&issued).filter(|((person, _), _)| person.account_id != locked.account_id);
    let due: HashSet<_> = due
        .map(|((person, _), code)| (person.account_id, world.outbox.message_id(code.id.as_slice(), "email")))
        .collect();
    assert_eq!((jobs.len(), &claimed), (7, &due), "each once, and what it says is its own");
    assert!(jobs.iter().all(|job| job.attempts == 1 && !job.is_resumed));
    assert_eq!((world.deliveries("sending").await, world.deliveries("failed").await), (7, 1));

    let named: Vec<_> = jobs.iter().enumerate().map(|(n, job)| (job, format!("SM{n}"))).collect();
    for accepted in
        join_all(named.iter().map(|(job, name)| world.store.mark_accepted(&job.message_id, Some(name)))).await
    {
        accepted.unwrap();
    }
    assert_eq!(world.deliveries("accepted").await, 7);
    for (job, name) in named {
        let word = (ProviderWord::Delivered, Teller::Provider);
        assert!(world.store.report_delivery(&world.outbox, &name, word.0, word.1).await.unwrap().is_some());
        let (_, request) = asked.iter().find(|(person, _)| person.account_id == job.account_id).unwrap();
        let story = world.store.story(job.account_id, *request).await.unwrap().unwrap();
        assert_eq!(story.delivery.unwrap().state, "delivered", "{name} is the name of this one");
    }
}

#[tokio::test]
async fn a_locked_requests_code_is_not_sent() {
    let world = World::new().await;
    let (person, _) = world.issue_one().await;
    let requests = world.store.request_ids(person.account_id, None, 1).await.unwrap();
    lock(&world, &person, requests[0]).await;
    follow(&mut world.tail(&world.chain.url)).await;
    work_off(&world.worker(1)).await;
    assert_eq!(world.deliveries("failed").await, 1);
}
