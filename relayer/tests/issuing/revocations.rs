//! Codes that are to be revoked: while they wait, on their way, on the chain, and after a reorg.

use std::time::Duration;

use alloy::providers::{Provider, ext::AnvilApi};
use otp_core::store::Revocation;

use crate::world::{CONFIRMATIONS, ISSUED, REVOKED, World};

const CAUSE: &str = "reported as not asked for";

#[tokio::test]
async fn a_request_that_waits_is_failed_instead_and_never_issued() {
    let world = World::new().await;
    let requests = world.accept("withdraw", 2).await;
    assert_eq!(world.store.owe_revocation(requests[0], CAUSE).await.unwrap(), Some(Revocation::Withdrawn));
    assert_eq!(world.store.owe_revocation(requests[0], CAUSE).await.unwrap(), Some(Revocation::Withdrawn), "again");
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    world.mine().await;
    issuer.turn().await.unwrap();
    assert_eq!(world.failure_of(requests[0]).await.as_deref(), Some(CAUSE));
    assert_eq!(world.status_on_chain(requests[1]).await, ISSUED);
    assert_eq!(world.next_serial("withdraw").await, 1);
    assert_eq!(world.store.owe_revocation(uuid::Uuid::now_v7(), CAUSE).await.unwrap(), None);
}

#[tokio::test]
async fn codes_on_the_chain_are_revoked_in_one_transaction_and_their_neighbours_are_not() {
    let world = World::new().await;
    let requests = world.accept("withdraw", 5).await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    world.mine().await;
    issuer.turn().await.unwrap();
    for request in &requests[1..3] {
        assert_eq!(world.store.owe_revocation(*request, CAUSE).await.unwrap(), Some(Revocation::Owed));
        assert_eq!(world.store.owe_revocation(*request, CAUSE).await.unwrap(), Some(Revocation::Owed));
    }
    issuer.turn().await.unwrap();
    issuer.turn().await.unwrap();
    assert_eq!(world.pooled().await.len(), 1, "one transaction, once");
    world.mine().await;
    issuer.turn().await.unwrap();
    for (place, request) in requests.iter().enumerate() {
        let status = if (1..3).contains(&place) { REVOKED } else { ISSUED };
        assert_eq!(world.status_on_chain(*request).await, status, "request {place}");
    }
    world.mine_many(CONFIRMATIONS).await;
    issuer.turn().await.unwrap();
    assert!(world.store.open_calls(world.signer.address()).await.unwrap().is_empty());
    assert!(world.pooled().await.is_empty(), "what is final is owed no more");
}

#[tokio::test]
async fn a_code_on_its_way_is_revoked_once_it_landed() {
    let world = World::new().await;
    let requests = world.accept("withdraw", 1).await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    assert_eq!(world.store.owe_revocation(requests[0], CAUSE).await.unwrap(), Some(Revocation::Owed));
    issuer.turn().await.unwrap();
    assert_eq!(world.pooled().await.len(), 1, "the contract would not know it yet");
    world.mine().await;
    issuer.turn().await.unwrap();
    world.mine().await;
    assert_eq!(world.status_on_chain(requests[0]).await, REVOKED);
}

#[tokio::test]
async fn a_code_that_a_reorg_takes_out_and_that_lands_again_is_revoked_again() {
    let world = World::new().await;
    let requests = world.accept("withdraw", 1).await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    world.mine().await;
    world.store.owe_revocation(requests[0], CAUSE).await.unwrap();
    issuer.turn().await.unwrap();
    world.mine().await;
    issuer.turn().await.unwrap();
    assert_eq!(world.status_on_chain(requests[0]).await, REVOKED);
    world.reorg(2).await;
    for _ in 0..4 {
        issuer.turn().await.unwrap();
        world.mine().await;
    }
    assert_eq!(world.status_on_chain(requests[0]).await, REVOKED);
    assert_eq!(world.next_serial("withdraw").await, 1);
}

#[tokio::test]
async fn a_late_batch_that_lands_after_all_is_revoked() {
    let world = World::new().await;
    let requests = world.accept("withdraw", 1).await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    world.mine().await;
    // The relayer has not looked yet when the request is reported, nor when it starts again.
    world.store.owe_revocation(requests[0], CAUSE).await.unwrap();
    drop(issuer);
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    world.mine().await;
    assert_eq!(world.status_on_chain(requests[0]).await, REVOKED);
}

#[tokio::test]
async fn revocations_and_batches_share_one_sequence_of_nonces() {
    let world = World::new().await;
    let requests = world.accept("withdraw", 1).await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    world.mine().await;
    world.store.owe_revocation(requests[0], CAUSE).await.unwrap();
    let more = world.accept("withdraw", 80).await;
    issuer.turn().await.unwrap();
    let pooled = world.pooled().await;
    assert_eq!(pooled.len(), 2);
    // A process that dies here sends both again.
    drop(issuer);
    for hash in pooled {
        world.anvil.node.anvil_drop_transaction(hash).await.unwrap();
    }
    let mut issuer = world.issuer().await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    world.mine().await;
    issuer.turn().await.unwrap();
    assert_eq!(world.status_on_chain(requests[0]).await, REVOKED);
    assert_eq!(world.status_on_chain(more[79]).await, ISSUED);
    assert_eq!(world.anvil.node.get_transaction_count(world.signer.address()).await.unwrap(), 3);
}
