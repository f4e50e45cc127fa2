//! The main job, walked as a person would walk it, and the attacks that must fail.

mod attacks;
mod path;
mod report;

use std::time::Duration;

use alloy::{
    primitives::{
        Address, U256,
        utils::{format_ether, parse_ether},
    },
    signers::local::PrivateKeySigner,
};
use anyhow::{Context, Result};
use otp_core::chain::Node;

pub use self::report::Report;
use crate::{
    anvil,
    client::{Client, Contact, NewRequest, Otp},
    description::{Account, Description},
    mailbox::{Mail, Mailbox},
    vault::{Vault, Withdrawal},
    wallet::Wallet,
};

/// From the request to the mail, a block and a few polls at most; a busy machine is given more.
const DELIVERED_WITHIN: Duration = Duration::from_secs(30);

/// Walks the path and then tries the attacks, each step written to `report`.
///
/// # Errors
/// At the first step that does not hold: with what was expected and what happened.
pub async fn run(description: &Description, report: &mut Report) -> Result<()> {
    let stage = Stage::new(description)?;
    report.heading("A code, from the request to the payout")?;
    let (user, spent) = path::walk(&stage, report).await?;
    report.heading("What must fail, and does")?;
    attacks::try_all(&stage, &user, &spent, report).await
}

/// A wallet for trying the page by hand: the first of the accounts, with ether in the vault. It is this chain's alone, so
/// its key may be shown.
///
/// # Errors
/// When the node does not take the deposit.
pub async fn prepared_wallet(description: &Description) -> Result<Account> {
    let stage = Stage::new(description)?;
    let account = description.accounts.first().context("a stack without accounts")?;
    let wallet = Wallet::new(account.signer()?, stage.node.clone(), description.chain_id);
    wallet.send_ok(&stage.vault.deposit(parse_ether("5")?)).await?;
    Ok(account.clone())
}

/// What all steps share.
struct Stage<'a> {
    description: &'a Description,
    node: Node,
    vault: Vault,
    mailbox: Mailbox,
}

/// Somebody with a wallet, a session and a confirmed address.
struct User {
    wallet: Wallet,
    client: Client,
    contact: Contact,
    email: String,
}

impl<'a> Stage<'a> {
    fn new(description: &'a Description) -> Result<Self> {
        let node = anvil::connect(&description.rpc_url)?;
        let vault = Vault::new(description.vault, node.clone());
        Ok(Self { description, node, vault, mailbox: Mailbox::new(&description.mail_url)? })
    }

    /// A key that was never used, with ether.
    async fn fresh_wallet(&self) -> Result<Wallet> {
        let signer = PrivateKeySigner::random();
        anvil::fund(&self.node, signer.address()).await?;
        Ok(Wallet::new(signer, self.node.clone(), self.description.chain_id))
    }

    async fn withdrawal(&self, user: &User, to: Address) -> Result<Withdrawal> {
        self.vault.withdrawal(user.wallet.address(), to, amount()?).await
    }

    async fn ask(&self, user: &User, withdrawal: &Withdrawal) -> Result<Otp> {
        let request = NewRequest {
            purpose: "withdraw".to_owned(),
            action: Some(self.vault.action(withdrawal)),
            contact_id: user.contact.contact_id,
        };
        Ok(user.client.ask(&request, &format!("demo-{}", uuid::Uuid::now_v7())).await?)
    }

    /// Waits until a request's code is in the mailbox.
    async fn mail_of(&self, user: &User, asked: &Otp) -> Result<Mail> {
        let otp = user.client.follow_until(asked.id, DELIVERED_WITHIN, |status| status == "delivered").await?;
        let id = otp.on_chain_id.context("a delivered request without an on-chain id")?;
        let of_this_code = |mail: &Mail| mail.linked_code().is_some_and(|linked| linked.id == id);
        self.mailbox.wait_for(&user.email, DELIVERED_WITHIN, of_this_code).await
    }
}

/// What each withdrawal of the demo takes out.
fn amount() -> Result<U256> {
    Ok(parse_ether("1")?)
}

/// An amount of wei as people write it.
fn ether(wei: U256) -> String {
    let text = format_ether(wei);
    format!("{} ether", text.trim_end_matches('0').trim_end_matches('.'))
}
