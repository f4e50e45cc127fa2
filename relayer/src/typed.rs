//! Addresses that people type or paste.

use std::str::FromStr;

use alloy::primitives::Address;
use serde::Deserialize;

/// An address whose checksum (EIP-55) was right, where it had one: in one case alone it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Typed(pub Address);

impl FromStr for Typed {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address: Address = text.parse().map_err(|_| "an address is expected: 0x and 40 hexadecimal digits")?;
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let is_mixed =
            digits.contains(|c: char| c.is_ascii_lowercase()) && digits.contains(|c: char| c.is_ascii_uppercase());
        if is_mixed && address.to_checksum(None).strip_prefix("0x") != Some(digits) {
            return Err("the address's checksum (EIP-55) is wrong: a character of it was changed");
        }
        Ok(Self(address))
    }
}

impl TryFrom<String> for Typed {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_checksum_is_refused_and_none_is_not() {
        let right = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        let address: Address = right.parse().unwrap();
        for text in [right, &right.to_lowercase(), &format!("0x{}", right[2..].to_uppercase()), &right[2..]] {
            assert_eq!(text.parse(), Ok(Typed(address)), "{text}");
        }
        for wrong in
            [right.replace("5aA", "5aa"), right.replace("eAed", "eAec"), right.replace("0x", "0X"), right[1..].into()]
        {
            assert!(wrong.parse::<Typed>().is_err(), "{wrong}");
        }
    }
}
