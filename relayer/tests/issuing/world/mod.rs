//! A chain that mines when it is told to, the deployed contract, a store with one account, and an issuer on both.

mod chain;
mod counts;
mod disk;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    providers::ext::AnvilApi,
    signers::local::PrivateKeySigner,
    sol_types::SolCall,
};
use otp_core::{
    clock::now_ms,
    code::{Code, Seed},
    contact::Channel,
    contract::{IOtpVerifier, OtpVerifier},
    id::{Purpose, Slot, leaf},
    language::Language,
    merkle::Tree,
    seal::{KeyWrapper, Keyring},
    store::{Binding, Challenge, Delay, NewContact, NewRequest, NewSession, Rules, Store, Submission},
};
use relayer::{
    chain_view::{ChainView, Watched},
    config::{ChainConfig, IssueConfig},
    issuing::{Issuer, Parts},
};
use testbed::{
    anvil::{Anvil, fund},
    deployment::{Deployment, Plan},
    ports::Ports,
};
use tokio::sync::{Notify, OnceCell};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) use self::counts::Counts;

/// `IOtpVerifier.Status.Issued`
pub(crate) const ISSUED: u8 = 1;
/// `IOtpVerifier.Status.Verified`
pub(crate) const VERIFIED: u8 = 3;
/// `IOtpVerifier.Status.Revoked`
pub(crate) const REVOKED: u8 = 5;

/// Blocks after which a batch is final here.
pub(crate) const CONFIRMATIONS: u64 = 4;

pub(crate) struct World {
    pub(crate) anvil: Anvil,
    pub(crate) deployment: Deployment,
    pub(crate) store: Store,
    pub(crate) signer: PrivateKeySigner,
    pub(crate) guardian: PrivateKeySigner,
    pub(crate) wallet: Address,
    /// The wallet's key.
    pub(crate) owner: PrivateKeySigner,
    folder: tempfile::TempDir,
    keyring: Arc<Keyring>,
    account: Uuid,
    session: Uuid,
    contact: Uuid,
}

/// The contracts are deployed once, by the script; each test's chain starts from that state.
static DEPLOYED: OnceCell<Deployed> = OnceCell::const_new();

#[derive(Clone)]
struct Deployed {
    state: Bytes,
    deployment: Deployment,
    signer: PrivateKeySigner,
    guardian: PrivateKeySigner,
}

async fn deploy() -> Deployed {
    let folder = tempfile::tempdir().unwrap();
    let anvil = start_anvil(folder.path()).await;
    let (signer, guardian) = (PrivateKeySigner::random(), PrivateKeySigner::random());
    let plan = Plan {
        deployer: anvil.new_account().await.unwrap(),
        owners: (0..3).map(|_| PrivateKeySigner::random().address()).collect(),
        guardian: guardian.address(),
        issuers: vec![signer.address()],
        code_ttl_s: 60,
    };
    let deployment = Deployment::run(&plan, &anvil.url, folder.path()).await.unwrap();
    stop_the_clock(&anvil).await;
    let state = anvil.node.anvil_dump_state().await.unwrap();
    Deployed { state, deployment, signer, guardian }
}

async fn start_anvil(logs: &Path) -> Anvil {
    Anvil::start(Ports::free().unwrap().rpc(), logs).await.unwrap()
}

/// From here on a block comes when a test asks for it.
async fn stop_the_clock(anvil: &Anvil) {
    anvil.node.anvil_set_interval_mining(0).await.unwrap();
    anvil.node.anvil_set_auto_mine(false).await.unwrap();
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let deployed = DEPLOYED.get_or_init(deploy).await;
        let anvil = start_anvil(folder.path()).await;
        stop_the_clock(&anvil).await;
        assert!(anvil.node.anvil_load_state(deployed.state.clone()).await.unwrap());
        let Deployed { deployment, signer, guardian, .. } = deployed.clone();
        fund(&anvil.node, signer.address()).await.unwrap();
        // a loaded state has no past, which finality looks into
        anvil.node.anvil_mine(Some(CONFIRMATIONS + 1), None).await.unwrap();

        let store = Store::open(&folder.path().join("otp.db")).await.unwrap();
        let wrapper = KeyWrapper::File(folder.path().join("master.key"));
        let keyring = Arc::new(Keyring::open_or_create(&store, &wrapper).await.unwrap());
        let owner = PrivateKeySigner::random();
        let wallet = owner.address();
        let (account, session, contact) = person(&store, &keyring, wallet).await;
        Self { anvil, deployment, store, signer, guardian, wallet, owner, folder, keyring, account, session, contact }
    }

    /// What `relayer serve` gives its issuing task, with no patience: every turn may replace.
    pub(crate) fn parts(&self) -> Parts {
        self.parts_with(|_| {})
    }

    pub(crate) fn parts_with(&self, change: impl FnOnce(&mut IssueConfig)) -> Parts {
        let deployment =
            otp_core::id::Deployment { chain_id: self.deployment.chain_id, verifier: self.deployment.verifier };
        let watched = Watched {
            deployment,
            issuer: self.signer.address(),
            min_balance_wei: U256::from(1),
            purposes: vec![purpose("login"), purpose("withdraw")],
            fresh_for: Duration::from_secs(10),
            max_head_age: Duration::from_secs(86_400),
        };
        let mut issue = IssueConfig {
            deadline_s: 300,
            replace_after: Duration::from_secs(3600),
            max_fee_cap_wei: 500_000_000_000,
            priority_fee_wei: 1_000_000_000,
            confirmations: CONFIRMATIONS,
            sign_timeout: Duration::from_secs(10),
        };
        change(&mut issue);
        Parts {
            store: self.store.clone(),
            store_path: self.store_path(),
            keyring: self.keyring.clone(),
            node: self.anvil.node.clone(),
            chain: ChainConfig {
                deployment,
                rpc: otp_core::chain::RpcConfig::one(self.anvil.url.clone()),
                poll: Duration::from_millis(50),
                fresh_for: Duration::from_secs(10),
                max_head_age: Duration::from_secs(86_400),
            },
            issue,
            view: ChainView::new(watched),
            signer: Arc::new(self.signer.clone()),
            wake: Arc::new(Notify::new()),
        }
    }

    pub(crate) fn store_path(&self) -> PathBuf {
        self.folder.path().join("otp.db")
    }

    /// Another issuer's key, with the role and with ether.
    pub(crate) async fn grant_issuer(&self) -> PrivateKeySigner {
        let signer = PrivateKeySigner::random();
        self.grant(signer.address()).await;
        fund(&self.anvil.node, signer.address()).await.unwrap();
        signer
    }

    pub(crate) async fn grant(&self, account: Address) {
        let grant = OtpVerifier::grantRoleCall { role: otp_core::contract::role::ISSUER, account };
        self.govern(grant.abi_encode()).await;
    }

    pub(crate) fn view_of(&self, issuer: Address) -> ChainView {
        ChainView::new(Watched { issuer, ..self.parts().view.watched().clone() })
    }

    /// Parts for another issuer on the same store.
    pub(crate) fn parts_of(&self, signer: &PrivateKeySigner) -> Parts {
        Parts { view: self.view_of(signer.address()), signer: Arc::new(signer.clone()), ..self.parts() }
    }

    /// Waits for the key as long as it takes.
    pub(crate) async fn start_unbounded(&self, parts: Parts) -> Issuer {
        Issuer::start(parts, &CancellationToken::new()).await.unwrap().unwrap()
    }

    pub(crate) async fn issuer(&self) -> Issuer {
        self.start(self.parts()).await
    }

    pub(crate) async fn start(&self, parts: Parts) -> Issuer {
        let never = CancellationToken::new();
        let started = Issuer::start(parts, &never);
        tokio::time::timeout(Duration::from_secs(20), started).await.expect("the key is free").unwrap().unwrap()
    }

    /// Accepts `count` requests, as the HTTP interface does.
    pub(crate) async fn accept(&self, purpose_name: &str, count: usize) -> Vec<Uuid> {
        let mut ids = Vec::new();
        for _ in 0..count {
            let id = Uuid::now_v7();
            let (key, reference) = (id.to_string(), reference(id));
            let new = NewRequest {
                id,
                account_id: self.account,
                session_id: self.session,
                contact_id: self.contact,
                idempotency_key: key,
                body_hash: B256::ZERO,
                reference,
                purpose: purpose(purpose_name),
                action: action(),
                payload_hash: None,
                authorization_sealed: Vec::new(),
                max_attempts: 3,
                fallback: false,
                now_ms: now_ms(),
                issuer: Address::ZERO,
                rules: Rules::default(),
            };
            assert!(matches!(self.store.submit(new).await.unwrap(), Submission::Accepted(_)));
            ids.push(id);
        }
        ids
    }

    /// What the contract says of a request's code, by the ticket that the store gives.
    pub(crate) async fn status_on_chain(&self, request: Uuid) -> u8 {
        let (ticket, ..) = self.ticket_and_code(request).await;
        self.verifier().statusOf(ticket).call().await.unwrap()
    }

    /// A request's ticket, action and code, by the store and the account's seed.
    pub(crate) async fn ticket_and_code(&self, request: Uuid) -> (IOtpVerifier::Ticket, B256, Code) {
        let story = self.store.story(self.account, request).await.unwrap().unwrap();
        let issuance = story.issuance.expect("the request has a number");
        let ids = self.store.batch_ids(issuance.batch_id).await.unwrap();
        let leaves: Vec<B256> = ids.iter().map(|(serial, id)| leaf(story.purpose.bytes32(), *serial, *id)).collect();
        let place = ids.iter().position(|(serial, _)| *serial == issuance.serial).unwrap();
        let ticket = IOtpVerifier::Ticket {
            id: issuance.on_chain_id,
            issuer: issuance.issuer,
            purpose: story.purpose.bytes32(),
            serial: alloy::primitives::aliases::U40::from(issuance.serial),
            proof: Tree::new(&leaves).unwrap().proof(place).unwrap(),
        };
        let sealed = self.store.sealed_seed(self.account).await.unwrap();
        let opened = self.keyring.open_sealed("seed", self.account, &sealed).unwrap();
        let slot = Slot {
            deployment: self.parts().chain.deployment,
            issuer: issuance.issuer,
            purpose: story.purpose,
            serial: issuance.serial,
            subject: self.wallet,
            action: story.action,
        };
        (ticket, story.action, Seed::from_bytes(&opened).unwrap().code(&slot, request))
    }

    pub(crate) fn account(&self) -> Uuid {
        self.account
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The serials that the contract gave for a purpose.
    pub(crate) async fn next_serial(&self, name: &str) -> u64 {
        let verifier = self.verifier();
        let next = verifier.nextSerial(self.signer.address(), purpose(name).bytes32());
        next.call().await.unwrap().to()
    }

    pub(crate) async fn serial_of(&self, request: Uuid) -> u64 {
        self.store.story(self.account, request).await.unwrap().unwrap().issuance.unwrap().serial
    }

    pub(crate) async fn failure_of(&self, request: Uuid) -> Option<String> {
        self.store.story(self.account, request).await.unwrap().unwrap().failed.map(|(_, why)| why)
    }

    pub(crate) fn verifier(&self) -> OtpVerifier::OtpVerifierInstance<&otp_core::chain::Node> {
        OtpVerifier::new(self.deployment.verifier, &self.anvil.node)
    }
}

async fn person(store: &Store, keyring: &Keyring, wallet: Address) -> (Uuid, Uuid, Uuid) {
    let (account, session, contact) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let seed = Seed::generate().unwrap();
    let now = now_ms();
    let new = NewSession {
        nonce: "nonce",
        nonce_expires_at_ms: now + 60_000,
        wallet,
        new_account_id: account,
        new_seed_sealed: &keyring.seal("seed", account, seed.expose()).unwrap(),
        session_id: session,
        domain: "localhost",
        binding: Binding::default(),
        now_ms: now,
        expires_at_ms: now + 600_000,
    };
    assert_eq!(store.start_session(&new).await.unwrap(), Some(account));
    let new = NewContact {
        id: contact,
        account_id: account,
        channel: Channel::Email,
        address_sealed: b"",
        address_tag: [0; 32],
        language: None,
        default_language: Language::English,
        expires_at_ms: now + 600_000,
        delay: Delay { now_ms: now, delay_ms: 0 },
        mail: None,
    };
    let started = store.challenge_contact(&new).await.unwrap();
    assert!(matches!(started, Challenge::Started { .. }), "{started:?}");
    (account, session, contact)
}

pub(crate) fn purpose(name: &str) -> Purpose {
    name.parse().unwrap()
}

fn action() -> B256 {
    B256::repeat_byte(9)
}

/// Unique per request, letters alone.
fn reference(id: Uuid) -> String {
    id.as_bytes().iter().map(|byte| format!("{}{}", letter(byte >> 4), letter(byte & 15))).collect()
}

fn letter(nibble: u8) -> char {
    char::from(b'A' + nibble)
}
