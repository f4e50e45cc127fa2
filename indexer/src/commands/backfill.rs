//! `indexer backfill`: a range of blocks, mended where it was applied and applied where it was not.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use otp_core::store::{Anew, Cursor, Mended};
use serde_json::{Value, json};

use super::{
    Span, Target,
    bar::Bar,
    rebuild::{say, show},
    site::{Site, bad_usage},
    walk::Walk,
};
use crate::{
    progress::Progress,
    tail::{Step, Tail},
};

/// How often in a row going forward may fail or find nothing to do, and how long is waited in between.
const MOST_IDLE: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

pub(super) async fn run(target: &Target, span: Span) -> anyhow::Result<(Value, String)> {
    let site = Site::to_write(target).await?;
    let before = site.cursor().await?;
    let stand = before.map_or(site.chain.deployment_block - 1, |cursor| cursor.number);
    let (from, to) = range(&site, span, stand).await?;
    let mut bar = Bar::new("backfill", from, to, target.json);
    let mended = mend(&site, from.max(site.chain.deployment_block), to.min(stand), &mut bar).await?;
    if to > stand {
        go_forward(&site, to, &mut bar).await?;
    }
    let after = site.cursor().await?;
    site.store.close().await;
    drop(bar);
    let applied = after.map_or(0, |cursor| cursor.number.saturating_sub(stand));
    let place = |cursor: Option<Cursor>| cursor.map(|at| json!({ "number": at.number, "hash": at.hash }));
    let answer = json!({
        "from": from,
        "to": to,
        "blocksApplied": applied,
        "mended": show(&mended),
        "cursorBefore": place(before),
        "cursor": place(after),
    });
    let number = after.map_or_else(|| "nowhere".to_owned(), |cursor| format!("on block {}", cursor.number));
    let text = format!("blocks {from} to {to}: {applied} applied; {}; the cursor stands {number}", say(&mended));
    Ok((answer, text))
}

/// A range that leaves no hole: the cursor says that everything up to it was applied.
async fn range(site: &Site, span: Span, stand: u64) -> anyhow::Result<(u64, u64)> {
    let tip = site.tip_of_ours().await?;
    let (from, to) = (span.from.unwrap_or(stand + 1), span.to.unwrap_or(tip));
    if to > tip {
        return Err(bad_usage(format!("--to {to} is above block {tip}, the node's last one that is applied")));
    }
    if from > stand + 1 {
        return Err(bad_usage(format!(
            "blocks {} to {} would be skipped, and the cursor would say that they were applied: give --from {} or less",
            stand + 1,
            from - 1,
            stand + 1
        )));
    }
    if from > to && span.from.is_some() {
        return Err(bad_usage(format!("--from {from} is above block {to}")));
    }
    Ok((from, to))
}

/// Where the chain has changed below the cursor, its new blocks are what is stored, and going forward from the cursor
/// finds that it is orphaned.
async fn mend(site: &Site, from: u64, to: u64, bar: &mut Bar) -> anyhow::Result<Mended> {
    let mut mended = Mended::default();
    if from > to {
        return Ok(mended);
    }
    let mut walk = Walk::new(&site.source, from, to, site.chain.range_blocks);
    while let Some(piece) = walk.next().await? {
        mended = mended.and(site.store.mend(&site.outbox, &piece.stretch(), Anew::Differing).await?);
        bar.at(piece.to);
    }
    Ok(mended)
}

/// As the daemon does it: by its tail.
async fn go_forward(site: &Site, to: u64, bar: &mut Bar) -> anyhow::Result<()> {
    let mut chain = site.chain.clone();
    // The tail goes up to the head less its confirmations: here that is `to`.
    let head = site.source.head().await?.block.number;
    chain.confirmations = head.saturating_sub(to);
    let (store, outbox) = (site.store.clone(), site.outbox.clone());
    let mut tail = Tail::new(site.source.clone(), store, outbox, chain, Progress::default(), Arc::default());
    let mut idle = 0;
    loop {
        let cursor = site.cursor().await?.map_or(0, |cursor| cursor.number);
        bar.at(cursor);
        if cursor >= to {
            return Ok(());
        }
        let failure = match tail.step().await {
            Ok(Step::Idle) => None,
            Ok(_) => {
                idle = 0;
                continue;
            }
            Err(error) if error.is_retryable() => Some(error),
            Err(error) => return Err(error.into()),
        };
        idle += 1;
        match failure {
            Some(error) if idle > MOST_IDLE => return Err(error).context("the chain cannot be read"),
            None if idle > MOST_IDLE => bail!("the node's head stays below block {to}"),
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}
