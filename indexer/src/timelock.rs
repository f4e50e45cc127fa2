//! What the timelock that governs the verifier announced and did, from its logs in final blocks: where its address is
//! configured.

use std::{collections::HashMap, time::Duration};

use alloy::{
    primitives::{Address, B256},
    providers::Provider,
    rpc::types::{Filter, Log},
    sol_types::SolEvent,
    transports::RpcError,
};
use otp_core::{
    chain::Node,
    contract::Timelock as Event,
    id::Deployment,
    store::{Follower, Place, Store, TimelockStep, TimelockStepKind as Kind},
};
use tokio_util::sync::CancellationToken;

use crate::{calls::CallsError, source::ReadError};

/// How long it waits for news, and after a failure the first time.
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The reading of one timelock.
#[derive(Debug)]
pub struct Timelock {
    node: Node,
    store: Store,
    deployment: Deployment,
    timelock: Address,
    /// The block before the verifier's: what the timelock did earlier was not about it.
    before: u64,
    most_blocks: u64,
    /// Blocks in the next range.
    range: u64,
}

impl Timelock {
    /// Reads `timelock` from `deployment_block` on, at most `range_blocks` at a time.
    #[must_use]
    pub const fn new(
        node: Node,
        store: Store,
        deployment: Deployment,
        timelock: Address,
        (deployment_block, range_blocks): (u64, u64),
    ) -> Self {
        let before = deployment_block.saturating_sub(1);
        Self { node, store, deployment, timelock, before, most_blocks: range_blocks, range: range_blocks }
    }

    /// Steps until `shutdown`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut pause = PAUSE;
        loop {
            let stepped = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                stepped = self.step() => stepped,
            };
            let wait = match stepped {
                Ok(more) => {
                    pause = PAUSE;
                    if more { Duration::from_millis(250) } else { PAUSE }
                }
                Err(CallsError::Read(error)) => {
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    tracing::info!(%error, retry_in_ms = pause.as_millis(), "the timelock's logs cannot be read");
                    pause
                }
                Err(CallsError::Store(error)) => return Err(error.into()),
            };
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Reads the next range of final blocks. Returns whether there are more.
    ///
    /// # Errors
    /// [`CallsError`]; nothing was written then.
    pub async fn step(&mut self) -> Result<bool, CallsError> {
        let Some(last) = self.store.final_block(&self.deployment).await? else { return Ok(false) };
        let held = self.store.follower(&self.deployment, Follower::Timelock).await?;
        let done = held.unwrap_or(self.before);
        let to = last.number.min(done + self.range);
        if to <= done {
            return Ok(false);
        }
        let steps = match self.read(done + 1, to).await {
            Ok(steps) => steps,
            Err(error) => {
                // Many nodes only say that a range was too much.
                self.range = (self.range / 2).max(1);
                return Err(error.into());
            }
        };
        self.range = (self.range * 2).min(self.most_blocks);
        self.store.record_timelock(&self.deployment, held, to, &steps).await?;
        Ok(to < last.number)
    }

    async fn read(&self, from: u64, to: u64) -> Result<Vec<TimelockStep>, ReadError> {
        let topics = vec![
            Event::CallScheduled::SIGNATURE_HASH,
            Event::CallExecuted::SIGNATURE_HASH,
            Event::Cancelled::SIGNATURE_HASH,
        ];
        let filter = Filter::new().address(self.timelock).event_signature(topics).from_block(from).to_block(to);
        let mut logs = self.node.get_logs(&filter).await?;
        logs.sort_by_key(|log| (log.block_number, log.log_index));
        let mut steps = Vec::new();
        let mut times = HashMap::new();
        for log in logs.iter().filter(|log| log.address() == self.timelock && !log.removed) {
            let (Some(kind), Some(operation)) = (log.topic0().and_then(kind), log.topics().get(1).copied()) else {
                continue;
            };
            let place = self.place(log, &mut times).await?;
            steps.push(TimelockStep { place, operation, kind });
        }
        Ok(steps)
    }

    async fn place(&self, log: &Log, times: &mut HashMap<B256, u64>) -> Result<Place, ReadError> {
        let (Some(block_hash), Some(block_number), Some(tx_hash), Some(log_index)) =
            (log.block_hash, log.block_number, log.transaction_hash, log.log_index)
        else {
            return Err(ReadError::Inconsistent("the node answered with logs without a place"));
        };
        let timestamp = match times.get(&block_hash) {
            Some(timestamp) => *timestamp,
            None => {
                let block = self.node.get_block_by_hash(block_hash).await?.ok_or(RpcError::NullResp)?;
                *times.entry(block_hash).or_insert(block.header.timestamp)
            }
        };
        Ok(Place { block_hash, block_number, timestamp, tx_hash, log_index })
    }
}

fn kind(topic: &B256) -> Option<Kind> {
    match *topic {
        Event::CallScheduled::SIGNATURE_HASH => Some(Kind::Scheduled),
        Event::CallExecuted::SIGNATURE_HASH => Some(Kind::Executed),
        Event::Cancelled::SIGNATURE_HASH => Some(Kind::Cancelled),
        _ => None,
    }
}
