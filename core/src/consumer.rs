//! What the page must know of a contract that spends codes: the form of what it authorises, in words, and the function
//! that the wallet calls. A JSON file for each, named by `page.actions`; both daemons tell them by `GET /v1/config`.
//!
//! The page computes payload hash and action from `types` itself, so a file that is wrong gives codes that the contract
//! refuses, never one that authorises what was not shown.

use std::{collections::BTreeMap, fs, path::Path};

use alloy::{
    dyn_abi::Eip712Types,
    json_abi::{Function, JsonAbi},
    primitives::Address,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{config::Reader, id::Purpose};

/// A file's size at the most, in bytes; all of them are in one answer.
const MAX_FILE: usize = 16 * 1024;
const MAX_FILES: usize = 16;
const MAX_TEXT: usize = 120;
/// What a function may take beside the fields of the struct: name and type.
const OF_THE_CODE: [(&str, &str); 3] = [("ticket", "tuple"), ("codeHash", "bytes32"), ("code", "string")];

/// One thing that a contract does against a code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConsumerAction {
    /// The contract, as people call it.
    pub name: String,
    /// What is done, as people say it.
    pub title: String,
    /// The contract's address.
    pub consumer: Address,
    /// The purpose that it demands.
    pub purpose: String,
    /// The EIP-712 struct's name.
    pub primary_type: String,
    /// EIP-712 types by name. The struct's fields are plain values: no structs, no arrays.
    pub types: Map<String, Value>,
    /// How each field is called and shown, in the struct's order.
    pub fields: Vec<Field>,
    /// The view function with which the contract counts an account's actions, where the struct has a field `nonce`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// How much of a field there can be at the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// The function that does it: its inputs are named as the struct's fields, `ticket`, and `codeHash` after `verify` or
    /// `code` where it verifies itself.
    pub function: String,
    /// The functions that are named here, and the contract's errors.
    pub abi: Vec<Value>,
    /// What people are told of an error, by its name.
    #[serde(default)]
    pub sentences: BTreeMap<String, String>,
}

/// A field of the struct.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Field {
    /// Its name in the struct.
    pub name: String,
    /// Its name for people.
    pub label: String,
    /// How it is typed and shown.
    #[serde(default)]
    pub format: Format,
    /// Of an amount: the decimals of one unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u8>,
    /// Of an amount: the unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
}

/// How a value is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// As it is.
    #[default]
    Raw,
    /// An integer in units of `decimals` decimals.
    Amount,
}

/// A view function of the account (`balanceOf`) that says how much of a field there can be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The field.
    pub field: String,
    /// The function: an address in, an integer out.
    pub function: String,
}

/// Reads the files of `page.actions`; each fault is the reader's.
pub fn read(reader: &mut Reader) -> Option<Vec<ConsumerAction>> {
    let files: Vec<String> = reader.list("page.actions", Some(""))?;
    if files.len() > MAX_FILES {
        reader.fault(format!("page.actions: at most {MAX_FILES} files"));
        return None;
    }
    let mut actions = Vec::with_capacity(files.len());
    for file in &files {
        match ConsumerAction::load(Path::new(file)) {
            Ok(action) => actions.push(action),
            Err(why) => reader.fault(format!("page.actions: {file}: {why}")),
        }
    }
    (actions.len() == files.len()).then_some(actions)
}

impl ConsumerAction {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load(path: &Path) -> Result<Self, String> {
        let text = fs::read(path).map_err(|e| e.to_string())?;
        if text.len() > MAX_FILE {
            return Err(format!("larger than {MAX_FILE} bytes"));
        }
        let action: Self = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
        action.check()?;
        Ok(action)
    }

    fn check(&self) -> Result<(), String> {
        if self.consumer.is_zero() {
            return Err("consumer: the contract's address is expected".to_owned());
        }
        self.purpose.parse::<Purpose>().map_err(|e| format!("purpose: {e}"))?;
        let mut texts = [&self.name, &self.title].into_iter().chain(self.sentences.values());
        if texts.any(|text| text.is_empty() || text.len() > MAX_TEXT) {
            return Err(format!("name, title and sentences are 1 to {MAX_TEXT} bytes"));
        }
        let abi: JsonAbi = serde_json::from_value(Value::Array(self.abi.clone())).map_err(|e| format!("abi: {e}"))?;
        let fields = self.check_fields()?;
        self.check_function(only(&abi, &self.function)?, &fields)?;
        self.check_views(&abi, &fields)?;
        match self.sentences.keys().find(|name| !abi.errors.contains_key(*name)) {
            Some(unknown) => Err(format!("sentences: {unknown} is no error of abi")),
            None => Ok(()),
        }
    }

    /// The struct's fields with their types, which the fields for people name all.
    fn check_fields(&self) -> Result<BTreeMap<String, String>, String> {
        let types: Eip712Types =
            serde_json::from_value(Value::Object(self.types.clone())).map_err(|e| format!("types: {e}"))?;
        let [(name, properties)] = &types.iter().collect::<Vec<_>>()[..] else {
            return Err("types: one struct is expected".to_owned());
        };
        if **name != self.primary_type {
            return Err("primaryType is not among types".to_owned());
        }
        let shown: Vec<&str> = self.fields.iter().map(|field| field.name.as_str()).collect();
        let typed: Vec<&str> = properties.iter().map(|property| property.name()).collect();
        if shown != typed {
            return Err(format!("fields: exactly {} are expected, in this order", typed.join(", ")));
        }
        for (field, property) in self.fields.iter().zip(properties.iter()) {
            check_field(field, property.type_name())?;
        }
        Ok(properties.iter().map(|p| (p.name().to_owned(), p.type_name().to_owned())).collect())
    }

    fn check_function(&self, function: &Function, fields: &BTreeMap<String, String>) -> Result<(), String> {
        for input in &function.inputs {
            let of_struct = fields.get(&input.name).is_some_and(|kind| *kind == input.ty);
            if !of_struct && !OF_THE_CODE.contains(&(input.name.as_str(), input.ty.as_str())) {
                return Err(format!(
                    "abi: {}: {} {} is neither a field of {} nor `ticket`, `codeHash` or `code`",
                    self.function, input.ty, input.name, self.primary_type
                ));
            }
        }
        let takes = |name: &str| function.inputs.iter().any(|input| input.name == name);
        if takes("ticket") && takes("codeHash") != takes("code") {
            return Ok(());
        }
        Err(format!("abi: {} takes a `ticket`, and a `codeHash` or a `code`", self.function))
    }

    fn check_views(&self, abi: &JsonAbi, fields: &BTreeMap<String, String>) -> Result<(), String> {
        if fields.contains_key("nonce") != self.nonce.is_some() {
            return Err("nonce: set where, and only where, the struct has a field `nonce`".to_owned());
        }
        let limit = self.limit.as_ref();
        if limit.is_some_and(|limit| fields.get(&limit.field).is_none_or(|kind| !kind.starts_with("uint"))) {
            return Err("limit: field names none of the struct's unsigned integers".to_owned());
        }
        for name in self.nonce.iter().chain(limit.map(|limit| &limit.function)) {
            let view = only(abi, name)?;
            let takes_account = matches!(&view.inputs[..], [account] if account.ty == "address");
            if !takes_account || !matches!(&view.outputs[..], [number] if number.ty.starts_with("uint")) {
                return Err(format!("abi: {name}: an address in and an integer out are expected"));
            }
        }
        Ok(())
    }
}

fn check_field(field: &Field, kind: &str) -> Result<(), String> {
    let name = &field.name;
    let plain = ["address", "bool", "string", "bytes"].contains(&kind)
        || ["uint", "int", "bytes"].iter().any(|base| kind.strip_prefix(base).is_some_and(is_number));
    if !plain {
        return Err(format!("types: {name}: a plain value is expected, not {kind}"));
    }
    let is_amount = field.format == Format::Amount;
    let has_unit = field.decimals.is_some_and(|decimals| decimals <= 77)
        && field.symbol.as_ref().is_some_and(|symbol| matches!(symbol.len(), 1..=16));
    if is_amount && !(has_unit && kind.starts_with("uint")) {
        return Err(format!("fields: {name}: an amount is an unsigned integer with decimals and symbol"));
    }
    if matches!(field.label.len(), 1..=MAX_TEXT) {
        return Ok(());
    }
    Err(format!("fields: {name}: label is 1 to {MAX_TEXT} bytes"))
}

fn is_number(text: &str) -> bool {
    matches!(text.len(), 1..=3) && text.bytes().all(|b| b.is_ascii_digit())
}

/// The function of a name, which has to be the only one.
fn only<'a>(abi: &'a JsonAbi, name: &str) -> Result<&'a Function, String> {
    match abi.function(name).map(Vec::as_slice) {
        Some([function]) => Ok(function),
        _ => Err(format!("abi: one function {name} is expected")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const VAULT: &str = include_str!("../../src-sol/examples/GatedVault.action.json");

    fn vault() -> Value {
        let mut vault: Value = serde_json::from_str(VAULT).unwrap();
        vault["consumer"] = json!("0x00000000000000000000000000000000000000aa");
        vault
    }

    fn check(value: Value) -> Result<(), String> {
        serde_json::from_value::<ConsumerAction>(value).map_err(|e| e.to_string())?.check()
    }

    #[test]
    fn the_example_vaults_file_is_whole_but_for_the_address() {
        assert_eq!(check(vault()), Ok(()));
        assert!(check(serde_json::from_str(VAULT).unwrap()).unwrap_err().contains("consumer"));
    }

    #[test]
    fn the_example_vaults_abi_is_the_contracts() {
        let whole: Vec<Value> = serde_json::from_str(include_str!("../abi/GatedVault.json")).unwrap();
        for entry in vault()["abi"].as_array().unwrap() {
            assert!(whole.contains(entry), "{entry}");
        }
    }

    #[test]
    fn what_does_not_fit_together_is_told() {
        let wrong: [(&str, Value, &str); 10] = [
            ("/consumer", json!("0x0000000000000000000000000000000000000000"), "consumer"),
            ("/purpose", json!("With Draw"), "purpose"),
            ("/title", json!("x".repeat(200)), "title"),
            ("/primaryType", json!("Payment"), "primaryType"),
            ("/fields/0/name", json!("recipient"), "fields"),
            ("/fields/0", json!({ "name": "to", "label": "Recipient", "format": "amount" }), "amount"),
            ("/types/Withdrawal/0/type", json!("address[]"), "plain value"),
            ("/function", json!("deposit"), "deposit"),
            ("/nonce", Value::Null, "nonce"),
            ("/limit/field", json!("to"), "limit"),
        ];
        for (place, value, told) in wrong {
            let mut vault = vault();
            *vault.pointer_mut(place).unwrap() = value;
            let fault = check(vault).unwrap_err();
            assert!(fault.contains(told), "{place}: {fault}");
        }
        let mut more = vault();
        more["unknown"] = json!(1);
        assert!(check(more).unwrap_err().contains("unknown"));
        let mut more = vault();
        more["sentences"]["Nothing"] = json!("x");
        assert!(check(more).unwrap_err().contains("Nothing"));
    }

    #[test]
    fn a_function_that_takes_what_nobody_was_shown_is_refused() {
        let mut vault = vault();
        let functions = vault["abi"].as_array_mut().unwrap();
        let withdraw = functions.iter_mut().find(|entry| entry["name"] == "withdraw").unwrap();
        withdraw["inputs"].as_array_mut().unwrap().push(json!({ "name": "fee", "type": "uint256" }));
        assert!(check(vault).unwrap_err().contains("fee"));
    }

    #[test]
    fn every_file_that_is_wrong_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let good = folder.path().join("vault.json");
        fs::write(&good, vault().to_string()).unwrap();
        let config = |files: &[&Path]| {
            let files: Vec<_> = files.iter().map(|file| format!("{file:?}")).collect();
            let mut reader = Reader::new(&format!("[page]\nactions = [{}]", files.join(",")), [], "APP");
            let actions = read(&mut reader);
            reader.finish(actions)
        };
        assert_eq!(config(&[&good]).unwrap().len(), 1);
        assert_eq!(config(&[]).unwrap(), Vec::new());
        let faults = config(&[&good, Path::new("/nowhere/a.json"), Path::new("/nowhere/b.json")]).unwrap_err().0;
        assert_eq!(faults.len(), 2, "{faults:?}");
    }
}
