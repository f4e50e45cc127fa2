//! docs/METRICS.md and docs/LOGGING.md say what the code does.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use otp_core::metrics::{ALL, Metric};

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(checkout().join(path)).unwrap()
}

/// All that the daemons are made of, without their tests.
fn sources() -> Vec<(PathBuf, String)> {
    let mut folders = ["core/src", "relayer/src", "indexer/src"].map(|folder| checkout().join(folder)).to_vec();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned()));
            }
        }
    }
    found
}

/// A table's rows below its heading, as cells.
fn rows(document: &str, heading: &str) -> Vec<Vec<String>> {
    let table = document.split_once(heading).unwrap_or_else(|| panic!("no table {heading}")).1;
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn row(metric: &Metric) -> String {
    let labels = metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
    let kind = format!("{:?}", metric.kind).to_lowercase();
    format!("| `{}` | {kind} | {labels} | {} |\n", metric.name, metric.help)
}

#[test]
fn metrics_md_lists_every_metric() {
    let wanted: String = ALL.iter().map(row).collect();
    let heading = "| metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n";
    assert!(
        read("docs/METRICS.md").contains(&format!("{heading}{wanted}")),
        "docs/METRICS.md lacks\n{heading}{wanted}"
    );
}

#[test]
fn every_metric_is_measured_somewhere() {
    let declared = checkout().join("core/src/metrics.rs");
    let constants: BTreeMap<String, &str> = read("core/src/metrics.rs")
        .lines()
        .filter_map(|line| {
            line.trim().split_once(": ")?.0.chars().all(|c| c.is_ascii_uppercase() || c == '_').then(|| {
                let (constant, rest) = line.trim().split_once(": ").unwrap();
                let name = rest.split('"').nth(1)?;
                Some((constant.to_owned(), ALL.iter().find(|metric| metric.name == name)?.name))
            })?
        })
        .collect();
    assert_eq!(constants.len(), ALL.len());
    let used: String = sources().into_iter().filter(|(path, _)| *path != declared).map(|(_, text)| text).collect();
    let words: BTreeSet<&str> = used.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let idle: Vec<_> = constants.iter().filter(|(constant, _)| !words.contains(constant.as_str())).collect();
    assert!(idle.is_empty(), "declared and never measured: {idle:?}");
}

/// The fields of each security event in the code; its name must be written out there.
fn security_events() -> BTreeMap<String, BTreeSet<String>> {
    let mut events: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in sources() {
        for call in text.split("target: \"security\"").skip(1) {
            let inside = arguments(call);
            let name = inside.iter().find_map(|argument| argument.strip_prefix("event = \"")?.strip_suffix('"'));
            let name =
                name.unwrap_or_else(|| panic!("{}: a security event without its name: {inside:?}", path.display()));
            let fields = inside.iter().filter(|argument| !argument.starts_with(['"', ' ']) && !argument.is_empty());
            let fields =
                fields.map(|field| field.split(" = ").next().unwrap().trim_start_matches(['%', '?']).to_owned());
            events.entry(name.to_owned()).or_default().extend(fields.filter(|field| field != "event"));
        }
    }
    events
}

/// What stands between here and the macro's closing parenthesis, cut at its commas.
fn arguments(call: &str) -> Vec<String> {
    let (mut depth, mut quoted, mut escaped, mut parts) = (0, false, false, vec![String::new()]);
    for c in call.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted && depth == 0 => break,
            ')' | ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(c);
    }
    parts.iter().map(|part| part.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn logging_md_lists_every_security_event_with_its_fields() {
    let written = rows(&read("docs/LOGGING.md"), "| event | fields | what happened |\n");
    let written: BTreeMap<String, BTreeSet<String>> = written
        .into_iter()
        .map(|row| {
            let names =
                |cell: &str| -> BTreeSet<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
            (row[0].trim_matches('`').to_owned(), names(&row[1]))
        })
        .collect();
    assert_eq!(written, security_events(), "left: docs/LOGGING.md, right: the code");
}
