//! The evidence log's encodings agree with `core/tests/vectors/evidence.json`, which was made by other code than ours, and
//! say nothing twice.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use alloy::primitives::{Address, B256, Bytes};
use otp_core::{
    evidence::{
        Attested, Entry, Fields, KeyChange, SigningKey, Step, StepKind, attested_line, entry_line, head_line,
        read_attested, read_entry, read_head,
    },
    id::Deployment,
};
use proptest::{option::of, prelude::*};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    entries: Vec<EntryCase>,
    attested: Vec<AttestedCase>,
    heads: Vec<HeadCase>,
}

#[derive(Deserialize)]
struct EntryCase {
    line: String,
    fields: Bytes,
    hash: B256,
}

#[derive(Deserialize)]
struct AttestedCase {
    line: String,
    commitment: B256,
}

#[derive(Deserialize)]
struct HeadCase {
    seed: B256,
    line: String,
    message: Bytes,
    digest: B256,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("vectors/evidence.json")).unwrap()
}

#[test]
fn entries_are_those_of_the_vectors() {
    let (mut previous, mut key) = (B256::ZERO, None);
    let vectors = vectors();
    assert!(vectors.entries.len() >= 9);
    for case in vectors.entries {
        let entry = read_entry(&case.line).unwrap();
        assert_eq!(entry_line(&entry), case.line);
        assert_eq!(entry.fields.encode(), case.fields, "{}", case.line);
        assert_eq!(Fields::decode(&case.fields), Some(entry.fields.clone()));
        assert_eq!(entry.computed_hash(), case.hash, "{}", case.line);
        assert_eq!((entry.hash, entry.previous), (case.hash, previous));
        previous = entry.hash;
        if let Fields::Key(change) = &entry.fields {
            assert!(change.follows(entry.index, key), "{}", case.line);
            assert!(!change.follows(entry.index + 1, key), "a signature is for one place");
            assert!(!change.follows(entry.index, Some(B256::ZERO)), "and by the key in force");
            key = Some(change.public_key);
        }
    }
}

#[test]
fn commitments_heads_and_signatures_are_those_of_the_vectors() {
    let vectors = vectors();
    for case in vectors.attested {
        let (index, attested) = read_attested(&case.line).unwrap();
        assert_eq!(attested.commitment(), case.commitment, "{}", case.line);
        assert_eq!(attested_line(index, &attested), case.line);
        let entry = read_entry(&vectors.entries[usize::try_from(index).unwrap()].line).unwrap();
        assert_eq!(entry.commitment, Some(case.commitment));
    }
    for case in vectors.heads {
        let signed = read_head(&case.line).unwrap();
        assert_eq!(head_line(&signed), case.line);
        assert_eq!(signed.head.message(), case.message);
        assert_eq!(signed.head.digest(), case.digest);
        assert!(signed.is_signed());
        let key = SigningKey::from_seed(&case.seed).unwrap();
        assert_eq!(signed.head.sign(&key), signed, "Ed25519 signs the same each time");
    }
}

#[test]
fn no_byte_of_a_line_can_be_another_one_unseen() {
    let vectors = vectors();
    let judge_entry = |text: &str| read_entry(text).is_some_and(|entry| entry.hash == entry.computed_hash());
    let judge_head = |text: &str| read_head(text).is_some_and(|head| head.is_signed());
    let heads = vectors.heads.iter().map(|case| case.line.as_str());
    for line in vectors.entries.iter().map(|case| case.line.as_str()) {
        every_change(line, judge_entry);
    }
    heads.for_each(|line| every_change(line, judge_head));
    for case in vectors.attested {
        let fits = |text: &str| read_attested(text).is_some_and(|(_, opened)| opened.commitment() == case.commitment);
        // The index says which entry it is of, and is compared with that.
        let (head, rest) = case.line.split_once(',').unwrap();
        every_change(rest, |changed| fits(&format!("{head},{changed}")));
    }
}

/// Each byte with one bit flipped, left out, doubled.
fn every_change(line: &str, is_good: impl Fn(&str) -> bool) {
    for place in 0..line.len() {
        let mut changes = vec![line.as_bytes().to_vec(); 2];
        changes[0].remove(place);
        changes[1].insert(place, b' ');
        for bit in 0..8 {
            let mut changed = line.as_bytes().to_vec();
            changed[place] ^= 1 << bit;
            changes.push(changed);
        }
        for changed in changes {
            let Ok(text) = String::from_utf8(changed) else { continue };
            assert!(!is_good(&text), "{text}");
        }
    }
}

fn word() -> impl Strategy<Value = B256> {
    any::<[u8; 32]>().prop_map(B256::new)
}

fn step() -> impl Strategy<Value = Step> {
    let kinds = vec!["issued", "verified", "consumed", "revoked", "batch-revoked", "policy-set"];
    let kind = prop::sample::select(kinds).prop_map(|word| StepKind::from_word(word).unwrap());
    let time = 0..253_402_300_800_u64;
    let place = (any::<u64>(), word(), time.clone(), word(), any::<u64>());
    let facts = (of(word()), of(word()), of(any::<[u8; 20]>()), of(word()));
    (kind, place, facts, of(any::<u64>()), of(time)).prop_map(|(kind, place, facts, serial, expiry)| {
        let (block_number, block_hash, block_time, tx_hash, log_index) = place;
        let (id, root, issuer, purpose) = facts;
        let issuer = issuer.map(Address::new);
        Step {
            kind,
            block_number,
            block_hash,
            block_time,
            tx_hash,
            log_index,
            id,
            root,
            issuer,
            purpose,
            serial,
            expiry,
        }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(step in step(), index: u64, previous in word(), commitment in of(word())) {
        let entry = Entry::new(index, previous, Fields::Step(step), commitment);
        prop_assert_eq!(read_entry(&entry_line(&entry)), Some(entry.clone()));
        prop_assert_eq!(Fields::decode(&entry.fields.encode()), Some(entry.fields));
    }

    #[test]
    fn two_steps_never_share_their_bytes(a in step(), b in step()) {
        prop_assert_eq!(a == b, Fields::Step(a).encode() == Fields::Step(b).encode());
    }

    #[test]
    fn bytes_that_no_encoder_wrote_are_refused_or_read_as_what_they_are(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Some(fields) = Fields::decode(&bytes) {
            prop_assert_eq!(fields.encode(), bytes);
        }
    }

    #[test]
    fn openings_are_read_again(salt in word(), account in word(), at in 0..4_000_000_000_000_i64, channel in "[a-z\"\\\\é]{0,12}") {
        let attested = Attested { salt, account, requested_at_ms: at, delivered_at_ms: Some(at + 1), channel };
        prop_assert_eq!(read_attested(&attested_line(3, &attested)), Some((3, attested)));
    }
}

#[test]
fn a_key_that_nobody_signed_for_follows_none() {
    let (old, new) = (SigningKey::from_seed(&[1; 32]).unwrap(), SigningKey::from_seed(&[2; 32]).unwrap());
    let deployment = Deployment { chain_id: 1, verifier: Address::ZERO };
    let message = KeyChange::message(&deployment, 5, new.public_key());
    let change = |signed_by| KeyChange { deployment, deployment_block: 1, public_key: new.public_key(), signed_by };
    assert!(change(Some((old.public_key(), old.sign(&message)))).follows(5, Some(old.public_key())));
    assert!(!change(Some((old.public_key(), new.sign(&message)))).follows(5, Some(old.public_key())));
    assert!(!change(Some((new.public_key(), new.sign(&message)))).follows(5, Some(old.public_key())));
    assert!(!change(None).follows(5, Some(old.public_key())));
    assert!(change(None).follows(0, None) && !change(None).follows(5, None));
}
