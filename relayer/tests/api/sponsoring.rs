//! Having a verification paid for, over HTTP: where it is configured, by the session that asked, with its own code.

use std::{sync::Arc, time::Duration};

use alloy::{
    primitives::{B256, Bytes},
    providers::{Provider, ext::AnvilApi},
    signers::{Signer, local::PrivateKeySigner},
    sol_types::{SolStruct, eip712_domain},
};
use relayer::{
    config::{SignerConfig, SponsorConfig},
    issuing::Sponsor,
};
use serde_json::{Value, json};
use testbed::anvil::fund;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::app::{Answer, Person, Setup, TestApp};

alloy::sol! {
    struct Verify { bytes32 id; bytes32 action; uint64 deadline; }
}

async fn ask(app: &TestApp, person: &Person, otp: Uuid, body: &Value) -> Answer {
    app.post(&format!("/v1/otps/{otp}/sponsor"), &person.token, body).await
}

/// What the page sends after unlocking, signed by `wallet`.
async fn signed(app: &TestApp, unlocked: &Value, wallet: &PrivateKeySigner) -> Value {
    let deadline = app.view.head().1 + 50;
    let id: B256 = unlocked["ticket"]["id"].as_str().unwrap().parse().unwrap();
    let action: B256 = unlocked["action"].as_str().unwrap().parse().unwrap();
    let domain = eip712_domain! {
        name: "OtpVerifier",
        version: "1",
        chain_id: app.deployment.chain_id,
        verifying_contract: app.deployment.verifier,
    };
    let digest = Verify { id, action, deadline }.eip712_signing_hash(&domain);
    let signature = Bytes::from(wallet.sign_hash(&digest).await.unwrap().as_bytes().to_vec());
    json!({ "code": unlocked["code"], "deadline": deadline, "signature": signature })
}

#[tokio::test]
async fn where_nobody_pays_the_answer_says_so() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let otp = app.accepted(&person, contact).await;
    let body = json!({ "code": "x", "deadline": 1, "signature": "0x" });
    assert_eq!(ask(&app, &person, otp, &body).await.told(), (403, "sponsoring-disabled"));
    assert_eq!(ask(&app, &person, Uuid::now_v7(), &body).await.told(), (403, "sponsoring-disabled"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_without_ether_is_verified_on_the_sponsors_account() {
    let mut app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let otp = app.accepted(&person, contact).await;
    app.issue().await;
    let key = PrivateKeySigner::random();
    fund(&app.anvil.node, key.address()).await.unwrap();
    let config = SponsorConfig { signer: SignerConfig::Kms(String::new()), max_gas: 300_000, per_hour: 10 };
    let (sponsor, desk) = Sponsor::new(&app.parts(), Arc::new(key.clone()), config);
    let stop = CancellationToken::new();
    let task = tokio::spawn(sponsor.run(stop.clone()));
    app.sponsor = Some(desk);
    app.serve(&Setup::default()).await;

    let digits = app.code(&person, otp).await.digits().expose().to_owned();
    let unlocked = app.unlock(&person, otp, &digits).await.body;
    let body = signed(&app, &unlocked, &person.wallet).await;
    let stranger = app.stranger().await;
    assert_eq!(ask(&app, &stranger, otp, &body).await.status, 404, "only the session that asked");
    let mut wrong = body.clone();
    wrong["code"] = json!("000000aaaaaaaaaaaaaaaaaaaaaaaaaa");
    let answer = ask(&app, &person, otp, &wrong).await;
    assert_eq!((answer.told(), &answer.body["error"]), ((422, "verification-refused"), &json!("WrongCode")));
    let forged = signed(&app, &unlocked, &stranger.wallet).await;
    let mut answer = ask(&app, &person, otp, &forged).await;
    for _ in 0..100 {
        if answer.status != 503 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        answer = ask(&app, &person, otp, &forged).await;
    }
    assert_eq!((answer.told(), &answer.body["error"]), ((422, "verification-refused"), &json!("InvalidSignature")));

    let answer = ask(&app, &person, otp, &body).await;
    assert_eq!(answer.status, 202, "{:?}", answer.body);
    let hash: B256 = answer.body["txHash"].as_str().unwrap().parse().unwrap();
    assert_eq!(ask(&app, &person, otp, &body).await.body["txHash"], answer.body["txHash"], "asked twice, sent once");
    app.anvil.node.anvil_mine(Some(1), None).await.unwrap();
    let receipt = app.anvil.node.get_transaction_receipt(hash).await.unwrap().unwrap();
    assert!(receipt.status() && receipt.from == key.address());
    app.follow().await;
    assert_eq!(app.get(&format!("/v1/otps/{otp}"), &person.token).await.body["status"], "verified");
    stop.cancel();
    task.await.unwrap().unwrap();
}
