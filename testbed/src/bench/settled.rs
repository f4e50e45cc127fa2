//! A store in which what happened so far is settled: old requests are no work for anybody.

use std::time::Duration;

use alloy::{primitives::U256, providers::Provider};
use anyhow::{Result, ensure};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::{anvil, stack::Stack};

/// What is under way gets its block.
const LANDED_WITHIN: Duration = Duration::from_secs(4);
/// Blocks on top that make one final, and a few more.
const FINAL_AFTER: u64 = 70;
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// Makes all blocks so far final, and waits until the evidence log has every step in them.
pub(super) async fn settle(stack: &Stack) -> Result<()> {
    sleep(LANDED_WITHIN).await;
    let node = anvil::connect(&stack.description.rpc_url)?;
    let head = node.get_block_number().await?;
    let _: Option<Value> = node.raw_request("anvil_mine".into(), [U256::from(FINAL_AFTER)]).await?;
    let deadline = Instant::now() + SETTLED_WITHIN;
    let url = stack.description.indexer_url.join("v1/evidence/head")?;
    loop {
        let answer = reqwest::get(url.clone()).await?;
        if answer.status().is_success() {
            let signed: Value = answer.json().await?;
            let (number, complete) = (signed["finalBlock"]["number"].as_u64(), signed["complete"].as_bool());
            if number.is_some_and(|number| number >= head) && complete == Some(true) {
                return Ok(());
            }
        }
        ensure!(Instant::now() < deadline, "block {head} is not settled in the evidence log within {SETTLED_WITHIN:?}");
        sleep(Duration::from_millis(200)).await;
    }
}
