//! Ids, actions, leaves, roots and proofs agree with `test-sol/vectors`, which the Solidity suite reads as well.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{fs, path::Path};

use alloy::{
    primitives::{Address, B256, keccak256},
    sol_types::SolStruct,
};
use otp_core::{
    authorization::{Authorization, SignIn, TypedAction},
    id::{self, Deployment, Purpose, Slot},
    merkle::Tree,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ids {
    ids: Vec<IdCase>,
    actions: Vec<ActionCase>,
    withdrawal: Structs<Withdrawal>,
    sign_in: Structs<SignInCase>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IdCase {
    name: String,
    chain_id: String,
    verifier: Address,
    issuer: Address,
    purpose: B256,
    serial: String,
    subject: Address,
    action: B256,
    code: String,
    code_hash: B256,
    id: B256,
    leaf: B256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ActionCase {
    name: String,
    consumer: Address,
    payload_hash: B256,
    action: B256,
}

#[derive(Deserialize)]
struct Structs<T> {
    cases: Vec<T>,
}

#[derive(Deserialize)]
struct Withdrawal {
    to: Address,
    amount: String,
    nonce: String,
    hash: B256,
}

#[derive(Deserialize)]
struct SignInCase {
    origin: String,
    session: B256,
    hash: B256,
}

#[derive(Deserialize)]
struct Trees {
    trees: Vec<TreeCase>,
}

#[derive(Deserialize)]
struct TreeCase {
    size: usize,
    purpose: B256,
    first: String,
    ids: Vec<B256>,
    leaves: Vec<B256>,
    root: B256,
    proofs: Vec<Vec<B256>>,
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../test-sol/vectors").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn ids_and_leaves_are_those_of_the_vectors() {
    let mut checked = 0;
    for case in read::<Ids>("ids.json").ids {
        assert_eq!(keccak256(case.code.as_bytes()), case.code_hash, "{}", case.name);
        let serial = case.serial.parse().unwrap();
        assert_eq!(id::leaf(case.purpose, serial, case.id), case.leaf, "{}", case.name);
        // The relayer takes fewer names than the contract; the others are other issuers' business.
        let Ok(purpose) = Purpose::try_from(case.purpose) else { continue };
        let deployment = Deployment { chain_id: case.chain_id.parse().unwrap(), verifier: case.verifier };
        let (issuer, subject, action) = (case.issuer, case.subject, case.action);
        let slot = Slot { deployment, issuer, purpose, serial, subject, action };
        assert_eq!(slot.id(case.code_hash), case.id, "{}", case.name);
        checked += 1;
    }
    assert!(checked >= 10, "{checked} ids checked");
}

#[test]
fn actions_and_payload_hashes_are_those_of_the_vectors() {
    let vectors = read::<Ids>("ids.json");
    assert!(vectors.actions.len() + vectors.withdrawal.cases.len() + vectors.sign_in.cases.len() >= 10);
    for case in vectors.actions {
        assert_eq!(id::action(case.consumer, case.payload_hash), case.action, "{}", case.name);
    }
    for case in vectors.sign_in.cases {
        let sign_in = SignIn { origin: case.origin.clone(), session: case.session };
        assert_eq!(sign_in.eip712_hash_struct(), case.hash, "{}", case.origin);
    }
    for case in vectors.withdrawal.cases {
        let consumer = Address::repeat_byte(7);
        let typed: TypedAction = serde_json::from_value(json!({
            "consumer": consumer,
            "primaryType": "Withdrawal",
            "types": { "Withdrawal": [
                { "name": "to", "type": "address" },
                { "name": "amount", "type": "uint256" },
                { "name": "nonce", "type": "uint256" },
            ] },
            "message": { "to": case.to, "amount": case.amount, "nonce": case.nonce },
        }))
        .unwrap();
        let authorization = Authorization::try_from(typed).unwrap();
        assert_eq!(authorization.payload_hash, Some(case.hash), "{}", case.amount);
        assert_eq!(authorization.action, id::action(consumer, case.hash));
        assert_eq!(authorization.fields[0], ("to".to_owned(), case.to.to_checksum(None)));
        assert_eq!(authorization.fields[1], ("amount".to_owned(), case.amount));
    }
}

#[test]
fn trees_are_those_of_the_vectors() {
    let trees = read::<Trees>("trees.json").trees;
    assert!(trees.iter().any(|case| case.size == 80));
    for case in trees {
        let first: u64 = case.first.parse().unwrap();
        let leaves: Vec<B256> =
            (first..).zip(&case.ids).map(|(serial, id)| id::leaf(case.purpose, serial, *id)).collect();
        assert_eq!(leaves, case.leaves, "leaves of {}", case.size);
        let tree = Tree::new(&leaves).unwrap();
        assert_eq!(tree.root(), case.root, "root of {}", case.size);
        for (place, proof) in case.proofs.iter().enumerate() {
            assert_eq!(tree.proof(place).as_ref(), Some(proof), "proof {place} of {}", case.size);
        }
        assert_eq!(tree.proof(case.size), None);
    }
    assert!(Tree::new(&[]).is_none());
}
