//! A world of its own for each test: chain, contract, database, mailbox, and the relayer's rows in it.

mod chain;
mod mailbox;
mod net_proxy;
mod receiver;

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, keccak256},
    providers::Provider,
    rpc::types::Filter,
    sol_types::SolEvent,
};
use indexer::{
    channel::{Channels, email::Email},
    config::{Config, DeliveryConfig},
    deliver::Worker,
    finality::Settler,
    mail::smtp::Postman,
    progress::Progress,
    source::Source,
    tail::{Step, Tail},
};
use otp_core::{
    authorization::Authorization,
    clock::now_ms,
    code::{Code, Seed},
    contact::Channel,
    contract::{
        OtpVerifier::{
            OtpBatchRevoked, OtpBatchSet, OtpConsumed, OtpRevoked, OtpSet, OtpVerified, PolicySet, RoleGranted,
        },
        proxy,
    },
    id::{self, Slot, leaf},
    language::Language,
    merkle::Tree,
    seal::{KeyWrapper, Keyring},
    store::{
        Approval, Binding, Challenge, ChangeRow, Confirmation, Delay, EventFilter, Lease, NewBatch, NewContact,
        NewRequest, NewSession, Outbox, Rules, SignedTransaction, Store, Submission,
    },
};
use tempfile::TempDir;
use testbed::faults::RpcProxy;
use uuid::Uuid;

pub(crate) use self::{
    chain::Chain,
    mailbox::Mailbox,
    net_proxy::{Asks, NetProxy},
    receiver::{Received, Receiver, Reply},
};

/// A child process that ends with its owner.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A file of the checkout that a test needs.
pub(crate) fn checkout(path: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    assert!(path.exists(), "{} is missing: run `make setup` and `forge build`", path.display());
    path
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Repeats `probe` until it gives something, for at most 20 s.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut probe: impl FnMut() -> F) -> T {
    for _ in 0..400 {
        if let Some(found) = probe().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}: not within 20 s");
}

/// A person with a wallet and a confirmed address.
pub(crate) struct Person {
    pub(crate) wallet: Address,
    pub(crate) address: String,
    pub(crate) account_id: Uuid,
    pub(crate) contact_id: Uuid,
    pub(crate) session_id: Uuid,
    pub(crate) seed: Seed,
}

/// A code that was committed, on the chain or about to be.
pub(crate) struct Issued {
    pub(crate) id: B256,
    pub(crate) serial: u64,
    pub(crate) code: Code,
    pub(crate) action: B256,
    pub(crate) wallet: Address,
    pub(crate) proof: Vec<B256>,
}

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) chain: Chain,
    pub(crate) store: Store,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) outbox: Outbox,
    pub(crate) progress: Progress,
    pub(crate) lease: Lease,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::on(Chain::start().await).await
    }

    pub(crate) async fn on(chain: Chain) -> Self {
        Self::within(chain, tempfile::tempdir().unwrap()).await
    }

    /// With its files in a folder that was made for it.
    pub(crate) async fn within(chain: Chain, folder: TempDir) -> Self {
        let store = Store::open(&folder.path().join("otp.db")).await.unwrap();
        let wrapper = KeyWrapper::File(folder.path().join("master.key"));
        let keyring = Arc::new(Keyring::open_or_create(&store, &wrapper).await.unwrap());
        let lease = store.take_sender(chain.issuer).await.unwrap();
        let outbox = Outbox {
            deployment: chain.deployment,
            mail_domain: "otp.example".to_owned(),
            depths: otp_core::store::Depths::default(),
        };
        Self { folder, chain, store, keyring, outbox, progress: Progress::default(), lease }
    }

    /// The configuration as the daemon reads it.
    pub(crate) fn config_text(&self, rpc_url: &str, smtp_port: u16) -> String {
        let path = self.folder.path().display();
        let (id, verifier) = (self.chain.deployment.chain_id, self.chain.deployment.verifier);
        format!(
            "[chain]\nid = {id}\nverifier = '{verifier}'\nrpc_urls = ['{rpc_url}']\ndeployment_block = {}\npoll_ms = 50\n\
             rpc_timeout_ms = 5000\nrange_blocks = 64\n\
             [store]\npath = '{path}/otp.db'\n[keys]\nfile = '{path}/master.key'\n\
             [http]\nlisten = '127.0.0.1:{}'\nadmin_listen = '127.0.0.1:{}'\nadmin_token_file = '{path}/admin.token'\n\
             public_url = 'http://127.0.0.1:8090'\n\
             [mail]\nsmtp_host = '127.0.0.1'\nsmtp_port = {smtp_port}\nsecurity = 'none'\n\
             from = 'Codes <codes@otp.example>'\ntimeout_ms = 3000\n\
             [delivery]\nretry_first_ms = 250\nretry_most_ms = 400\n\
             [evidence]\nkey_file = '{path}/evidence.key'\nhead_seconds = 1\n",
            self.chain.deployment_block,
            free_port(),
            free_port(),
        )
    }

    /// A node that answers badly when it is told to.
    pub(crate) async fn proxy(&self) -> RpcProxy {
        RpcProxy::start(&self.chain.url.parse().unwrap()).await.unwrap()
    }

    pub(crate) fn tail(&self, rpc_url: &str) -> Tail {
        let config = Config::parse(&self.config_text(rpc_url, 1)).unwrap().chain;
        let (node, pool) = otp_core::chain::connect(&config.rpc, config.deployment.chain_id).unwrap();
        let source = Source::new(node, pool, config.deployment.verifier);
        Tail::new(source, self.store.clone(), self.outbox.clone(), config, self.progress.clone(), Arc::default())
    }

    pub(crate) fn tail_that_asks(&self, rpc_url: &str, poll_ms: u64) -> Tail {
        let text = self.config_text(rpc_url, 1).replace("poll_ms = 50", &format!("poll_ms = {poll_ms}"));
        let config = Config::parse(&text).unwrap().chain;
        let (node, pool) = otp_core::chain::connect(&config.rpc, config.deployment.chain_id).unwrap();
        let source = Source::new(node, pool, config.deployment.verifier);
        Tail::new(source, self.store.clone(), self.outbox.clone(), config, self.progress.clone(), Arc::default())
    }

    pub(crate) fn settler(&self, rpc_url: &str) -> Settler {
        let config = Config::parse(&self.config_text(rpc_url, 1)).unwrap().chain;
        let (node, pool) = otp_core::chain::connect(&config.rpc, config.deployment.chain_id).unwrap();
        let source = Source::new(node, pool, config.deployment.verifier);
        Settler::new(source, self.store.clone(), self.outbox.clone(), config, self.progress.clone(), Arc::default())
    }

    /// What is stored as canonical is what the chain has, each event once, and the cursor stands on its head.
    pub(crate) async fn assert_as_chain(&self) {
        let stored = self.store.events(&EventFilter::default(), u32::MAX).await.unwrap();
        let mut places: Vec<_> = stored.iter().map(|e| (e.place.block_hash, e.place.log_index)).collect();
        let known = [
            OtpBatchSet::SIGNATURE_HASH,
            OtpSet::SIGNATURE_HASH,
            OtpVerified::SIGNATURE_HASH,
            OtpConsumed::SIGNATURE_HASH,
            OtpRevoked::SIGNATURE_HASH,
            OtpBatchRevoked::SIGNATURE_HASH,
            PolicySet::SIGNATURE_HASH,
            RoleGranted::SIGNATURE_HASH,
            proxy::Upgraded::SIGNATURE_HASH,
        ];
        let filter =
            Filter::new().from_block(0).address(self.chain.deployment.verifier).event_signature(known.to_vec());
        let logs = self.chain.node.get_logs(&filter).await.unwrap();
        let mut expected: Vec<_> = logs.iter().map(|l| (l.block_hash.unwrap(), l.log_index.unwrap())).collect();
        places.sort();
        expected.sort();
        assert_eq!(places, expected);
        let head = self.chain.node.get_block_by_number(BlockNumberOrTag::Latest).await.unwrap().unwrap();
        assert_eq!(self.store.cursor(&self.chain.deployment).await.unwrap().unwrap().hash, head.header.hash);
    }

    pub(crate) fn worker(&self, smtp_port: u16) -> Worker {
        let config = Config::parse(&self.config_text("http://127.0.0.1:1", smtp_port)).unwrap();
        let email = Email {
            postman: Postman::new(&config.mail, 2).unwrap(),
            from: config.mail.from,
            timeout: config.mail.timeout,
            signer: None,
            progress: self.progress.clone(),
        };
        Worker {
            store: self.store.clone(),
            keyring: self.keyring.clone(),
            outbox: self.outbox.clone(),
            channels: Channels { email, sms: None, webhook: None, inapp: config.inapp },
            public_url: config.http.public_url,
            config: DeliveryConfig { workers: 2, ..config.delivery },
            progress: self.progress.clone(),
            due: Arc::default(),
        }
    }

    /// Signs a new wallet in, with a mail address of its own that is not confirmed yet.
    pub(crate) async fn person(&self) -> Person {
        self.person_at(Channel::Email, &format!("{}@inbox.example", &Uuid::now_v7().simple().to_string()[16..])).await
    }

    /// Signs a new wallet in, with a contact that is not confirmed yet.
    pub(crate) async fn person_at(&self, channel: Channel, address: &str) -> Person {
        self.person_in(None, channel, address).await
    }

    /// The same, to be written to in this language.
    pub(crate) async fn person_in(&self, language: Option<Language>, channel: Channel, address: &str) -> Person {
        let (account_id, contact_id, session_id) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
        let (seed, wallet) = (Seed::generate().unwrap(), Address::from_slice(&keccak256(account_id)[..20]));
        let now = now_ms();
        let session = NewSession {
            nonce: &account_id.to_string(),
            nonce_expires_at_ms: now + 60_000,
            wallet,
            new_account_id: account_id,
            new_seed_sealed: &self.keyring.seal("seed", account_id, seed.expose()).unwrap(),
            session_id,
            domain: "app.example",
            binding: Binding::default(),
            now_ms: now,
            expires_at_ms: now + 900_000,
        };
        assert_eq!(self.store.start_session(&session).await.unwrap(), Some(account_id));
        assert!(self.contact_in(language, account_id, contact_id, (channel, address)).await.is_none());
        Person { wallet, address: address.to_owned(), account_id, contact_id, session_id, seed }
    }

    /// Adds an address to an account; the change that has to be approved where it has a confirmed one.
    pub(crate) async fn contact(
        &self,
        account_id: Uuid,
        contact_id: Uuid,
        channel: Channel,
        address: &str,
    ) -> Option<ChangeRow> {
        self.contact_in(None, account_id, contact_id, (channel, address)).await
    }

    /// The same, to be written to in this language.
    pub(crate) async fn contact_in(
        &self,
        language: Option<Language>,
        account_id: Uuid,
        contact_id: Uuid,
        (channel, address): (Channel, &str),
    ) -> Option<ChangeRow> {
        let now = now_ms();
        let contact = NewContact {
            id: contact_id,
            account_id,
            channel,
            address_sealed: &self.keyring.seal("contact", contact_id, address.as_bytes()).unwrap(),
            address_tag: self.keyring.tag("contact", address.as_bytes()),
            language,
            default_language: Language::English,
            expires_at_ms: now + 600_000,
            delay: Delay { now_ms: now, delay_ms: 259_200_000 },
            mail: None,
        };
        match self.store.challenge_contact(&contact).await.unwrap() {
            Challenge::Started { change, .. } => change,
            other => panic!("{other:?}"),
        }
    }

    /// Approves a change as a right answer to its digits does.
    pub(crate) async fn approve(&self, person: &Person, change: Uuid) {
        let begun = self.store.begin_approval(person.account_id, change, now_ms()).await.unwrap();
        let Approval::Guess { guess, .. } = begun else { panic!("{begun:?}") };
        let whose = (person.account_id, person.session_id);
        assert_eq!(self.store.approve_change(whose, change, guess, now_ms()).await.unwrap(), Approval::Done);
    }

    pub(crate) async fn confirm(&self, person: &Person) {
        self.confirm_contact(person, person.contact_id).await;
    }

    pub(crate) async fn confirm_contact(&self, person: &Person, contact_id: Uuid) {
        let begun = self.store.begin_confirmation(person.account_id, contact_id, now_ms()).await.unwrap();
        let Confirmation::Guess { guess, .. } = begun else { panic!("{begun:?}") };
        let whose = (person.account_id, person.session_id);
        let done = self.store.confirm_contact(whose, contact_id, guess, now_ms()).await.unwrap();
        assert_eq!(done, Confirmation::Proved { contact_id });
    }

    pub(crate) async fn confirmed_person(&self) -> Person {
        let person = self.person().await;
        self.confirm(&person).await;
        person
    }

    pub(crate) fn withdrawal(&self) -> Authorization {
        let payload_hash = keccak256(Uuid::now_v7());
        let consumer = Address::repeat_byte(0x77);
        Authorization {
            consumer: Some(consumer),
            payload_hash: Some(payload_hash),
            action: id::action(consumer, payload_hash),
            title: "Withdrawal".to_owned(),
            fields: vec![("amount".to_owned(), "1000000000".to_owned())],
            typed: None,
            session: None,
        }
    }

    /// Stores a request; it waits for a number.
    pub(crate) async fn request(&self, person: &Person, authorization: &Authorization) -> Uuid {
        self.request_to(person, person.contact_id, false, authorization).await
    }

    /// The same to another contact, with or without a way out where its channel fails.
    pub(crate) async fn request_to(
        &self,
        person: &Person,
        contact_id: Uuid,
        fallback: bool,
        authorization: &Authorization,
    ) -> Uuid {
        let request_id = Uuid::now_v7();
        let plain = serde_json::to_vec(authorization).unwrap();
        let new = NewRequest {
            id: request_id,
            account_id: person.account_id,
            session_id: person.session_id,
            contact_id,
            idempotency_key: request_id.to_string(),
            body_hash: B256::ZERO,
            reference: request_id.simple().to_string()[24..].to_owned(),
            purpose: Chain::purpose(),
            action: authorization.action,
            payload_hash: authorization.payload_hash,
            authorization_sealed: self.keyring.seal("authorization", request_id, &plain).unwrap(),
            max_attempts: 3,
            fallback,
            now_ms: now_ms(),
            issuer: Address::ZERO,
            rules: Rules::default(),
        };
        assert!(matches!(self.store.submit(new).await.unwrap(), Submission::Accepted(_)));
        request_id
    }

    /// Gives requests the next numbers and stores their batch, without sending anything.
    pub(crate) async fn batch(&self, requests: &[(&Person, Uuid, B256)]) -> Vec<Issued> {
        let purpose = Chain::purpose();
        let (nonce, first) = self.store.next_numbers(self.chain.issuer, purpose).await.unwrap();
        let slots = (first..).zip(requests).map(|(serial, (person, request_id, action))| {
            let slot = Slot {
                deployment: self.chain.deployment,
                issuer: self.chain.issuer,
                purpose,
                serial,
                subject: person.wallet,
                action: *action,
            };
            let code = person.seed.code(&slot, *request_id);
            (slot, slot.id(code.hash()), code)
        });
        let slots: Vec<(Slot, B256, Code)> = slots.collect();
        let leaves: Vec<B256> = slots.iter().map(|(slot, id, _)| leaf(purpose.bytes32(), slot.serial, *id)).collect();
        let tree = Tree::new(&leaves).unwrap();
        let codes: Vec<(Uuid, B256)> = requests.iter().zip(&slots).map(|(r, (_, id, _))| (r.1, *id)).collect();
        let transaction = SignedTransaction {
            hash: keccak256(Uuid::now_v7()),
            raw: Vec::new(),
            max_fee_per_gas_wei: 1,
            max_priority_fee_per_gas_wei: 1,
            signed_at_ms: now_ms(),
        };
        let deadline = u64::MAX >> 24;
        let batch = NewBatch { purpose, first, root: tree.root(), nonce, deadline, codes: &codes, transaction };
        self.store.commit_batch(self.lease, &batch).await.unwrap().unwrap();
        let issued = slots.into_iter().enumerate().map(|(place, (slot, id, code))| Issued {
            id,
            serial: slot.serial,
            code,
            action: slot.action,
            wallet: slot.subject,
            proof: tree.proof(place).unwrap(),
        });
        issued.collect()
    }

    /// One confirmed person's request, on the chain.
    pub(crate) async fn issue_one(&self) -> (Person, Issued) {
        let person = self.confirmed_person().await;
        let issued = self.issue_to(&person).await;
        (person, issued)
    }

    /// A confirmed person's request, on the chain.
    pub(crate) async fn issue_to(&self, person: &Person) -> Issued {
        let authorization = self.withdrawal();
        let request_id = self.request(person, &authorization).await;
        let issued = self.batch(&[(person, request_id, authorization.action)]).await.remove(0);
        self.chain.set_otps(self.chain.issuer, issued.serial, &[issued.id]).await;
        issued
    }

    /// Deliveries in a state.
    pub(crate) async fn deliveries(&self, state: &str) -> u64 {
        let counts = self.store.delivery_counts().await.unwrap();
        counts.into_iter().find(|row| row.state == state).map_or(0, |row| row.count)
    }
}

/// Steps until there is nothing to do; what can be tried again is, for a while.
pub(crate) async fn follow(tail: &mut Tail) {
    for _ in 0..2_000 {
        match tail.step().await {
            Ok(Step::Idle) => return,
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the tail does not come to rest");
}

/// Settles until there is nothing to do at this head.
pub(crate) async fn settle(settler: &mut Settler) {
    while settler.step().await.unwrap() {}
}

/// Sends everything that is due.
pub(crate) async fn work_off(worker: &Worker) {
    while worker.step().await.unwrap() {}
}

/// Works for at most half a minute, until a message was taken.
pub(crate) async fn until_accepted(world: &World, worker: &Worker) {
    let taken = async {
        while world.deliveries("accepted").await == 0 {
            worker.step().await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), taken).await.unwrap();
}

/// Starts a program and waits for a line on its standard output.
pub(crate) fn start(command: &mut Command, ready: &str) -> Process {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let process = Process(child);
    let found = lines.by_ref().map_while(Result::ok).any(|line| line.contains(ready));
    assert!(found, "{command:?} ended before it said {ready:?}");
    // Read on, or the program would block on a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    process
}
