//! Blocks that were there and are not any more.

use otp_core::{
    contract::OtpVerifier,
    store::{EventFilter, EventKind},
};

use alloy::sol_types::SolCall;

use crate::harness::{Chain, Issued, Mailbox, World, follow, work_off};

fn sets() -> EventFilter {
    EventFilter { kind: Some(EventKind::Set), ..EventFilter::default() }
}

#[tokio::test]
async fn a_reorg_before_delivery_cancels_and_the_landing_after_it_delivers_once() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let (person, issued) = world.issue_one().await;
    let mut tail = world.tail(&world.chain.url);
    follow(&mut tail).await;
    let before = world.store.events(&sets(), 10).await.unwrap();
    world.chain.reorg(1).await;
    follow(&mut tail).await;
    assert_eq!(world.deliveries("cancelled").await, 1);
    assert!(world.store.events(&sets(), 10).await.unwrap().is_empty());
    work_off(&world.worker(mailbox.smtp_port)).await;
    assert!(mailbox.of(&person.address).await.is_empty(), "a code that is not on the chain went out");

    world.chain.ask("evm_increaseTime", serde_json::json!([20])).await;
    world.chain.set_otps(world.chain.issuer, issued.serial, &[issued.id]).await;
    follow(&mut tail).await;
    let after = world.store.events(&sets(), 10).await.unwrap();
    assert_eq!(after.len(), 1);
    assert!(after[0].facts.expiry > before[0].facts.expiry, "the new landing has a new expiry");
    work_off(&world.worker(mailbox.smtp_port)).await;
    let mail = mailbox.one(&person.address).await;
    assert!(mail["text"].as_str().unwrap().contains(issued.code.digits().expose()));
    assert_eq!(world.deliveries("accepted").await, 1);
}

#[tokio::test]
async fn a_reorg_after_delivery_sends_nothing_again() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let (person, issued) = world.issue_one().await;
    let mut tail = world.tail(&world.chain.url);
    follow(&mut tail).await;
    let worker = world.worker(mailbox.smtp_port);
    work_off(&worker).await;
    world.chain.reorg(1).await;
    follow(&mut tail).await;
    assert_eq!(world.deliveries("accepted").await, 1, "what is out stays sent");
    world.chain.set_otps(world.chain.issuer, issued.serial, &[issued.id]).await;
    follow(&mut tail).await;
    work_off(&worker).await;
    mailbox.one(&person.address).await;
}

#[tokio::test]
async fn a_reorg_while_the_message_is_on_its_way_counts_it_as_sent() {
    let world = World::new().await;
    let (_, issued) = world.issue_one().await;
    let mut tail = world.tail(&world.chain.url);
    follow(&mut tail).await;
    let job = world.store.claim_delivery(60_000, None).await.unwrap().unwrap();
    world.chain.reorg(1).await;
    follow(&mut tail).await;
    world.chain.set_otps(world.chain.issuer, issued.serial, &[issued.id]).await;
    follow(&mut tail).await;
    assert!(world.store.claim_delivery(60_000, None).await.unwrap().is_none(), "the lease outlives cancel and revival");
    world.store.mark_accepted(&job.message_id, None).await.unwrap();
    world.store.release_deliveries().await.unwrap();
    assert!(world.store.claim_delivery(60_000, None).await.unwrap().is_none());
}

#[tokio::test]
async fn a_start_ends_the_lease_of_a_message_that_a_reorg_has_taken_out() {
    let world = World::new().await;
    let (_, issued) = world.issue_one().await;
    let mut tail = world.tail(&world.chain.url);
    follow(&mut tail).await;
    let job = world.store.claim_delivery(60_000, None).await.unwrap().unwrap();
    world.chain.reorg(1).await;
    follow(&mut tail).await;
    assert_eq!(world.deliveries("cancelled").await, 1);
    // Its process was killed. The next one knows that nobody holds it, before the code lands again.
    world.store.release_deliveries().await.unwrap();
    world.chain.set_otps(world.chain.issuer, issued.serial, &[issued.id]).await;
    follow(&mut tail).await;
    let again = world.store.claim_delivery(60_000, None).await.unwrap().expect("due at once");
    assert_eq!(again.message_id, job.message_id);
}

#[tokio::test]
async fn a_deep_reorg_takes_back_verified_and_consumed() {
    let world = World::new().await;
    let (_, issued) = world.issue_one().await;
    world.chain.ask("anvil_impersonateAccount", serde_json::json!([issued.wallet])).await;
    world.chain.ask("anvil_setBalance", serde_json::json!([issued.wallet, "0xde0b6b3a7640000"])).await;
    let call = OtpVerifier::verifyCall {
        ticket: world.chain.ticket(&issued),
        action: issued.action,
        code: issued.code.expose().to_string(),
    };
    assert!(world.chain.call(issued.wallet, call.abi_encode()).await.status());
    world.chain.mine(5).await;
    let mut tail = world.tail(&world.chain.url);
    follow(&mut tail).await;
    let verified = EventFilter { kind: Some(EventKind::Verified), ..EventFilter::default() };
    let found = world.store.events(&verified, 10).await.unwrap();
    assert_eq!(found[0].facts.subject, Some(issued.wallet));
    assert_eq!(found[0].facts.on_chain_id, Some(issued.id));

    world.chain.reorg(6).await;
    follow(&mut tail).await;
    assert!(world.store.events(&verified, 10).await.unwrap().is_empty());
    assert_eq!(world.store.events(&sets(), 10).await.unwrap().len(), 1, "the issuance lies below the reorg");
}

#[tokio::test]
async fn an_orphaned_block_that_comes_back_is_canonical_again() {
    let world = World::new().await;
    world.issue_one().await;
    let (mut tail, fork) = (world.tail(&world.chain.url), world.chain.fork(1).await);
    follow(&mut tail).await;
    let there = world.store.events(&sets(), 10).await.unwrap();

    follow(&mut world.tail(&fork.url)).await;
    assert!(world.store.events(&sets(), 10).await.unwrap().is_empty());
    assert_eq!(world.deliveries("cancelled").await, 1);

    follow(&mut tail).await;
    assert_eq!(world.store.events(&sets(), 10).await.unwrap(), there);
    assert_eq!(world.deliveries("queued").await, 1);
}

#[tokio::test]
async fn a_lower_head_alone_is_a_lag_and_takes_nothing_back() {
    let world = World::new().await;
    world.issue_one().await;
    world.chain.mine(3).await;
    let mut tail = world.tail(&world.chain.url);
    follow(&mut tail).await;
    let cursor = world.store.cursor(&world.chain.deployment).await.unwrap();
    world.chain.ask("anvil_rollback", serde_json::json!([2])).await;
    assert!(tail.step().await.is_err(), "a head that was told a moment ago is not taken back");
    follow(&mut world.tail(&world.chain.url)).await;
    assert_eq!(world.store.cursor(&world.chain.deployment).await.unwrap(), cursor);
    assert_eq!(world.deliveries("queued").await, 1);
}

#[tokio::test]
async fn a_chain_that_changed_below_everything_stored_halts_the_tail() {
    let world = World::new().await;
    let mut tail = world.tail(&world.chain.url);
    follow(&mut tail).await;
    // Of another age: two chains that began in the same second would be one and the same.
    let other = Chain::start_at(Some(1_700_000_000)).await;
    other.mine(world.chain.head().await + 5).await;
    let mut tail = world.tail(&other.url);
    let error = tail.step().await.unwrap_err().to_string();
    assert!(error.contains("beyond everything stored"), "{error}");
}

#[tokio::test]
async fn reorgs_of_every_depth_leave_what_the_chain_has_with_the_same_contents_and_with_others() {
    let world = World::new().await;
    let mut tail = world.tail(&world.chain.url);
    for (depth, same) in [(1, true), (1, false), (3, true), (3, false), (10, true), (30, false), (30, true)] {
        let (_, issued) = world.issue_one().await;
        world.chain.mine(depth - 1).await;
        follow(&mut tail).await;
        let pending = world.deliveries("queued").await;
        let again: &[&Issued] = if same { &[&issued] } else { &[] };
        world.chain.reorg_with(depth, again).await;
        follow(&mut tail).await;
        world.assert_as_chain().await;
        let there = u64::from(same);
        assert_eq!(world.deliveries("queued").await, pending - 1 + there, "depth {depth}, same {same}");
        if !same {
            // The number is free again, as the contract sees it.
            world.chain.set_otps(world.chain.issuer, issued.serial, &[issued.id]).await;
            follow(&mut tail).await;
            assert_eq!(world.deliveries("queued").await, pending);
        }
    }
    assert_eq!(world.deliveries("cancelled").await, 0);
}

#[tokio::test]
async fn a_reorg_during_a_backfill_is_followed_from_the_range_that_it_cut() {
    let world = World::new().await;
    for _ in 0..4 {
        world.issue_one().await;
        world.chain.mine(70).await;
    }
    let mut tail = world.tail(&world.chain.url);
    let stop = world.chain.head().await - 150;
    while world.store.cursor(&world.chain.deployment).await.unwrap().is_none_or(|cursor| cursor.number < stop) {
        tail.step().await.unwrap();
    }
    // Deeper than what is read block by block: the last range goes, and with it one issuance that was applied.
    world.chain.reorg(160).await;
    follow(&mut tail).await;
    world.assert_as_chain().await;
}

#[tokio::test]
async fn reorgs_of_every_depth_while_a_message_is_on_its_way_send_it_once() {
    let world = World::new().await;
    let mut tail = world.tail(&world.chain.url);
    let mut sent = 0;
    for (depth, same) in
        [(1, true), (1, false), (3, true), (3, false), (10, true), (10, false), (30, true), (30, false)]
    {
        let (_, issued) = world.issue_one().await;
        world.chain.mine(depth - 1).await;
        follow(&mut tail).await;
        let job = world.store.claim_delivery(60_000, None).await.unwrap().unwrap();
        let again: &[&Issued] = if same { &[&issued] } else { &[] };
        world.chain.reorg_with(depth, again).await;
        follow(&mut tail).await;
        if !same {
            world.chain.set_otps(world.chain.issuer, issued.serial, &[issued.id]).await;
            follow(&mut tail).await;
        }
        assert!(world.store.claim_delivery(60_000, None).await.unwrap().is_none(), "depth {depth}, same {same}: twice");
        world.store.mark_accepted(&job.message_id, None).await.unwrap();
        world.store.release_deliveries().await.unwrap();
        assert!(world.store.claim_delivery(60_000, None).await.unwrap().is_none(), "depth {depth}, same {same}: again");
        sent += 1;
        assert_eq!(world.deliveries("accepted").await, sent);
        world.assert_as_chain().await;
    }
}
