//! In-app keys: X25519 public keys (RFC 7748), to which messages are sealed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::BadContact;

const LENGTH: usize = 32;
/// 2^255 - 19, little-endian.
const PRIME: [u8; LENGTH] = {
    let mut bytes = [0xff; LENGTH];
    bytes[0] = 0xed;
    bytes[LENGTH - 1] = 0x7f;
    bytes
};
/// The canonical u-coordinates of order 1, 2, 4 and 8 on the curve and its twist, little-endian: with one of them
/// everybody knows the shared secret.
const LOW_ORDER: [&str; 5] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

/// 64 lower-case hexadecimal digits, from hexadecimal or base64url.
pub(super) fn parse(text: &str) -> Result<String, BadContact> {
    let bytes: Option<[u8; LENGTH]> = match text.len() {
        64 => hex::decode(text).ok(),
        66 => text.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok()),
        43 => URL_SAFE_NO_PAD.decode(text).ok(),
        _ => None,
    }
    .and_then(|bytes| bytes.try_into().ok());
    let bytes = bytes.ok_or(BadContact("an X25519 public key is expected: 32 bytes in hexadecimal or base64url"))?;
    let canonical = bytes.iter().rev().lt(PRIME.iter().rev());
    let key = hex::encode(bytes);
    if canonical && !LOW_ORDER.contains(&key.as_str()) {
        Ok(key)
    } else {
        Err(BadContact("this X25519 public key protects nothing: send one that was generated"))
    }
}

/// `9c22***`
pub(super) fn mask(key: &str) -> String {
    format!("{}***", key.get(..4).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";

    #[test]
    fn keys_have_one_form() {
        let base64 = URL_SAFE_NO_PAD.encode(hex::decode(KEY).unwrap());
        for given in [KEY.to_owned(), KEY.to_uppercase(), format!("0x{KEY}"), base64] {
            assert_eq!(parse(&given).as_deref(), Ok(KEY), "{given}");
        }
        assert_eq!(mask(KEY), "8520***");
    }

    #[test]
    fn keys_that_protect_nothing_and_what_is_no_key_are_refused() {
        let mut above = PRIME;
        above[0] = 0xee;
        let mut high_bit: [u8; 32] = hex::decode(KEY).unwrap().try_into().unwrap();
        high_bit[31] |= 0x80;
        let spellings = [PRIME, above, high_bit, [0xff; 32]].map(hex::encode);
        for bad in LOW_ORDER.into_iter().chain(spellings.iter().map(String::as_str)) {
            assert!(parse(bad).is_err(), "{bad}");
        }
        for bad in
            ["", "00", &KEY[1..], &format!("{KEY}00"), &format!(" {}", &KEY[1..]), &"z".repeat(64), &"=".repeat(43)]
        {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
