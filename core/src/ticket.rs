//! `GET /v1/tickets/{issuer}/{onChainId}`: a code's ticket, rebuilt from the chain's logs alone, so that a link with the
//! full code works at whichever daemon is up. It says nothing that the chain does not say to everybody.

use alloy::primitives::{Address, B256};
use axum::{
    extract::{Path, rejection::PathRejection},
    http::StatusCode,
    response::Response,
};
use serde_json::json;

use crate::{
    clock::rfc3339_s,
    http::{Problem, answer},
    id::{Deployment, leaf},
    merkle::Tree,
    store::{ChainEvent, EventFilter, EventKind, Store},
};

/// The most events of one code that are looked at.
const OF_CODE: u32 = 200;
/// The most codes in a batch.
pub const BATCH: u32 = 80;

/// What the path names.
pub type TicketPath = Result<Path<(String, String)>, PathRejection>;

/// Answers with the ticket, its expiry, and its status at `now_s`, a chain's time in Unix seconds.
///
/// # Errors
/// Not found where no such code was issued, bad request where the path is none.
pub async fn ticket(store: &Store, deployment: Deployment, path: TicketPath, now_s: u64) -> Result<Response, Problem> {
    let bad = || Problem::bad_request("an issuer's address and a code's id (0x and 64 hex digits) are expected");
    let Path((issuer, id)) = path.map_err(|_| bad())?;
    let (issuer, id): (Address, B256) = (issuer.parse().map_err(|_| bad())?, id.parse().map_err(|_| bad())?);
    let of_code = EventFilter { on_chain_id: Some(id), issuer: Some(issuer), ..EventFilter::default() };
    let story = store.events(&of_code, OF_CODE).await.map_err(|e| Problem::internal(&e))?;
    let Some(set) = story.iter().find(|event| event.kind == EventKind::Set) else { return Err(Problem::not_found()) };
    let of_batch = EventFilter { root: set.facts.root, issuer: Some(issuer), ..EventFilter::default() };
    let batch = store.events(&of_batch, BATCH + 2).await.map_err(|e| Problem::internal(&e))?;
    let Some(proof) = prove(set, &batch) else {
        return Err(Problem::internal(&"a batch's stored events do not make its root"));
    };
    let facts = &set.facts;
    let expiry = facts.expiry.unwrap_or_default();
    let time = |unix_s: u64| rfc3339_s(i64::try_from(unix_s).unwrap_or(i64::MAX));
    Ok(answer(
        StatusCode::OK,
        &json!({
            "ticket": {
                "id": id,
                "issuer": issuer.to_checksum(None),
                "purpose": facts.purpose,
                "serial": facts.serial,
                "proof": proof,
            },
            "root": facts.root,
            "expiry": time(expiry),
            "chainTime": time(now_s),
            "verifier": deployment.verifier.to_checksum(None),
            "chainId": deployment.chain_id,
            "status": status_of(story.iter().chain(&batch), now_s > expiry),
        }),
    ))
}

/// The proof for `set` from all ids of its batch, or `None` when these do not make the batch's root.
#[must_use]
pub fn prove(set: &ChainEvent, batch: &[ChainEvent]) -> Option<Vec<B256>> {
    let (purpose, root, first) = (set.facts.purpose?, set.facts.root?, set.facts.first?);
    let ids = batch.iter().filter(|event| event.kind == EventKind::Set);
    let leaves: Option<Vec<B256>> =
        ids.map(|event| Some(leaf(purpose, event.facts.serial?, event.facts.on_chain_id?))).collect();
    let tree = Tree::new(&leaves?)?;
    let place = usize::try_from(set.facts.serial?.checked_sub(first)?).ok()?;
    if tree.root() == root { tree.proof(place) } else { None }
}

/// The contract's `statusOf`, by the events: what was consumed stays consumed.
pub fn status_of<'a>(events: impl Iterator<Item = &'a ChainEvent>, expired: bool) -> &'static str {
    let rank = |kind| match kind {
        EventKind::Consumed => 3,
        EventKind::Revoked | EventKind::BatchRevoked => 2,
        EventKind::Verified => 1,
        _ => 0,
    };
    match events.map(|event| rank(event.kind)).max() {
        Some(3) => "consumed",
        Some(2) => "revoked",
        Some(1) => "verified",
        _ if expired => "expired",
        _ => "issued",
    }
}
