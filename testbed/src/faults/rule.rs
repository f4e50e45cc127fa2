//! What is spoiled, for which calls, and how often.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

type Edit = dyn Fn(&Value, &mut Value) + Send + Sync;
type When = dyn Fn(&Value) -> bool + Send + Sync;

/// How an answer is spoiled.
#[derive(Clone)]
pub enum Fault {
    /// The call never arrives; its connection ends without an answer.
    Drop,
    /// The node acts on the call, and its answer is lost.
    LoseAnswer,
    /// The answer comes this much later.
    Delay(Duration),
    /// An HTTP status in place of an answer, with `Retry-After` in seconds where given; the call never arrives.
    Status(u16, Option<u64>),
    /// The answer breaks off in its middle.
    HalfJson,
    /// A JSON-RPC error in place of an answer; the call never arrives.
    Error(i64, &'static str),
    /// This result in place of the node's.
    Result(Value),
    /// The node's result, changed; the call's parameters are passed along.
    Edit(Arc<Edit>),
}

impl Fault {
    /// The node's result, changed by `edit`, which is given the call's parameters and the result.
    #[must_use]
    pub fn edit(edit: impl Fn(&Value, &mut Value) + Send + Sync + 'static) -> Self {
        Self::Edit(Arc::new(edit))
    }

    /// For one method.
    #[must_use]
    pub fn on(self, method: &'static str) -> Rule {
        Rule { method: Some(method), ..self.everywhere() }
    }

    /// For every method.
    #[must_use]
    pub fn everywhere(self) -> Rule {
        Rule { fault: self, method: None, when: None, left: None }
    }

    /// Another chain id than the node's.
    #[must_use]
    pub fn wrong_chain(id: u64) -> Rule {
        Self::Result(json!(format!("{id:#x}"))).on("eth_chainId")
    }

    /// Another genesis block than the node's, as every other chain has one, whatever id it took.
    #[must_use]
    pub fn wrong_genesis() -> Rule {
        let edit = |_: &Value, block: &mut Value| block["hash"] = json!(format!("0x{}", "99".repeat(32)));
        Self::edit(edit).on("eth_getBlockByNumber").when(|params| params[0] == "0x0")
    }

    /// Nothing was ever mined.
    #[must_use]
    pub fn no_receipts() -> Rule {
        Self::Result(Value::Null).on("eth_getTransactionReceipt")
    }

    /// Receipts that name a block which is not on the chain.
    #[must_use]
    pub fn foreign_receipts() -> Rule {
        let edit = |_: &Value, receipt: &mut Value| {
            if !receipt.is_null() {
                receipt["blockHash"] = json!(format!("0x{}", "77".repeat(32)));
            }
        };
        Self::edit(edit).on("eth_getTransactionReceipt")
    }

    /// A receipt of success for everything, mined or not: in this block, which is on the chain.
    #[must_use]
    pub fn invented_receipts(block_number: u64, block_hash: String) -> Rule {
        let edit = move |params: &Value, receipt: &mut Value| {
            *receipt = json!({
                "transactionHash": params[0], "transactionIndex": "0x0", "type": "0x2", "status": "0x1",
                "blockNumber": format!("{block_number:#x}"), "blockHash": block_hash,
                "from": format!("0x{}", "11".repeat(20)), "to": format!("0x{}", "22".repeat(20)),
                "contractAddress": null, "cumulativeGasUsed": "0x5208", "gasUsed": "0x5208",
                "effectiveGasPrice": "0x1", "logs": [], "logsBloom": format!("0x{}", "00".repeat(256)),
            });
        };
        Self::edit(edit).on("eth_getTransactionReceipt")
    }
}

/// A fault with its calls.
pub struct Rule {
    pub(super) fault: Fault,
    method: Option<&'static str>,
    when: Option<Box<When>>,
    left: Option<u64>,
}

impl Rule {
    /// Only where `when` holds of the call's parameters.
    #[must_use]
    pub fn when(self, when: impl Fn(&Value) -> bool + Send + Sync + 'static) -> Self {
        Self { when: Some(Box::new(when)), ..self }
    }

    /// Only so often; until it is taken back, otherwise.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { left: Some(times), ..self }
    }

    /// Whether the rule spoils this call; counts it then.
    pub(super) fn takes(&mut self, method: &str, params: &Value) -> bool {
        let meant = self.method.is_none_or(|own| own == method)
            && self.left != Some(0)
            && self.when.as_ref().is_none_or(|when| when(params));
        if meant && let Some(left) = &mut self.left {
            *left -= 1;
        }
        meant
    }
}
