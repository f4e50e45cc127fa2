//! A code's story held against itself and against the chain. Each check says who made it: a daemon that checks itself
//! proves less than a node that is asked, and both less than whoever asks a node of his own.

use alloy::{
    eips::BlockId,
    primitives::{Address, B256, keccak256},
};
use otp_core::{
    contract::{IOtpVerifier::Ticket, OtpVerifier},
    evidence::Fields,
    http::Problem,
    id::leaf,
    store::{ChainEvent, EventKind},
};
use serde_json::{Value, json};

use super::{App, Facts, prove};
use crate::inquiry::{Inquiry, Unanswered};

/// The contract's words for its `Status`, in its order.
const STATUSES: [&str; 6] = ["unknown", "issued", "expired", "verified", "consumed", "revoked"];

/// Every check. `ok` is null where one could not be made, and `detail` says why.
pub(super) async fn all(app: &App, facts: &Facts) -> Result<Vec<Value>, Problem> {
    Ok(vec![tree(facts), contract(app, facts).await, evidence(app, facts).await?])
}

fn verdict(what: &str, by: &str, ok: Option<bool>, detail: impl Into<String>) -> Value {
    json!({ "what": what, "by": by, "ok": ok, "detail": detail.into() })
}

/// Whether the batch's logs, as they are stored, make the root that the contract told.
fn tree(facts: &Facts) -> Value {
    let Some(set) = facts.set() else {
        return verdict("tree", "indexer", None, "the code is on no block of the canonical chain");
    };
    let (Some(purpose), Some(serial)) = (set.facts.purpose, set.facts.serial) else {
        return verdict("tree", "indexer", Some(false), "the stored log lacks its purpose or serial");
    };
    let size = facts.batch.iter().filter(|event| event.kind == EventKind::Set).count();
    let ok = prove(set, &facts.batch).is_some();
    let detail = match ok {
        true => format!("leaf and root, computed anew from the {size} stored logs of the batch, are the contract's"),
        false => format!("the {size} stored logs of the batch do not make the contract's root"),
    };
    let mut value = verdict("tree", "indexer", Some(ok), detail);
    value["leaf"] = json!(leaf(purpose, serial, facts.code.on_chain_id));
    value["root"] = json!(set.facts.root);
    value
}

/// What the contract itself says of the code at the block as of which the story is.
async fn contract(app: &App, facts: &Facts) -> Value {
    let Some(set) = facts.set() else {
        return verdict("contract", "node", None, "the code is on no block of the canonical chain");
    };
    let Some(ticket) = ticket(facts, set) else {
        return verdict("contract", "node", None, "without a proof the contract cannot be asked");
    };
    let at = BlockId::hash(facts.cursor.hash);
    let answered = ask(&app.inquiry, app.deployment.verifier, ticket, at).await;
    let (status, expiry) = match answered {
        Ok(answered) => answered,
        Err(why) => return verdict("contract", "node", None, format!("the contract was not asked: {why}")),
    };
    // Issued and expired differ in the time alone, which nodes take differently; the expiry must be the same.
    let timeless = |status: &str| if status == "expired" { "issued".to_owned() } else { status.to_owned() };
    let ok = timeless(status) == timeless(facts.status()) && Some(expiry) == set.facts.expiry;
    let number = facts.cursor.number;
    let detail = match ok {
        true => format!("statusOf and batchOf say the same at block {number}: {status}"),
        false => {
            format!("at block {number} statusOf says {status} and batchOf an expiry of {expiry}; stored is another")
        }
    };
    let mut value = verdict("contract", "node", Some(ok), detail);
    value["status"] = status.into();
    value["blockNumber"] = number.into();
    value
}

fn ticket(facts: &Facts, set: &ChainEvent) -> Option<Ticket> {
    Some(Ticket {
        id: facts.code.on_chain_id,
        issuer: facts.code.issuer,
        purpose: set.facts.purpose?,
        serial: set.facts.serial?.try_into().ok()?,
        proof: prove(set, &facts.batch)?,
    })
}

async fn ask(
    inquiry: &Inquiry,
    verifier: Address,
    ticket: Ticket,
    at: BlockId,
) -> Result<(&'static str, u64), Unanswered> {
    let contract = OtpVerifier::new(verifier, inquiry.node());
    let (issuer, root) = (ticket.issuer, root_of(&ticket));
    let status = inquiry.ask(async { contract.statusOf(ticket).block(at).call().await }).await?;
    let batch = inquiry.ask(async { contract.batchOf(issuer, root).block(at).call().await }).await?;
    let word = STATUSES.get(usize::from(status)).copied().unwrap_or("unknown");
    Ok((word, batch.expiry.to::<u64>()))
}

/// The root that a ticket's proof leads to.
fn root_of(ticket: &Ticket) -> B256 {
    let leaf = leaf(ticket.purpose, ticket.serial.to::<u64>(), ticket.id);
    ticket.proof.iter().fold(leaf, |node, sibling| {
        let (left, right) = if node <= *sibling { (node, *sibling) } else { (*sibling, node) };
        keccak256([left.as_slice(), right.as_slice()].concat())
    })
}

/// Whether the entries that the code's final events have in the evidence log say the same and hash as they should, and
/// the heads above them are signed.
async fn evidence(app: &App, facts: &Facts) -> Result<Value, Problem> {
    let (mut entries, mut signed, mut broken) = (0_u32, 0_u32, 0_u32);
    for event in &facts.events {
        let place = &event.place;
        let Some((index, head)) = app.store.evidence_of_event(place.block_number, place.log_index).await? else {
            continue;
        };
        let entry = app.store.evidence_entries(index, 1).await?.into_iter().next();
        let fits = entry.is_some_and(|entry| entry.hash == entry.computed_hash() && says(&entry.fields, event));
        entries += 1;
        broken += u32::from(!fits);
        let Some(number) = head else { continue };
        let head = app.store.evidence_heads(&app.deployment, number, 1).await?.into_iter().next();
        match head.is_some_and(|head| head.is_signed()) {
            true => signed += 1,
            false => broken += 1,
        }
    }
    let value = match (entries, broken) {
        (0, _) => verdict("evidence", "indexer", None, "no entry yet: an event is entered once its block is final"),
        (_, 0) => verdict(
            "evidence",
            "indexer",
            Some(true),
            format!("{entries} entries say the same and hash as they should; {signed} lie under a signed head"),
        ),
        _ => verdict("evidence", "indexer", Some(false), "an entry or the head above it is not what it should be"),
    };
    Ok(value)
}

fn says(fields: &Fields, event: &ChainEvent) -> bool {
    let Fields::Step(step) = fields else { return false };
    let (place, facts) = (&event.place, &event.facts);
    step.block_hash == place.block_hash
        && step.tx_hash == place.tx_hash
        && step.log_index == place.log_index
        && (step.id.is_none() || step.id == facts.on_chain_id)
        && (step.root.is_none() || step.root == facts.root)
        && step.issuer == facts.issuer
}
