//! A person with a wallet, and what they ask of the interface.

use alloy::{
    network::{EthereumWallet, NetworkTransactionBuilder, TransactionBuilder},
    primitives::{Address, B256},
    providers::{Provider, ext::AnvilApi},
    rpc::types::TransactionRequest,
    signers::{SignerSync, local::PrivateKeySigner},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use otp_core::{
    code::{Code, Seed},
    id::Slot,
};
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};
use testbed::anvil::fund;
use uuid::Uuid;

use super::TestApp;
use crate::message::Message;

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The status, with the problem's slug where it is one.
    pub(crate) fn told(&self) -> (u16, &str) {
        (self.status, self.body["type"].as_str().and_then(|t| t.strip_prefix("/problems/")).unwrap_or_default())
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// A signed-in wallet.
pub(crate) struct Person {
    pub(crate) wallet: PrivateKeySigner,
    pub(crate) token: String,
    pub(crate) account: Uuid,
}

impl Person {
    /// The session's id.
    pub(crate) fn session(&self) -> Uuid {
        claims(&self.token)["jti"].as_str().unwrap().parse().unwrap()
    }
}

impl TestApp {
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        send(self.request(Method::GET, path).bearer_auth(token)).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path).bearer_auth(token).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str, token: &str) -> Answer {
        send(self.request(Method::DELETE, path).bearer_auth(token)).await
    }

    pub(crate) async fn nonce(&self) -> String {
        let answer = send(self.request(Method::GET, "/v1/auth/nonce")).await;
        assert_eq!(answer.status, 200);
        answer.body["nonce"].as_str().unwrap().to_owned()
    }

    /// A message with a fresh nonce in which nothing is wrong.
    pub(crate) async fn message(&self, wallet: Address) -> Message {
        Message::new(wallet, self.deployment.chain_id, self.nonce().await)
    }

    pub(crate) async fn login(&self, wallet: &PrivateKeySigner, message: &str) -> Answer {
        let signature = wallet.sign_message_sync(message.as_bytes()).unwrap();
        self.login_by(message, &signature.as_bytes()).await
    }

    /// Signs in with a signature of any form.
    pub(crate) async fn login_by(&self, message: &str, signature: &[u8]) -> Answer {
        let body = json!({ "message": message, "signature": format!("0x{}", hex::encode(signature)) });
        send(self.request(Method::POST, "/v1/auth/login").json(&body)).await
    }

    /// Another session of a wallet.
    pub(crate) async fn sign_in(&self, wallet: &PrivateKeySigner) -> Person {
        let message = self.message(wallet.address()).await.text();
        let answer = self.login(wallet, &message).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let token = answer.body["token"].as_str().unwrap().to_owned();
        let account = claims(&token)["sub"].as_str().unwrap().parse().unwrap();
        Person { wallet: wallet.clone(), token, account }
    }

    /// A wallet's first session.
    pub(crate) async fn stranger(&self) -> Person {
        self.sign_in(&PrivateKeySigner::random()).await
    }

    /// A signed-in wallet with a confirmed contact, and the contact's id.
    pub(crate) async fn person(&self) -> (Person, Uuid) {
        let person = self.stranger().await;
        let contact = self.add_contact(&person, "alice@example.com").await;
        let digits = self.contact_digits(&person, contact, 1).await;
        let answer = self.confirm(&person, contact, &digits).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        (person, contact)
    }

    pub(crate) async fn add_contact(&self, person: &Person, address: &str) -> Uuid {
        let body = json!({ "channel": "email", "address": address });
        let answer = self.post("/v1/contacts", &person.token, &body).await;
        assert_eq!(answer.status, 202, "{:?}", answer.body);
        answer.body["contactId"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) async fn confirm(&self, person: &Person, contact: Uuid, digits: &str) -> Answer {
        self.post(&format!("/v1/contacts/{contact}/confirm"), &person.token, &json!({ "digits": digits })).await
    }

    /// The digits that the message would have.
    pub(crate) async fn contact_digits(&self, person: &Person, contact: Uuid, challenge: u64) -> String {
        self.seed(person).await.contact_digits(contact, challenge).expose().to_owned()
    }

    pub(crate) async fn submit(&self, person: &Person, key: &str, body: &Value) -> Answer {
        let request = self.request(Method::POST, "/v1/otps").bearer_auth(&person.token);
        send(request.header("Idempotency-Key", key).json(body)).await
    }

    /// An accepted request for a withdrawal.
    pub(crate) async fn accepted(&self, person: &Person, contact: Uuid) -> Uuid {
        let answer = self.submit(person, &Uuid::now_v7().to_string(), &withdrawal(contact)).await;
        assert_eq!(answer.status, 202, "{:?}", answer.body);
        answer.body["id"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) async fn unlock(&self, person: &Person, otp: Uuid, digits: &str) -> Answer {
        self.post(&format!("/v1/otps/{otp}/unlock"), &person.token, &json!({ "digits": digits })).await
    }

    /// The code of an issued request, as the message would have it.
    pub(crate) async fn code(&self, person: &Person, otp: Uuid) -> Code {
        let story = self.store.story(person.account, otp).await.unwrap().unwrap();
        let issuance = story.issuance.expect("issued");
        let slot = Slot {
            deployment: self.deployment,
            issuer: issuance.issuer,
            purpose: story.purpose,
            serial: issuance.serial,
            subject: person.wallet.address(),
            action: story.action,
        };
        self.seed(person).await.code(&slot, otp)
    }

    pub(crate) async fn seed(&self, person: &Person) -> Seed {
        let sealed = self.store.sealed_seed(person.account).await.unwrap();
        Seed::from_bytes(&self.keyring.open_sealed("seed", person.account, &sealed).unwrap()).unwrap()
    }

    /// Sends a transaction of an account that is ours; returns whether it succeeded.
    pub(crate) async fn transact(&self, signer: &PrivateKeySigner, to: Address, input: Vec<u8>) -> (B256, bool) {
        let node = &self.anvil.node;
        fund(node, signer.address()).await.unwrap();
        let request = TransactionRequest::default()
            .with_to(to)
            .with_input(input)
            .with_nonce(node.get_transaction_count(signer.address()).await.unwrap())
            .with_chain_id(self.deployment.chain_id)
            .with_gas_limit(1_000_000)
            .with_max_fee_per_gas(100_000_000_000)
            .with_max_priority_fee_per_gas(2_000_000_000);
        let envelope = request.build(&EthereumWallet::from(signer.clone())).await.unwrap();
        let hash = *node.send_tx_envelope(envelope).await.unwrap().tx_hash();
        node.anvil_mine(Some(1), None).await.unwrap();
        let receipt = node.get_transaction_receipt(hash).await.unwrap().expect("mined");
        (hash, receipt.status())
    }
}

/// A request body for a withdrawal from a contract.
pub(crate) fn withdrawal(contact: Uuid) -> Value {
    json!({ "purpose": "withdraw", "contactId": contact, "action": {
        "consumer": Address::repeat_byte(0xC0),
        "primaryType": "Withdrawal",
        "types": { "Withdrawal": [
            { "name": "to", "type": "address" },
            { "name": "amount", "type": "uint256" },
            { "name": "nonce", "type": "uint256" },
        ] },
        "message": { "to": Address::repeat_byte(0xAA), "amount": "1000", "nonce": "0" },
    } })
}

pub(crate) async fn send(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.json().await.unwrap_or_default();
    Answer { status, headers, body }
}

/// A token's claims, unchecked.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// Six digits that are not these.
pub(crate) fn wrong(digits: &str) -> String {
    let first = if digits.starts_with('9') { '0' } else { '9' };
    format!("{first}{}", &digits[1..])
}
