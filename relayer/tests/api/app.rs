//! The interface under test, and a person who uses it.

use std::{path::Path, sync::Arc, time::Duration};

use alloy::{
    network::{EthereumWallet, NetworkTransactionBuilder, TransactionBuilder},
    primitives::{Address, B256, Bytes, U256},
    providers::{Provider, ext::AnvilApi},
    rpc::types::TransactionRequest,
    signers::{SignerSync, local::PrivateKeySigner},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use otp_core::{
    chain::Node,
    code::{Code, Seed},
    contact::{Channel, Disposable},
    http,
    id::{Purpose, Slot},
    seal::{KeyWrapper, Keyring},
    secret::Secret,
    store::Store,
};
use relayer::{
    api::{self, App},
    chain_view::{ChainView, Watched},
    config::{ContactsConfig, HttpConfig, LimitsConfig, OtpConfig, SessionConfig},
};
use reqwest::{Client, Method, header::HeaderMap};
use serde_json::{Value, json};
use testbed::{
    anvil::{Anvil, fund},
    deployment::{Deployment, Plan},
    ports::Ports,
};
use tokio::{
    net::TcpListener,
    sync::{Notify, OnceCell},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::message::{Message, URI};

pub(crate) const ORIGIN: &str = "http://localhost:3000";
/// Where clients believe that they reach the interface.
pub(crate) const PUBLIC_URL: &str = "https://otp.example/relayer/";
pub(crate) const ADMIN_TOKEN: &str = "the-admin-token";

/// What a test can set.
pub(crate) struct Setup {
    pub(crate) session_ttl: Duration,
    pub(crate) fresh_for: Duration,
    pub(crate) max_head_age: Duration,
    pub(crate) limits: LimitsConfig,
    pub(crate) confirmation_ttl: Duration,
    pub(crate) change_delay: Duration,
    pub(crate) channels: Vec<Channel>,
    pub(crate) allow_blind_actions: bool,
    /// The node that is asked whether contract accounts signed; the test's own by default.
    pub(crate) node: Option<Node>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            session_ttl: Duration::from_secs(900),
            fresh_for: Duration::from_secs(600),
            max_head_age: Duration::from_secs(86_400),
            limits: LimitsConfig::unlimited(),
            confirmation_ttl: Duration::from_secs(600),
            change_delay: Duration::from_secs(259_200),
            channels: vec![Channel::Email],
            allow_blind_actions: false,
            node: None,
        }
    }
}

pub(crate) struct TestApp {
    pub(crate) url: String,
    pub(crate) admin_url: String,
    pub(crate) anvil: Anvil,
    pub(crate) deployment: otp_core::id::Deployment,
    /// What the script deployed.
    pub(crate) contracts: Deployment,
    /// Two of these three sign for the Safe.
    pub(crate) owners: Vec<PrivateKeySigner>,
    pub(crate) store: Store,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) view: ChainView,
    pub(crate) wake: Arc<Notify>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) sponsor: Option<relayer::issuing::SponsorDesk>,
    pub(crate) issuer: PrivateKeySigner,
    pub(crate) guardian: PrivateKeySigner,
    pub(crate) folder: tempfile::TempDir,
    client: Client,
}

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

/// The contracts are deployed once, by the script; each test's chain starts from that state.
static DEPLOYED: OnceCell<Deployed> = OnceCell::const_new();

#[derive(Clone)]
struct Deployed {
    state: Bytes,
    deployment: Deployment,
    owners: Vec<PrivateKeySigner>,
    issuer: PrivateKeySigner,
    guardian: PrivateKeySigner,
}

async fn deploy() -> Deployed {
    let folder = tempfile::tempdir().unwrap();
    let anvil = start_anvil(folder.path()).await;
    let (issuer, guardian) = (PrivateKeySigner::random(), PrivateKeySigner::random());
    let owners: Vec<_> = (0..3).map(|_| PrivateKeySigner::random()).collect();
    let plan = Plan {
        deployer: anvil.new_account().await.unwrap(),
        owners: owners.iter().map(PrivateKeySigner::address).collect(),
        guardian: guardian.address(),
        issuers: vec![issuer.address()],
        code_ttl_s: 60,
    };
    let deployment = Deployment::run(&plan, &anvil.url, folder.path()).await.unwrap();
    let state = anvil.node.anvil_dump_state().await.unwrap();
    Deployed { state, deployment, owners, issuer, guardian }
}

async fn start_anvil(logs: &Path) -> Anvil {
    let anvil = Anvil::start(Ports::free().unwrap().rpc(), logs).await.unwrap();
    // From here on a block comes when a test asks for it.
    anvil.node.anvil_set_interval_mining(0).await.unwrap();
    anvil.node.anvil_set_auto_mine(true).await.unwrap();
    anvil
}

impl TestApp {
    pub(crate) async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let Deployed { state, deployment: contracts, owners, issuer, guardian } =
            DEPLOYED.get_or_init(deploy).await.clone();
        let anvil = start_anvil(folder.path()).await;
        assert!(anvil.node.anvil_load_state(state).await.unwrap());
        for account in [issuer.address(), guardian.address()] {
            fund(&anvil.node, account).await.unwrap();
        }
        let deployment = otp_core::id::Deployment { chain_id: contracts.chain_id, verifier: contracts.verifier };
        let purposes: Vec<Purpose> = ["login", "withdraw", "unheard-of"].map(|name| name.parse().unwrap()).to_vec();
        let watched = Watched {
            deployment,
            issuer: issuer.address(),
            min_balance_wei: U256::from(1),
            purposes,
            fresh_for: setup.fresh_for,
            max_head_age: setup.max_head_age,
        };
        let view = ChainView::new(watched);
        view.refresh(&anvil.node).await.unwrap();
        let store = Store::open(&folder.path().join("otp.db")).await.unwrap();
        let wrapper = KeyWrapper::File(folder.path().join("master.key"));
        let keyring = Arc::new(Keyring::open_or_create(&store, &wrapper).await.unwrap());
        let mut app = Self {
            url: String::new(),
            admin_url: String::new(),
            anvil,
            deployment,
            contracts,
            owners,
            store,
            keyring,
            view,
            wake: Arc::default(),
            shutdown: CancellationToken::new(),
            sponsor: None,
            issuer,
            guardian,
            folder,
            client: Client::new(),
        };
        app.serve(&setup).await;
        app
    }

    /// Serves anew on the same database, as after a restart.
    pub(crate) async fn serve(&mut self, setup: &Setup) {
        let state = App::new(api::Parts {
            store: self.store.clone(),
            keyring: self.keyring.clone(),
            view: self.view.clone(),
            http: http_config(),
            otp: OtpConfig {
                purposes: self.view.watched().purposes.clone(),
                allow_blind_actions: setup.allow_blind_actions,
                confirmation_ttl: setup.confirmation_ttl,
            },
            limits: setup.limits.clone(),
            contacts: ContactsConfig {
                channels: setup.channels.clone(),
                change_delay: setup.change_delay,
                disposable: Disposable::default(),
            },
            session: SessionConfig { ttl: setup.session_ttl, public_urls: vec![PUBLIC_URL.parse().unwrap()] },
            node: setup.node.clone().unwrap_or_else(|| self.anvil.node.clone()),
            wake: self.wake.clone(),
            leaving: CancellationToken::new(),
            sponsor: self.sponsor.clone(),
            shutdown: self.shutdown.clone(),
        });
        self.url = self.listen(api::router(state.clone())).await;
        let recorder = otp_core::metrics::Recorder::install().unwrap();
        let admin = api::admin_router(state, Secret::new(ADMIN_TOKEN.to_owned()), recorder);
        self.admin_url = self.listen(admin).await;
    }

    async fn listen(&self, router: axum::Router) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(http::serve(listener, router, self.shutdown.clone()));
        url
    }

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

impl Drop for TestApp {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub(crate) fn http_config() -> HttpConfig {
    HttpConfig {
        listening: http::Listening {
            listen: ([127, 0, 0, 1], 0).into(),
            admin_listen: ([127, 0, 0, 1], 0).into(),
            admin_token_file: "unused".into(),
            tls: None,
            behind_proxy: false,
            lame_duck: Duration::ZERO,
        },
        domains: vec![URI.parse().unwrap(), "https://app.example/sign-in".parse().unwrap()],
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
