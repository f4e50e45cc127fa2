//! Purposes, serials, ids and leaves: the names of protocol.md §2. Hashes are Keccak-256 over ABI encodings, the same
//! as `OtpVerifier` computes; both suites check them on `test-sol/vectors/ids.json`.

use std::{fmt, str::FromStr};

use alloy::{
    primitives::{Address, B256, U256, keccak256},
    sol_types::SolValue,
};

/// Which policy applies: 1 to 31 bytes of `a-z 0-9 -`, left-aligned in a bytes32 on the chain.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Purpose(B256);

/// A purpose's name is refused.
#[derive(Debug, thiserror::Error)]
#[error("a purpose is 1 to 31 characters of a-z, 0-9 and '-'")]
pub struct BadPurpose;

impl Purpose {
    /// The bytes32 of the chain.
    #[must_use]
    pub const fn bytes32(self) -> B256 {
        self.0
    }
}

impl FromStr for Purpose {
    type Err = BadPurpose;

    fn from_str(name: &str) -> Result<Self, BadPurpose> {
        let fits = matches!(name.len(), 1..=31);
        let plain = name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if fits && plain { Ok(Self(B256::right_padding_from(name.as_bytes()))) } else { Err(BadPurpose) }
    }
}

impl TryFrom<B256> for Purpose {
    type Error = BadPurpose;

    /// Reads a chain's bytes32; another issuer may use a name that is none of ours.
    fn try_from(word: B256) -> Result<Self, BadPurpose> {
        let name = word.as_slice().split(|b| *b == 0).next().unwrap_or_default();
        let purpose: Self = std::str::from_utf8(name).map_err(|_| BadPurpose)?.parse()?;
        if purpose.0 == word { Ok(purpose) } else { Err(BadPurpose) }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.iter().take_while(|b| **b != 0) {
            write!(f, "{}", char::from(*byte))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Purpose({self})")
    }
}

/// One deployment: the pair that every id and every derivation is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deployment {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The `OtpVerifier` proxy.
    pub verifier: Address,
}

/// A code's place on the chain: which issuer gave which number for which purpose, to whom and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Chain and contract.
    pub deployment: Deployment,
    /// The account that issues.
    pub issuer: Address,
    /// Which policy applies.
    pub purpose: Purpose,
    /// The code's number; uint40 on the chain.
    pub serial: u64,
    /// The wallet that the code is for.
    pub subject: Address,
    /// Exactly what the code authorises.
    pub action: B256,
}

impl Slot {
    /// `id` of protocol.md §2 for a code with this hash.
    #[must_use]
    pub fn id(&self, code_hash: B256) -> B256 {
        let fields = (
            U256::from(self.deployment.chain_id),
            self.deployment.verifier,
            self.issuer,
            self.purpose.bytes32(),
            U256::from(self.serial),
            self.subject,
            self.action,
            code_hash,
        );
        keccak256(fields.abi_encode())
    }
}

/// `keccak256(abi.encode(purpose, uint256(serial), id))`: what the tree holds for a code.
#[must_use]
pub fn leaf(purpose: B256, serial: u64, id: B256) -> B256 {
    keccak256((purpose, U256::from(serial), id).abi_encode())
}

/// `keccak256(abi.encode(consumer, payloadHash))`.
#[must_use]
pub fn action(consumer: Address, payload_hash: B256) -> B256 {
    keccak256((consumer, payload_hash).abi_encode())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_round_trip_and_strange_ones_are_refused() {
        let purpose: Purpose = "withdraw".parse().unwrap();
        assert_eq!(Purpose::try_from(purpose.bytes32()).unwrap().to_string(), "withdraw");
        for bad in ["", "UPPER", "with space", "é", &"a".repeat(32)] {
            assert!(bad.parse::<Purpose>().is_err(), "{bad:?}");
        }
        let mut inner_zero = [0u8; 32];
        inner_zero[0] = b'a';
        inner_zero[2] = b'b';
        assert!(Purpose::try_from(B256::from(inner_zero)).is_err());
    }
}
