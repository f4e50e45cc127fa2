//! The whole story of a code: what the chain, the outbox and the evidence log say of it, and whether they agree.

mod check;

use alloy::primitives::{Address, B256};
use otp_core::{
    clock::{rfc3339_ms, rfc3339_s},
    contact,
    http::Problem,
    id::Purpose,
    store::{ChainEvent, CodeFacts, CodeKey, Cursor, EventKind, MessageFacts, RequestKey, StoreError, Story},
    ticket::{prove, status_of},
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{App, PAGE, show};

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// Anybody: nothing about a person.
    Public,
    /// Whoever has the admin token: personal data, masked.
    Operator,
}

/// What is stored of a code, as of one cursor.
struct Facts {
    code: CodeKey,
    /// Its own events and its batch's, in the chain's order.
    events: Vec<ChainEvent>,
    /// The same that reorgs took away.
    orphaned: Vec<ChainEvent>,
    /// All events of its batch.
    batch: Vec<ChainEvent>,
    cursor: Cursor,
    /// The time of the cursor's block.
    now_s: u64,
    last_final: Option<u64>,
}

impl Facts {
    fn set(&self) -> Option<&ChainEvent> {
        self.events.iter().find(|event| event.kind == EventKind::Set)
    }

    fn status(&self) -> &'static str {
        match self.set() {
            Some(set) => status_of(self.events.iter(), self.now_s > set.facts.expiry.unwrap_or_default()),
            None => "not-on-chain",
        }
    }
}

/// A code's story; `None` where nothing is known of it.
pub(super) async fn of_code(app: &App, code: CodeKey, audience: Audience) -> Result<Option<Value>, Problem> {
    let Some(facts) = facts(app, code).await? else { return Ok(None) };
    let mut story = Map::new();
    story.insert("code".to_owned(), shown(app, &facts));
    let mut events = Vec::new();
    for event in &facts.events {
        events.push(shown_event(app, &facts, event, true).await?);
    }
    for event in &facts.orphaned {
        events.push(shown_event(app, &facts, event, false).await?);
    }
    story.insert("events".to_owned(), events.into());
    story.insert("checks".to_owned(), check::all(app, &facts).await?.into());
    // Which channels somebody uses is personal: the chain has the wallet beside the id.
    if audience == Audience::Operator {
        let messages = app.store.messages_of_code(code).await?;
        let messages: Vec<Value> = messages.iter().map(|message| shown_message(app, message)).collect();
        story.insert("deliveries".to_owned(), messages.into());
        if let Some(request) = app.store.request_of_code(code).await? {
            story.insert("request".to_owned(), of_request(app, request).await?.unwrap_or_default());
        }
    }
    Ok(Some(story.into()))
}

async fn facts(app: &App, code: CodeKey) -> Result<Option<Facts>, Problem> {
    let stored = app.store.code_facts(&app.deployment, code, PAGE).await?;
    let Some(CodeFacts { mut events, orphaned, batch, cursor, now_s, final_number }) = stored else {
        return Err(super::series::unread());
    };
    events.extend(batch.iter().filter(|event| event.kind != EventKind::Set).cloned());
    events.sort_by_key(|event| (event.place.block_number, event.place.log_index));
    let is_known = events.iter().chain(&orphaned).any(|event| event.kind == EventKind::Set);
    Ok(is_known.then_some(Facts { code, events, orphaned, batch, cursor, now_s, last_final: final_number }))
}

/// What it is and where it stands.
fn shown(app: &App, facts: &Facts) -> Value {
    let set = facts.set().or_else(|| facts.orphaned.iter().find(|event| event.kind == EventKind::Set));
    let of_set = set.map(|set| set.facts.clone()).unwrap_or_default();
    let time = |unix_s: u64| rfc3339_s(i64::try_from(unix_s).unwrap_or(i64::MAX));
    json!({
        "id": facts.code.on_chain_id,
        "issuer": facts.code.issuer.to_checksum(None),
        "purpose": of_set.purpose,
        "purposeName": of_set.purpose.map(purpose_name),
        "serial": of_set.serial,
        "root": of_set.root,
        "first": of_set.first,
        "size": of_set.size,
        "expiry": of_set.expiry.map(time),
        "proof": facts.set().and_then(|set| prove(set, &facts.batch)),
        "status": facts.status(),
        "chainId": app.deployment.chain_id,
        "verifier": app.deployment.verifier.to_checksum(None),
        "asOf": { "blockNumber": facts.cursor.number, "blockHash": facts.cursor.hash, "time": time(facts.now_s) },
    })
}

/// With what lies on top of it and its entry in the evidence log. A wallet is masked: whole it stands on the chain.
async fn shown_event(app: &App, facts: &Facts, event: &ChainEvent, canonical: bool) -> Result<Value, StoreError> {
    let place = &event.place;
    let mut value = show(event);
    let Some(members) = value.as_object_mut() else { return Ok(value) };
    if let Some(subject) = event.facts.subject {
        members.insert("subject".to_owned(), mask_wallet(subject).into());
    }
    members.insert("canonical".to_owned(), canonical.into());
    if canonical {
        members.insert("confirmations".to_owned(), facts.cursor.number.saturating_sub(place.block_number).into());
        let is_final = facts.last_final.is_some_and(|last| place.block_number <= last);
        members.insert("final".to_owned(), is_final.into());
        let entry = app.store.evidence_of_event(place.block_number, place.log_index).await?;
        let entry = entry.map(|(index, head)| json!({ "index": index, "head": head }));
        members.insert("evidence".to_owned(), entry.unwrap_or_default());
    }
    Ok(value)
}

fn shown_message(app: &App, message: &MessageFacts) -> Value {
    json!({
        "channel": message.channel.as_str(),
        "state": message.state,
        "messageId": message.message_id,
        "attempts": message.attempts,
        "to": masked(app, message.contact_id, message.channel, &message.address_sealed),
        "dueAt": rfc3339_ms(message.created_at_ms),
        "sentAt": message.sent_at_ms.map(rfc3339_ms),
        "reportedAt": message.reported_at_ms.map(rfc3339_ms),
        "reason": message.error,
    })
}

/// A request as the operator sees it; `None` where it was erased meanwhile.
pub(super) async fn of_request(app: &App, key: RequestKey) -> Result<Option<Value>, Problem> {
    let Some(story) = app.store.story(key.account_id, key.request_id).await? else { return Ok(None) };
    let now_s = app.store.chain_time(&app.deployment).await?.unwrap_or_default();
    Ok(Some(shown_request(app, &story, now_s)))
}

fn shown_request(app: &App, story: &Story, now_s: u64) -> Value {
    let reached: Vec<Value> = story
        .reached(now_s)
        .into_iter()
        .map(|(status, at_ms)| json!({ "status": status.as_str(), "at": rfc3339_ms(at_ms) }))
        .collect();
    let issuance = story.issuance.as_ref();
    json!({
        "requestId": story.id,
        "reference": story.reference,
        "wallet": mask_wallet(story.wallet),
        "purpose": story.purpose.bytes32(),
        "purposeName": story.purpose.to_string(),
        "action": story.action,
        "status": story.status(now_s).as_str(),
        "reached": reached,
        "createdAt": rfc3339_ms(story.created_at_ms),
        "attemptsLeft": story.attempts_left,
        "channel": story.channel.as_str(),
        "to": masked(app, story.contact_id, story.channel, &story.address_sealed),
        "failure": story.failed.as_ref().map(|(_, why)| why),
        "id": issuance.map(|issuance| issuance.on_chain_id),
        "issuer": issuance.map(|issuance| issuance.issuer.to_checksum(None)),
        "serial": issuance.map(|issuance| issuance.serial),
        "txHash": issuance.and_then(|issuance| issuance.tx_hash),
    })
}

/// Null while the data keys are not there, and for a contact that was erased.
fn masked(app: &App, contact_id: Uuid, channel: contact::Channel, sealed: &[u8]) -> Value {
    let Some(keyring) = app.keyring.get().filter(|_| !sealed.is_empty()) else { return Value::Null };
    let Ok(address) = keyring.open_sealed("contact", contact_id, sealed) else { return Value::Null };
    std::str::from_utf8(&address).map(|address| contact::mask(channel, address)).ok().into()
}

/// Enough of a wallet to tell one's own apart.
pub(super) fn mask_wallet(wallet: Address) -> String {
    let text = wallet.to_checksum(None);
    format!("{}…{}", &text[..6], &text[text.len() - 4..])
}

/// A purpose's name, or its bytes where it has none of ours.
pub(crate) fn purpose_name(purpose: B256) -> String {
    Purpose::try_from(purpose).map_or_else(|_| purpose.to_string(), |purpose| purpose.to_string())
}
