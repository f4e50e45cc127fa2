//! Wallets that ask for codes as long as the kills go on, and never lose an answer for good: each request is sent again
//! with its key until it is answered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alloy::{
    primitives::{Address, U256},
    signers::local::PrivateKeySigner,
};
use testbed::{
    anvil,
    client::{Client, NewRequest, Otp},
    description::Description,
    mailbox::Mailbox,
    random::Random,
    vault::{Vault, Withdrawal},
};
use tokio::{task::JoinSet, time::sleep};

const WALLETS: u64 = 8;
/// The mean pause between two requests of a wallet is half of it.
const PAUSE_MS: u64 = 2_000;
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);
const SETTLED_WITHIN: Duration = Duration::from_secs(90);

/// A request that was answered with 202, as it stands in the end.
pub(crate) struct Asked {
    pub(crate) wallet: Address,
    pub(crate) otp: Otp,
}

/// The wallets at work.
pub(crate) struct Load {
    enough: Arc<AtomicBool>,
    wallets: JoinSet<Vec<Asked>>,
}

impl Load {
    /// Signs the wallets in, confirms their addresses, and lets them ask.
    pub(crate) async fn start(description: &Description, seed: u64) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let mut wallets = JoinSet::new();
        for number in 0..WALLETS {
            let wallet = Wallet::enter(description, number).await;
            wallets.spawn(wallet.ask(Random::new(seed ^ (number + 1)), Arc::clone(&enough)));
        }
        Self { enough, wallets }
    }

    /// Lets the wallets stop asking, and waits until every request is settled.
    pub(crate) async fn finish(self) -> Vec<Asked> {
        self.enough.store(true, Ordering::Relaxed);
        self.wallets.join_all().await.into_iter().flatten().collect()
    }
}

struct Wallet {
    number: u64,
    address: Address,
    client: Client,
    contact_id: uuid::Uuid,
    vault: Vault,
}

impl Wallet {
    async fn enter(description: &Description, number: u64) -> Self {
        let signer = PrivateKeySigner::random();
        let client = Client::sign_in(&description.relayer_url, &signer).await.unwrap();
        let email = format!("wallet-{number}@example.test");
        let contact = client.add_email(&email).await.unwrap();
        let mailbox = Mailbox::new(&description.mail_url).unwrap();
        let mail = mailbox.wait_for(&email, Duration::from_secs(20), |_| true).await.unwrap();
        client.confirm(contact.contact_id, &mail.digits().unwrap()).await.unwrap();
        let vault = Vault::new(description.vault, anvil::connect(&description.rpc_url).unwrap());
        Self { number, address: signer.address(), client, contact_id: contact.contact_id, vault }
    }

    async fn ask(self, mut random: Random, enough: Arc<AtomicBool>) -> Vec<Asked> {
        let mut ids = Vec::new();
        while !enough.load(Ordering::Relaxed) {
            let key = format!("load-{}-{}", self.number, ids.len());
            let new = self.request(ids.len() as u64);
            let otp = self.client.ask_until_answered(&new, &key, ANSWERED_WITHIN).await.unwrap();
            // As if the answer had been lost: the same key brings the same request.
            if random.below(4) == 0 {
                let again = self.client.ask_until_answered(&new, &key, ANSWERED_WITHIN).await.unwrap();
                assert_eq!(again.id, otp.id);
            }
            ids.push(otp.id);
            sleep(Duration::from_millis(random.below(PAUSE_MS))).await;
        }
        let mut asked = Vec::new();
        for id in ids {
            asked.push(Asked { wallet: self.address, otp: self.settled(id).await });
        }
        asked
    }

    fn request(&self, nonce: u64) -> NewRequest {
        let withdrawal = Withdrawal { to: self.address, amount: U256::from(1), nonce: U256::from(nonce) };
        let action = Some(self.vault.action(&withdrawal));
        NewRequest { purpose: "withdraw".to_owned(), action, contact_id: self.contact_id }
    }

    async fn settled(&self, id: uuid::Uuid) -> Otp {
        let is_settled = |status: &str| !matches!(status, "queued" | "submitted" | "issued");
        let settled = self.client.follow_until(id, SETTLED_WITHIN, is_settled).await;
        settled.unwrap_or_else(|error| panic!("request {id} is not settled: {error}"))
    }
}
