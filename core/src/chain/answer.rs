//! Whether an answer makes sense. What is checked here would otherwise be believed: that nothing was mined, that
//! something was, that the chain is shorter than it is.

use std::time::Duration;

use alloy::{
    primitives::{B256, Bytes, U64, U256, keccak256},
    rpc::json_rpc::{ErrorPayload, SerializedRequest},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use super::health::Failure;

/// A block as far as it is checked.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct BriefBlock {
    pub(super) hash: B256,
    pub(super) number: U64,
    pub(super) timestamp: U64,
    /// Hashes: full transactions are not asked for here.
    #[serde(default)]
    pub(super) transactions: Vec<Value>,
}

/// Where a receipt says that its transaction is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BriefReceipt {
    pub(super) transaction_hash: B256,
    pub(super) block_hash: B256,
    pub(super) block_number: U64,
}

/// What of an answer calls for a second look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The latest block: number and time.
    Head(u64, u64),
    /// A transaction is in a block.
    Mined(BriefReceipt),
    /// Nothing more to look at.
    Plain,
}

impl BriefReceipt {
    /// Whether the block at its height is the one it names, and has its transaction.
    pub(super) fn is_in(&self, block: &BriefBlock) -> bool {
        let hash = self.transaction_hash.to_string();
        block.hash == self.block_hash
            && block.number == self.block_number
            && block.transactions.iter().any(|transaction| transaction.as_str() == Some(hash.as_str()))
    }
}

/// Checks a result against what was asked.
pub(super) fn check(request: &SerializedRequest, result: &RawValue) -> Result<Meaning, Failure> {
    let text = result.get();
    match request.method() {
        "eth_chainId"
        | "eth_blockNumber"
        | "eth_getTransactionCount"
        | "eth_getBalance"
        | "eth_gasPrice"
        | "eth_estimateGas" => {
            read::<U256>(text).filter(|_| text.starts_with("\"0x")).ok_or(Failure::Nonsense("no quantity"))?;
        }
        "eth_call" | "eth_getCode" => drop(read::<Bytes>(text).ok_or(Failure::Nonsense("no bytes"))?),
        "eth_sendRawTransaction" => sent(request, text)?,
        "eth_getBlockByNumber" => return block(request, text),
        "eth_getBlockByHash" => block_by_hash(request, text)?,
        "eth_getTransactionReceipt" => return receipt(request, text),
        "eth_getLogs" if !text.starts_with('[') => return Err(Failure::Nonsense("no list of logs")),
        "eth_getBlockReceipts" if !text.starts_with('[') && text != "null" => {
            return Err(Failure::Nonsense("no list of receipts"));
        }
        _ => {}
    }
    Ok(Meaning::Plain)
}

fn sent(request: &SerializedRequest, text: &str) -> Result<(), Failure> {
    let raw = first_param(request).and_then(|raw| raw.as_str()?.parse::<Bytes>().ok());
    let expected = raw.map(|raw| keccak256(&raw));
    if expected.is_some() && read::<B256>(text) == expected {
        Ok(())
    } else {
        Err(Failure::Nonsense("another transaction's hash for the one sent"))
    }
}

fn block(request: &SerializedRequest, text: &str) -> Result<Meaning, Failure> {
    let asked = first_param(request);
    let asked = asked.as_ref().and_then(Value::as_str).unwrap_or_default();
    if text == "null" && asked != "latest" {
        return Ok(Meaning::Plain);
    }
    // A pending block has no hash.
    if asked == "pending" {
        return Ok(Meaning::Plain);
    }
    let block: BriefBlock = read(text).ok_or(Failure::Nonsense("no block"))?;
    let (number, timestamp_s) = (block.number.to::<u64>(), block.timestamp.to::<u64>());
    match asked.strip_prefix("0x").map(|digits| u64::from_str_radix(digits, 16)) {
        Some(Ok(asked)) if asked != number => Err(Failure::Nonsense("another block than the one asked for")),
        _ if asked == "latest" => Ok(Meaning::Head(number, timestamp_s)),
        _ => Ok(Meaning::Plain),
    }
}

fn block_by_hash(request: &SerializedRequest, text: &str) -> Result<(), Failure> {
    if text == "null" {
        return Ok(());
    }
    let asked = first_param(request).and_then(|hash| hash.as_str()?.parse::<B256>().ok());
    match read::<BriefBlock>(text) {
        Some(block) if Some(block.hash) == asked => Ok(()),
        _ => Err(Failure::Nonsense("another block than the one asked for")),
    }
}

fn receipt(request: &SerializedRequest, text: &str) -> Result<Meaning, Failure> {
    if text == "null" {
        return Ok(Meaning::Plain);
    }
    let receipt: BriefReceipt = read(text).ok_or(Failure::Nonsense("no receipt"))?;
    let asked = first_param(request).and_then(|hash| hash.as_str()?.parse::<B256>().ok());
    if asked == Some(receipt.transaction_hash) {
        Ok(Meaning::Mined(receipt))
    } else {
        Err(Failure::Nonsense("another transaction's receipt"))
    }
}

fn first_param(request: &SerializedRequest) -> Option<Value> {
    let params: Vec<Value> = read(request.params()?.get())?;
    params.into_iter().next()
}

fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// Whether a JSON-RPC error says "too many calls", as providers put it in different ways. A refused range of logs is
/// none: it is the caller's to ask for less.
pub(super) fn is_throttling(method: &str, error: &ErrorPayload) -> bool {
    const WORDS: [&str; 7] = [
        "rate limit",
        "rate exceeded",
        "too many requests",
        "request limit reached",
        "credits limited",
        "daily request count",
        "concurrent requests",
    ];
    let text = error.message.to_lowercase();
    error.code == 429
        || error.code == -32_005 && method != "eth_getLogs"
        || WORDS.iter().any(|words| text.contains(words))
}

/// `Retry-After`, in seconds or as a date.
#[must_use]
pub fn retry_after(value: &str, now: OffsetDateTime) -> Option<Duration> {
    let value = value.trim();
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Duration::try_from(OffsetDateTime::parse(value, &Rfc2822).ok()? - now).ok(),
    }
}

#[cfg(test)]
mod tests {
    use alloy::rpc::json_rpc::{Id, Request};
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    fn ask(method: &'static str, params: Value, result: &Value) -> Result<Meaning, Failure> {
        let request = Request::new(method, Id::Number(1), params).serialize().unwrap();
        check(&request, &serde_json::value::to_raw_value(result).unwrap())
    }

    fn hash(byte: u8) -> Value {
        json!(B256::repeat_byte(byte))
    }

    #[test]
    fn a_quantity_is_hex_and_nothing_else() {
        assert!(ask("eth_getBalance", json!([]), &json!("0x10")).is_ok());
        for bad in [json!(null), json!(16), json!("16"), json!("0xzz"), json!([]), json!({ "result": "0x1" })] {
            assert!(ask("eth_getBalance", json!([]), &bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_block_is_the_one_asked_for() {
        let block = json!({ "hash": hash(1), "number": "0x5", "timestamp": "0x64", "transactions": [] });
        assert_eq!(ask("eth_getBlockByNumber", json!(["latest", false]), &block), Ok(Meaning::Head(5, 100)));
        assert_eq!(ask("eth_getBlockByNumber", json!(["0x5", false]), &block), Ok(Meaning::Plain));
        assert_eq!(ask("eth_getBlockByNumber", json!(["0x6", false]), &json!(null)), Ok(Meaning::Plain));
        assert!(ask("eth_getBlockByNumber", json!(["0x6", false]), &block).is_err());
        assert!(ask("eth_getBlockByNumber", json!(["latest", false]), &json!(null)).is_err());
        assert!(ask("eth_getBlockByNumber", json!(["latest", false]), &json!("0x5")).is_err());
    }

    #[test]
    fn a_block_by_its_hash_has_that_hash() {
        let block = json!({ "hash": hash(1), "number": "0x5", "timestamp": "0x64", "transactions": [] });
        assert!(ask("eth_getBlockByHash", json!([hash(1), false]), &block).is_ok());
        assert!(ask("eth_getBlockByHash", json!([hash(1), false]), &json!(null)).is_ok());
        assert!(ask("eth_getBlockByHash", json!([hash(2), false]), &block).is_err());
    }

    #[test]
    fn a_sent_transaction_has_the_hash_of_its_bytes() {
        let right = json!(keccak256([1, 2, 3]));
        assert!(ask("eth_sendRawTransaction", json!(["0x010203"]), &right).is_ok());
        assert!(ask("eth_sendRawTransaction", json!(["0x010203"]), &hash(9)).is_err());
        assert!(ask("eth_sendRawTransaction", json!(["0x010203"]), &json!(null)).is_err());
    }

    #[test]
    fn a_receipt_is_of_the_transaction_asked_for_and_its_block_has_it() {
        let answer = json!({ "transactionHash": hash(1), "blockHash": hash(2), "blockNumber": "0x5" });
        let Ok(Meaning::Mined(receipt)) = ask("eth_getTransactionReceipt", json!([hash(1)]), &answer) else {
            panic!("a receipt")
        };
        assert!(ask("eth_getTransactionReceipt", json!([hash(3)]), &answer).is_err());
        let block = |block_hash: Value, transactions: Value| -> BriefBlock {
            let block =
                json!({ "hash": block_hash, "number": "0x5", "timestamp": "0x1", "transactions": transactions });
            serde_json::from_value(block).unwrap()
        };
        assert!(receipt.is_in(&block(hash(2), json!([hash(4), hash(1)]))));
        assert!(!receipt.is_in(&block(hash(2), json!([hash(4)]))), "invented");
        assert!(!receipt.is_in(&block(hash(7), json!([hash(1)]))), "not canonical");
    }

    #[test]
    fn a_refused_range_is_no_throttling() {
        let error = |code, message: &'static str| ErrorPayload { code, message: message.into(), data: None };
        assert!(!is_throttling("eth_getLogs", &error(-32_005, "query returned more than 10000 results")));
        assert!(is_throttling("eth_getLogs", &error(-32_005, "daily request count exceeded, request rate limited")));
        assert!(is_throttling("eth_call", &error(-32_005, "limit exceeded")));
        assert!(is_throttling("eth_call", &error(429, "slow down")));
        assert!(!is_throttling("eth_call", &error(3, "execution reverted")));
    }

    #[test]
    fn a_retry_after_is_seconds_or_a_date() {
        let now = datetime!(2015-10-21 07:27:30 UTC);
        assert_eq!(retry_after(" 7 ", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:27:00 GMT", now), None, "it has passed");
        assert_eq!(retry_after("soon", now), None);
    }
}
