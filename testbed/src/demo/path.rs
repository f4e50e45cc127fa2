//! The path of protocol.md §5: sign in, ask, read the mail, unlock, verify, withdraw.

use alloy::{primitives::U256, providers::Provider, signers::local::PrivateKeySigner};
use anyhow::{Context, Result, ensure};
use uuid::Uuid;

use super::{
    DELIVERED_WITHIN, Stage, User, amount, ether,
    report::{Done, Report},
};
use crate::{
    client::{Client, Otp, Unlocked},
    mailbox::Mail,
    vault::Withdrawal,
    wallet::{Call, Wallet},
};

/// A code that was used up.
pub(super) struct Spent {
    pub(super) withdrawal: Withdrawal,
    pub(super) unlocked: Unlocked,
}

/// Once through, with a wallet that nobody has seen before.
pub(super) async fn walk(stage: &Stage<'_>, report: &mut Report) -> Result<(User, Spent)> {
    let user = enter(stage, report).await?;
    let recipient = PrivateKeySigner::random().address();
    let withdrawal = stage.withdrawal(&user, recipient).await?;
    let (asked, unlocked) = obtain(stage, report, &user, &withdrawal).await?;
    let spent = Spent { withdrawal, unlocked };
    spend(stage, report, &user, &asked, &spent).await?;
    Ok((user, spent))
}

async fn enter(stage: &Stage<'_>, report: &mut Report) -> Result<User> {
    let wallet = report.step("a fresh wallet pays into the vault", deposit(stage)).await?;
    let client = report
        .step("sign in with Ethereum", async {
            let client = Client::sign_in(&stage.description.relayer_url, &wallet.signer).await?;
            Ok(Done::new(client, format!("a session for {}", wallet.address())))
        })
        .await?;
    let email = format!("user-{}@example.test", Uuid::now_v7().simple());
    let contact = report
        .step("add an email address", async {
            let contact = client.add_email(&email).await?;
            let said = format!("{}, unconfirmed", contact.masked);
            Ok(Done::new(contact, said))
        })
        .await?;
    report
        .step("confirm it with the digits from the mail", async {
            let is_confirmation = |mail: &Mail| mail.linked_code().is_none();
            let mail = stage.mailbox.wait_for(&email, DELIVERED_WITHIN, is_confirmation).await?;
            client.confirm(contact.contact_id, &mail.digits()?).await?;
            Ok(Done::new((), "confirmed"))
        })
        .await?;
    Ok(User { wallet, client, contact, email })
}

async fn deposit(stage: &Stage<'_>) -> Result<Done<Wallet>> {
    let wallet = stage.fresh_wallet().await?;
    // enough for this withdrawal and the one that the attacks are tried on
    let total = amount()? * U256::from(2);
    let receipt = wallet.send_ok(&stage.vault.deposit(total)).await?;
    let said = format!("{} from {}", ether(total), wallet.address());
    Ok(Done::new(wallet, said).by(receipt.transaction_hash))
}

async fn obtain(
    stage: &Stage<'_>,
    report: &mut Report,
    user: &User,
    withdrawal: &Withdrawal,
) -> Result<(Otp, Unlocked)> {
    let asked = report
        .step("ask for a code for one withdrawal", async {
            let asked = stage.ask(user, withdrawal).await?;
            let said = format!("reference {}, {}", asked.reference, asked.status);
            Ok(Done::new(asked, said))
        })
        .await?;
    report.step("its commitment is mined", mined(user, &asked)).await?;
    let mail = report
        .step("the mail arrives", async {
            let mail = stage.mail_of(user, &asked).await?;
            ensure!(mail.text.contains(&asked.reference), "expected the reference {} in the mail", asked.reference);
            Ok(Done::new(mail, "six digits, what they authorise, and a link"))
        })
        .await?;
    let unlocked = report
        .step("unlock the full code with the digits", async {
            let unlocked = user.client.unlock(asked.id, &mail.digits()?).await?;
            let linked = mail.linked_code().context("expected a link in the mail")?;
            ensure!(linked.code == unlocked.code, "expected the same code by link and by digits");
            let said = format!("{} characters and a ticket, serial {}", unlocked.code.len(), unlocked.ticket.serial);
            Ok(Done::new(unlocked, said))
        })
        .await?;
    Ok((asked, unlocked))
}

async fn mined(user: &User, asked: &Otp) -> Result<Done<()>> {
    let is_mined = |status: &str| matches!(status, "issued" | "delivered");
    let otp = user.client.follow_until(asked.id, DELIVERED_WITHIN, is_mined).await?;
    let serial = otp.serial.context("expected a serial")?;
    let hash = otp.tx_hash.context("expected a transaction")?;
    Ok(Done::new((), format!("serial {serial}")).by(hash))
}

async fn spend(stage: &Stage<'_>, report: &mut Report, user: &User, asked: &Otp, spent: &Spent) -> Result<()> {
    report
        .step("verify it on the chain", async {
            let receipt = user.wallet.send_ok(&verify(&spent.unlocked)).await?;
            let said = format!("OtpVerified, {} gas", receipt.gas_used);
            Ok(Done::new((), said).by(receipt.transaction_hash))
        })
        .await?;
    report
        .step("withdraw from the vault", async {
            let withdrawal = &spent.withdrawal;
            let receipt = user.wallet.send_ok(&stage.vault.withdraw(withdrawal, &spent.unlocked)).await?;
            paid(stage, withdrawal).await?;
            let said = format!("{} to {}", ether(withdrawal.amount), withdrawal.to);
            Ok(Done::new((), said).by(receipt.transaction_hash))
        })
        .await?;
    report
        .step("the relayer tells that it is consumed", async {
            let otp = user.client.follow_until(asked.id, DELIVERED_WITHIN, |status| status == "consumed").await?;
            Ok(Done::new((), format!("status {}", otp.status)))
        })
        .await
}

/// The verification as the relayer's answer has it ready for the wallet.
pub(super) fn verify(unlocked: &Unlocked) -> Call {
    Call { to: unlocked.verifier, value: U256::ZERO, data: unlocked.calldata.clone() }
}

pub(super) async fn paid(stage: &Stage<'_>, withdrawal: &Withdrawal) -> Result<()> {
    let balance = stage.node.get_balance(withdrawal.to).await?;
    ensure!(balance == withdrawal.amount, "expected {} wei at {}, found {balance}", withdrawal.amount, withdrawal.to);
    Ok(())
}
