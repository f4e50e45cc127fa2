//! Answers as people read them.

use otp_core::cli::table::{plain, rows};
use serde_json::Value;

/// `relayer status`
pub(super) fn status(answer: &Value) -> String {
    let (readiness, status) = (&answer["readiness"], &answer["status"]);
    let mut table = vec![("ready".to_owned(), if answer["ready"] == true { "yes" } else { "no" }.to_owned())];
    let dependencies = readiness["dependencies"].as_object();
    for (name, dependency) in dependencies.into_iter().flatten() {
        let details: Vec<_> = dependency
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| *key != "state")
            .map(|(key, value)| format!("{key} {}", plain(value)))
            .collect();
        let state = plain(&dependency["state"]);
        let value = if details.is_empty() { state } else { format!("{state} ({})", details.join(", ")) };
        table.push((name.clone(), value));
    }
    for (name, warning) in readiness["warnings"].as_object().into_iter().flatten() {
        table.push((format!("warning: {name}"), plain(warning)));
    }
    let signer = &status["signer"];
    table.push(("issuer".to_owned(), plain(&signer["address"])));
    table.push(("balance".to_owned(), format!("{} wei", plain(&signer["balanceWei"]))));
    for (state, count) in status["counts"].as_object().into_iter().flatten() {
        table.push((state.clone(), plain(count)));
    }
    table.push(("issuance".to_owned(), issuance(&status["issuance"])));
    table.push(("blocked".to_owned(), plain(&status["blocked"])));
    table.push(("limits divided by".to_owned(), plain(&status["limitsDividedBy"])));
    table.push(("indexer lag".to_owned(), format!("{} blocks", plain(&status["indexer"]["lag"]))));
    table.push(("data keys".to_owned(), resealed(&status["dataKeys"])));
    rows(&table)
}

/// `relayer issuance`
pub(super) fn issuance(answer: &Value) -> String {
    let off: Vec<_> = answer["off"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|off| {
            let what = format!("{} {}", plain(&off["scope"]), plain(&off["name"]));
            let reason = plain(&off["reason"]);
            let because = if reason.is_empty() { reason } else { format!(": {reason}") };
            format!("{} off since {}{because}", what.trim(), plain(&off["since"]))
        })
        .collect();
    if off.is_empty() { "on".to_owned() } else { off.join("; ") }
}

/// `relayer blocked`
pub(super) fn blocked(answer: &Value) -> String {
    let all: Vec<_> = answer["blocked"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| {
            let name = format!("{} {}", plain(&row["kind"]), plain(&row["address"]));
            (name, format!("{} {}", plain(&row["since"]), plain(&row["reason"])))
        })
        .collect();
    if all.is_empty() { "nobody".to_owned() } else { rows(&all) }
}

/// How far the data keys are.
pub(super) fn resealed(answer: &Value) -> String {
    let columns: Vec<_> = answer["columns"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|column| {
            let done = if column["finished"] == true { "" } else { "…" };
            let unopened = match column["unopened"].as_i64() {
                None | Some(0) => String::new(),
                Some(unopened) => format!(" ({unopened} do not open)"),
            };
            format!("{} {}{done}{unopened}", plain(&column["place"]), column["resealed"])
        })
        .collect();
    let versions = answer["versions"].as_array().map_or(0, Vec::len);
    format!("version {} of {versions}, sealed anew: {}", answer["version"], columns.join(", "))
}
