//! In what the database differs from the chain, each with its place.

use otp_core::store::{Block, Comparison, Stored, Stretch};
use serde_json::{Map, Value, json};

use super::export;
use crate::api;

/// One event or block that is not as the chain has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Difference {
    /// `missing`, `surplus` or `differing`
    how: &'static str,
    /// As it is stored.
    stored: Option<Value>,
    /// As the chain has it.
    chain: Option<Value>,
}

/// Everything in which `stored` differs from the chain in a stretch.
pub(super) fn find(stored: &Stored, stretch: &Stretch<'_>) -> Vec<Difference> {
    let wanted = stored.wanted(stretch);
    let mut found = list(&Comparison::of(&stored.blocks, &wanted, |block: &Block| block.hash), export::show);
    found.extend(list(&stored.events(stretch), api::show));
    found
}

/// Rows where the chain has nothing of ours.
pub(super) fn surplus(stored: &Stored) -> Vec<Difference> {
    let blocks = stored.blocks.iter().map(export::show);
    let rows = blocks.chain(stored.events.iter().map(api::show));
    rows.map(|row| Difference { how: "surplus", stored: Some(row), chain: None }).collect()
}

fn list<T>(found: &Comparison<'_, T>, show: fn(&T) -> Value) -> Vec<Difference> {
    let missing = found.missing.iter().map(|chain| ("missing", None, Some(show(chain))));
    let surplus = found.surplus.iter().map(|stored| ("surplus", Some(show(stored)), None));
    let differing = found.differing.iter().map(|(stored, chain)| ("differing", Some(show(stored)), Some(show(chain))));
    let all = missing.chain(surplus).chain(differing);
    all.map(|(how, stored, chain)| Difference { how, stored, chain }).collect()
}

impl Difference {
    /// As it is answered.
    pub(super) fn show(&self) -> Value {
        let place = self.chain.as_ref().or(self.stored.as_ref()).unwrap_or(&Value::Null);
        let mut shown = json!({
            "difference": self.how,
            "type": place["type"],
            "blockNumber": place["blockNumber"],
            "blockHash": place["blockHash"],
            "stored": self.stored,
            "chain": self.chain,
        });
        if let (Some(shown), Some(index)) = (shown.as_object_mut(), place.get("logIndex")) {
            shown.insert("logIndex".to_owned(), index.clone());
        }
        shown
    }

    /// In one line.
    pub(super) fn say(&self) -> String {
        let shown = self.show();
        let text = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
        let (what, number, hash) = (text("type"), &shown["blockNumber"], text("blockHash"));
        let log = shown.get("logIndex").map_or_else(String::new, |index| format!("log {index} of "));
        format!("{} {what}: {log}block {number} ({hash}){}", self.how, self.members())
    }

    /// Which members differ, and how.
    fn members(&self) -> String {
        let members = |side: &Option<Value>| side.as_ref().and_then(Value::as_object).cloned();
        let (Some(stored), Some(chain)) = (members(&self.stored), members(&self.chain)) else { return String::new() };
        let mut names: Vec<&String> = stored.keys().chain(chain.keys()).collect();
        names.sort();
        names.dedup();
        let value = |side: &Map<String, Value>, name: &str| {
            side.get(name).map_or_else(|| "nothing".to_owned(), Value::to_string)
        };
        let told = names.into_iter().filter(|name| stored.get(*name) != chain.get(*name)).map(|name| {
            format!("; {name} is stored as {}, on the chain it is {}", value(&stored, name), value(&chain, name))
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_its_place_and_what_differs() {
        let stored = json!({ "type": "otp-set", "blockNumber": 7, "blockHash": "0x01", "logIndex": 2, "serial": 5 });
        let mut chain = stored.clone();
        chain["serial"] = json!(6);
        let differing = Difference { how: "differing", stored: Some(stored.clone()), chain: Some(chain) };
        assert_eq!(
            differing.say(),
            "differing otp-set: log 2 of block 7 (0x01); serial is stored as 5, on the chain it is 6"
        );
        let surplus = Difference { how: "surplus", stored: Some(stored), chain: None };
        assert_eq!(surplus.say(), "surplus otp-set: log 2 of block 7 (0x01)");
        assert_eq!(surplus.show()["logIndex"], 2);
    }
}
