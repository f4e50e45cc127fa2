//! Whether a contract account takes a signature for its own: ERC-1271, and ERC-6492 while it is not deployed yet. Asked of
//! the node by one `eth_call` of code of our own (relayer/evm/SignatureCheck.sol), so nothing is deployed for it.

use std::time::Duration;

use alloy::{
    primitives::{Address, B256, Bytes, U256, b256, hex},
    providers::Provider,
    rpc::types::TransactionRequest,
    sol_types::{SolType, SolValue, sol_data},
};
use otp_core::chain::{Node, brief};
use tokio::{sync::Semaphore, time::timeout};

/// `SignatureCheck`, compiled.
const CREATION_CODE: &str = include_str!("../../../evm/SignatureCheck.hex");
/// What the whole check may cost: its three calls and what is around them.
const GAS: u64 = 16_000_000;
const PATIENCE: Duration = Duration::from_secs(5);
/// So many are asked at once: a sign-in costs its sender nothing and the node some work.
const AT_ONCE: usize = 8;
/// ERC-6492's mark at the end of a signature that brings the account's deployment.
const MARK: B256 = b256!("6492649264926492649264926492649264926492649264926492649264926492");

/// The node did not say.
#[derive(Debug, thiserror::Error)]
pub(in crate::api) enum Unasked {
    /// It failed, in one line.
    #[error("{0}")]
    Node(String),
    /// It took too long, or too many others are being asked.
    #[error("timed out")]
    TimedOut,
}

/// Asks the node; a bounded number of times at once.
#[derive(Debug)]
pub(in crate::api) struct ContractCheck {
    node: Node,
    turns: Semaphore,
}

impl ContractCheck {
    pub(in crate::api) const fn new(node: Node) -> Self {
        Self { node, turns: Semaphore::const_new(AT_ONCE) }
    }

    /// Whether `account` signed `hash`, by its own word.
    pub(super) async fn accepts(&self, account: Address, hash: B256, signature: &[u8]) -> Result<bool, Unasked> {
        let Some(call) = call(account, hash, signature) else { return Ok(false) };
        let request = TransactionRequest { gas: Some(GAS), input: call.into(), ..TransactionRequest::default() };
        let asked = timeout(PATIENCE, async {
            let _turn = self.turns.acquire().await.map_err(|_| Unasked::TimedOut)?;
            self.node.call(request).await.map_err(|e| Unasked::Node(brief(&e)))
        });
        let answer = asked.await.map_err(|_| Unasked::TimedOut)??;
        // The code answers with one of two words whatever the account does; what says anything else is the node.
        match U256::try_from_be_slice(&answer).filter(|_| answer.len() == 32) {
            Some(U256::ONE) => Ok(true),
            Some(U256::ZERO) => Ok(false),
            _ => Err(Unasked::Node("an answer that makes no sense".to_owned())),
        }
    }
}

/// The code and what it is to check; `None` where the signature is marked as ERC-6492's and is none.
fn call(account: Address, hash: B256, signature: &[u8]) -> Option<Bytes> {
    type Wrapped = (sol_data::Address, sol_data::Bytes, sol_data::Bytes);
    let (factory, prepare, signature) = match signature.strip_suffix(MARK.as_slice()) {
        Some(wrapped) => Wrapped::abi_decode_params_validate(wrapped).ok()?,
        None => (Address::ZERO, Bytes::new(), Bytes::copy_from_slice(signature)),
    };
    let mut code = hex::decode(CREATION_CODE.trim()).ok()?;
    code.extend((account, hash, signature, factory, prepare).abi_encode_params());
    Some(code.into())
}
