//! Messages that wait until their block lies deep enough.

use otp_core::store::{Depth, Depths};

use crate::harness::{Mailbox, World, follow, settle, work_off};

async fn world(email: Depth) -> World {
    let mut world = World::new().await;
    world.outbox.depths = Depths { email, ..Depths::default() };
    world
}

#[tokio::test]
async fn a_message_waits_for_so_many_blocks_and_a_reorg_meanwhile_starts_anew() {
    let (world, mailbox) = (world(Depth::Blocks(3)).await, Mailbox::start().await);
    let (person, issued) = world.issue_one().await;
    let (mut tail, mut settler) = (world.tail(&world.chain.url), world.settler(&world.chain.url));
    let worker = world.worker(mailbox.smtp_port);
    world.chain.mine(2).await;
    follow(&mut tail).await;
    settle(&mut settler).await;
    work_off(&worker).await;
    assert!(mailbox.of(&person.address).await.is_empty(), "two blocks are not three");
    assert_eq!(world.deliveries("queued").await, 1);

    world.chain.reorg(3).await;
    follow(&mut tail).await;
    settle(&mut settler).await;
    world.chain.set_otps(world.chain.issuer, issued.serial, &[issued.id]).await;
    world.chain.mine(2).await;
    follow(&mut tail).await;
    settle(&mut settler).await;
    work_off(&worker).await;
    assert!(mailbox.of(&person.address).await.is_empty(), "it has landed again, two blocks ago");
    world.chain.mine(1).await;
    follow(&mut tail).await;
    settle(&mut settler).await;
    work_off(&worker).await;
    mailbox.one(&person.address).await;
}

#[tokio::test]
async fn a_message_waits_for_the_chains_own_word() {
    for (depth, blocks) in [(Depth::Safe, 32), (Depth::Finalized, 64)] {
        let world = world(depth).await;
        world.issue_one().await;
        let (mut tail, mut settler) = (world.tail(&world.chain.url), world.settler(&world.chain.url));
        world.chain.mine(blocks - 1).await;
        follow(&mut tail).await;
        settle(&mut settler).await;
        assert!(world.store.claim_delivery(1_000, None).await.unwrap().is_none(), "{depth:?}");
        world.chain.mine(1).await;
        follow(&mut tail).await;
        settle(&mut settler).await;
        assert!(world.store.claim_delivery(1_000, None).await.unwrap().is_some(), "{depth:?}");
    }
}

#[tokio::test]
async fn what_was_held_goes_out_when_the_channel_waits_no_more() {
    let mut world = world(Depth::Finalized).await;
    world.issue_one().await;
    follow(&mut world.tail(&world.chain.url)).await;
    settle(&mut world.settler(&world.chain.url)).await;
    assert!(world.store.is_any_held().await.unwrap());
    world.outbox.depths = Depths::default();
    settle(&mut world.settler(&world.chain.url)).await;
    assert!(world.store.claim_delivery(1_000, None).await.unwrap().is_some());
}
