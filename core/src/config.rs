//! Reading configuration: a TOML file, each key also by environment, every fault reported together.
//!
//! A daemon's config type is read by one function that asks a [`Reader`] for each key with its type and default. The
//! reader remembers what it was asked, which is how unknown keys are found and how a test checks `config.example.toml`.
//! The environment variable of `chain.rpc_urls` under the prefix `OTP_RELAYER` is `OTP_RELAYER_CHAIN_RPC_URLS`, and it
//! wins over the file; a list is separated by commas.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    ops::RangeInclusive,
    path::Path,
    str::FromStr,
    time::Duration,
};

use toml::{Table, Value};

/// A key that the code knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    /// Dotted name, e.g. `chain.rpc_urls`.
    pub name: &'static str,
    /// The default as text; `None` where the key must be given.
    pub default: Option<String>,
}

/// Everything that is wrong with a configuration, a line each.
#[derive(Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<String>);

impl Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "configuration: {}", self.0.join("; "))
    }
}

impl std::error::Error for Faults {}

/// Hands out values by key and collects what is wrong.
#[derive(Debug)]
pub struct Reader {
    /// Dotted key → text of the value; lists are joined by commas.
    values: BTreeMap<String, String>,
    prefix: &'static str,
    known: Vec<KnownKey>,
    faults: Vec<String>,
}

impl Reader {
    /// Reads the file at `path` (an empty configuration where it is `None`) and the environment under `prefix`.
    #[must_use]
    pub fn load(path: Option<&Path>, prefix: &'static str) -> Self {
        let text = path.map_or(Ok(String::new()), std::fs::read_to_string);
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with(prefix))?;
            Some((name, value.to_string_lossy().into_owned()))
        });
        match text {
            Ok(text) => Self::new(&text, environment, prefix),
            Err(e) => {
                let mut reader = Self::new("", environment, prefix);
                let path = path.map(|p| p.display().to_string()).unwrap_or_default();
                reader.faults.push(format!("cannot read {path}: {e}"));
                reader
            }
        }
    }

    /// Reads TOML text and environment pairs.
    #[must_use]
    pub fn new(text: &str, environment: impl IntoIterator<Item = (String, String)>, prefix: &'static str) -> Self {
        let mut reader = Self { values: BTreeMap::new(), prefix, known: Vec::new(), faults: Vec::new() };
        match text.parse::<Table>() {
            Ok(table) => reader.flatten("", &table),
            Err(e) => reader.faults.push(format!("not TOML: {}", e.message())),
        }
        for (name, value) in environment {
            reader.values.insert(name, value);
        }
        reader
    }

    fn flatten(&mut self, parent: &str, table: &Table) {
        for (key, value) in table {
            let name = if parent.is_empty() { key.clone() } else { format!("{parent}.{key}") };
            match value {
                Value::Table(inner) => self.flatten(&name, inner),
                Value::Array(items) => match items.iter().map(scalar).collect::<Option<Vec<_>>>() {
                    Some(items) => drop(self.values.insert(name, items.join(","))),
                    None => self.faults.push(format!("{name}: a list of plain values is expected")),
                },
                plain => drop(self.values.insert(name, scalar(plain).unwrap_or_default())),
            }
        }
    }

    /// A key that has no default.
    pub fn required<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<T> {
        self.known.push(KnownKey { name, default: None });
        match self.take(name) {
            Some(text) => self.parse(name, &text),
            None => {
                self.faults.push(format!("{name} is missing: set it in the file or as {}", self.variable(name)));
                None
            }
        }
    }

    /// A key with a default. `default` is given as text, the same as the example file shows it.
    pub fn or<T: FromStr<Err: Display>>(&mut self, name: &'static str, default: &str) -> Option<T> {
        self.known.push(KnownKey { name, default: Some(default.to_owned()) });
        let text = self.take(name).unwrap_or_else(|| default.to_owned());
        self.parse(name, &text)
    }

    /// A key that may be absent, which means something of its own; the outer `None` is a fault.
    pub fn optional<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<Option<T>> {
        self.known.push(KnownKey { name, default: Some(String::new()) });
        match self.take(name).filter(|text| !text.is_empty()) {
            Some(text) => self.parse(name, &text).map(Some),
            None => Some(None),
        }
    }

    /// A list without empty entries; empty by default where `default` is empty.
    pub fn list<T: FromStr<Err: Display>>(&mut self, name: &'static str, default: Option<&str>) -> Option<Vec<T>> {
        let text: String = match default {
            Some(default) => self.or(name, default)?,
            None => self.required(name)?,
        };
        let entries: Vec<&str> = text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
        if entries.is_empty() && default.is_none() {
            self.faults.push(format!("{name} is an empty list"));
            return None;
        }
        let parsed: Vec<T> = entries.iter().filter_map(|entry| self.parse(name, entry)).collect();
        (parsed.len() == entries.len()).then_some(parsed)
    }

    /// A value with a default, within bounds.
    pub fn within<T: FromStr<Err: Display> + PartialOrd + Display>(
        &mut self,
        name: &'static str,
        default: &str,
        bounds: RangeInclusive<T>,
    ) -> Option<T> {
        let value = self.or(name, default);
        self.bounded(name, value, bounds)
    }

    /// What was read for `name`, where it lies within bounds.
    pub fn bounded<T: PartialOrd + Display>(
        &mut self,
        name: &'static str,
        value: Option<T>,
        bounds: RangeInclusive<T>,
    ) -> Option<T> {
        let value = value?;
        if bounds.contains(&value) {
            return Some(value);
        }
        self.fault(format!("{name}: {} to {} is expected", bounds.start(), bounds.end()));
        None
    }

    /// A time in seconds with a default, within bounds.
    pub fn seconds(&mut self, name: &'static str, default: &str, bounds: RangeInclusive<u64>) -> Option<Duration> {
        self.within(name, default, bounds).map(Duration::from_secs)
    }

    /// A time in milliseconds with a default, within bounds.
    pub fn millis(&mut self, name: &'static str, default: &str, bounds: RangeInclusive<u64>) -> Option<Duration> {
        self.within(name, default, bounds).map(Duration::from_millis)
    }

    /// Records that what was read does not fit together.
    pub fn fault(&mut self, text: impl Into<String>) {
        self.faults.push(text.into());
    }

    /// The keys that were asked for so far.
    #[must_use]
    pub fn known(&self) -> &[KnownKey] {
        &self.known
    }

    /// Ends the reading of some keys, whatever the others are.
    ///
    /// # Errors
    /// All faults together.
    pub fn finish_part<T>(self, part: Option<T>) -> Result<T, Faults> {
        part.filter(|_| self.faults.is_empty()).ok_or(Faults(self.faults))
    }

    /// Ends the reading: `config` where nothing was wrong, else every fault, keys that nobody asked for among them.
    ///
    /// # Errors
    /// All faults together.
    pub fn finish<T>(mut self, config: Option<T>) -> Result<T, Faults> {
        for name in self.values.keys() {
            self.faults.push(format!("{name} is no key of this program"));
        }
        match config {
            Some(config) if self.faults.is_empty() => Ok(config),
            _ => Err(Faults(self.faults)),
        }
    }

    fn variable(&self, name: &str) -> String {
        format!("{}_{}", self.prefix, name.replace('.', "_").to_uppercase())
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let from_file = self.values.remove(name);
        let variable = self.variable(name);
        self.values.remove(&variable).or(from_file)
    }

    /// The text itself is not repeated in the fault: it may be a secret.
    fn parse<T: FromStr<Err: Display>>(&mut self, name: &str, text: &str) -> Option<T> {
        text.parse().map_err(|e| self.faults.push(format!("{name}: {e}"))).ok()
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// Checks an example file against the keys that the code knows: each stands in it once, commented out with its default
/// or, where it has none, set. Returns what differs; for tests.
#[must_use]
pub fn differences_from_example(example: &str, known: &[KnownKey]) -> Vec<String> {
    let mut set = Reader::new(example, [], "EXAMPLE").values;
    let uncommented: Vec<&str> = example
        .lines()
        .map(|line| {
            line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase())).unwrap_or(line)
        })
        .collect();
    let mut all = Reader::new(&uncommented.join("\n"), [], "EXAMPLE");
    let mut differences = std::mem::take(&mut all.faults);
    for key in known {
        match (all.values.remove(key.name), &key.default, set.remove(key.name)) {
            (None, ..) => differences.push(format!("{} is not in the example", key.name)),
            (Some(_), None, None) => differences.push(format!("{} has no default and is commented out", key.name)),
            (Some(_), Some(_), Some(_)) => differences.push(format!("{} has a default and is set", key.name)),
            (Some(shown), Some(default), None) if shown != *default && !default.is_empty() => {
                differences.push(format!("{} shows {shown}, the default is {default}", key.name));
            }
            _ => {}
        }
    }
    differences.extend(all.values.keys().map(|name| format!("{name} is not a key of the program")));
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reader: &mut Reader) -> Option<(u64, String)> {
        let id = reader.required("chain.id");
        let level = reader.or("log.level", "info");
        Some((id?, level?))
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let environment = [("APP_CHAIN_ID".to_owned(), "5".to_owned())];
        let mut reader = Reader::new("[chain]\nid = 1", environment, "APP");
        let config = read(&mut reader);
        assert_eq!(reader.finish(config), Ok((5, "info".to_owned())));
    }

    #[test]
    fn all_faults_are_told_together_and_none_repeats_a_value() {
        let environment = [("APP_TYPO".to_owned(), "hunter2".to_owned())];
        let mut reader = Reader::new("[chain]\nid = 'hunter2'\n[strange]\nkey = 1", environment, "APP");
        let config = read(&mut reader);
        let text = reader.finish(config).unwrap_err().to_string();
        for part in ["chain.id:", "APP_TYPO", "strange.key"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_missing_key_names_its_variable() {
        let mut reader = Reader::new("", [], "APP");
        let config = read(&mut reader);
        assert!(reader.finish(config).unwrap_err().to_string().contains("APP_CHAIN_ID"));
    }

    #[test]
    fn an_example_that_drifted_is_told() {
        let mut reader = Reader::new("", [], "APP");
        let _ = read(&mut reader);
        assert_eq!(differences_from_example("[chain]\nid = 1\n[log]\n#level = \"info\"", reader.known()), [""; 0]);
        assert_eq!(
            differences_from_example("[chain]\n#id = 1\n[log]\n#level = \"warn\"\nx = 1", reader.known()).len(),
            3
        );
    }
}
