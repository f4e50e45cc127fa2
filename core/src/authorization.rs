//! What a code authorises: from what the requester wrote to payloadHash and action (protocol.md §2), and to lines that a
//! person can read. Both come from the same struct, so nobody is shown one thing and authorises another.

use std::collections::BTreeMap;

use alloy::{
    dyn_abi::{DynSolValue, Eip712Types, PropertyDef, Resolver, TypedData},
    primitives::{Address, B256, Bytes},
    sol,
    sol_types::SolStruct,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id;

sol! {
    /// The payload of a sign-in, which names the session so that a thief's session gets nothing from it.
    struct SignIn {
        string origin;
        bytes32 session;
    }
}

const MAX_FIELDS: usize = 64;
const MAX_DEPTH: usize = 8;
const MAX_EXPANDED: usize = 256;

/// The action of a request: EIP-712 types and message without a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TypedAction {
    /// The contract that spends the code.
    pub consumer: Address,
    /// The struct's name, e.g. `Withdrawal`.
    pub primary_type: String,
    /// EIP-712 types by name; `EIP712Domain` is not among them.
    pub types: Map<String, Value>,
    /// The struct's values.
    pub message: Map<String, Value>,
}

/// An action as everything downstream needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authorization {
    /// Who spends the code; `None` for a sign-in and for a blind action.
    pub consumer: Option<Address>,
    /// EIP-712 `hashStruct` of the payload; `None` for a blind action.
    pub payload_hash: Option<B256>,
    /// `keccak256(abi.encode(consumer, payloadHash))`.
    pub action: B256,
    /// The payload's name, then a line a field: what message and page show.
    pub title: String,
    /// Names and values, in the order of the type.
    pub fields: Vec<(String, String)>,
    /// The action as the request gave it; `None` where it gave a hash or nothing.
    pub typed: Option<TypedAction>,
    /// `session` of a sign-in's payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<B256>,
}

/// An action is refused; the text says why and is meant for the requester.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadAction(String);

fn bad(why: impl Into<String>) -> BadAction {
    BadAction(why.into())
}

impl Authorization {
    /// A sign-in to `origin` of one session; consumer is the zero address.
    #[must_use]
    pub fn sign_in(origin: &str, session: B256) -> Self {
        let payload_hash = SignIn { origin: origin.to_owned(), session }.eip712_hash_struct();
        Self {
            consumer: None,
            payload_hash: Some(payload_hash),
            action: id::action(Address::ZERO, payload_hash),
            title: "Sign in".to_owned(),
            fields: vec![("to".to_owned(), origin.to_owned())],
            typed: None,
            session: Some(session),
        }
    }

    /// An action of which nothing is known but its hash: nobody can be shown what it authorises.
    #[must_use]
    pub fn blind(action: B256) -> Self {
        Self {
            consumer: None,
            payload_hash: None,
            action,
            title: "An action that cannot be shown".to_owned(),
            fields: vec![("action".to_owned(), action.to_string())],
            typed: None,
            session: None,
        }
    }
}

impl TryFrom<TypedAction> for Authorization {
    type Error = BadAction;

    fn try_from(typed: TypedAction) -> Result<Self, BadAction> {
        if typed.consumer.is_zero() {
            return Err(bad("action.consumer is the zero address: leave action out for a sign-in"));
        }
        check_size(&Value::Object(typed.message.clone()), 0)?;
        let types: Eip712Types = serde_json::from_value(Value::Object(typed.types.clone()))
            .map_err(|e| bad(format!("action.types: {e}")))?;
        if types.contains_key("EIP712Domain") {
            return Err(bad("action.types: EIP712Domain does not belong here, the payload has no domain"));
        }
        let fields =
            types.get(&typed.primary_type).ok_or_else(|| bad("action.primaryType is not among action.types"))?.clone();
        check_names(&types)?;
        expanded_size(&types, &typed.primary_type, MAX_DEPTH, &mut BTreeMap::new())?;
        check_exact(&fields, &typed.message)?;
        let data = TypedData {
            domain: Default::default(),
            resolver: Resolver::from(types),
            primary_type: typed.primary_type.clone(),
            message: Value::Object(typed.message.clone()),
        };
        let payload_hash = data.hash_struct().map_err(|e| bad(format!("action.message: {e}")))?;
        let value = data.coerce().map_err(|e| bad(format!("action.message: {e}")))?;
        Ok(Self {
            consumer: Some(typed.consumer),
            payload_hash: Some(payload_hash),
            action: id::action(typed.consumer, payload_hash),
            title: typed.primary_type.clone(),
            fields: lines(&fields, &value),
            typed: Some(typed),
            session: None,
        })
    }
}

/// Type and field names are shown to people: identifiers only, so that none can carry another message.
fn check_names(types: &Eip712Types) -> Result<(), BadAction> {
    let plain = |name: &str| {
        matches!(name.len(), 1..=64)
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !name.starts_with(|c: char| c.is_ascii_digit())
    };
    let fields: Vec<&PropertyDef> = types.values().flatten().collect();
    if fields.len() > MAX_FIELDS {
        return Err(bad(format!("action.types has more than {MAX_FIELDS} fields")));
    }
    if types.keys().all(|name| plain(name)) && fields.iter().all(|field| plain(field.name())) {
        Ok(())
    } else {
        Err(bad("action.types: names are 1 to 64 letters, digits and underscores"))
    }
}

/// How many values a struct has when every struct in it is written out. Types that name each other twice double with
/// each step, and so would the work of hashing them: bounded before anything is hashed.
fn expanded_size(
    types: &Eip712Types,
    name: &str,
    depth: usize,
    known: &mut BTreeMap<String, usize>,
) -> Result<usize, BadAction> {
    if let Some(size) = known.get(name) {
        return Ok(*size);
    }
    let Some(fields) = types.get(name) else { return Ok(1) };
    if depth == 0 {
        return Err(bad(format!("action.types: structs are nested deeper than {MAX_DEPTH}, or hold themselves")));
    }
    let mut size = 1usize;
    for field in fields {
        let base = field.type_name().split('[').next().unwrap_or_default();
        size = size.saturating_add(expanded_size(types, base, depth - 1, known)?);
    }
    if size > MAX_EXPANDED {
        return Err(bad(format!("action.types: written out, {name} has more than {MAX_EXPANDED} values")));
    }
    known.insert(name.to_owned(), size);
    Ok(size)
}

/// A field that is not in the type would be shown nowhere and hashed nowhere: refused, so that nobody relies on it.
fn check_exact(fields: &[PropertyDef], message: &Map<String, Value>) -> Result<(), BadAction> {
    for field in fields {
        if !message.contains_key(field.name()) {
            return Err(bad(format!("action.message.{} is missing", field.name())));
        }
    }
    if message.len() == fields.len() { Ok(()) } else { Err(bad("action.message has fields that its type lacks")) }
}

fn check_size(value: &Value, depth: usize) -> Result<(), BadAction> {
    if depth > MAX_DEPTH {
        return Err(bad(format!("action.message is nested deeper than {MAX_DEPTH}")));
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| check_size(item, depth + 1)),
        Value::Object(items) => items.values().try_for_each(|item| check_size(item, depth + 1)),
        _ => Ok(()),
    }
}

fn lines(fields: &[PropertyDef], value: &DynSolValue) -> Vec<(String, String)> {
    let DynSolValue::CustomStruct { tuple, .. } = value else { return Vec::new() };
    fields.iter().map(PropertyDef::name).zip(tuple).map(|(name, value)| (name.to_owned(), text(value))).collect()
}

/// A value as a person reads it. Integers are in the unit of the contract (no decimals are guessed).
fn text(value: &DynSolValue) -> String {
    match value {
        DynSolValue::Address(address) => address.to_checksum(None),
        DynSolValue::Bool(flag) => flag.to_string(),
        DynSolValue::Uint(number, _) => number.to_string(),
        DynSolValue::Int(number, _) => number.to_string(),
        DynSolValue::String(text) => text.clone(),
        DynSolValue::Bytes(bytes) => Bytes::copy_from_slice(bytes).to_string(),
        DynSolValue::FixedBytes(word, size) => Bytes::copy_from_slice(&word[..*size]).to_string(),
        DynSolValue::Array(items) | DynSolValue::FixedArray(items) | DynSolValue::Tuple(items) => {
            format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(", "))
        }
        DynSolValue::CustomStruct { prop_names, tuple, .. } => {
            let inner = prop_names.iter().zip(tuple).map(|(name, value)| format!("{name}: {}", text(value)));
            format!("{{{}}}", inner.collect::<Vec<_>>().join(", "))
        }
        DynSolValue::Function(_) => "function".to_owned(),
    }
}
