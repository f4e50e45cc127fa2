//! What a thief would try. Each attempt is sent to the chain as well, with enough gas, and must revert there.

use alloy::{
    primitives::{B256, U256},
    signers::local::PrivateKeySigner,
    sol_types::SolCall,
};
use anyhow::{Context, Result, bail, ensure};
use otp_core::contract::OtpVerifier;

use super::{
    Stage, User, ether, path,
    path::{Spent, verify},
    report::{Done, Report},
};
use crate::{
    client::{CallError, Problem, Unlocked},
    wallet::{Call, Wallet},
};

/// Wrong tries per request, as the local deployment sets it.
const MAX_ATTEMPTS: u32 = 3;

pub(super) async fn try_all(stage: &Stage<'_>, user: &User, spent: &Spent, report: &mut Report) -> Result<()> {
    report.step("the same code again", same_code_again(stage, user, spent)).await?;
    one_code_and_its_thieves(stage, user, report).await?;
    report.step("three wrong digits, then the right ones", guessing(stage, user)).await
}

async fn same_code_again(stage: &Stage<'_>, user: &User, spent: &Spent) -> Result<Done<()>> {
    refused(&user.wallet, &verify(&spent.unlocked), "OtpUsed").await?;
    let withdrawal = stage.withdrawal(user, spent.withdrawal.to).await?;
    let hash = refused(&user.wallet, &stage.vault.withdraw(&withdrawal, &spent.unlocked), "OtpUsed").await?;
    Ok(Done::new((), "verify and withdraw revert with OtpUsed").by(hash))
}

/// A fresh code, tried by the wrong wallet and in part; then its owner uses it, since nothing of that has burnt it.
async fn one_code_and_its_thieves(stage: &Stage<'_>, user: &User, report: &mut Report) -> Result<()> {
    let withdrawal = stage.withdrawal(user, PrivateKeySigner::random().address()).await?;
    let (unlocked, digits) = report
        .step("another code, for the next two", async {
            let asked = stage.ask(user, &withdrawal).await?;
            let digits = stage.mail_of(user, &asked).await?.digits()?;
            let unlocked = user.client.unlock(asked.id, &digits).await?;
            Ok(Done::new((unlocked, digits), format!("reference {}", asked.reference)))
        })
        .await?;
    report
        .step("another wallet with the copied calldata", async {
            let thief = stage.fresh_wallet().await?;
            let hash = refused(&thief, &verify(&unlocked), "WrongCode").await?;
            Ok(Done::new((), "reverts with WrongCode").by(hash))
        })
        .await?;
    report
        .step("the bare digits on the chain", async {
            let hash = refused(&user.wallet, &verify_with(&unlocked, digits), "WrongCode").await?;
            Ok(Done::new((), "reverts with WrongCode").by(hash))
        })
        .await?;
    report
        .step("its owner still can, in one transaction", async {
            let receipt = user.wallet.send_ok(&stage.vault.withdraw_with_code(&withdrawal, &unlocked)).await?;
            path::paid(stage, &withdrawal).await?;
            let said = format!("{} to {}", ether(withdrawal.amount), withdrawal.to);
            Ok(Done::new((), said).by(receipt.transaction_hash))
        })
        .await
}

fn verify_with(unlocked: &Unlocked, code: String) -> Call {
    let ticket = unlocked.ticket.fields().into();
    let call = OtpVerifier::verifyCall { ticket, action: unlocked.action, code };
    Call { to: unlocked.verifier, value: U256::ZERO, data: call.abi_encode().into() }
}

async fn refused(wallet: &Wallet, call: &Call, expected: &str) -> Result<B256> {
    let error = wallet.refusal(call).await?;
    ensure!(
        error.as_deref() == Some(expected),
        "expected a revert with {expected}, got {}",
        error.as_deref().unwrap_or("success")
    );
    let receipt = wallet.send(call).await?;
    ensure!(!receipt.status(), "expected {} to revert, it succeeded", receipt.transaction_hash);
    Ok(receipt.transaction_hash)
}

async fn guessing(stage: &Stage<'_>, user: &User) -> Result<Done<()>> {
    let withdrawal = stage.withdrawal(user, user.wallet.address()).await?;
    let asked = stage.ask(user, &withdrawal).await?;
    let right = stage.mail_of(user, &asked).await?.digits()?;
    let number: u32 = right.parse().context("the digits are a number")?;
    for attempt in 1..=MAX_ATTEMPTS {
        let wrong = format!("{:06}", (number + attempt) % 1_000_000);
        let problem = refusal(user, asked.id, &wrong).await?;
        let left = MAX_ATTEMPTS - attempt;
        ensure!(
            problem.status == 422 && problem.is("wrong-digits") && problem.attempts_left == Some(left),
            "expected 422 wrong-digits with {left} attempts left, got {} {} ({:?} left)",
            problem.status,
            problem.kind,
            problem.attempts_left
        );
    }
    let problem = refusal(user, asked.id, &right).await?;
    ensure!(
        problem.status == 423 && problem.is("locked"),
        "expected 423 locked for the right digits, got {} {}",
        problem.status,
        problem.kind
    );
    let status = user.client.otp(asked.id).await?.status;
    ensure!(status == "locked", "expected the status locked, got {status}");
    Ok(Done::new((), "422, 422, 422, then 423: locked for good"))
}

async fn refusal(user: &User, id: uuid::Uuid, digits: &str) -> Result<Problem> {
    match user.client.unlock(id, digits).await {
        Err(CallError::Refused(problem)) => Ok(problem),
        Err(other) => Err(other.into()),
        Ok(_) => bail!("expected a refusal, got the code"),
    }
}
