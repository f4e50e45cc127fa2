//! `GET /v1/operations`, for whoever has the admin token: what waits, how far behind the chain is, what signers have left,
//! what is switched off, and which limits are in use.

use alloy::{eips::BlockId, primitives::utils::format_ether, providers::Provider};
use axum::{extract::State, http::StatusCode, response::Response};
use otp_core::{
    clock::rfc3339_ms,
    http::{self, Problem},
};
use serde_json::{Map, Value, json};

use super::App;

/// Everything that an operator looks at first.
pub(super) async fn operations(State(app): State<App>) -> Result<Response, Problem> {
    let store = &app.store;
    let outbox = store.outbox().await?;
    let requests: Map<String, Value> =
        store.queue_lengths().await?.into_iter().map(|(purpose, count)| (purpose.to_string(), count.into())).collect();
    let transactions: Map<String, Value> =
        store.unmined_calls().await?.into_iter().map(|(kind, count)| (kind, count.into())).collect();
    let limits: Map<String, Value> =
        store.buckets_in_use().await?.into_iter().map(|(scope, count)| (scope, count.into())).collect();
    let switches: Vec<Value> = store
        .switched_off()
        .await?
        .into_iter()
        .map(|off| {
            let (scope, name) = (off.switch.scope(), off.switch.name());
            json!({ "scope": scope, "name": name, "reason": off.reason, "since": rfc3339_ms(off.since_ms) })
        })
        .collect();
    let chain = app.progress.snapshot();
    let last_final = store.final_block(&app.deployment).await?.map(|last| last.number);
    let body = json!({
        "outbox": {
            "due": outbox.due,
            "sending": outbox.sending,
            "waiting": outbox.waiting,
            "dead": outbox.dead,
            "oldestDueSeconds": outbox.oldest_due_ms / 1_000,
        },
        "requestsQueued": requests,
        "transactionsOpen": transactions,
        "chain": {
            "head": chain.head.map(|head| head.number),
            "applied": chain.cursor.map(|cursor| cursor.number),
            "final": last_final,
            "lagBlocks": chain.lag_blocks(),
            "headAgeSeconds": chain.head_age().map(|age| age.as_secs()),
        },
        "mailUp": app.progress.is_mail_up(),
        "signers": signers(&app).await?,
        "limitsInUse": limits,
        "switchedOff": switches,
    });
    Ok(http::answer(StatusCode::OK, &body))
}

/// Accounts of ours that send transactions, with what a node says that they have.
async fn signers(app: &App) -> Result<Vec<Value>, Problem> {
    let mut signers = Vec::new();
    for (address, next_nonce) in app.store.senders().await? {
        let balance =
            app.inquiry.ask(async { app.inquiry.node().get_balance(address).block_id(BlockId::latest()).await });
        let (ether, detail) = match balance.await {
            Ok(wei) => (Some(format_ether(wei)), None),
            Err(why) => (None, Some(why.to_string())),
        };
        signers.push(json!({
            "address": address.to_checksum(None),
            "nextNonce": next_nonce,
            "balanceEther": ether,
            "detail": detail,
        }));
    }
    Ok(signers)
}
