//! What the pipeline is compared with: each request signed and sent by itself, with an ordinary alloy signer and a
//! counted nonce.

use std::{sync::Arc, time::Duration};

use alloy::{
    consensus::{SignableTransaction, TxEip1559},
    eips::eip2718::Encodable2718,
    network::TxSigner,
    primitives::{B256, U256, aliases::U40, keccak256},
    providers::Provider,
    signers::aws::AwsSigner,
    sol_types::SolCall,
};
use anyhow::Result;
use otp_core::{contract::OtpVerifier, id::Purpose};
use tokio::time::Instant;

use super::{
    load,
    pipeline::{Row, Watch},
};
use crate::{anvil, description::Description, stack::Stack};

const GAS: u64 = 150_000;
const FEE_WEI: u128 = 20_000_000_000;
const TIP_WEI: u128 = 1_000_000_000;
/// A rate is given up when it takes so many times its span: the sender then sustains less, which is what it shows.
const PATIENCE: usize = 2;

/// Sends one transaction per request.
pub(super) struct Sender {
    signer: Arc<AwsSigner>,
    purpose: B256,
}

impl Sender {
    pub(super) fn new(signer: AwsSigner) -> Result<Self> {
        let purpose: Purpose = "login".parse().map_err(|e| anyhow::anyhow!("the purpose: {e}"))?;
        Ok(Self { signer: Arc::new(signer), purpose: purpose.bytes32() })
    }

    /// `rate` requests a second for `seconds`, or as many as get done in a few times as long.
    pub(super) async fn run(&self, stack: &Stack, rate: usize, seconds: usize) -> Result<Row> {
        let Description { issuer, verifier, chain_id, .. } = stack.description;
        let node = anvil::connect(&stack.description.rpc_url)?;
        let nonce = node.get_transaction_count(issuer).await?;
        let serial: u64 = OtpVerifier::new(verifier, &node).nextSerial(issuer, self.purpose).call().await?.to();
        let watch = Watch::start(stack).await?;
        let begun = Instant::now();
        let give_up = begun + Duration::from_secs((seconds * PATIENCE) as u64);
        let (signer, purpose) = (Arc::clone(&self.signer), self.purpose);
        // In order: a nonce that is missing holds up all those after it.
        let turn = Arc::new(tokio::sync::Mutex::new(0u64));
        let sent = load::open(rate, seconds, move |_| {
            let (node, signer, turn) = (node.clone(), Arc::clone(&signer), Arc::clone(&turn));
            async move {
                let asked = Instant::now();
                let mut turn = turn.lock().await;
                if Instant::now() > give_up {
                    return Ok(None);
                }
                let id = keccak256(U256::from(serial + *turn).to_be_bytes::<32>());
                let call =
                    OtpVerifier::setOtpCall { purpose, serial: U40::from(serial + *turn), id, deadline: u64::MAX };
                let mut transaction = TxEip1559 {
                    chain_id,
                    nonce: nonce + *turn,
                    gas_limit: GAS,
                    max_fee_per_gas: FEE_WEI,
                    max_priority_fee_per_gas: TIP_WEI,
                    to: verifier.into(),
                    value: U256::ZERO,
                    access_list: Default::default(),
                    input: call.abi_encode().into(),
                };
                let signature = signer.sign_transaction(&mut transaction).await?;
                let raw = transaction.into_signed(signature).encoded_2718();
                drop(node.send_raw_transaction(&raw).await?);
                *turn += 1;
                Ok(Some((id, asked)))
            }
        })
        .await?
        .values();
        let sent: Vec<(B256, Instant)> = sent.into_iter().flatten().collect();
        watch.until(sent.len()).await?;
        let (mut waited, mut last) = (Vec::with_capacity(sent.len()), begun);
        for (id, asked) in &sent {
            let mined = watch.mined_at(id)?;
            waited.push(mined.saturating_duration_since(*asked));
            last = last.max(mined);
        }
        watch.row("one per request", rate, sent.len(), waited, last - begun).await
    }
}
