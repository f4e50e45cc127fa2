//! A search from whatever somebody has in hand to the story of a code.
//!
//! Everybody can look for what stands on the chain. What belongs to a person (a wallet, a request, a message) only the
//! operator can look for, in a body, since a query ends up in logs and histories.

use alloy::primitives::{Address, B256};
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use otp_core::{
    clock::rfc3339_s,
    http::{self, Body, Problem},
    store::{CodeKey, EventFilter, EventKind, RequestKey},
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    App,
    series::{Format, file},
    story::{self, Audience, purpose_name},
};
use crate::csv::Csv;

/// The most codes or requests that are listed.
const MOST: u32 = 80;
/// The longest thing to look for.
const LONGEST: usize = 320;
/// Serials are below 2^40.
const SERIALS: u64 = 1 << 40;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchQuery {
    q: String,
    issuer: Option<String>,
    #[serde(default)]
    format: Format,
}

/// What somebody looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    /// An id, a root or a transaction: all are 32 bytes.
    Hash(B256),
    Serial(u64),
    Request(Uuid),
    Wallet(Address),
    Message(String),
}

impl Wanted {
    /// `None` for what is none of these.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > LONGEST {
            return None;
        }
        if text.starts_with("0x") {
            return match text.len() {
                66 => text.parse().ok().map(Self::Hash),
                42 => text.parse().ok().map(Self::Wallet),
                _ => None,
            };
        }
        if !text.is_empty() && text.len() <= 13 && text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().ok().filter(|serial| *serial < SERIALS).map(Self::Serial);
        }
        if text.len() == 36 {
            return text.parse().ok().map(Self::Request);
        }
        let (digest, domain) = text.split_once('@')?;
        let is_message = digest.len() == 32 && digest.bytes().all(|b| b.is_ascii_hexdigit()) && !domain.is_empty();
        is_message.then(|| Self::Message(text.to_owned()))
    }

    const fn word(&self) -> &'static str {
        match self {
            Self::Hash(_) => "hash",
            Self::Serial(_) => "serial",
            Self::Request(_) => "request",
            Self::Wallet(_) => "wallet",
            Self::Message(_) => "message",
        }
    }

    const fn is_personal(&self) -> bool {
        matches!(self, Self::Request(_) | Self::Wallet(_) | Self::Message(_))
    }
}

/// `GET /v1/search?q=`, for everybody.
pub(super) async fn public(
    State(app): State<App>,
    query: Result<Query<SearchQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let bad = || {
        Problem::bad_request(
            "q is a code's id, a batch's root or a transaction (0x and 64 hex digits) or a serial, issuer the issuer's \
             address, format json or csv; wallets and requests are looked for on the admin port",
        )
    };
    let Query(query) = query.map_err(|_| bad())?;
    let wanted = Wanted::parse(&query.q).filter(|wanted| !wanted.is_personal()).ok_or_else(bad)?;
    let issuer = issuer(query.issuer.as_deref()).ok_or_else(bad)?;
    answer(query.format, &search(&app, &wanted, issuer, Audience::Public).await?)
}

/// `POST /v1/search` `{q, issuer?, format?}`, for whoever has the admin token.
pub(super) async fn operator(State(app): State<App>, Body(query): Body<SearchQuery>) -> Result<Response, Problem> {
    let bad = || {
        Problem::bad_request(
            "q is a code's id, a batch's root or a transaction (0x and 64 hex digits), a serial, a request's id, a \
             message's id or a wallet's address, issuer the issuer's address, format json or csv",
        )
    };
    let wanted = Wanted::parse(&query.q).ok_or_else(bad)?;
    let issuer = issuer(query.issuer.as_deref()).ok_or_else(bad)?;
    answer(query.format, &search(&app, &wanted, issuer, Audience::Operator).await?)
}

/// The outer `None`: there is one and it is no address.
#[expect(clippy::option_option, reason = "absent and damaged are two things")]
fn issuer(text: Option<&str>) -> Option<Option<Address>> {
    match text {
        None | Some("") => Some(None),
        Some(text) => text.parse().ok().map(Some),
    }
}

/// What was found: codes, requests that have none, and the story where there is one only.
async fn search(app: &App, wanted: &Wanted, issuer: Option<Address>, audience: Audience) -> Result<Value, Problem> {
    let mut codes = codes(app, wanted).await?;
    let mut requests = Vec::new();
    if audience == Audience::Operator {
        for key in requests_of(app, wanted).await? {
            let code = app.store.code_of_request(key.request_id).await?;
            requests.push((key, code));
        }
    }
    // One request is its code's story, which tells of the request; several are listed as they are.
    if let [(_, Some(code))] = requests.as_slice()
        && codes.is_empty()
        && let Some(story) = story::of_code(app, *code, audience).await?
    {
        let found =
            json!({ "kind": wanted.word(), "codes": [summary(app, *code).await?], "requests": [], "more": false });
        return Ok(with_story(found, Some(story)));
    }
    codes.retain(|code| issuer.is_none_or(|issuer| code.issuer == issuer));
    let more = codes.len() > MOST as usize || requests.len() > MOST as usize;
    codes.truncate(MOST as usize);
    requests.truncate(MOST as usize);
    let story = match (codes.as_slice(), requests.len()) {
        ([code], _) => story::of_code(app, *code, audience).await?,
        _ => None,
    };
    let mut listed = Vec::new();
    for code in &codes {
        listed.push(summary(app, *code).await?);
    }
    let mut shown = Vec::new();
    if codes.is_empty() {
        for (key, _) in &requests {
            shown.extend(story::of_request(app, *key).await?);
        }
    }
    Ok(with_story(json!({ "kind": wanted.word(), "codes": listed, "requests": shown, "more": more }), story))
}

fn with_story(mut found: Value, story: Option<Value>) -> Value {
    found["story"] = story.unwrap_or_default();
    found
}

async fn codes(app: &App, wanted: &Wanted) -> Result<Vec<CodeKey>, Problem> {
    let most = MOST + 1;
    Ok(match wanted {
        Wanted::Hash(hash) => {
            let mut found = app.store.codes_with_id(*hash, most).await?;
            if found.is_empty() {
                found = app.store.codes_of_transaction(*hash, most).await?;
            }
            if found.is_empty() {
                found = app.store.codes_of_root(*hash, most).await?;
            }
            found
        }
        Wanted::Serial(serial) => app.store.codes_with_serial(*serial, most).await?,
        Wanted::Request(_) | Wanted::Wallet(_) | Wanted::Message(_) => Vec::new(),
    })
}

async fn requests_of(app: &App, wanted: &Wanted) -> Result<Vec<RequestKey>, Problem> {
    let most = MOST + 1;
    Ok(match wanted {
        Wanted::Hash(hash) => app.store.requests_of_transaction(*hash, most).await?,
        Wanted::Serial(_) => Vec::new(),
        Wanted::Request(id) => app.store.request_with_id(*id).await?.into_iter().collect(),
        Wanted::Wallet(wallet) => app.store.requests_of_wallet(*wallet, most).await?,
        Wanted::Message(id) => app.store.request_of_message(id).await?.into_iter().collect(),
    })
}

/// A code in a list.
async fn summary(app: &App, code: CodeKey) -> Result<Value, Problem> {
    let filter = EventFilter {
        on_chain_id: Some(code.on_chain_id),
        issuer: Some(code.issuer),
        kind: Some(EventKind::Set),
        ..EventFilter::default()
    };
    let set = app.store.events(&filter, 1).await?.into_iter().next();
    let facts = set.as_ref().map(|set| &set.facts);
    let time = |unix_s: u64| rfc3339_s(i64::try_from(unix_s).unwrap_or(i64::MAX));
    Ok(json!({
        "id": code.on_chain_id,
        "issuer": code.issuer.to_checksum(None),
        "purposeName": facts.and_then(|facts| facts.purpose).map(purpose_name),
        "serial": facts.and_then(|facts| facts.serial),
        "blockNumber": set.as_ref().map(|set| set.place.block_number),
        "time": set.as_ref().map(|set| time(set.place.timestamp)),
    }))
}

fn answer(format: Format, found: &Value) -> Result<Response, Problem> {
    match format {
        Format::Json => Ok(http::answer(StatusCode::OK, found)),
        Format::Csv if found["story"].is_null() => Err(Problem::not_found()),
        Format::Csv => Ok(file("otp-story.csv", table(&found["story"]))),
    }
}

/// A story as a table: one row for each thing that happened or was checked.
fn table(story: &Value) -> Csv {
    let mut csv = Csv::new(["section", "what", "time", "blockNumber", "txHash", "state", "detail"]);
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut row = |section: &str, fields: [&Value; 6]| {
        let fields = fields.map(text);
        csv.row(std::iter::once(section).chain(fields.iter().map(String::as_str)));
    };
    let none = Value::Null;
    if let Some(code) = story["code"].as_object() {
        for (name, value) in code {
            row("code", [&json!(name), &none, &none, &none, &none, value]);
        }
    }
    for event in story["events"].as_array().into_iter().flatten() {
        let state = match (&event["canonical"], &event["final"]) {
            (Value::Bool(false), _) => json!("orphaned"),
            (_, Value::Bool(true)) => json!("final"),
            _ => json!(format!("{} confirmations", event["confirmations"])),
        };
        row("event", [&event["type"], &event["time"], &event["blockNumber"], &event["txHash"], &state, &none]);
    }
    for message in story["deliveries"].as_array().into_iter().flatten() {
        row("delivery", [&message["channel"], &message["sentAt"], &none, &none, &message["state"], &message["to"]]);
    }
    for check in story["checks"].as_array().into_iter().flatten() {
        let what = json!(format!("{} by {}", text(&check["what"]), text(&check["by"])));
        row("check", [&what, &none, &check["blockNumber"], &none, &check["ok"], &check["detail"]]);
    }
    for step in story["request"]["reached"].as_array().into_iter().flatten() {
        row("request", [&step["status"], &step["at"], &none, &none, &none, &none]);
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_is_told_by_its_form() {
        let hash = format!("0x{}", "ab".repeat(32));
        let wallet = "0x00000000000000000000000000000000000000aa";
        let uuid = "01890a5d-ac96-774b-bcce-b302099a8057";
        let message = format!("{}@otp.example", "0f".repeat(16));
        assert!(matches!(Wanted::parse(&hash), Some(Wanted::Hash(_))));
        assert!(matches!(Wanted::parse(&format!(" {hash} ")), Some(Wanted::Hash(_))));
        assert_eq!(Wanted::parse("17"), Some(Wanted::Serial(17)));
        assert!(Wanted::parse(wallet).is_some_and(|wanted| wanted.is_personal()));
        assert!(Wanted::parse(uuid).is_some_and(|wanted| wanted.is_personal()));
        assert!(Wanted::parse(&message).is_some_and(|wanted| wanted.is_personal()));
        let long = "9".repeat(400);
        for bad in
            ["", " ", "-1", "1099511627776", "99999999999999", "0x12", "alice@example.com", "482913abc", "１７", &long]
        {
            assert_eq!(Wanted::parse(bad), None, "{bad:?}");
        }
    }
}
