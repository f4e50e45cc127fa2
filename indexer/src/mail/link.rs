//! The link that carries the full code in its fragment, which no browser sends to any server.

use alloy::primitives::{Address, B256};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use otp_core::code::Code;
use zeroize::Zeroizing;

/// What the page at the link's end needs.
#[derive(Debug)]
pub struct Linked<'a> {
    /// The code's id on the chain.
    pub on_chain_id: B256,
    /// Who issued.
    pub issuer: Address,
    /// The full code.
    pub code: &'a Code,
    /// What the code authorises.
    pub action: B256,
}

/// `<public_url>/verify#v1.<base64url of JSON {id, issuer, code, action}>`.
///
/// It never shows six digits in a row: the JSON is ASCII, so the first of each four base64 characters stands for six
/// bits that begin with a zero, which is a letter.
#[must_use]
pub fn link(public_url: &str, linked: &Linked<'_>) -> Zeroizing<String> {
    let code = linked.code.expose();
    let (id, issuer, action) =
        (linked.on_chain_id.to_string(), linked.issuer.to_checksum(None), linked.action.to_string());
    let mut json = Zeroizing::new(String::with_capacity(320));
    for part in
        ["{\"id\":\"", &id, "\",\"issuer\":\"", &issuer, "\",\"code\":\"", &code, "\",\"action\":\"", &action, "\"}"]
    {
        json.push_str(part);
    }
    let mut link = Zeroizing::new(String::with_capacity(public_url.len() + 12 + json.len() * 4 / 3 + 4));
    link.push_str(public_url);
    link.push_str("/verify#v1.");
    URL_SAFE_NO_PAD.encode_string(json.as_bytes(), &mut link);
    link
}

#[cfg(test)]
mod tests {
    use otp_core::{
        code::Seed,
        id::{Deployment, Slot},
    };
    use uuid::Uuid;

    use super::*;
    use crate::mail::plain::has_six_digits;

    #[test]
    fn links_carry_their_code_and_show_no_six_digits() {
        let seed = Seed::from_bytes(&[7; 32]).unwrap();
        let deployment = Deployment { chain_id: 1, verifier: Address::repeat_byte(1) };
        let purpose = "login".parse().unwrap();
        for serial in 0..500 {
            let action = alloy::primitives::keccak256(serial.to_string());
            let slot = Slot { deployment, issuer: Address::ZERO, purpose, serial, subject: Address::ZERO, action };
            let code = seed.code(&slot, Uuid::nil());
            let linked = Linked { on_chain_id: slot.id(code.hash()), issuer: Address::ZERO, code: &code, action };
            let link = link("https://otp.example", &linked);
            assert!(!has_six_digits(&link));
            let json = URL_SAFE_NO_PAD.decode(link.strip_prefix("https://otp.example/verify#v1.").unwrap()).unwrap();
            let read: serde_json::Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(read["code"], code.expose().as_str());
            assert_eq!(read["id"], linked.on_chain_id.to_string());
            assert_eq!(read["action"], action.to_string());
        }
    }
}
