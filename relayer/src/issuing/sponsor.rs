//! Paying for verifications (`verifyFor`) of wallets that hold no ether: a key and a sequence of nonces of its own, so that
//! a sponsor that is drained or stuck holds up no issuance.

use std::{sync::Arc, time::Duration};

use alloy::{
    primitives::{B256, Bytes},
    sol_types::SolCall,
};
use otp_core::{
    clock::now_ms,
    code::Code,
    contract::OtpVerifier::verifyForCall,
    store::{NewCall, NewContents, SignedTransaction},
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    IssuingError, Refusal, blank, failure,
    sender::{Ground, Sender},
};
use crate::{config::SponsorConfig, signer::IssuerSigner};

/// So many verifications may wait for the sponsor; more are refused.
const QUEUE: usize = 64;
const HOUR_MS: i64 = 3_600_000;

/// A verification that somebody asks to be paid for.
pub struct Sponsored {
    /// Whose request the code is.
    pub account_id: Uuid,
    /// The request.
    pub request_id: Uuid,
    /// Its code, which the asker knew.
    pub code: Code,
    /// The call, code and signature included.
    pub call: verifyForCall,
    /// Unix seconds of chain time past which it is no use.
    pub deadline_s: u64,
}

/// Why a verification is not paid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotSponsored {
    /// The contract would refuse it, with this error of its interface.
    Reverts(&'static str),
    /// It would take more gas than `sponsor.max_gas`.
    TooMuchGas,
    /// The account had its share of this hour.
    TooMany {
        /// When to try again, in seconds.
        retry_after_s: u64,
    },
    /// The sponsor cannot send now.
    Unavailable,
}

struct Job {
    sponsored: Sponsored,
    answer: oneshot::Sender<Result<B256, NotSponsored>>,
}

/// Where verifications are handed in; cheap to clone.
#[derive(Debug, Clone)]
pub struct SponsorDesk(mpsc::Sender<Job>);

impl SponsorDesk {
    /// Has a verification sent; returns its transaction's hash once the bytes are owed durably and were handed to the
    /// node. Asked again for the same request, the same transaction.
    ///
    /// # Errors
    /// [`NotSponsored`].
    pub async fn send(&self, sponsored: Sponsored) -> Result<B256, NotSponsored> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(Job { sponsored, answer }).map_err(|_| NotSponsored::Unavailable)?;
        answered.await.unwrap_or(Err(NotSponsored::Unavailable))
    }
}

/// The task behind the desk.
pub struct Sponsor {
    ground: Ground,
    signer: IssuerSigner,
    config: Arc<SponsorConfig>,
    jobs: mpsc::Receiver<Job>,
}

impl Sponsor {
    /// A sponsor and its desk.
    #[must_use]
    pub fn new(parts: &super::Parts, signer: IssuerSigner, config: SponsorConfig) -> (Self, SponsorDesk) {
        let (desk, jobs) = mpsc::channel(QUEUE);
        (Self { ground: Ground::from(parts), signer, config: Arc::new(config), jobs }, SponsorDesk(desk))
    }

    /// The account that pays.
    #[must_use]
    pub fn address(&self) -> alloy::primitives::Address {
        self.signer.address()
    }

    /// Waits for the key, then sends what is handed in and follows it, until `shutdown`.
    ///
    /// # Errors
    /// When the store fails for good or another process took the key.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), IssuingError> {
        let poll = self.ground.chain.poll;
        let mut sender = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            sender = Sender::take(self.ground.clone(), self.signer.clone()) => sender?,
        };
        let mut aligned = false;
        while !shutdown.is_cancelled() {
            let followed = async {
                if !aligned {
                    align(&sender).await?;
                    aligned = true;
                }
                let head = sender.head().await?;
                sender.follow(head).await
            };
            if let Err(error) = followed.await {
                if !error.is_retryable() {
                    return Err(error);
                }
                tracing::warn!(%error, "sponsoring pauses");
            }
            let pause = tokio::time::sleep(poll.max(Duration::from_millis(100)));
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return Ok(()),
                    () = &mut pause => break,
                    job = self.jobs.recv() => match job {
                        Some(job) if aligned => self.serve(&sender, job).await?,
                        Some(job) => drop(job.answer.send(Err(NotSponsored::Unavailable))),
                        None => return Ok(()),
                    },
                }
            }
        }
        Ok(())
    }

    async fn serve(&self, sender: &Sender, job: Job) -> Result<(), IssuingError> {
        let outcome = self.pay(sender, &job.sponsored).await;
        let answer = match outcome {
            Ok(answer) => answer,
            Err(error) if error.is_retryable() => {
                tracing::warn!(request_id = %job.sponsored.request_id, %error, "a verification was not sponsored");
                Err(NotSponsored::Unavailable)
            }
            Err(error) => return Err(error),
        };
        // Whoever asked may be gone; what is owed stays owed.
        let _ = job.answer.send(answer);
        Ok(())
    }

    async fn pay(&self, sender: &Sender, wanted: &Sponsored) -> Result<Result<B256, NotSponsored>, IssuingError> {
        let store = &self.ground.store;
        if let Some(tx_hash) = store.verification_of(wanted.request_id).await? {
            return Ok(Ok(tx_hash));
        }
        let now = now_ms();
        let (paid, first) = store.verifications_since(wanted.account_id, now.saturating_sub(HOUR_MS)).await?;
        if paid >= self.config.per_hour {
            let wait_ms = first.unwrap_or(now).saturating_add(HOUR_MS).saturating_sub(now).max(1_000);
            let retry_after_s = u64::try_from(wait_ms / 1_000).unwrap_or(1);
            return Ok(Err(NotSponsored::TooMany { retry_after_s }));
        }
        let input: Bytes = wanted.call.abi_encode().into();
        let gas_limit = match sender.estimate(&input).await {
            Ok(gas_limit) => gas_limit,
            Err(error) => match Refusal::from(&error) {
                Refusal::Reverted(Some(why)) => return Ok(Err(NotSponsored::Reverts(failure::name(&why)))),
                Refusal::Reverted(None) => return Ok(Err(NotSponsored::Reverts("unknown"))),
                _ => return Err(error.into()),
            },
        };
        if gas_limit > self.config.max_gas {
            return Ok(Err(NotSponsored::TooMuchGas));
        }
        let head = sender.head().await?;
        let nonce = store.next_nonce(sender.lease.sender).await?.max(sender.latest_nonce().await?);
        let signed =
            sender.sign(&sender.draft(nonce, gas_limit, input), sender.first_fees(head)?, "verification").await?;
        let transaction = SignedTransaction { raw: blank::without_code(&signed.raw, &wanted.code), ..signed.clone() };
        let contents = NewContents::Verification(wanted.request_id);
        let call = NewCall { contents, nonce, deadline: Some(wanted.deadline_s), transaction };
        let call_id = store.commit_call(sender.lease, &call).await?;
        tracing::info!(call_id, request_id = %wanted.request_id, nonce, tx_hash = %signed.hash, "verification stored");
        let _ = sender.send(&signed.raw, signed.hash).await;
        Ok(Ok(signed.hash))
    }
}

/// As for the issuer: nothing is sent while the pool holds what the store does not know.
async fn align(sender: &Sender) -> Result<(), IssuingError> {
    let store = &sender.ground.store;
    let open = store.open_calls(sender.lease.sender).await?;
    let nonce = sender.settled_nonce(&open).await?;
    store.align_sender(sender.lease, nonce, &[]).await?;
    sender.publish_all(&open).await
}
