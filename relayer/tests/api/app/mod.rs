//! The interface under test, and a person who uses it.

mod person;

use std::{path::Path, sync::Arc, time::Duration};

use alloy::{
    primitives::{Bytes, U256},
    providers::ext::AnvilApi,
    signers::local::PrivateKeySigner,
};
use otp_core::{
    chain::Node,
    contact::{Channel, Disposable},
    http,
    id::Purpose,
    seal::{KeyWrapper, Keyring},
    secret::Secret,
    store::Store,
};
use relayer::{
    api::{self, App},
    chain_view::{ChainView, Watched},
    config::{ContactsConfig, HttpConfig, LimitsConfig, OtpConfig, SessionConfig},
};
use reqwest::Client;
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

pub(crate) use self::person::{Answer, Person, claims, send, withdrawal, wrong};
use crate::message::URI;

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
                language: otp_core::language::Language::English,
                channels: setup.channels.clone(),
                change_delay: setup.change_delay,
                disposable: Disposable::default(),
            },
            session: SessionConfig { ttl: setup.session_ttl, public_urls: vec![PUBLIC_URL.parse().unwrap()] },
            actions: Vec::new(),
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
