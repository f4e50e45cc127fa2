//! The log against the chain: every final step of the contract, read from the auditor's own node, has its entry, and every
//! entry its step.

use std::{collections::BTreeMap, time::Duration};

use alloy::{
    consensus::BlockHeader,
    eips::BlockNumberOrTag,
    network::{BlockResponse, primitives::HeaderResponse},
    providers::Provider,
    rpc::types::{Filter, Log},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use otp_core::{
    chain::{self, Node, RpcFailure},
    evidence::Step,
    id::Deployment,
    store::{Block, step_of},
};

use super::{
    report::Report,
    steps::{LoggedStep, Steps},
};
use crate::decode;

/// Blocks of one question: it begins with the first and never exceeds the second.
const FIRST_RANGE: u64 = 1_000;
const LONGEST_RANGE: u64 = 20_000;
/// With more logs in one answer the next question is about fewer blocks: a range is what memory has to hold.
const MANY_LOGS: usize = 20_000;
const HEADERS_AT_ONCE: usize = 8;
const TRIES: u32 = 5;

/// Why the chain could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChainError {
    #[error("the node: {0}")]
    Rpc(String),
    #[error("the node's answers about block {0} do not fit together")]
    Inconsistent(u64),
    #[error("the export: {0}")]
    Files(#[from] std::io::Error),
}

impl From<RpcFailure> for ChainError {
    fn from(error: RpcFailure) -> Self {
        Self::Rpc(chain::brief(&error))
    }
}

/// What is compared.
pub(super) struct Scope {
    pub(super) deployment: Deployment,
    pub(super) from: u64,
    /// The place up to which the log says that it has every step: a block's last log, or the last entry.
    pub(super) complete_to: (u64, u64),
    /// A step that became final so long ago has to be in the log.
    pub(super) lag: Duration,
    /// Blocks below the latest one that count as final, where the node is not asked for its own word.
    pub(super) depth: Option<u64>,
}

/// Compares the whole log with the chain.
pub(super) async fn compare(
    node: &Node,
    scope: &Scope,
    mut steps: Steps,
    report: &mut Report,
    mut progress: impl FnMut(u64, u64),
) -> Result<(), ChainError> {
    let last = retry(|| final_block(node, scope.depth)).await?;
    if last.number < scope.complete_to.0 {
        let why = "the node's final block {} is below the log's {}: ask a node that is further, or set --depth";
        report.could_not(why.replacen("{}", &last.number.to_string(), 1).replacen(
            "{}",
            &scope.complete_to.0.to_string(),
            1,
        ));
    }
    report.from_block = Some(scope.from);
    let (mut from, mut range) = (scope.from, FIRST_RANGE);
    while from <= last.number {
        let to = last.number.min(from + range - 1);
        let expected = match read(node, &scope.deployment, from, to).await {
            Ok(expected) => expected,
            Err(_) if range > 1 => {
                range /= 2;
                continue;
            }
            // Of one block alone it is no matter of size.
            Err(_) => retry(|| read(node, &scope.deployment, from, to)).await?,
        };
        let many = expected.len() > MANY_LOGS;
        range = if many { (range / 2).max(1) } else { (range * 2).min(LONGEST_RANGE) };
        let logged = steps.up_to(to)?;
        judge(node, scope, expected, logged, last, report).await?;
        report.to_block = Some(to);
        progress(to, last.number);
        from = to + 1;
    }
    for step in steps.up_to(u64::MAX)? {
        let what = format!("its block {} is not final on this chain", step.step.block_number);
        if last.number < scope.complete_to.0 {
            break;
        }
        report.find_at(&step.spot, Some(step.index), what);
    }
    Ok(())
}

/// One range's steps on both sides.
async fn judge(
    node: &Node,
    scope: &Scope,
    mut expected: BTreeMap<(u64, u64), Step>,
    logged: Vec<LoggedStep>,
    last: Block,
    report: &mut Report,
) -> Result<(), ChainError> {
    for LoggedStep { spot, index, step } in logged {
        match expected.remove(&step.place()) {
            Some(on_chain) if on_chain == step => report.steps_on_chain += 1,
            Some(on_chain) => report.find_at(&spot, Some(index), difference(&on_chain, &step)),
            None => {
                // A node that hides a log must not make a liar of the log that has it.
                let again = retry(|| alone(node, &scope.deployment, step.block_number)).await?;
                match again.get(&step.place()) {
                    Some(on_chain) if *on_chain == step => report.steps_on_chain += 1,
                    Some(on_chain) => report.find_at(&spot, Some(index), difference(on_chain, &step)),
                    None => report.find_at(&spot, Some(index), "the chain has no such step"),
                }
            }
        }
    }
    for (place, step) in expected {
        let late = last.timestamp.saturating_sub(step.block_time) <= scope.lag.as_secs();
        if place > scope.complete_to && late {
            report.pending_steps += 1;
            continue;
        }
        let id = step.id.or(step.root).or(step.purpose).unwrap_or_default();
        report.find(format!(
            "missing: the chain has {} of {id} in block {}, log {}, transaction {}, and the log has not",
            step.kind.word(),
            step.block_number,
            step.log_index,
            step.tx_hash
        ));
    }
    Ok(())
}

/// The first field that differs.
fn difference(on_chain: &Step, logged: &Step) -> String {
    let (a, b) = (on_chain, logged);
    let field = if a.block_hash != b.block_hash {
        "block hash"
    } else if a.block_time != b.block_time {
        "block time"
    } else if a.tx_hash != b.tx_hash {
        "transaction"
    } else if a.kind != b.kind {
        "step"
    } else if a.id != b.id {
        "id"
    } else if a.serial != b.serial {
        "serial"
    } else {
        "root, issuer, purpose or expiry"
    };
    format!("the chain has another {field} at block {}, log {}", logged.block_number, logged.log_index)
}

async fn final_block(node: &Node, depth: Option<u64>) -> Result<Block, ChainError> {
    let tag = match depth {
        None => BlockNumberOrTag::Finalized,
        Some(depth) => node.get_block_number().await?.saturating_sub(depth).into(),
    };
    header(node, tag).await?.ok_or_else(|| ChainError::Rpc("it has no final block: set --depth".to_owned()))
}

async fn header(node: &Node, number: BlockNumberOrTag) -> Result<Option<Block>, ChainError> {
    Ok(node.get_block_by_number(number).await?.map(|block| {
        let header = block.header();
        Block {
            hash: header.hash(),
            number: header.number(),
            parent_hash: header.parent_hash(),
            timestamp: header.timestamp(),
        }
    }))
}

/// The steps of the blocks `from..=to`.
async fn read(
    node: &Node,
    deployment: &Deployment,
    from: u64,
    to: u64,
) -> Result<BTreeMap<(u64, u64), Step>, ChainError> {
    let filter = Filter::new().address(deployment.verifier).from_block(from).to_block(to);
    let mut blocks: BTreeMap<u64, Vec<Log>> = BTreeMap::new();
    for log in node.get_logs(&filter).await? {
        let number = log.block_number.ok_or(ChainError::Inconsistent(from))?;
        blocks.entry(number).or_default().push(log);
    }
    let steps = stream::iter(blocks).map(|(number, logs)| of_block(node, deployment, number, logs));
    let steps: Vec<Vec<Step>> = steps.buffered(HEADERS_AT_ONCE).try_collect().await?;
    Ok(steps.into_iter().flatten().map(|step| (step.place(), step)).collect())
}

/// The steps of one block, by another question than that for a range.
async fn alone(node: &Node, deployment: &Deployment, number: u64) -> Result<BTreeMap<(u64, u64), Step>, ChainError> {
    let Some(block) = header(node, number.into()).await? else { return Ok(BTreeMap::new()) };
    let filter = Filter::new().address(deployment.verifier).at_block_hash(block.hash);
    let logs = node.get_logs(&filter).await?;
    let steps = of_block(node, deployment, number, logs).await?;
    Ok(steps.into_iter().map(|step| (step.place(), step)).collect())
}

async fn of_block(
    node: &Node,
    deployment: &Deployment,
    number: u64,
    mut logs: Vec<Log>,
) -> Result<Vec<Step>, ChainError> {
    let inconsistent = || ChainError::Inconsistent(number);
    let block = header(node, number.into()).await?.ok_or_else(inconsistent)?;
    logs.sort_by_key(|log| log.log_index);
    let fits = |log: &Log| log.block_hash == Some(block.hash) && log.address() == deployment.verifier;
    if !logs.iter().all(fits) {
        return Err(inconsistent());
    }
    let events = decode::events(&block, &logs).map_err(|_| inconsistent())?;
    Ok(events.iter().filter_map(step_of).collect())
}

/// Asks again for a while: a node that throttles or stumbles is no finding.
async fn retry<T, F: Future<Output = Result<T, ChainError>>>(mut ask: impl FnMut() -> F) -> Result<T, ChainError> {
    let mut pause = Duration::from_millis(250);
    for _ in 1..TRIES {
        match ask().await {
            Err(ChainError::Rpc(_) | ChainError::Inconsistent(_)) => tokio::time::sleep(pause).await,
            settled => return settled,
        }
        pause *= 2;
    }
    ask().await
}
