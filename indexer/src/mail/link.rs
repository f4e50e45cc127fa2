//! Links, which carry what they are good for in their fragment, which no browser sends to any server: the full code, or
//! a token.

use alloy::primitives::{Address, B256};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use otp_core::{
    authorization::Authorization,
    code::{Code, LinkToken},
};
use serde_json::json;
use uuid::Uuid;
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
    pub authorization: &'a Authorization,
}

/// `<public_url>/verify#v1.<base64url of JSON {id, issuer, code, action}>`, with the action as the request gave it:
/// EIP-712 types and message, or the bytes32 where it gave none.
///
/// It never shows six digits in a row: the JSON is ASCII, so the first of each four base64 characters stands for six
/// bits that begin with a zero, which is a letter.
#[must_use]
pub fn link(public_url: &str, linked: &Linked<'_>) -> Zeroizing<String> {
    let code = linked.code.expose();
    let (id, issuer) = (linked.on_chain_id.to_string(), linked.issuer.to_checksum(None));
    let action = match &linked.authorization.typed {
        Some(typed) => ascii(&json!(typed).to_string()),
        None => format!("\"{}\"", linked.authorization.action),
    };
    let mut json = Zeroizing::new(String::with_capacity(256 + action.len()));
    for part in
        ["{\"id\":\"", &id, "\",\"issuer\":\"", &issuer, "\",\"code\":\"", &code, "\",\"action\":", &action, "}"]
    {
        json.push_str(part);
    }
    with_fragment(public_url, "verify", &json)
}

/// What a token's link opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// A code was not asked for.
    Report,
    /// A change is to be cancelled.
    Cancel,
}

impl Page {
    const fn path(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Cancel => "cancel",
        }
    }
}

/// `<public_url>/<page>#v1.<base64url of JSON {id, token}>`
#[must_use]
pub fn token_link(public_url: &str, page: Page, id: Uuid, token: &LinkToken) -> Zeroizing<String> {
    let (id, token) = (id.to_string(), token.expose());
    let mut json = Zeroizing::new(String::with_capacity(128));
    for part in ["{\"id\":\"", &id, "\",\"token\":\"", &token, "\"}"] {
        json.push_str(part);
    }
    with_fragment(public_url, page.path(), &json)
}

/// `<public_url>/<page>#v2.<base64url of the id's and the token's 16 bytes, with a dot after each five characters>`: for
/// messages that have little room. The dots keep digits from standing six in a row.
#[must_use]
pub fn short_token_link(public_url: &str, page: Page, id: Uuid, token: &LinkToken) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; 32]);
    let (first, second) = bytes.split_at_mut(16);
    first.copy_from_slice(id.as_bytes());
    second.copy_from_slice(token.bytes());
    let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes));
    let mut link = Zeroizing::new(String::with_capacity(public_url.len() + 80));
    for part in [public_url, "/", page.path(), "#v2."] {
        link.push_str(part);
    }
    for (place, c) in text.chars().enumerate() {
        if place > 0 && place % 5 == 0 {
            link.push('.');
        }
        link.push(c);
    }
    link
}

fn with_fragment(public_url: &str, page: &str, json: &str) -> Zeroizing<String> {
    let mut link = Zeroizing::new(String::with_capacity(public_url.len() + page.len() + 8 + json.len() * 4 / 3 + 4));
    for part in [public_url, "/", page, "#v1."] {
        link.push_str(part);
    }
    URL_SAFE_NO_PAD.encode_string(json.as_bytes(), &mut link);
    link
}

/// The same JSON with everything beyond ASCII, which can only stand in its strings, as `\uXXXX` (RFC 8259 §7).
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            text.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            text.push_str(&format!("\\u{unit:04x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use otp_core::{
        code::Seed,
        id::{Deployment, Slot},
    };
    use serde_json::Value;

    use super::*;
    use crate::mail::plain::has_six_digits;

    fn read(link: &str) -> Value {
        let json = URL_SAFE_NO_PAD.decode(link.strip_prefix("https://otp.example/verify#v1.").unwrap()).unwrap();
        serde_json::from_slice(&json).unwrap()
    }

    fn linked(serial: u64, authorization: &Authorization) -> (String, B256, String) {
        let seed = Seed::from_bytes(&[7; 32]).unwrap();
        let deployment = Deployment { chain_id: 1, verifier: Address::repeat_byte(1) };
        let (purpose, action) = ("login".parse().unwrap(), authorization.action);
        let slot = Slot { deployment, issuer: Address::ZERO, purpose, serial, subject: Address::ZERO, action };
        let code = seed.code(&slot, Uuid::nil());
        let on_chain_id = slot.id(code.hash());
        let linked = Linked { on_chain_id, issuer: Address::ZERO, code: &code, authorization };
        (link("https://otp.example", &linked).to_string(), on_chain_id, code.expose().to_string())
    }

    #[test]
    fn links_carry_their_code_and_show_no_six_digits() {
        for serial in 0..500 {
            let authorization = Authorization::blind(alloy::primitives::keccak256(serial.to_string()));
            let (link, id, code) = linked(serial, &authorization);
            assert!(!has_six_digits(&link));
            let read = read(&link);
            assert_eq!(read["code"], code);
            assert_eq!(read["id"], id.to_string());
            assert_eq!(read["action"], authorization.action.to_string());
        }
    }

    #[test]
    fn a_tokens_link_carries_id_and_token_and_shows_no_six_digits() {
        let seed = Seed::from_bytes(&[7; 32]).unwrap();
        for (page, path) in [(Page::Report, "report"), (Page::Cancel, "cancel")] {
            for number in 0..500 {
                let id = Uuid::from_u128(0x0199_aa00_0000_7000_8000_0000_0000_0000 + number);
                let token = seed.report_token(id);
                let link = token_link("https://otp.example", page, id, &token);
                assert!(!has_six_digits(&link));
                let text = link.strip_prefix(&format!("https://otp.example/{path}#v1.")).unwrap();
                let read: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
                assert_eq!(read, json!({ "id": id, "token": token.expose().as_str() }));
            }
        }
    }

    #[test]
    fn a_typed_action_stands_in_the_link_as_it_was_given_whatever_its_letters() {
        for memo in ["plain", "żółć 482913 ٤٨٢٩١٣", "👩‍🚀\u{10ffff}\"\\\n", "\u{e5cb}\u{fdb7}"] {
            let action = json!({
                "consumer": "0x00000000000000000000000000000000000000aa",
                "primaryType": "Note",
                "types": { "Note": [{ "name": "memo", "type": "string" }] },
                "message": { "memo": memo },
            });
            let typed: otp_core::authorization::TypedAction = serde_json::from_value(action.clone()).unwrap();
            let (link, ..) = linked(0, &Authorization::try_from(typed).unwrap());
            assert!(!has_six_digits(&link), "{memo:?}");
            assert_eq!(read(&link)["action"]["message"], action["message"]);
            assert_eq!(read(&link)["action"]["types"], action["types"]);
            assert_eq!(read(&link)["action"]["primaryType"], action["primaryType"]);
        }
    }
}
