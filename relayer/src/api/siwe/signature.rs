//! Whose signature it is: an externally owned account's (EIP-191), else a contract account's by its own word.

use alloy::primitives::{Address, Signature, eip191_hash_message, hex};

use super::{
    Refused,
    contract::{ContractCheck, Unasked},
};

/// The most bytes that a signature has: several owners', a passkey's, or one with the account's deployment.
const MOST: usize = 4 * 1024;

/// A signature that was not found to be right.
#[derive(Debug)]
pub(in crate::api) enum NotSigned {
    /// It is wrong.
    Wrong(Refused),
    /// Only the chain can tell, and the node did not say.
    Unknown(Unasked),
}

/// Checks that `wallet` signed `text`, in the very bytes that were sent.
///
/// Recovery comes first and alone decides where it yields the wallet: whoever holds the key of an address acts for it
/// whatever code stands there (EIP-7702), and an address of code alone has no key. So most sign-ins need no node.
pub(in crate::api) async fn check(
    contracts: &ContractCheck,
    wallet: Address,
    text: &str,
    signature: &str,
) -> Result<(), NotSigned> {
    let signature = parse(signature).map_err(NotSigned::Wrong)?;
    if signer(&signature, text) == Some(wallet) {
        return Ok(());
    }
    match contracts.accepts(wallet, eip191_hash_message(text), &signature).await {
        Ok(true) => Ok(()),
        Ok(false) => {
            let detail = "the message's address did not sign it: neither its key (EIP-191) nor its contract (ERC-1271, \
                          ERC-6492)";
            Err(NotSigned::Wrong(Refused { check: "signature", detail }))
        }
        Err(unasked) => Err(NotSigned::Unknown(unasked)),
    }
}

pub(super) fn parse(text: &str) -> Result<Vec<u8>, Refused> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() <= 2 * MOST);
    digits
        .and_then(|digits| hex::decode(digits).ok())
        .ok_or(Refused { check: "signature", detail: "the signature is not 0x and the hex of at most 4096 bytes" })
}

/// Whose key made 65 bytes `r ‖ s ‖ v` as wallets make them: the lower s (EIP-2), v of 27 or 28, or of 0 or 1.
pub(super) fn signer(bytes: &[u8], text: &str) -> Option<Address> {
    let &[.., v] = bytes else { return None };
    let signature = matches!(v, 0 | 1 | 27 | 28).then(|| Signature::from_raw(bytes).ok())??;
    let lower = signature.normalize_s().is_none().then_some(signature)?;
    lower.recover_address_from_msg(text).ok()
}
