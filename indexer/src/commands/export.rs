//! `indexer export`: what the database has of the canonical chain, to be compared with another's.

use std::io::{BufWriter, Write, stdout};

use anyhow::Context;
use otp_core::store::{Block, EventFilter};
use serde_json::{Value, json};

use super::{Span, Target, site::existing};
use crate::{api, config::Config};

/// Events that are read at once.
const PAGE: u32 = 1_000;

/// Blocks with events, each before its events. The blocks without are left out: which of them are kept depends on when
/// the tail came by.
pub(super) async fn run(target: &Target, span: Span) -> anyhow::Result<(Value, String)> {
    let path = Config::load(target.config.as_deref())?.store_path;
    let store = existing(&path).await?.with_context(|| path.display().to_string())?;
    let mut out = BufWriter::new(stdout().lock());
    let mut filter = EventFilter { from: span.from, to: span.to, ..EventFilter::default() };
    let mut told = None;
    loop {
        let events = store.events(&filter, PAGE).await?;
        for event in &events {
            let place = &event.place;
            if told != Some(place.block_hash) {
                let block = store.stored_block(place.block_hash).await?;
                let block =
                    block.with_context(|| format!("block {} of a stored event is not stored", place.block_number));
                writeln!(out, "{}", show(&block?))?;
                told = Some(place.block_hash);
            }
            writeln!(out, "{}", api::show(event))?;
            filter.after = Some((place.block_number, place.log_index));
        }
        if events.is_empty() {
            break;
        }
    }
    out.flush()?;
    store.close().await;
    // Everything is said.
    Ok((Value::Null, String::new()))
}

/// A block as it is told of.
pub(super) fn show(block: &Block) -> Value {
    json!({
        "type": "block",
        "blockNumber": block.number,
        "blockHash": block.hash,
        "parentHash": block.parent_hash,
        "timestamp": block.timestamp,
    })
}
