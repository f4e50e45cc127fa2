//! The public test vectors of EIP-4361 (relayer/tests/vectors/siwe, see the README there), read by what reads a sign-in.

use std::{collections::BTreeMap, fs};

use alloy::primitives::Address;
use serde::Deserialize;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Expected, Refused, grammar, signature};

fn read<T: for<'de> Deserialize<'de>>(name: &str) -> BTreeMap<String, T> {
    let path = format!("{}/tests/vectors/siwe/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let vectors: BTreeMap<String, T> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert!(!vectors.is_empty());
    vectors
}

#[derive(Deserialize)]
struct Read {
    message: String,
    fields: Fields,
}

/// A message's fields; in the verification vectors with how it was signed and is to be checked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fields {
    scheme: Option<String>,
    domain: String,
    address: String,
    statement: Option<String>,
    uri: String,
    version: String,
    chain_id: u64,
    nonce: String,
    issued_at: String,
    expiration_time: Option<String>,
    not_before: Option<String>,
    request_id: Option<String>,
    resources: Option<Vec<String>>,
    signature: Option<String>,
    time: Option<String>,
    domain_binding: Option<String>,
    match_nonce: Option<String>,
}

impl Fields {
    fn text(&self) -> String {
        let scheme = self.scheme.as_ref().map(|scheme| format!("{scheme}://")).unwrap_or_default();
        let statement = self.statement.as_ref().map(|statement| format!("{statement}\n")).unwrap_or_default();
        let mut text = format!(
            "{scheme}{} wants you to sign in with your Ethereum account:\n{}\n\n{statement}\nURI: {}\nVersion: {}\n\
             Chain ID: {}\nNonce: {}\nIssued At: {}",
            self.domain, self.address, self.uri, self.version, self.chain_id, self.nonce, self.issued_at
        );
        let named = [
            ("Expiration Time", &self.expiration_time),
            ("Not Before", &self.not_before),
            ("Request ID", &self.request_id),
        ];
        for (name, value) in named {
            text.extend(value.as_ref().map(|value| format!("\n{name}: {value}")));
        }
        if let Some(resources) = &self.resources {
            text.push_str("\nResources:");
            text.extend(resources.iter().map(|uri| format!("\n- {uri}")));
        }
        text
    }

    fn now(&self) -> OffsetDateTime {
        let stated = self.time.as_ref().map(|time| OffsetDateTime::parse(time, &Rfc3339).unwrap());
        stated.unwrap_or_else(OffsetDateTime::now_utc)
    }

    /// What a sign-in checks of it; that it is years old and that its nonce is none of ours are left out.
    fn verify(&self) -> Result<(), Refused> {
        let text = self.text();
        let message = grammar::parse(&text)?;
        let domain = self.domain_binding.as_ref().unwrap_or(&self.domain);
        let uri = format!("https://{}", self.uri.strip_prefix("https://").unwrap());
        let domains = [crate::config::Domain { authority: domain.clone(), uri, origin: String::new() }];
        let expected = Expected { domains: &domains, chain_id: 1, origin: None, now: self.now() };
        expected.domain(&message)?;
        expected.check_window(&message)?;
        if self.match_nonce.as_ref().is_some_and(|nonce| *nonce != message.nonce) {
            return Err(Refused { check: "nonce", detail: "" });
        }
        let wallet = Address::from(message.address);
        let bytes = signature::parse(self.signature.as_ref().unwrap())?;
        match signature::signer(&bytes, &text) {
            Some(signer) if signer == wallet => Ok(()),
            _ => Err(Refused { check: "signature", detail: "" }),
        }
    }
}

fn message_is(message: &signinwithethereum::Message, fields: &Fields) -> bool {
    let time = |time: &signinwithethereum::TimeStamp| time.to_string();
    message.scheme == fields.scheme
        && message.domain.as_str() == fields.domain
        && Address::from(message.address) == fields.address.parse::<Address>().unwrap()
        && message.statement == fields.statement
        && message.uri.as_str() == fields.uri
        && message.chain_id == fields.chain_id
        && message.nonce == fields.nonce
        && time(&message.issued_at) == fields.issued_at
        && message.expiration_time.as_ref().map(time) == fields.expiration_time
        && message.not_before.as_ref().map(time) == fields.not_before
        && message.request_id == fields.request_id
        && message.resources.iter().map(|uri| uri.as_str()).eq(fields.resources.iter().flatten())
}

#[test]
fn what_is_right_is_read_field_by_field() {
    for file in ["parsing_positive", "parsing_warnings"] {
        for (name, vector) in read::<Read>(file) {
            let message = grammar::parse(&vector.message).unwrap_or_else(|e| panic!("{file}, {name}: {e:?}"));
            assert!(message_is(&message, &vector.fields), "{file}, {name}: {message:?}");
        }
    }
}

/// RFC 3986's dec-octet has no leading zeros; the vectors' authors read it otherwise. No sign-in hangs on it: a message's
/// URI has to be one that is configured.
const AGAINST_RFC_3986: [&str; 2] =
    ["IPv4address leading zeros: uri://[::000.000.010.001]", "IPv4address max value: uri://[::001.099.200.255]"];

#[test]
fn every_uri_and_every_choice_of_fields_that_the_grammar_allows_is_read() {
    for file in ["valid_uris", "valid_resources", "valid_specification"] {
        for (name, vector) in read::<Value>(file) {
            let message = grammar::parse(vector["msg"].as_str().unwrap());
            if AGAINST_RFC_3986.contains(&name.as_str()) {
                assert!(message.is_err(), "{name}");
                continue;
            }
            let message = message.unwrap_or_else(|e| panic!("{file}, {name}: {e:?}"));
            let resources = message.resources.iter().map(|uri| uri.as_str());
            let listed = vector["resources"].as_array().or(vector["items"]["resources"].as_array());
            assert!(resources.eq(listed.into_iter().flatten().map(|uri| uri.as_str().unwrap())), "{file}, {name}");
            if let Some(items) = vector["items"].as_object() {
                assert_eq!(message.statement.as_deref(), items["statement"].as_str(), "{name}");
                assert_eq!(message.request_id.as_deref(), items["requestId"].as_str(), "{name}");
            }
        }
    }
}

#[test]
fn what_is_wrong_is_refused() {
    for file in ["parsing_negative", "invalid_uris", "invalid_resources", "own_negative"] {
        for (name, text) in read::<String>(file) {
            assert!(grammar::parse(&text).is_err(), "{file}, {name}");
        }
    }
}

#[test]
fn signed_messages_are_verified_at_their_time() {
    for (name, vector) in read::<Fields>("verification_positive") {
        assert_eq!(vector.verify(), Ok(()), "{name}");
    }
}

#[test]
fn messages_that_must_not_be_verified_are_refused_for_their_reason() {
    let vectors = read::<Fields>("verification_negative");
    let reasons: Vec<(&str, &str)> = vectors.iter().map(|(n, v)| (n.as_str(), v.verify().unwrap_err().check)).collect();
    let expected = [
        ("custom nonce", "nonce"),
        ("custom time", "expiration-time"),
        ("domain binding", "domain"),
        ("expired message", "expiration-time"),
        ("invalid expirationTime", "format"),
        ("invalid issuedAt", "format"),
        ("invalid notBefore", "format"),
        ("malformed signature", "signature"),
        ("not yet valid", "not-before"),
        ("wrong signature", "signature"),
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn the_vectors_are_what_they_were_taken_for() {
    let count = |name: &str| read::<Value>(name).len();
    assert_eq!((count("parsing_positive"), count("parsing_negative")), (20, 37));
    assert_eq!((count("verification_positive"), count("verification_negative")), (4, 10));
}
