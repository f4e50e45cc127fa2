//! `indexer status`: how a running indexer is.

use otp_core::cli::{
    Admin,
    table::{plain, rows},
};
use serde_json::{Value, json};
use url::Url;

use super::Target;
use crate::config::Config;

pub(super) async fn run(target: &Target, admin_url: Option<&Url>) -> anyhow::Result<(Value, String)> {
    let listening = Config::listening(target.config.as_deref())?;
    let admin = Admin::open("indexer", &listening, admin_url)?;
    let (readiness, status) = (admin.readiness().await?, admin.get("/v1/status").await?);
    // "degraded" serves; a refusal of another kind has the HTTP status in this place.
    let ready = readiness["status"].as_str().is_some_and(|status| status != "not ready");
    let answer = json!({ "ready": ready, "readiness": readiness, "status": status });
    let text = table(&answer);
    Ok((answer, text))
}

fn table(answer: &Value) -> String {
    let mut table = vec![("ready".to_owned(), if answer["ready"] == true { "yes" } else { "no" }.to_owned())];
    for (name, part) in answer["readiness"].as_object().into_iter().flatten() {
        let Some(part) = part.as_object() else { continue };
        let state = if part.get("ok") == Some(&Value::Bool(true)) { "ok" } else { "not ok" };
        let details = part.iter().filter(|(key, _)| *key != "ok").collect();
        table.push((name.clone(), with_details(state, details)));
    }
    for (name, value) in answer["status"].as_object().into_iter().flatten() {
        let told = match value.as_object() {
            Some(parts) => {
                parts.iter().map(|(key, value)| format!("{key} {}", plain(value))).collect::<Vec<_>>().join(", ")
            }
            None => plain(value),
        };
        table.push((name.clone(), told));
    }
    rows(&table)
}

fn with_details(state: &str, details: Vec<(&String, &Value)>) -> String {
    let details: Vec<_> = details.into_iter().map(|(key, value)| format!("{key} {}", plain(value))).collect();
    if details.is_empty() { state.to_owned() } else { format!("{state} ({})", details.join(", ")) }
}
