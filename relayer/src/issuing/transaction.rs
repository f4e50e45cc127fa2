//! Fees and signed bytes. Every form of a batch's transaction has the same nonce and contents; forms differ in fees.

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718,
    primitives::{Address, Bytes, TxKind, U256},
};
use otp_core::{clock::now_ms, store::SignedTransaction};

use super::IssuingError;
use crate::{config::IssueConfig, signer::IssuerSigner};

/// What a replacement pays, in percent of the form before it: what pools demand, and more where one says that this is too
/// little, since it holds a form that it was not sent by this process or asks for more than others.
pub(super) const RAISES_PERCENT: [u128; 3] = [110, 125, 200];

/// EIP-1559 fees, in wei per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fees {
    pub(super) max_fee_wei: u128,
    pub(super) priority_fee_wei: u128,
}

impl Fees {
    /// The first offer: twice the base fee, which holds through six full blocks, and the configured tip.
    ///
    /// `None` where the base fee alone is above the cap.
    pub(super) fn first(config: &IssueConfig, base_fee_wei: u128) -> Option<Self> {
        let cap = config.max_fee_cap_wei;
        if base_fee_wei > cap {
            return None;
        }
        let tip = config.priority_fee_wei.min(cap);
        Some(Self { max_fee_wei: (2 * base_fee_wei + tip).min(cap), priority_fee_wei: tip })
    }

    /// The next offer for the same nonce: so many percent of both fields, rounded up, and at least 1 wei more, or today's
    /// first offer where that is higher. `None` above the cap.
    pub(super) fn raised(self, percent: u128, config: &IssueConfig, base_fee_wei: u128) -> Option<Self> {
        let raised = |fee: u128| fee.saturating_mul(percent).div_ceil(100).max(fee.saturating_add(1));
        let fresh = Self::first(config, base_fee_wei).unwrap_or(self);
        let bumped = Self {
            max_fee_wei: raised(self.max_fee_wei).max(fresh.max_fee_wei),
            priority_fee_wei: raised(self.priority_fee_wei).max(fresh.priority_fee_wei),
        };
        (bumped.max_fee_wei <= config.max_fee_cap_wei).then_some(bumped)
    }
}

/// A transaction but for its fees.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) chain_id: u64,
    pub(super) nonce: u64,
    pub(super) gas_limit: u64,
    pub(super) to: Address,
    pub(super) input: Bytes,
}

impl Draft {
    /// Signs the draft with these fees.
    pub(super) async fn sign(&self, signer: &IssuerSigner, fees: Fees) -> Result<SignedTransaction, IssuingError> {
        let mut transaction = TxEip1559 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit: self.gas_limit,
            max_fee_per_gas: fees.max_fee_wei,
            max_priority_fee_per_gas: fees.priority_fee_wei,
            to: TxKind::Call(self.to),
            value: U256::ZERO,
            access_list: Default::default(),
            input: self.input.clone(),
        };
        let signature = signer.sign_transaction(&mut transaction).await?;
        let envelope = TxEnvelope::from(transaction.into_signed(signature));
        Ok(SignedTransaction {
            hash: *envelope.tx_hash(),
            raw: envelope.encoded_2718(),
            max_fee_per_gas_wei: fees.max_fee_wei,
            max_priority_fee_per_gas_wei: fees.priority_fee_wei,
            signed_at_ms: now_ms(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn config(cap: u128) -> IssueConfig {
        IssueConfig {
            deadline_s: 300,
            replace_after: Duration::from_secs(15),
            max_fee_cap_wei: cap,
            priority_fee_wei: 7,
            confirmations: 64,
            sign_timeout: Duration::from_secs(10),
        }
    }

    #[test]
    fn the_first_offer_stays_below_the_cap_and_is_withheld_above_it() {
        let fees = Fees::first(&config(1_000), 100).unwrap();
        assert_eq!(fees, Fees { max_fee_wei: 207, priority_fee_wei: 7 });
        assert_eq!(Fees::first(&config(150), 100).unwrap().max_fee_wei, 150);
        assert!(Fees::first(&config(99), 100).is_none());
    }

    #[test]
    fn a_replacement_raises_both_fees_by_a_tenth_rounded_up_or_follows_the_market() {
        let fees = Fees { max_fee_wei: 207, priority_fee_wei: 7 };
        assert_eq!(fees.raised(110, &config(1_000), 100).unwrap(), Fees { max_fee_wei: 228, priority_fee_wei: 8 });
        assert_eq!(fees.raised(110, &config(1_000), 300).unwrap().max_fee_wei, 607);
        assert_eq!(fees.raised(200, &config(1_000), 100).unwrap(), Fees { max_fee_wei: 414, priority_fee_wei: 14 });
        assert!(fees.raised(110, &config(220), 100).is_none());
        let zero = Fees { max_fee_wei: 0, priority_fee_wei: 0 };
        assert_eq!(zero.raised(110, &config(1_000), 0).unwrap().priority_fee_wei, 7);
    }
}
