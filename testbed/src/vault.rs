//! The example vault: what a wallet does with a code.

use alloy::{
    primitives::{Address, U256},
    sol_types::SolCall,
};
use anyhow::Result;
use otp_core::{
    chain::Node,
    contract::GatedVault::{self, GatedVaultInstance},
};
use serde_json::{Value, json};

use crate::{client::Unlocked, wallet::Call};

/// The vault of a deployment.
#[derive(Debug, Clone)]
pub struct Vault {
    contract: GatedVaultInstance<Node>,
}

/// A withdrawal that a code is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Withdrawal {
    /// Who gets the ether.
    pub to: Address,
    /// How much, in wei.
    pub amount: U256,
    /// The account's next withdrawal.
    pub nonce: U256,
}

impl Vault {
    /// The vault at an address.
    #[must_use]
    pub const fn new(address: Address, node: Node) -> Self {
        Self { contract: GatedVaultInstance::new(address, node) }
    }

    /// What an account holds, in wei.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn balance_of(&self, account: Address) -> Result<U256> {
        Ok(self.contract.balanceOf(account).call().await?)
    }

    /// The account's next withdrawal.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn withdrawal(&self, account: Address, to: Address, amount: U256) -> Result<Withdrawal> {
        Ok(Withdrawal { to, amount, nonce: self.contract.nonces(account).call().await? })
    }

    /// The action to ask a code for.
    #[must_use]
    pub fn action(&self, withdrawal: &Withdrawal) -> Value {
        let field = |name, kind| json!({ "name": name, "type": kind });
        json!({
            "consumer": self.contract.address().to_checksum(None),
            "primaryType": "Withdrawal",
            "types": {
                "Withdrawal": [field("to", "address"), field("amount", "uint256"), field("nonce", "uint256")],
            },
            "message": {
                "to": withdrawal.to.to_checksum(None),
                "amount": withdrawal.amount.to_string(),
                "nonce": withdrawal.nonce.to_string(),
            },
        })
    }

    /// Pays ether in.
    #[must_use]
    pub fn deposit(&self, amount: U256) -> Call {
        self.call(amount, &GatedVault::depositCall {})
    }

    /// Pays out after `verify`.
    #[must_use]
    pub fn withdraw(&self, withdrawal: &Withdrawal, unlocked: &Unlocked) -> Call {
        let (to, amount, ticket) = (withdrawal.to, withdrawal.amount, unlocked.ticket.fields().into());
        self.call(U256::ZERO, &GatedVault::withdrawCall { to, amount, ticket, codeHash: unlocked.code_hash })
    }

    /// Verifies and pays out in one transaction.
    #[must_use]
    pub fn withdraw_with_code(&self, withdrawal: &Withdrawal, unlocked: &Unlocked) -> Call {
        let (to, amount, ticket) = (withdrawal.to, withdrawal.amount, unlocked.ticket.fields().into());
        self.call(U256::ZERO, &GatedVault::withdrawWithCodeCall { to, amount, ticket, code: unlocked.code.clone() })
    }

    fn call(&self, value: U256, call: &impl SolCall) -> Call {
        Call { to: *self.contract.address(), value, data: call.abi_encode().into() }
    }
}
