//! Who may do what to the verifier, since when and by which transaction, and what waits in the timelock.
//!
//! Since-when and by-what come from the stored events and the timelock's steps; what policies say, whether a role still
//! holds and what an operation would call is asked of a node, at the block as of which everything is. Where no node
//! answers, what is stored is told without it, and the answer says so. It is made anew every few seconds, whoever asks.

mod history;
mod operations;
pub mod words;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex as Lock, PoisonError},
    time::{Duration, Instant},
};

use alloy::{
    eips::BlockId,
    primitives::{Address, B256, U256, b256},
    providers::Provider,
    sol_types::SolEvent,
};
use futures_util::{StreamExt, stream};
use otp_core::{
    chain::Node,
    clock::rfc3339_s,
    contract::{IOtpVerifier::Policy, OtpVerifier, Timelock as Contract},
    id::Deployment,
    store::{Cursor, EventFilter, Place, Store, StoreError, TimelockStepKind},
};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use self::{
    history::History,
    operations::{Call, Operation, makes, operations},
    words::{Parties, describe},
};
use crate::inquiry::Unanswered;

/// How long an answer is told again.
const FRESH: Duration = Duration::from_secs(10);
/// How long the node may take for all of it.
const PATIENCE: Duration = Duration::from_secs(6);
/// Questions at once.
const AT_ONCE: usize = 4;
/// More of governance nobody has; beyond it only what is stored last counts.
const EVENTS: u32 = 5_000;
const STEPS: u32 = 2_000;
/// Purposes and roles that a node is asked about.
const MOST_ASKED: usize = 64;
/// Operations that are told.
const OPERATIONS: usize = 30;
/// ERC-1967: where a proxy keeps its admin.
const ADMIN_SLOT: B256 = b256!("b53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103");

/// What an operation was announced with, and whether that makes its id.
#[derive(Debug, Clone)]
struct Announced {
    calls: Vec<Call>,
    delay_s: u64,
    is_bound: bool,
}

/// What a node said, at the cursor's block.
#[derive(Debug, Default)]
struct Answers {
    policies: HashMap<B256, Policy>,
    roles: HashMap<(B256, Address), bool>,
    paused: Option<bool>,
    version: Option<String>,
    min_delay_s: Option<u64>,
    fault: Option<String>,
}

/// What was told last, and when.
type Look = (Instant, Arc<Value>);

/// The governance of one deployment; cheap to clone.
#[derive(Debug, Clone)]
pub struct Governance {
    store: Store,
    node: Node,
    deployment: Deployment,
    timelock: Option<Address>,
    last: Arc<Mutex<Option<Look>>>,
    /// What was announced never changes.
    announced: Arc<Lock<HashMap<(B256, B256), Announced>>>,
}

impl Governance {
    /// Of what the store says and what a node adds.
    #[must_use]
    pub fn new(store: Store, node: Node, deployment: Deployment, timelock: Option<Address>) -> Self {
        Self { store, node, deployment, timelock, last: Arc::default(), announced: Arc::default() }
    }

    /// Everything; `None` before the tail's first start.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn get(&self) -> Result<Option<Arc<Value>>, StoreError> {
        // Whoever comes meanwhile waits for this one.
        let mut last = self.last.lock().await;
        if let Some((at, value)) = &*last
            && at.elapsed() < FRESH
        {
            return Ok(Some(value.clone()));
        }
        let Some(value) = self.make().await? else { return Ok(None) };
        let value = Arc::new(value);
        *last = Some((Instant::now(), value.clone()));
        Ok(Some(value))
    }

    async fn make(&self) -> Result<Option<Value>, StoreError> {
        let Some(cursor) = self.store.cursor(&self.deployment).await? else { return Ok(None) };
        let now_s = self.store.chain_time(&self.deployment).await?.unwrap_or_default();
        let filter = EventFilter { governance_only: true, ..EventFilter::default() };
        let history = History::of(&self.store.events(&filter, EVENTS).await?);
        let operations = operations(&self.store.timelock_steps(STEPS).await?);
        let asked = tokio::time::timeout(PATIENCE, self.ask(cursor, &history)).await;
        let late = || Answers { fault: Some(Unanswered::late().to_string()), ..Answers::default() };
        let answers = asked.unwrap_or_else(|_| late());
        let parties = Parties {
            verifier: self.deployment.verifier,
            proxy_admin: self.proxy_admin().await,
            timelock: self.timelock,
        };
        let mut told = Vec::new();
        for operation in operations.iter().take(OPERATIONS) {
            told.push(self.tell(operation, now_s, &parties, &answers.policies).await);
        }
        let timelock = self.timelock.map(|timelock| {
            json!({
                "address": timelock.to_checksum(None),
                "minDelaySeconds": answers.min_delay_s,
                "operations": told,
                "more": operations.len() > OPERATIONS,
            })
        });
        Ok(Some(json!({
            "chainId": self.deployment.chain_id,
            "verifier": self.deployment.verifier.to_checksum(None),
            "asOf": { "blockNumber": cursor.number, "blockHash": cursor.hash, "time": time(now_s) },
            "version": answers.version,
            "proxyAdmin": parties.proxy_admin.map(|admin| admin.to_checksum(None)),
            "implementation": history.implementation,
            "pause": {
                "paused": history.is_paused(),
                "since": history.pause.as_ref().map(|event| since(&event.place)),
                "by": history.pause.as_ref().and_then(|event| event.facts.party).map(|by| by.to_checksum(None)),
                "agrees": answers.paused.map(|paused| paused == history.is_paused()),
            },
            "policies": history.policies(&answers),
            "roles": history.roles(&answers),
            "timelock": timelock,
            "node": { "ok": answers.fault.is_none(), "detail": answers.fault },
        })))
    }

    async fn ask(&self, cursor: Cursor, history: &History) -> Answers {
        let mut answers = Answers::default();
        if let Err(why) = self.ask_all(BlockId::hash(cursor.hash), history, &mut answers).await {
            answers.fault = Some(why.to_string());
        }
        answers
    }

    async fn ask_all(&self, at: BlockId, history: &History, answers: &mut Answers) -> Result<(), Unanswered> {
        let contract = OtpVerifier::new(self.deployment.verifier, &self.node);
        answers.paused = Some(contract.paused().block(at).call().await?);
        answers.version = Some(contract.version().block(at).call().await?);
        let purposes = history.policies.keys().copied().take(MOST_ASKED);
        let policies = purposes.map(|purpose| {
            let contract = &contract;
            async move { Ok::<_, Unanswered>((purpose, contract.policyOf(purpose).block(at).call().await?)) }
        });
        for answer in stream::iter(policies).buffered(AT_ONCE).collect::<Vec<_>>().await {
            let (purpose, policy) = answer?;
            answers.policies.insert(purpose, policy);
        }
        let roles =
            history.holders().take(MOST_ASKED).map(|(role, account)| {
                let contract = &contract;
                async move {
                    Ok::<_, Unanswered>(((role, account), contract.hasRole(role, account).block(at).call().await?))
                }
            });
        for answer in stream::iter(roles).buffered(AT_ONCE).collect::<Vec<_>>().await {
            let (holder, holds) = answer?;
            answers.roles.insert(holder, holds);
        }
        if let Some(timelock) = self.timelock {
            let delay = Contract::new(timelock, &self.node).getMinDelay().block(at).call().await?;
            answers.min_delay_s = Some(u64::try_from(delay).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    /// As the proxy has it now; `None` where there is none or no node answers.
    async fn proxy_admin(&self) -> Option<Address> {
        let asked = self.node.get_storage_at(self.deployment.verifier, ADMIN_SLOT.into());
        let word = tokio::time::timeout(PATIENCE, async move { asked.await }).await.ok()?.ok()?;
        let admin = Address::from_word(word.into());
        (!admin.is_zero()).then_some(admin)
    }

    async fn tell(
        &self,
        operation: &Operation,
        now_s: u64,
        parties: &Parties,
        policies: &HashMap<B256, Policy>,
    ) -> Value {
        let announced = self.announced(operation).await;
        let (calls, delay_s, is_bound, fault) = match &announced {
            Ok(announced) => {
                let policy = |purpose: B256| policies.get(&purpose).cloned();
                let calls = announced.calls.iter();
                let told: Vec<Value> =
                    calls.map(|call| describe(parties, call.target, call.value, &call.data, policy)).collect();
                (told, Some(announced.delay_s), Some(announced.is_bound), None)
            }
            Err(why) => (Vec::new(), None, None, Some(why.to_string())),
        };
        let ready_s = delay_s.map(|delay| operation.scheduled.timestamp.saturating_add(delay));
        let state = match operation.ended {
            Some((TimelockStepKind::Executed, _)) => "executed",
            Some(_) => "cancelled",
            None if ready_s.is_some_and(|ready_s| now_s >= ready_s) => "ready",
            None => "waiting",
        };
        json!({
            "operation": operation.id,
            "state": state,
            "scheduled": since(&operation.scheduled),
            "delaySeconds": delay_s,
            "readyAt": ready_s.map(time),
            "ended": operation.ended.map(|(_, place)| since(&place)),
            "calls": calls,
            // The id commits to the calls: so they are the announced ones, whatever a node says.
            "matchesId": is_bound,
            "detail": fault,
        })
    }

    /// Reads an operation's calls from the receipt of its announcement, once.
    async fn announced(&self, operation: &Operation) -> Result<Announced, Unanswered> {
        let key = (operation.id, operation.scheduled.tx_hash);
        if let Some(known) = self.announced.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(known.clone());
        }
        let receipt = tokio::time::timeout(PATIENCE, self.node.get_transaction_receipt(key.1)).await;
        let receipt = receipt.map_err(|_| Unanswered::late())??;
        let logs = receipt.map(|receipt| receipt.inner.logs().to_vec()).unwrap_or_default();
        let ours = logs.iter().filter(|log| Some(log.address()) == self.timelock);
        let (mut calls, mut salt, mut predecessor, mut delay) = (BTreeMap::new(), B256::ZERO, B256::ZERO, U256::ZERO);
        for log in ours {
            if let Ok(event) = Contract::CallScheduled::decode_log(&log.inner)
                && event.id == operation.id
            {
                (predecessor, delay) = (event.predecessor, event.delay);
                let call = Call { target: event.target, value: event.value, data: event.data.data.clone() };
                calls.insert(event.index, call);
            } else if let Ok(event) = Contract::CallSalt::decode_log(&log.inner)
                && event.id == operation.id
            {
                salt = event.salt;
            }
        }
        let calls: Vec<Call> = calls.into_values().collect();
        if calls.is_empty() {
            return Err(Unanswered::lacking());
        }
        let is_bound = makes(operation.id, &calls, predecessor, salt);
        let announced = Announced { calls, delay_s: u64::try_from(delay).unwrap_or(u64::MAX), is_bound };
        let mut held = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= STEPS as usize {
            held.clear();
        }
        held.insert(key, announced.clone());
        Ok(announced)
    }
}

fn since(place: &Place) -> Value {
    json!({ "blockNumber": place.block_number, "time": time(place.timestamp), "txHash": place.tx_hash })
}

fn time(unix_s: u64) -> String {
    rfc3339_s(i64::try_from(unix_s).unwrap_or(i64::MAX))
}
