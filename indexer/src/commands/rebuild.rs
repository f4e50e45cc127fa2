//! `indexer rebuild`: the chain's facts, dropped and derived anew.

use anyhow::Context;
use otp_core::store::{Anew, Mended};
use serde_json::{Value, json};

use super::{Target, bar::Bar, site::Site, walk::Walk};

/// Up to the cursor, so that what comes out is what was there, where it was right; to the tip where there is no cursor.
pub(super) async fn run(target: &Target) -> anyhow::Result<(Value, String)> {
    let site = Site::to_write(target).await?;
    let tip = site.tip_of_ours().await?;
    let to = site.cursor().await?.map_or(tip, |cursor| cursor.number.min(tip));
    // The first cursor stood on the block before the contract's.
    let from = site.chain.deployment_block - 1;
    let mut bar = Bar::new("rebuild", from, to, target.json);
    let mut walk = Walk::new(&site.source, from, to, site.chain.range_blocks);
    let (mut mended, mut events, mut last) = (Mended::default(), 0, None);
    while let Some(piece) = walk.next().await? {
        mended = mended.and(site.store.mend(&site.outbox, &piece.stretch(), Anew::All).await?);
        events += piece.events.len();
        last = piece.blocks.last().copied();
        bar.at(piece.to);
    }
    let last = last.context("the range has no blocks")?;
    mended = mended.and(site.store.stand_on(&site.chain.deployment, from, &last).await?);
    site.store.close().await;
    drop(bar);
    let answer = json!({
        "from": from + 1,
        "to": to,
        "events": events,
        "mended": show(&mended),
    });
    let text = format!("blocks {} to {to}: {events} events derived anew; {}", from + 1, say(&mended));
    Ok((answer, text))
}

/// What was put right, as it is answered.
pub(super) fn show(mended: &Mended) -> Value {
    json!({
        "eventsAdded": mended.added,
        "eventsChanged": mended.changed,
        "eventsRemoved": mended.removed,
        "blocks": mended.blocks,
        "messagesDue": mended.due,
        "messagesCancelled": mended.cancelled,
    })
}

/// The same in words.
pub(super) fn say(mended: &Mended) -> String {
    if *mended == Mended::default() {
        return "nothing had to be mended".to_owned();
    }
    format!(
        "mended: {} events were missing, {} said something else, {} are not on the chain; {} blocks; {} messages became \
         due, {} were cancelled",
        mended.added, mended.changed, mended.removed, mended.blocks, mended.due, mended.cancelled
    )
}
