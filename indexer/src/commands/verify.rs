//! `indexer verify`: the chain, read again from another node, beside what is stored.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, ensure};
use otp_core::{chain::RpcUrl, store::Stored};
use serde_json::{Value, json};

use super::{
    Span, Target,
    bar::Bar,
    differences::{self, Difference},
    site::{Site, bad_usage},
    walk::{self, Piece, Walk},
};

/// A daemon that runs meanwhile moves the tip: what differs is looked at once more after so long.
const AGAIN: Duration = Duration::from_secs(1);

/// What the pieces of a walk came to, by their first block: a piece that comes again replaces what was said from it on.
type Found = BTreeMap<u64, (usize, Vec<Difference>)>;

pub(super) async fn run(target: &Target, span: Span, node: Option<RpcUrl>) -> anyhow::Result<(Value, String)> {
    let site = Site::to_read(target, node).await?;
    let (from, to) = range(&site, span).await?;
    let mut bar = Bar::new("verify", from, to, target.json);
    let mut walk = Walk::new(&site.source, from, to, site.chain.range_blocks);
    let mut found = Found::new();
    while let Some(piece) = walk.next().await? {
        drop(found.split_off(&piece.from));
        found.insert(piece.from, (piece.events.len(), compare(&site, &piece).await?));
        bar.at(piece.to);
    }
    drop(bar);
    let outside = outside(&site, span).await?;
    let host = site.hosts();
    site.store.close().await;
    let events: usize = found.values().map(|(events, _)| events).sum();
    let all: Vec<&Difference> = found.values().flat_map(|(_, list)| list).chain(&outside).collect();
    let answer = json!({
        "from": from,
        "to": to,
        "node": host,
        "events": events,
        "equal": all.is_empty(),
        "differences": all.iter().map(|difference| difference.show()).collect::<Vec<_>>(),
    });
    let mut lines: Vec<String> = all.iter().map(|difference| difference.say()).collect();
    let verdict = if all.is_empty() { "equal".to_owned() } else { format!("{} differences", all.len()) };
    lines.push(format!("blocks {from} to {to} by {host}: {events} events on the chain; {verdict}"));
    Ok((answer, lines.join("\n")))
}

async fn range(site: &Site, span: Span) -> anyhow::Result<(u64, u64)> {
    let cursor = site.cursor().await?.context("the database has no cursor: nothing was applied yet")?.number;
    let (from, to) = (span.from.unwrap_or(site.chain.deployment_block), span.to.unwrap_or(cursor));
    if to > cursor {
        return Err(bad_usage(format!("--to {to} is above block {cursor}, the last one that was applied")));
    }
    if from > to && span.from.is_some() {
        return Err(bad_usage(format!("--from {from} is above block {to}")));
    }
    let head = site.source.head().await?.block.number;
    ensure!(head >= to, "the node's head is block {head}: it cannot tell of block {to}");
    Ok((from, to))
}

async fn compare(site: &Site, piece: &Piece) -> anyhow::Result<Vec<Difference>> {
    let stored = site.store.stored(piece.from, piece.to).await?;
    let found = differences::find(&stored, &piece.stretch());
    if found.is_empty() {
        return Ok(found);
    }
    tokio::time::sleep(AGAIN).await;
    let piece = walk::read(&site.source, piece.from, piece.to).await?;
    let stored = site.store.stored(piece.from, piece.to).await?;
    Ok(differences::find(&stored, &piece.stretch()))
}

/// What is stored where nothing can be: below the contract and above the cursor. Only of a range without an end.
async fn outside(site: &Site, span: Span) -> anyhow::Result<Vec<Difference>> {
    let mut found = Vec::new();
    // The first cursor stood on the block before the contract's.
    if let (None, Some(below)) = (span.from, site.chain.deployment_block.checked_sub(2)) {
        found.extend(differences::surplus(&site.store.stored(0, below).await?));
    }
    while span.to.is_none() {
        let before = site.cursor().await?;
        let above = before.map_or(0, |cursor| cursor.number + 1);
        let stored: Stored = site.store.stored(above, i64::MAX.unsigned_abs()).await?;
        // Or the daemon moved between.
        if before == site.cursor().await? {
            found.extend(differences::surplus(&stored));
            break;
        }
    }
    Ok(found)
}
