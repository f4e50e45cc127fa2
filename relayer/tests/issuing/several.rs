//! Several relayers on one database, each with its own key; and a key that is exchanged while requests are on their way.

use std::time::Duration;

use alloy::sol_types::SolCall;
use otp_core::contract::OtpVerifier;
use tokio_util::sync::CancellationToken;

use crate::world::{CONFIRMATIONS, Counts, World};

#[tokio::test(flavor = "multi_thread")]
async fn two_issuers_under_load_issue_each_request_once() {
    let world = World::new().await;
    let other = world.grant_issuer().await;
    let stop = CancellationToken::new();
    let mut running = Vec::new();
    for parts in [world.parts(), world.parts_of(&other)] {
        let issuer = world.start(parts).await;
        running.push(tokio::spawn(issuer.run(stop.clone())));
    }
    let mut requests = Vec::new();
    for round in 0..12 {
        requests.extend(world.accept(if round % 3 == 0 { "login" } else { "withdraw" }, 40).await);
        tokio::time::sleep(Duration::from_millis(60)).await;
        world.mine().await;
    }
    for _ in 0..100 {
        world.mine().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        if world.store.queue_lengths().await.unwrap().is_empty() {
            break;
        }
    }
    world.mine().await;
    stop.cancel();
    for task in running {
        task.await.unwrap().unwrap();
    }
    assert_eq!(world.count(&requests).await, Counts::all_mined(480));
    let batches = world.batches_by_issuer().await;
    assert!(batches.len() == 2 && batches.iter().all(|(_, count)| *count > 0), "both worked: {batches:?}");
}

#[tokio::test]
async fn requests_under_a_key_that_is_removed_are_issued_by_the_new_one() {
    let world = World::new().await;
    let new_key = world.grant_issuer().await;
    let landed = world.accept("withdraw", 2).await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    world.mine().await;
    issuer.turn().await.unwrap();
    let stuck = world.accept("withdraw", 3).await;
    issuer.turn().await.unwrap();
    let queued = world.accept("withdraw", 2).await;
    drop(issuer);
    // The removal pays more and comes first: the batch in the pool reverts.
    let remove = OtpVerifier::removeIssuerCall { issuer: world.signer.address() }.abi_encode();
    world.send_as(&world.guardian, world.deployment.verifier, remove).await;
    world.mine().await;

    let mut issuer = world.start(world.parts_of(&new_key)).await;
    for _ in 0..CONFIRMATIONS + 6 {
        issuer.turn().await.unwrap();
        world.mine().await;
        tokio::time::sleep(Duration::from_millis(450)).await;
    }
    issuer.turn().await.unwrap();
    let all = [landed, stuck, queued].concat();
    assert_eq!(world.count(&all).await, Counts::all_mined(7));
    assert!(world.store.open_calls(world.signer.address()).await.unwrap().is_empty(), "nothing is left behind");
}

#[tokio::test]
async fn what_a_process_left_that_is_down_is_followed_and_its_key_is_free_again() {
    let world = World::new().await;
    let other = world.grant_issuer().await;
    let requests = world.accept("withdraw", 2).await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    let hash = world.pooled().await[0];
    world.drop_from_pool(hash).await;
    drop(issuer);
    let mut neighbour = world
        .start(Parts {
            issue: world.parts_with(|issue| issue.replace_after = Duration::ZERO).issue,
            ..world.parts_of(&other)
        })
        .await;
    neighbour.turn().await.unwrap();
    assert_eq!(world.pooled().await, [hash], "sent again by the neighbour, unchanged");
    world.mine().await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    assert_eq!(world.count(&requests).await, Counts::all_mined(2));
}

use relayer::issuing::Parts;
