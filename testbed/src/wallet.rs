//! A wallet: a key, and the way to send from it.

use std::time::Duration;

use alloy::{
    consensus::{SignableTransaction, TxEip1559},
    eips::eip2718::Encodable2718,
    network::{TransactionBuilder, TxSignerSync},
    primitives::{Address, Bytes, U256},
    providers::Provider,
    rpc::types::{TransactionReceipt, TransactionRequest},
    signers::local::PrivateKeySigner,
};
use anyhow::{Context, Result, bail};
use otp_core::{
    chain::Node,
    contract::{GatedVault::GatedVaultErrors, OtpVerifier::OtpVerifierErrors},
};
use tokio::time::{Instant, sleep};

/// More than any call here needs; fixed, so that a call that must fail reaches the chain too.
const GAS: u64 = 500_000;
const FEE_WEI: u128 = 20_000_000_000;
const TIP_WEI: u128 = 1_000_000_000;
const MINED_WITHIN: Duration = Duration::from_secs(30);

/// A key on a chain.
#[derive(Debug, Clone)]
pub struct Wallet {
    /// Signs transactions and sign-in messages.
    pub signer: PrivateKeySigner,
    node: Node,
    chain_id: u64,
}

/// What to send.
#[derive(Debug, Clone)]
pub struct Call {
    /// The contract.
    pub to: Address,
    /// Ether that goes along, in wei.
    pub value: U256,
    /// The call's data.
    pub data: Bytes,
}

impl Wallet {
    /// A wallet with this key on the node's chain.
    #[must_use]
    pub const fn new(signer: PrivateKeySigner, node: Node, chain_id: u64) -> Self {
        Self { signer, node, chain_id }
    }

    /// Its address.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.signer.address()
    }

    /// Signs, sends and waits for the receipt, whether the call succeeded or not.
    ///
    /// # Errors
    /// When the node refuses or nothing is mined in time.
    pub async fn send(&self, call: &Call) -> Result<TransactionReceipt> {
        let nonce = self.node.get_transaction_count(self.address()).pending().await?;
        let mut transaction = TxEip1559 {
            chain_id: self.chain_id,
            nonce,
            gas_limit: GAS,
            max_fee_per_gas: FEE_WEI,
            max_priority_fee_per_gas: TIP_WEI,
            to: call.to.into(),
            value: call.value,
            access_list: Default::default(),
            input: call.data.clone(),
        };
        let signature = self.signer.sign_transaction_sync(&mut transaction)?;
        let raw = transaction.into_signed(signature).encoded_2718();
        let hash = *self.node.send_raw_transaction(&raw).await?.tx_hash();
        let deadline = Instant::now() + MINED_WITHIN;
        while Instant::now() < deadline {
            if let Some(receipt) = self.node.get_transaction_receipt(hash).await? {
                return Ok(receipt);
            }
            sleep(Duration::from_millis(50)).await;
        }
        bail!("{hash} was not mined within {MINED_WITHIN:?}")
    }

    /// As [`Wallet::send`], and a call that reverted is an error.
    ///
    /// # Errors
    /// Also with the name of the contract's error.
    pub async fn send_ok(&self, call: &Call) -> Result<TransactionReceipt> {
        let receipt = self.send(call).await?;
        if !receipt.status() {
            let why = self.refusal(call).await?.unwrap_or_else(|| "a reason that is gone by now".to_owned());
            bail!("{} reverted: {why}", receipt.transaction_hash);
        }
        Ok(receipt)
    }

    /// The name of the error with which a call from this wallet would revert now; `None` when it would pass.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn refusal(&self, call: &Call) -> Result<Option<String>> {
        let error = match self.node.call(self.request(call)).await {
            Ok(_) => return Ok(None),
            Err(error) => error,
        };
        let Some(data) = error.as_error_resp().and_then(|answer| answer.as_revert_data()) else {
            return Err(error).context("the node did not run the call");
        };
        let selector = data.first_chunk().copied().unwrap_or_default();
        let name =
            OtpVerifierErrors::name_by_selector(selector).or_else(|| GatedVaultErrors::name_by_selector(selector));
        Ok(Some(name.map_or_else(|| format!("an unknown error {data}"), str::to_owned)))
    }

    fn request(&self, call: &Call) -> TransactionRequest {
        TransactionRequest::default()
            .with_from(self.address())
            .with_to(call.to)
            .with_value(call.value)
            .with_input(call.data.clone())
    }
}
