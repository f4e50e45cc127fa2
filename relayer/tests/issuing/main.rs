//! The way to the chain on a real one: batches, crashes, dropped and stuck transactions, reorgs, foreign nonces.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod faults;
mod keys;
mod online;
mod revocations;
mod several;
mod sponsoring;
mod store_faults;
mod warnings;
mod world;

use std::time::Duration;

use alloy::{
    consensus::Transaction,
    primitives::{B256, U256},
    providers::{Provider, ext::AnvilApi},
    sol_types::SolCall,
};
use otp_core::{contract::OtpVerifier, store::StoreError};
use relayer::issuing::{Issuer, IssuingError};
use tokio_util::sync::CancellationToken;
use world::{CONFIRMATIONS, ISSUED, World};

#[tokio::test]
async fn what_waits_goes_out_at_once_and_then_in_full_batches() {
    let world = World::new().await;
    let first = world.accept("withdraw", 1).await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    assert_eq!(world.pooled().await.len(), 1, "one request, at once");

    let later = world.accept("withdraw", 200).await;
    issuer.turn().await.unwrap();
    assert_eq!(world.pooled().await.len(), 3, "two full batches; 40 wait for the first to land");
    world.mine().await;
    issuer.turn().await.unwrap();
    assert_eq!(world.pooled().await.len(), 1, "the rest, once nothing is in flight");
    world.mine().await;
    issuer.turn().await.unwrap();

    assert_eq!(world.next_serial("withdraw").await, 201);
    for (serial, request) in (0..).zip(first.iter().chain(&later)) {
        assert_eq!(world.serial_of(*request).await, serial, "numbers follow the order of asking");
        if serial % 20 == 0 {
            assert_eq!(world.status_on_chain(*request).await, ISSUED, "serial {serial}");
        }
    }
    for _ in 0..CONFIRMATIONS {
        world.mine().await;
    }
    issuer.turn().await.unwrap();
    assert!(world.store.open_calls(world.signer.address()).await.unwrap().is_empty(), "all are final");
}

#[tokio::test]
async fn purposes_do_not_wait_for_each_other() {
    let world = World::new().await;
    let login = world.accept("login", 2).await;
    let withdraw = world.accept("withdraw", 3).await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    assert_eq!(world.pooled().await.len(), 2);
    world.mine().await;
    assert_eq!(world.status_on_chain(login[1]).await, ISSUED);
    assert_eq!(world.status_on_chain(withdraw[2]).await, ISSUED);
}

#[tokio::test]
async fn a_new_process_sends_what_the_old_one_stored_and_gives_no_number_twice() {
    let world = World::new().await;
    let before = world.accept("withdraw", 3).await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    // As after a crash between commit and send: stored, and unknown to every node.
    let hash = world.pooled().await[0];
    world.anvil.node.anvil_drop_transaction(hash).await.unwrap();
    assert!(world.pooled().await.is_empty());
    drop(issuer);

    let after = world.accept("withdraw", 2).await;
    let mut issuer = world.issuer().await;
    assert_eq!(world.pooled().await, [hash], "the very same bytes");
    issuer.turn().await.unwrap();
    world.mine().await;
    issuer.turn().await.unwrap();
    world.mine().await;
    issuer.turn().await.unwrap();
    for (serial, request) in (0..).zip(before.iter().chain(&after)) {
        assert_eq!(world.serial_of(*request).await, serial);
        assert_eq!(world.status_on_chain(*request).await, ISSUED);
    }
    assert_eq!(world.next_serial("withdraw").await, 5);
}

#[tokio::test]
async fn a_stuck_transaction_is_replaced_with_the_same_contents_and_higher_fees() {
    let world = World::new().await;
    let requests = world.accept("withdraw", 2).await;
    let mut issuer = world.start(world.parts_with(|issue| issue.replace_after = Duration::ZERO)).await;
    issuer.turn().await.unwrap();
    let first = world.pooled().await[0];
    issuer.turn().await.unwrap();
    issuer.turn().await.unwrap();
    let pooled = world.pooled().await;
    assert_eq!(pooled.len(), 1, "one nonce, one transaction");
    assert_ne!(pooled[0], first);
    let open = world.store.open_calls(world.signer.address()).await.unwrap();
    let fees: Vec<u128> = open[0].transactions.iter().map(|tx| tx.max_fee_per_gas_wei).collect();
    assert!(fees.len() >= 3 && fees.windows(2).all(|pair| pair[1] * 10 >= pair[0] * 11), "{fees:?}");
    world.mine().await;
    issuer.turn().await.unwrap();
    assert_eq!(world.status_on_chain(requests[1]).await, ISSUED);
    assert_eq!(world.next_serial("withdraw").await, 2);
}

#[tokio::test]
async fn at_the_fee_cap_the_last_form_is_published_again() {
    let world = World::new().await;
    let requests = world.accept("withdraw", 1).await;
    let base_fee = world.base_fee_wei().await;
    let mut issuer = world
        .start(world.parts_with(|issue| {
            issue.replace_after = Duration::ZERO;
            issue.max_fee_cap_wei = base_fee + 1;
            issue.priority_fee_wei = 1;
        }))
        .await;
    issuer.turn().await.unwrap();
    let hash = world.pooled().await[0];
    world.anvil.node.anvil_drop_transaction(hash).await.unwrap();
    issuer.turn().await.unwrap();
    assert_eq!(world.pooled().await, [hash]);
    world.mine().await;
    assert_eq!(world.status_on_chain(requests[0]).await, ISSUED);
}

#[tokio::test]
async fn a_reorg_that_takes_a_batch_out_leads_to_the_same_bytes_again() {
    let world = World::new().await;
    let requests = world.accept("withdraw", 3).await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    let hash = world.pooled().await[0];
    world.mine().await;
    issuer.turn().await.unwrap();
    assert_eq!(world.status_on_chain(requests[0]).await, ISSUED);
    // Two blocks are replaced by two empty ones.
    world.mine().await;
    world.reorg(2).await;
    assert_eq!(world.next_serial("withdraw").await, 0, "the reorg took it out");

    for _ in 0..3 {
        issuer.turn().await.unwrap();
        world.mine().await;
    }
    issuer.turn().await.unwrap();
    assert_eq!(world.status_on_chain(requests[0]).await, ISSUED);
    assert!(world.anvil.node.get_transaction_receipt(hash).await.unwrap().unwrap().status());
    assert_eq!(world.next_serial("withdraw").await, 3, "no second numbers");
}

#[tokio::test]
async fn a_nonce_that_another_transaction_used_leads_to_new_numbers_once_that_is_final() {
    let world = World::new().await;
    let requests = world.accept("withdraw", 2).await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    let hash = world.pooled().await[0];
    world.anvil.node.anvil_drop_transaction(hash).await.unwrap();
    world.send_as(&world.signer, world.wallet, Vec::new()).await;
    world.mine().await;
    issuer.turn().await.unwrap();
    assert_eq!(world.serial_of(requests[0]).await, 0, "not before the nonce is final");
    for _ in 0..=CONFIRMATIONS {
        world.mine().await;
    }
    for _ in 0..3 {
        issuer.turn().await.unwrap();
        world.mine().await;
    }
    issuer.turn().await.unwrap();
    for request in requests {
        assert!(world.serial_of(request).await >= 2, "a new number, since the old code may be known");
        assert_eq!(world.status_on_chain(request).await, ISSUED);
    }
}

#[tokio::test]
async fn a_batch_that_is_mined_too_late_fails_its_requests_with_a_reason() {
    let world = World::new().await;
    let requests = world.accept("withdraw", 2).await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    world.anvil.node.anvil_increase_time(301).await.unwrap();
    world.mine().await;
    issuer.turn().await.unwrap();
    for request in requests {
        assert!(world.failure_of(request).await.unwrap().contains("ask again"));
    }
    assert_eq!(world.next_serial("withdraw").await, 0);
    // The next request is not held up.
    let next = world.accept("withdraw", 1).await;
    issuer.turn().await.unwrap();
    world.mine().await;
    assert_eq!(world.status_on_chain(next[0]).await, ISSUED);
}

#[tokio::test]
async fn requests_wait_while_the_contract_is_paused() {
    let world = World::new().await;
    let pause = OtpVerifier::pauseCall {}.abi_encode();
    world.send_as(&world.guardian, world.deployment.verifier, pause).await;
    world.mine().await;
    let requests = world.accept("withdraw", 1).await;
    let mut issuer = world.issuer().await;
    assert!(issuer.turn().await.is_err(), "the estimate says that the contract is paused");
    assert!(world.pooled().await.is_empty());
    assert_eq!(world.failure_of(requests[0]).await, None);
}

#[tokio::test]
async fn a_removed_issuer_sends_nothing_and_loses_nothing() {
    let world = World::new().await;
    let remove = OtpVerifier::removeIssuerCall { issuer: world.signer.address() }.abi_encode();
    world.send_as(&world.guardian, world.deployment.verifier, remove).await;
    world.mine().await;
    let requests = world.accept("withdraw", 1).await;
    let mut issuer = world.issuer().await;
    assert!(issuer.turn().await.is_err());
    assert!(world.pooled().await.is_empty());
    assert_eq!(world.failure_of(requests[0]).await, None);
}

#[tokio::test]
async fn one_process_holds_the_key_and_a_fenced_one_writes_nothing() {
    let world = World::new().await;
    let first = world.issuer().await;
    let never = CancellationToken::new();
    let second = tokio::time::timeout(Duration::from_secs(1), Issuer::start(world.parts(), &never));
    assert!(second.await.is_err(), "the second waits");
    drop(first);
    let mut third = world.issuer().await;
    // Somebody takes the key without the lock, as after the lock file was deleted.
    world.store.take_sender(world.signer.address()).await.unwrap();
    world.accept("withdraw", 1).await;
    let refused = third.turn().await.unwrap_err();
    assert!(matches!(refused, IssuingError::Store(StoreError::Fenced { .. })), "{refused}");
    assert!(world.pooled().await.is_empty(), "nothing was sent");
}

#[tokio::test]
async fn an_older_database_skips_the_numbers_that_the_chain_has_seen() {
    let world = World::new().await;
    // The numbers 0 to 6 were used by transactions that this store knows nothing of.
    let call = OtpVerifier::setOtpsCall {
        purpose: world::purpose("withdraw").bytes32(),
        first: alloy::primitives::aliases::U40::ZERO,
        ids: (0..7).map(|n| B256::from(U256::from(n + 1))).collect(),
        deadline: u64::MAX,
    };
    world.send_as(&world.signer, world.deployment.verifier, call.abi_encode()).await;
    world.mine().await;
    let requests = world.accept("withdraw", 1).await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    world.mine().await;
    assert_eq!(world.serial_of(requests[0]).await, 7);
    assert_eq!(world.status_on_chain(requests[0]).await, ISSUED);
}

#[tokio::test]
async fn a_batch_that_reverted_in_time_and_is_reorged_out_lands_with_the_same_bytes() {
    let world = World::new().await;
    let requests = world.accept("withdraw", 2).await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    let batch = world.pooled().await[0];
    // The guardian's pause pays more and comes first in the block.
    world.send_as(&world.guardian, world.deployment.verifier, OtpVerifier::pauseCall {}.abi_encode()).await;
    world.mine().await;
    issuer.turn().await.unwrap();
    assert_eq!(world.failure_of(requests[0]).await, None, "there is time left");

    world.reorg(1).await;
    world.mine().await;
    issuer.turn().await.unwrap();
    assert!(world.pooled().await.contains(&batch), "the same bytes wait again");
    world.mine().await;
    issuer.turn().await.unwrap();
    for request in requests {
        assert_eq!(world.failure_of(request).await, None);
        assert_eq!(world.status_on_chain(request).await, ISSUED);
        assert!(world.serial_of(request).await < 2, "no second number");
    }
    // Nothing is stuck behind it.
    let next = world.accept("withdraw", 1).await;
    issuer.turn().await.unwrap();
    world.mine().await;
    assert_eq!(world.status_on_chain(next[0]).await, ISSUED);
}

#[tokio::test]
async fn requests_of_a_batch_that_reverted_get_new_numbers_once_that_is_final_or_are_told_in_time() {
    let world = World::new().await;
    let requests = world.accept("withdraw", 2).await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    world.send_as(&world.guardian, world.deployment.verifier, OtpVerifier::pauseCall {}.abi_encode()).await;
    world.mine().await;
    issuer.turn().await.unwrap();
    world.govern(OtpVerifier::unpauseCall {}.abi_encode()).await;
    world.mine_many(CONFIRMATIONS).await;
    issuer.turn().await.unwrap();
    world.mine().await;
    issuer.turn().await.unwrap();
    for request in requests {
        assert!(world.serial_of(request).await >= 2, "new numbers: the old code may be known");
        assert_eq!(world.status_on_chain(request).await, ISSUED);
    }

    let requests = world.accept("withdraw", 1).await;
    issuer.turn().await.unwrap();
    world.send_as(&world.guardian, world.deployment.verifier, OtpVerifier::pauseCall {}.abi_encode()).await;
    world.mine().await;
    issuer.turn().await.unwrap();
    world.anvil.node.anvil_increase_time(301).await.unwrap();
    world.mine().await;
    let _ = issuer.turn().await;
    assert!(world.failure_of(requests[0]).await.unwrap().contains("refused"), "told before it is final");
}

#[tokio::test]
async fn a_batch_that_nobody_mined_in_time_is_told_and_its_nonce_is_freed() {
    let world = World::new().await;
    let requests = world.accept("withdraw", 2).await;
    let mut issuer = world.issuer().await;
    issuer.turn().await.unwrap();
    let hash = world.pooled().await[0];
    world.anvil.node.anvil_drop_transaction(hash).await.unwrap();
    world.anvil.node.anvil_increase_time(301).await.unwrap();
    world.mine().await;
    issuer.turn().await.unwrap();
    assert!(world.failure_of(requests[0]).await.unwrap().contains("ask again"), "told before anything is mined");
    let cancellation = world.pooled().await;
    assert_eq!(cancellation.len(), 1);
    let sent = world.anvil.node.get_transaction_by_hash(cancellation[0]).await.unwrap().unwrap();
    assert_eq!(sent.inner.to(), Some(world.signer.address()), "nothing to ourselves");
    world.mine().await;
    issuer.turn().await.unwrap();
    let next = world.accept("withdraw", 1).await;
    issuer.turn().await.unwrap();
    world.mine().await;
    assert_eq!(world.status_on_chain(next[0]).await, ISSUED);
    assert_eq!(world.serial_of(next[0]).await, 2, "the numbers of the late batch are skipped");
}

#[tokio::test]
async fn a_nonce_used_by_hand_while_nothing_was_in_flight_delays_nothing() {
    let world = World::new().await;
    let mut issuer = world.issuer().await;
    world.send_as(&world.signer, world.wallet, Vec::new()).await;
    world.mine().await;
    let requests = world.accept("withdraw", 1).await;
    issuer.turn().await.unwrap();
    world.mine().await;
    assert_eq!(world.status_on_chain(requests[0]).await, ISSUED);
}

#[tokio::test]
async fn requests_are_told_in_time_while_nothing_can_be_issued() {
    let world = World::new().await;
    world.send_as(&world.guardian, world.deployment.verifier, OtpVerifier::pauseCall {}.abi_encode()).await;
    world.mine().await;
    let requests = world.accept("withdraw", 1).await;
    let mut issuer = world.start(world.parts_with(|issue| issue.deadline_s = 0)).await;
    assert!(issuer.turn().await.is_err() || world.failure_of(requests[0]).await.is_some());
    assert!(world.failure_of(requests[0]).await.unwrap().contains("ask again"));
}
