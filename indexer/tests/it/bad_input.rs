//! What the chain may hold that nobody expected: it is kept and counted, never fatal, and nothing follows from it.

use alloy::{
    primitives::{Address, B256, keccak256},
    sol_types::{SolCall, SolEvent},
};
use otp_core::{
    contract::{
        IOtpVerifier::Ticket,
        OtpVerifier::{OtpSet, OtpVerified, revokeBatchesCall, revokeCall},
    },
    id::leaf,
    metrics::Recorder,
    store::{EventFilter, EventKind, Status},
};
use serde_json::{Value, json};
use testbed::faults::{Fault, RpcProxy};

use crate::harness::{Chain, Mailbox, World, follow, work_off};

/// Writes a log of the first word as topic and the rest as data.
const WRITES_ANY_LOG: &str = "0x3660209003806020600037600035906000a100";

async fn count(world: &World, kind: EventKind) -> usize {
    let filter = EventFilter { kind: Some(kind), ..EventFilter::default() };
    world.store.events(&filter, 100).await.unwrap().len()
}

fn log_data(logs: &mut Value) {
    for log in logs.as_array_mut().into_iter().flatten() {
        log["data"] = json!("0x01");
    }
}

/// Answers with logs whose data is another one, in every way.
fn garble(node: &RpcProxy) {
    node.inject(Fault::edit(|_, logs| log_data(logs)).on("eth_getLogs"));
    let receipts = |_: &Value, receipts: &mut Value| {
        for receipt in receipts.as_array_mut().into_iter().flatten() {
            log_data(&mut receipt["logs"]);
        }
    };
    node.inject(Fault::edit(receipts).on("eth_getBlockReceipts"));
}

#[tokio::test]
async fn another_issuer_that_copies_a_live_id_and_revokes_it_touches_nothing_of_ours() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let person = world.confirmed_person().await;
    let authorization = world.withdrawal();
    let request_id = world.request(&person, &authorization).await;
    let issued = world.batch(&[(&person, request_id, authorization.action)]).await.remove(0);
    world.chain.set_otps(world.chain.issuer, issued.serial, &[issued.id]).await;
    let stranger = world.chain.stranger;
    // The same purpose and number too, so that even the root is the same.
    world.chain.set_otps(stranger, issued.serial, &[issued.id]).await;
    let ticket = Ticket { issuer: stranger, ..world.chain.ticket(&issued) };
    assert!(world.chain.call(stranger, revokeCall { tickets: vec![ticket] }.abi_encode()).await.status());
    let root = leaf(Chain::purpose().bytes32(), issued.serial, issued.id);
    let call = revokeBatchesCall { issuer: stranger, roots: vec![root] };
    assert!(world.chain.call(stranger, call.abi_encode()).await.status());
    follow(&mut world.tail(&world.chain.url)).await;
    assert_eq!(count(&world, EventKind::Set).await, 2, "both are kept");
    assert_eq!(count(&world, EventKind::Revoked).await, 1);

    let head_s = world.progress.snapshot().head.unwrap().timestamp;
    let story = world.store.story(person.account_id, request_id).await.unwrap().unwrap();
    assert!(!story.reached(head_s).iter().any(|(status, _)| *status == Status::Revoked));
    assert_eq!(story.status(head_s), Status::Issued);
    work_off(&world.worker(mailbox.smtp_port)).await;
    mailbox.one(&person.address).await;
    let story = world.store.story(person.account_id, request_id).await.unwrap().unwrap();
    assert_eq!(story.status(head_s), Status::Delivered);
}

#[tokio::test]
async fn logs_that_do_not_decode_and_events_of_a_later_contract_are_kept_counted_and_passed() {
    let world = World::new().await;
    let recorder = Recorder::install().unwrap();
    let verifier = world.chain.deployment.verifier;
    let code = world.chain.ask("eth_getCode", json!([verifier, "latest"])).await;
    world.chain.ask("anvil_setCode", json!([verifier, WRITES_ANY_LOG])).await;
    let later = keccak256("OtpPostponed(bytes32,uint64)");
    for topic in [OtpVerified::SIGNATURE_HASH, OtpSet::SIGNATURE_HASH, later] {
        let receipt = world.chain.call(world.chain.governor, [topic.as_slice(), &[1, 2, 3]].concat()).await;
        assert_eq!(receipt.logs().len(), 1);
    }
    world.chain.ask("anvil_setCode", json!([verifier, code])).await;
    world.issue_one().await;
    for blocks in [1, 200] {
        world.chain.mine(blocks).await;
        follow(&mut world.tail(&world.chain.url)).await;
    }
    assert_eq!(count(&world, EventKind::Malformed).await, 2);
    assert_eq!(count(&world, EventKind::Unknown).await, 1);
    assert_eq!(count(&world, EventKind::Verified).await, 0);
    assert_eq!(world.deliveries("queued").await, 1, "what came after it is delivered");
    let text = recorder.render();
    for kind in ["malformed", "unknown"] {
        assert!(text.contains(&format!("otp_indexer_odd_logs_total{{kind=\"{kind}\"}}")), "{text}");
    }
}

#[tokio::test]
async fn far_behind_the_head_logs_that_do_not_decode_are_kept_too() {
    let world = World::new().await;
    let verifier = world.chain.deployment.verifier;
    let code = world.chain.ask("eth_getCode", json!([verifier, "latest"])).await;
    world.chain.ask("anvil_setCode", json!([verifier, WRITES_ANY_LOG])).await;
    world.chain.call(world.chain.governor, OtpSet::SIGNATURE_HASH.to_vec()).await;
    world.chain.ask("anvil_setCode", json!([verifier, code])).await;
    world.issue_one().await;
    world.chain.mine(200).await;
    follow(&mut world.tail(&world.chain.url)).await;
    assert_eq!(count(&world, EventKind::Malformed).await, 1);
    assert_eq!(world.deliveries("queued").await, 1);
}

#[tokio::test]
async fn a_node_that_garbles_logs_is_found_out_by_another() {
    let world = World::new().await;
    let (one, two) = (world.proxy().await, world.proxy().await);
    world.issue_one().await;
    garble(&one);
    follow(&mut world.tail(&format!("{},{}", one.url(), two.url()))).await;
    assert_eq!(count(&world, EventKind::Malformed).await, 0);
    assert_eq!(world.deliveries("queued").await, 1);
}

#[tokio::test]
async fn receipts_that_lack_logs_which_the_header_promises_are_not_believed() {
    let world = World::new().await;
    let proxy = world.proxy().await;
    let mut tail = world.tail(proxy.url().as_str());
    follow(&mut tail).await;
    world.issue_one().await;
    let cursor = world.store.cursor(&world.chain.deployment).await.unwrap();
    for empty in [true, false] {
        proxy.heal();
        let spoil = move |logs: &mut Value| {
            let logs = logs.as_array_mut().unwrap();
            if empty { logs.clear() } else { drop(logs.pop()) }
        };
        proxy.inject(Fault::edit(move |_, logs| spoil(logs)).on("eth_getLogs"));
        proxy.inject(Fault::edit(move |_, receipts| spoil(&mut receipts[0]["logs"])).on("eth_getBlockReceipts"));
        let error = tail.step().await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        assert_eq!(world.store.cursor(&world.chain.deployment).await.unwrap(), cursor, "{error}");
    }
    proxy.heal();
    follow(&mut world.tail(proxy.url().as_str())).await;
    assert_eq!(world.deliveries("queued").await, 1);
}

#[tokio::test]
async fn ids_that_were_issued_by_hand_reach_nobody() {
    let world = World::new().await;
    let (person, issued) = world.issue_one().await;
    // Of our own key, by hand: an id of nobody, and one of a person's under another number.
    world.chain.set_otps(world.chain.issuer, issued.serial + 1, &[B256::repeat_byte(9), issued.id]).await;
    world.chain.set_otps(world.chain.stranger, 7, &[B256::repeat_byte(8)]).await;
    follow(&mut world.tail(&world.chain.url)).await;
    assert_eq!(count(&world, EventKind::Set).await, 4);
    assert_eq!(world.deliveries("queued").await, 1);
    let job = world.store.claim_delivery(60_000, None).await.unwrap().unwrap();
    assert_eq!((job.contact_id, job.wallet), (person.contact_id, person.wallet));
    assert_ne!(job.wallet, Address::ZERO);
    assert!(world.store.claim_delivery(60_000, None).await.unwrap().is_none());
}
