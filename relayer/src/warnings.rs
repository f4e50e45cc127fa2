//! What does not stop issuance yet and soon may: a purse that runs low, fees near the cap, a transaction that is stuck, a
//! node that is put aside. Each is a line in the log when it comes and goes, and makes `/readyz` say `degraded`.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, U256},
    providers::Provider,
};
use otp_core::{
    chain::{self, Node, Pool, RpcFailure},
    clock::now_ms,
    metrics::{BASE_FEE_GWEI, FEE_CAP_GWEI, SIGNER_BALANCE_ETHER},
    store::{Store, StoreError},
};
use tokio_util::sync::CancellationToken;

use crate::{chain_view::ChainView, config::WarnConfig};

const LOOK_EVERY: Duration = Duration::from_secs(5);
const WEI_PER_GWEI: f64 = 1e9;
const WEI_PER_ETHER: f64 = 1e18;

/// What is to be warned of now, by name. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Warnings(Arc<RwLock<BTreeMap<&'static str, String>>>);

impl Warnings {
    /// Every warning: its name, and what to do.
    #[must_use]
    pub fn all(&self) -> Vec<(&'static str, String)> {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        current.iter().map(|(name, detail)| (*name, detail.clone())).collect()
    }

    /// Takes a warning up, or back where there is no detail, and logs it when that is news.
    pub fn set(&self, name: &'static str, detail: Option<String>) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match detail {
            Some(detail) => {
                if !current.contains_key(name) {
                    tracing::warn!(warning = name, %detail, "issuance may stop soon");
                }
                current.insert(name, detail);
            }
            None if current.remove(name).is_some() => tracing::info!(warning = name, "a warning is over"),
            None => {}
        }
    }
}

/// Looks for what is to be warned of.
pub struct Watch {
    /// The chain.
    pub node: Node,
    /// The nodes behind it.
    pub pool: Pool,
    /// Transactions.
    pub store: Store,
    /// The issuer and its balance; holds the warnings.
    pub view: ChainView,
    /// The account that pays for verifications, where there is one.
    pub sponsor: Option<Address>,
    /// `issue.max_fee_per_gas_wei`
    pub fee_cap_wei: u128,
    /// When to warn.
    pub config: WarnConfig,
}

/// A look that could not be had.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error("{}", chain::brief(.0))]
    Rpc(#[from] RpcFailure),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Watch {
    /// Looks now and then, until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        loop {
            self.look().await;
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Looks once. What cannot be seen now stays as it was seen last.
    pub async fn look(&self) {
        self.nodes();
        for looked in [self.fees().await, self.balances().await, self.transactions().await] {
            if let Err(error) = looked {
                tracing::debug!(%error, "a look for warnings failed");
            }
        }
    }

    fn warn(&self, name: &'static str, when: bool, detail: impl FnOnce() -> String) {
        self.view.warnings().set(name, when.then(detail));
    }

    fn nodes(&self) {
        let nodes = self.pool.endpoints();
        // One that was not asked yet has not failed.
        let aside = nodes.iter().filter(|node| !node.well && node.failure.is_some()).count();
        let detail = || format!("{aside} of {} nodes of chain.rpc_urls are put aside; the log says why", nodes.len());
        self.warn("nodes", aside > 0, detail);
    }

    async fn fees(&self) -> Result<(), LookError> {
        let block = self.node.get_block_by_number(BlockNumberOrTag::Latest).await?.ok_or(RpcFailure::NullResp)?;
        let (base, cap) = (u128::from(block.header.base_fee_per_gas.unwrap_or_default()), self.fee_cap_wei);
        metrics::gauge!(BASE_FEE_GWEI).set(base as f64 / WEI_PER_GWEI);
        metrics::gauge!(FEE_CAP_GWEI).set(cap as f64 / WEI_PER_GWEI);
        let near = base.saturating_mul(100) >= cap.saturating_mul(u128::from(self.config.base_fee_percent));
        self.warn("base-fee", near, || {
            format!("the base fee is {base} wei, issue.max_fee_per_gas_wei {cap}: above the cap nothing is issued")
        });
        Ok(())
    }

    async fn balances(&self) -> Result<(), LookError> {
        let issuer = self.node.get_balance(self.view.watched().issuer).await?;
        self.balance("issuer", "issuer-balance", issuer);
        if let Some(sponsor) = self.sponsor {
            self.balance("sponsor", "sponsor-balance", self.node.get_balance(sponsor).await?);
        }
        Ok(())
    }

    fn balance(&self, signer: &'static str, warning: &'static str, balance: U256) {
        let ether = balance.saturating_to::<u128>() as f64 / WEI_PER_ETHER;
        metrics::gauge!(SIGNER_BALANCE_ETHER, "signer" => signer).set(ether);
        self.warn(warning, balance < self.config.balance_wei, || {
            format!("the {signer}'s balance is {balance} wei, below warn.balance_wei: fund it")
        });
    }

    async fn transactions(&self) -> Result<(), LookError> {
        let calls = self.store.open_calls(self.view.watched().issuer).await?;
        let oldest = calls.iter().filter(|call| call.mined.is_none()).map(|call| call.created_at_ms).min();
        let age_ms = oldest.map_or(0, |at| now_ms().saturating_sub(at).max(0)).unsigned_abs();
        let bound = self.config.transaction_age;
        self.warn("stuck", Duration::from_millis(age_ms) > bound, || {
            format!("a transaction is in no block for {} s: see its lines in the log, and the fees", age_ms / 1_000)
        });
        Ok(())
    }
}
