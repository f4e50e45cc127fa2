//! What a node's refusal of a transaction means: the one place where answers of nodes are read.

use alloy::sol_types::SolInterface;
use otp_core::{chain::RpcFailure, contract::OtpVerifier::OtpVerifierErrors};

/// Why a node did not take a transaction, or would not run it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its pool has this very transaction: as good as sent.
    #[error("already known")]
    AlreadyKnown,
    /// Another transaction with this nonce is mined.
    #[error("nonce too low")]
    NonceTooLow,
    /// A nonce before it is missing.
    #[error("nonce too high")]
    NonceTooHigh,
    /// The fees are below what the pool asks for, of any transaction or of a replacement.
    #[error("underpriced")]
    Underpriced,
    /// The account cannot pay for it.
    #[error("insufficient funds")]
    InsufficientFunds,
    /// The contract refuses, with one of its named errors where the node tells.
    #[error("reverted{}", .0.as_ref().map(|error| format!(": {}", name(error))).unwrap_or_default())]
    Reverted(Option<OtpVerifierErrors>),
    /// The node or the way to it; the same may pass later.
    #[error("transient")]
    Transient,
}

/// Phrases of geth, Nethermind, Besu, Erigon, Reth and anvil, in lower case. The first match counts: a replacement that is
/// underpriced is also told as "already known nonce" by some.
const PHRASES: [(&str, Refusal); 19] = [
    ("replacement transaction underpriced", Refusal::Underpriced),
    ("transaction underpriced", Refusal::Underpriced),
    ("underpriced", Refusal::Underpriced),
    ("replacement fee too low", Refusal::Underpriced),
    ("feetoolow", Refusal::Underpriced),
    ("max fee per gas less than block base fee", Refusal::Underpriced),
    ("tip too low", Refusal::Underpriced),
    ("already known", Refusal::AlreadyKnown),
    ("already imported", Refusal::AlreadyKnown),
    ("alreadyknown", Refusal::AlreadyKnown),
    ("known transaction", Refusal::AlreadyKnown),
    ("nonce too low", Refusal::NonceTooLow),
    ("oldnonce", Refusal::NonceTooLow),
    ("nonce has already been used", Refusal::NonceTooLow),
    ("nonce too high", Refusal::NonceTooHigh),
    ("nonce gap", Refusal::NonceTooHigh),
    ("insufficient funds", Refusal::InsufficientFunds),
    ("insufficientfunds", Refusal::InsufficientFunds),
    ("upfront cost exceeds", Refusal::InsufficientFunds),
];

impl From<&RpcFailure> for Refusal {
    fn from(error: &RpcFailure) -> Self {
        let Some(answer) = error.as_error_resp() else { return Self::Transient };
        if let Some(data) = answer.as_revert_data() {
            return Self::Reverted(OtpVerifierErrors::abi_decode(&data).ok());
        }
        let text = answer.message.to_lowercase();
        let known = PHRASES.iter().find(|(phrase, _)| text.contains(phrase));
        match known {
            Some((_, refusal)) => refusal.clone(),
            None if text.contains("revert") => Self::Reverted(None),
            None => Self::Transient,
        }
    }
}

/// The name of a contract's error, as the interface has it.
#[must_use]
pub(crate) fn name(error: &OtpVerifierErrors) -> &'static str {
    OtpVerifierErrors::name_by_selector(error.selector()).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use alloy::{
        hex,
        sol_types::SolError,
        transports::{RpcError, TransportErrorKind},
    };
    use otp_core::contract::OtpVerifier::PurposeDisabled;

    use super::*;

    fn answered(message: &str, data: Option<&str>) -> Refusal {
        let answer = serde_json::json!({ "code": -32000, "message": message, "data": data });
        Refusal::from(&RpcError::ErrorResp(serde_json::from_value(answer).unwrap()))
    }

    #[test]
    fn what_nodes_say_is_classed_whatever_their_make() {
        for (message, refusal) in [
            ("already known", Refusal::AlreadyKnown),
            ("AlreadyKnown", Refusal::AlreadyKnown),
            ("Known transaction", Refusal::AlreadyKnown),
            ("transaction already imported", Refusal::AlreadyKnown),
            ("nonce too low: next nonce 7, tx nonce 5", Refusal::NonceTooLow),
            ("OldNonce, Current nonce: 7, nonce of rejected tx: 5", Refusal::NonceTooLow),
            ("Nonce too high", Refusal::NonceTooHigh),
            ("replacement transaction underpriced", Refusal::Underpriced),
            ("transaction underpriced: gas tip cap 1, minimum needed 25", Refusal::Underpriced),
            ("FeeTooLow, MaxFeePerGas too low", Refusal::Underpriced),
            ("insufficient funds for gas * price + value", Refusal::InsufficientFunds),
            ("Upfront cost exceeds account balance", Refusal::InsufficientFunds),
            ("execution reverted", Refusal::Reverted(None)),
            ("the method is rate limited", Refusal::Transient),
            ("", Refusal::Transient),
        ] {
            assert_eq!(answered(message, None), refusal, "{message}");
        }
        assert_eq!(Refusal::from(&RpcError::NullResp), Refusal::Transient);
        assert_eq!(Refusal::from(&TransportErrorKind::custom_str("refused")), Refusal::Transient);
    }

    #[test]
    fn a_named_error_of_the_contract_is_known_by_its_name() {
        let error = PurposeDisabled { purpose: [7; 32].into() };
        let data = format!("0x{}", hex::encode(error.abi_encode()));
        let refusal = answered("execution reverted: custom error", Some(&data));
        assert_eq!(refusal.to_string(), "reverted: PurposeDisabled");
        assert_eq!(answered("execution reverted", Some("0x12345678")), Refusal::Reverted(None));
    }
}
