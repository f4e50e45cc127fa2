//! A node that stands at an old block: what comes later does not exist for it.

use serde_json::{Value, json};

/// Lets the call speak of the old block where it means the newest.
pub(super) fn ask(head: u64, method: &str, params: &mut Value) {
    let Some(params) = params.as_array_mut() else { return };
    for param in params.iter_mut().filter(|param| **param == "latest" || **param == "pending") {
        *param = hex(head);
    }
    if method == "eth_getLogs"
        && let Some(filter) = params.first_mut().and_then(Value::as_object_mut)
        && filter.get("toBlock").is_some_and(|to| number(to).is_none_or(|to| to > head))
    {
        filter.insert("toBlock".to_owned(), hex(head));
    }
}

/// Hides what lies behind the old block.
pub(super) fn answer(head: u64, method: &str, result: &mut Value) {
    let later = |value: &Value| number(value).is_some_and(|number| number > head);
    match method {
        "eth_blockNumber" => *result = hex(head),
        "eth_getBlockByNumber" | "eth_getBlockByHash" if later(&result["number"]) => *result = Value::Null,
        "eth_getTransactionReceipt" if later(&result["blockNumber"]) => *result = Value::Null,
        "eth_getTransactionByHash" if later(&result["blockNumber"]) => {
            for field in ["blockNumber", "blockHash", "transactionIndex"] {
                result[field] = Value::Null;
            }
        }
        _ => {}
    }
}

fn hex(number: u64) -> Value {
    json!(format!("{number:#x}"))
}

pub(super) fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}
