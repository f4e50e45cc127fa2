//! Which errors mean "ask for less", as the providers put it. One place knows their words.

use alloy::transports::{RpcError, TransportErrorKind};

use super::{Failure, NoNode, RpcFailure};

/// An answer that is longer than what is read.
pub(super) const ENDLESS: Failure = Failure::Nonsense("an answer without end");
const CONTENT_TOO_LARGE: u16 = 413;

/// Whether `eth_getLogs` was refused because its range or its answer is too large: a smaller range can pass, and a
/// repetition of the same one cannot. Throttling never comes here: the pool has seen to that by then.
#[must_use]
pub fn is_too_much(error: &RpcFailure) -> bool {
    match error {
        RpcError::ErrorResp(payload) => {
            payload.code == -32_005 || payload.code == -32_008 || speaks_of_too_much(&payload.message)
        }
        _ => {
            let failure = failure(error);
            failure == Some(Failure::Status(CONTENT_TOO_LARGE)) || failure == Some(ENDLESS)
        }
    }
}

/// Whether a call ended for want of time: its range may be too large for this node, or the node slow today.
#[must_use]
pub fn is_timeout(error: &RpcFailure) -> bool {
    failure(error) == Some(Failure::TimedOut)
}

/// Whether a block's tag (`safe`, `finalized`) is unknown to the node: it has none such, or does not know the word. Any
/// other error says nothing about the chain.
#[must_use]
pub fn is_unknown_tag(error: &RpcFailure) -> bool {
    const WORDS: [&str; 6] =
        ["not found", "unknown block", "invalid block", "not supported", "unsupported", "invalid argument"];
    let RpcError::ErrorResp(payload) = error else { return false };
    let text = payload.message.to_lowercase();
    payload.code == -39_001 || payload.code == -32_602 || WORDS.iter().any(|words| text.contains(words))
}

fn failure(error: &RpcFailure) -> Option<Failure> {
    match error {
        RpcError::Transport(TransportErrorKind::Custom(e)) => e.downcast_ref::<NoNode>().map(|none| none.failure),
        _ => None,
    }
}

fn speaks_of_too_much(message: &str) -> bool {
    const WORDS: [&str; 20] = [
        "returned more than",
        "block range",
        "blocks range",
        "range limit",
        "range is too",
        "range too",
        "max range",
        "maximum range",
        "ranges over",
        "limited to",
        "limit exceeded",
        "exceeds max",
        "exceed max",
        "too many results",
        "too many logs",
        "too many blocks",
        "response size",
        "too large",
        "too big",
        "query timeout",
    ];
    // A range that ends above this node's head: less of it would be as wrong.
    const OTHERS: [&str; 3] = ["invalid block range", "beyond current head", "batch"];
    let text = message.to_lowercase();
    WORDS.iter().any(|words| text.contains(words)) && !OTHERS.iter().any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use alloy::rpc::json_rpc::ErrorPayload;

    use super::*;

    fn answer(code: i64, message: &'static str) -> RpcFailure {
        RpcError::ErrorResp(ErrorPayload { code, message: message.into(), data: None })
    }

    #[test]
    fn what_providers_answer_to_a_large_range_means_less() {
        for (code, message) in [
            (-32_602, "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range"),
            (-32_600, "Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block range."),
            (-32_005, "query returned more than 10000 results. Try with this block range [0x1, 0x2]."),
            (-32_614, "eth_getLogs is limited to a 10,000 range"),
            (-32_602, "eth_getLogs and eth_newFilter are limited to a 10,000 blocks range"),
            (-32_600, "block range is too wide"),
            (-32_062, "Block range is too large"),
            (-32_000, "query returned more than 10000 results"),
            (-32_000, "exceed maximum block range: 5000"),
            (-32_047, "Invalid eth_getLogs request. 'fromBlock'-'toBlock' range too large. Max range: 800"),
            (-32_602, "query exceeds max block range 100000"),
            (-32_602, "query exceeds max results 20000, retry with the range 1-2"),
            (-32_000, "requested too many blocks from 1 to 9000, maximum is set to 2048"),
            (-32_020, "backend response too large"),
            (-32_003, "response too large"),
            (-32_008, "Response is too big"),
            (-32_005, "Requested range exceeds maximum RPC range limit"),
            (-32_005, "limit exceeded"),
            (-32_005, "Too many logs requested. Max logs per response is 20000."),
            (35, "ranges over 10000 blocks are not supported on freetier"),
            (-32_000, "block range greater than 10000 max"),
            (-32_000, "query timeout exceeded"),
        ] {
            assert!(is_too_much(&answer(code, message)), "{message}");
        }
    }

    #[test]
    fn other_errors_do_not_mean_less() {
        for (code, message) in [
            (-32_000, "header not found"),
            (-32_602, "invalid block range params"),
            (-32_602, "block range extends beyond current head block"),
            (-32_603, "internal error"),
            (-32_000, "missing trie node"),
            (-32_601, "the method eth_getLogs does not exist"),
            (-32_600, "batch too large"),
        ] {
            assert!(!is_too_much(&answer(code, message)), "{message}");
        }
        let failed = |failure| TransportErrorKind::custom(NoNode { host: String::new(), failure });
        assert!(is_too_much(&failed(Failure::Status(413))) && is_too_much(&failed(ENDLESS)));
        for failure in [Failure::TimedOut, Failure::Unreachable, Failure::Status(500), Failure::Aside] {
            assert!(!is_too_much(&failed(failure)), "{failure}");
        }
        assert!(is_timeout(&failed(Failure::TimedOut)));
    }

    #[test]
    fn a_tag_is_unknown_where_the_node_says_so_and_not_where_it_fails() {
        for (code, message) in [
            (-39_001, "Unknown block"),
            (-32_000, "finalized block not found"),
            (-32_602, "invalid argument 0: hex string without 0x prefix"),
        ] {
            assert!(is_unknown_tag(&answer(code, message)), "{message}");
        }
        assert!(!is_unknown_tag(&answer(-32_603, "internal error")));
        assert!(!is_unknown_tag(&RpcError::NullResp));
    }
}
