//! Verifications that the sponsor pays for, and a code that is nowhere on the disk.

use std::{sync::Arc, time::Duration};

use alloy::{
    consensus::Transaction,
    primitives::{B256, U256},
    providers::{Provider, ext::AnvilApi},
    signers::{Signer, local::PrivateKeySigner},
    sol_types::{SolStruct, eip712_domain},
};
use otp_core::{clock::now_ms, contract::OtpVerifier::verifyForCall};
use relayer::{
    config::{SignerConfig, SponsorConfig},
    issuing::{NotSponsored, Sponsor, SponsorDesk, Sponsored},
};
use testbed::anvil::fund;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::world::{CONFIRMATIONS, ISSUED, VERIFIED, World};

alloy::sol! {
    struct Verify { bytes32 id; bytes32 action; uint64 deadline; }
}

struct Paying {
    desk: SponsorDesk,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    key: PrivateKeySigner,
}

async fn sponsor(world: &World, key: PrivateKeySigner, max_gas: u64, per_hour: u64) -> Paying {
    let config = SponsorConfig { signer: SignerConfig::Kms(String::new()), max_gas, per_hour };
    let parts = world.parts_with(|issue| issue.replace_after = Duration::from_millis(300));
    let (sponsor, desk) = Sponsor::new(&parts, Arc::new(key.clone()), config);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let task = tokio::spawn(async move { sponsor.run(stopped).await.unwrap() });
    Paying { desk, stop, task, key }
}

async fn issued(world: &World, count: usize) -> Vec<Uuid> {
    let requests = world.accept("withdraw", count).await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    world.mine().await;
    issuer.turn().await.unwrap();
    requests
}

async fn signed(world: &World, request: Uuid, by: &PrivateKeySigner) -> Sponsored {
    let (ticket, action, code) = world.ticket_and_code(request).await;
    let domain = eip712_domain! {
        name: "OtpVerifier",
        version: "1",
        chain_id: world.deployment.chain_id,
        verifying_contract: world.deployment.verifier,
    };
    let deadline = world.head_time_s().await + 60;
    let message = Verify { id: ticket.id, action, deadline };
    let signature = by.sign_hash(&message.eip712_signing_hash(&domain)).await.unwrap().as_bytes().to_vec().into();
    let call =
        verifyForCall { subject: world.wallet, ticket, action, code: code.expose().to_string(), deadline, signature };
    Sponsored { account_id: world.account(), request_id: request, code, call, deadline_s: deadline }
}

async fn sent(paying: &Paying, wanted: impl Fn() -> Sponsored) -> Result<B256, NotSponsored> {
    for _ in 0..100 {
        match paying.desk.send(wanted()).await {
            Err(NotSponsored::Unavailable) => tokio::time::sleep(Duration::from_millis(100)).await,
            answer => return answer,
        }
    }
    Err(NotSponsored::Unavailable)
}

fn copy(one: &Sponsored) -> Sponsored {
    Sponsored { code: one.code.clone(), call: one.call.clone(), ..*one }
}

#[tokio::test]
async fn a_wallet_without_ether_is_verified_and_no_file_ever_holds_the_code() {
    let world = World::new().await;
    let requests = issued(&world, 3).await;
    let key = PrivateKeySigner::random();
    fund(&world.anvil.node, key.address()).await.unwrap();
    let paying = sponsor(&world, key, 300_000, 10).await;
    let wanted = signed(&world, requests[1], &world.owner).await;
    let hash = sent(&paying, || copy(&wanted)).await.unwrap();
    assert_eq!(sent(&paying, || copy(&wanted)).await, Ok(hash), "asked twice, sent once");
    // A replacement and a restart of the sponsor: the bytes are made again from what is stored.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let pooled = world.pooled().await;
    assert!(pooled.len() == 1 && pooled[0] != hash, "replaced, with the code in it");
    world.drop_from_pool(pooled[0]).await;
    paying.stop.cancel();
    paying.task.await.unwrap();
    world.assert_no_file_holds(wanted.code.expose().as_str());
    let paying = sponsor(&world, paying.key, 300_000, 10).await;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if !world.pooled().await.is_empty() {
            break;
        }
    }
    world.mine().await;
    assert_eq!(world.status_on_chain(requests[1]).await, VERIFIED);
    assert_eq!(world.status_on_chain(requests[0]).await, crate::world::ISSUED);
    paying.stop.cancel();
    paying.task.await.unwrap();
}

#[tokio::test]
async fn what_the_contract_would_refuse_or_costs_too_much_is_not_sent() {
    let world = World::new().await;
    let requests = issued(&world, 4).await;
    let key = PrivateKeySigner::random();
    fund(&world.anvil.node, key.address()).await.unwrap();
    let paying = sponsor(&world, key.clone(), 300_000, 2).await;
    let by_a_thief = signed(&world, requests[0], &PrivateKeySigner::random()).await;
    assert_eq!(sent(&paying, || copy(&by_a_thief)).await, Err(NotSponsored::Reverts("InvalidSignature")));
    for request in &requests[..2] {
        let wanted = signed(&world, *request, &world.owner).await;
        sent(&paying, || copy(&wanted)).await.unwrap();
    }
    let third = signed(&world, requests[2], &world.owner).await;
    let refused = sent(&paying, || copy(&third)).await;
    assert!(matches!(refused, Err(NotSponsored::TooMany { retry_after_s: 1.. })), "{refused:?}");
    paying.stop.cancel();
    paying.task.await.unwrap();
    let stingy = sponsor(&world, key, 50_000, 10).await;
    assert_eq!(sent(&stingy, || copy(&third)).await, Err(NotSponsored::TooMuchGas));
    stingy.stop.cancel();
    stingy.task.await.unwrap();
}

#[tokio::test]
async fn a_drained_sponsor_stops_no_issuance() {
    let world = World::new().await;
    let requests = issued(&world, 1).await;
    let key = PrivateKeySigner::random();
    world.anvil.node.anvil_set_balance(key.address(), U256::from(1)).await.unwrap();
    let paying = sponsor(&world, key.clone(), 300_000, 10).await;
    let wanted = signed(&world, requests[0], &world.owner).await;
    let _ = sent(&paying, || copy(&wanted)).await;
    let more = world.accept("withdraw", 2).await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    world.mine().await;
    assert_eq!(world.status_on_chain(more[1]).await, crate::world::ISSUED);
    assert_eq!(world.anvil.node.get_transaction_count(key.address()).await.unwrap(), 0);
    paying.stop.cancel();
    paying.task.await.unwrap();
}

/// Waits until all that is in the pool of the sponsor is one transaction to itself.
async fn await_cancellation(world: &World, key: &PrivateKeySigner) {
    let mut is_freed = false;
    for _ in 0..100 {
        if let [hash] = world.pooled().await[..] {
            let found = world.anvil.node.get_transaction_by_hash(hash).await.unwrap();
            is_freed = found.is_some_and(|it| it.inner.to() == Some(key.address()) && it.inner.input().is_empty());
        }
        if is_freed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(is_freed, "the nonce is not freed: {:?}", world.pooled().await);
}

async fn drop_all(world: &World) {
    for hash in world.pooled().await {
        world.drop_from_pool(hash).await;
    }
}

#[tokio::test]
async fn a_verification_of_an_account_that_was_erased_is_cancelled_and_holds_up_nothing() {
    let world = World::new().await;
    let requests = issued(&world, 1).await;
    let key = PrivateKeySigner::random();
    fund(&world.anvil.node, key.address()).await.unwrap();
    let paying = sponsor(&world, key.clone(), 300_000, 10).await;
    let wanted = signed(&world, requests[0], &world.owner).await;
    sent(&paying, || copy(&wanted)).await.unwrap();
    paying.stop.cancel();
    paying.task.await.unwrap();
    drop_all(&world).await;
    world.sql("UPDATE accounts SET closed_at_ms = 1").await;
    assert_eq!(world.store.erase_closed(now_ms()).await.unwrap().accounts.len(), 1);
    // Also after a restart.
    let paying = sponsor(&world, key.clone(), 300_000, 10).await;
    await_cancellation(&world, &key).await;
    paying.stop.cancel();
    paying.task.await.unwrap();
    world.mine().await;
    assert_eq!(world.anvil.node.get_transaction_count(key.address()).await.unwrap(), 1, "the nonce is free");
    assert_eq!(world.verifier().statusOf(wanted.call.ticket).call().await.unwrap(), ISSUED);
}

#[tokio::test]
async fn a_verification_of_a_former_number_never_brings_the_new_code_and_the_new_number_is_paid_for() {
    let world = World::new().await;
    let requests = issued(&world, 1).await;
    let key = PrivateKeySigner::random();
    fund(&world.anvil.node, key.address()).await.unwrap();
    let paying = sponsor(&world, key.clone(), 300_000, 10).await;
    let former = signed(&world, requests[0], &world.owner).await;
    let former_hash = sent(&paying, || copy(&former)).await.unwrap();
    paying.stop.cancel();
    paying.task.await.unwrap();
    // A reorg takes the batch out, and a transaction by hand its nonce: once that is final there is a new number.
    world.reorg(1).await;
    fund(&world.anvil.node, key.address()).await.unwrap();
    drop_all(&world).await;
    world.send_as(&world.signer, world.wallet, Vec::new()).await;
    world.mine().await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    world.mine_many(CONFIRMATIONS + 1).await;
    for _ in 0..3 {
        issuer.turn().await.unwrap();
        world.mine().await;
    }
    issuer.turn().await.unwrap();
    assert_eq!(world.serial_of(requests[0]).await, 1);
    assert_eq!(world.anvil.node.get_transaction_count(key.address()).await.unwrap(), 0);

    let paying = sponsor(&world, key.clone(), 300_000, 10).await;
    await_cancellation(&world, &key).await;
    world.mine().await;
    let wanted = signed(&world, requests[0], &world.owner).await;
    let hash = sent(&paying, || copy(&wanted)).await.unwrap();
    assert_ne!(hash, former_hash);
    world.mine().await;
    assert_eq!(world.status_on_chain(requests[0]).await, VERIFIED);
    paying.stop.cancel();
    paying.task.await.unwrap();
}
