//! Which status holds when several facts are known: the chain's word counts most.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use alloy::primitives::{Address, B256};
use otp_core::{
    contact::Channel,
    store::{ChainFacts, DeliveryFacts, Issuance, Issued, Status, Story},
};
use uuid::Uuid;

const EXPIRY_S: i64 = 1_060;

fn queued() -> Story {
    Story {
        id: Uuid::nil(),
        session_id: Uuid::nil(),
        seed_sealed: Vec::new(),
        is_account_locked: false,
        wallet: Address::ZERO,
        contact_id: Uuid::nil(),
        channel: Channel::Email,
        address_sealed: Vec::new(),
        reference: "ABCDEF".to_owned(),
        purpose: "withdraw".parse().unwrap(),
        action: B256::ZERO,
        payload_hash: None,
        authorization_sealed: Vec::new(),
        created_at_ms: 990_000,
        attempts_left: 3,
        unlocked_at_ms: None,
        locked_at_ms: None,
        failed: None,
        issuance: None,
        chain: ChainFacts::default(),
        delivery: None,
    }
}

/// On the chain, delivered and unlocked.
fn unlocked() -> Story {
    Story {
        issuance: Some(Issuance {
            batch_id: 1,
            issuer: Address::ZERO,
            serial: 0,
            on_chain_id: B256::ZERO,
            root: B256::ZERO,
            tx_hash: None,
            signed_at_ms: 995_000,
        }),
        chain: ChainFacts {
            issued: Some(Issued { at_s: 1_000, expiry_s: EXPIRY_S, tx_hash: B256::ZERO, block_number: 1 }),
            ..ChainFacts::default()
        },
        delivery: Some(DeliveryFacts {
            channel: Channel::Email,
            contact_id: Uuid::nil(),
            address_sealed: Vec::new(),
            state: "accepted".to_owned(),
            attempts: 1,
            sent_at_ms: Some(1_001_000),
        }),
        unlocked_at_ms: Some(1_010_000),
        ..queued()
    }
}

fn words(story: &Story, head_s: u64) -> Vec<&'static str> {
    story.reached(head_s).iter().map(|(status, _)| status.as_str()).collect()
}

#[test]
fn a_request_goes_through_its_statuses_in_order() {
    assert_eq!(words(&queued(), 9_999), ["queued"]);
    let mut story = unlocked();
    assert_eq!(words(&story, 1_000), ["queued", "submitted", "issued", "delivered", "unlocked"]);
    story.chain.verified_at_s = Some(1_020);
    story.chain.consumed_at_s = Some(1_030);
    assert_eq!(story.reached(1_030).last(), Some(&(Status::Consumed, 1_030_000)));
    assert!(story.reached(1_030).is_sorted_by_key(|(status, _)| *status));
}

#[test]
fn the_last_second_counts_and_the_next_one_is_too_late() {
    let story = unlocked();
    assert_eq!(story.status(1_060), Status::Unlocked);
    assert_eq!(story.status(1_061), Status::Expired);
}

#[test]
fn what_was_verified_neither_expires_nor_is_locked() {
    let mut story = unlocked();
    story.locked_at_ms = Some(1_015_000);
    assert_eq!(story.status(9_999), Status::Locked, "and not expired: it was locked first");
    story.chain.verified_at_s = Some(1_020);
    assert_eq!(story.status(9_999), Status::Verified);
}

#[test]
fn what_was_consumed_cannot_be_revoked_and_what_was_verified_can() {
    let mut story = unlocked();
    story.chain.verified_at_s = Some(1_020);
    story.chain.revoked_at_s = Some(1_025);
    assert_eq!(story.status(9_999), Status::Revoked);
    story.chain.consumed_at_s = Some(1_022);
    assert_eq!(story.status(9_999), Status::Consumed);
    assert!(!words(&story, 9_999).contains(&"revoked"));
}

#[test]
fn what_a_reorg_took_away_is_submitted_again() {
    let mut story = unlocked();
    story.chain.issued = None;
    assert_eq!(words(&story, 9_999), ["queued", "submitted"]);
}

#[test]
fn a_failure_counts_only_without_a_code_on_the_chain() {
    let mut story = queued();
    story.failed = Some((1_000_000, "too late".to_owned()));
    assert_eq!(story.status(0), Status::Failed);
    let landed = Story { failed: story.failed, ..unlocked() };
    assert_eq!(landed.status(1_000), Status::Unlocked);
}

#[test]
fn every_status_has_a_word_of_its_own() {
    let mut story = unlocked();
    story.chain.verified_at_s = Some(1);
    for (status, _) in story.reached(0) {
        assert_eq!(Status::from_word(status.as_str()), Some(status));
        assert!(!status.is_terminal());
    }
    assert_eq!(Status::from_word("Queued"), None);
}
