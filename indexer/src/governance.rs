//! Who may do what to the verifier, since when and by which transaction, and what waits in the timelock.
//!
//! Since-when and by-what come from the stored events and the timelock's steps; what policies say, whether a role still
//! holds and what an operation would call is asked of a node, at the block as of which everything is. Where no node
//! answers, what is stored is told without it, and the answer says so. It is made anew every few seconds, whoever asks.

pub mod words;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex as Lock, PoisonError},
    time::{Duration, Instant},
};

use alloy::{
    eips::BlockId,
    primitives::{Address, B256, Bytes, U256, b256, keccak256},
    providers::Provider,
    sol_types::{SolEvent, SolValue},
};
use futures_util::{StreamExt, stream};
use otp_core::{
    chain::Node,
    clock::rfc3339_s,
    contract::{IOtpVerifier::Policy, OtpVerifier, Timelock as Contract},
    id::Deployment,
    store::{ChainEvent, Cursor, EventFilter, EventKind, Place, Store, StoreError, TimelockStep, TimelockStepKind},
};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use self::words::{Parties, describe, policy_json, role_name};
use crate::{api::purpose_name, inquiry::Unanswered};

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

/// A call that an operation makes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    target: Address,
    value: U256,
    data: Bytes,
}

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

/// Whether these calls have this id: `hashOperation` and `hashOperationBatch` of OpenZeppelin's `TimelockController`.
fn makes(id: B256, calls: &[Call], predecessor: B256, salt: B256) -> bool {
    if let [call] = calls {
        let one = (call.target, call.value, call.data.clone(), predecessor, salt).abi_encode_params();
        if keccak256(one) == id {
            return true;
        }
    }
    let targets: Vec<Address> = calls.iter().map(|call| call.target).collect();
    let values: Vec<U256> = calls.iter().map(|call| call.value).collect();
    let payloads: Vec<Bytes> = calls.iter().map(|call| call.data.clone()).collect();
    keccak256((targets, values, payloads, predecessor, salt).abi_encode_params()) == id
}

/// An operation by its steps.
#[derive(Debug, Clone)]
struct Operation {
    id: B256,
    scheduled: Place,
    ended: Option<(TimelockStepKind, Place)>,
}

/// What waits first, then what was done last. `steps`: latest first.
fn operations(steps: &[TimelockStep]) -> Vec<Operation> {
    let mut found: Vec<Operation> = Vec::new();
    let mut ended: HashMap<B256, (TimelockStepKind, Place)> = HashMap::new();
    for step in steps {
        let is_known = found.iter().any(|operation| operation.id == step.operation);
        match step.kind {
            TimelockStepKind::Scheduled if is_known => {}
            TimelockStepKind::Scheduled => {
                let ended = ended.get(&step.operation).copied();
                found.push(Operation { id: step.operation, scheduled: step.place, ended });
            }
            // An operation that was cancelled can be announced again: then the later words count.
            kind if !is_known => {
                ended.entry(step.operation).or_insert((kind, step.place));
            }
            _ => {}
        }
    }
    found.sort_by_key(|operation| operation.ended.is_some());
    found
}

/// Governance's events, the last word of each.
#[derive(Debug, Default)]
struct History {
    policies: BTreeMap<B256, Place>,
    /// By role and account; `None` where it was taken.
    roles: BTreeMap<(B256, Address), Option<Place>>,
    pause: Option<ChainEvent>,
    implementation: Value,
}

impl History {
    fn of(events: &[ChainEvent]) -> Self {
        let mut history = Self::default();
        for event in events {
            let (place, facts) = (event.place, &event.facts);
            match event.kind {
                EventKind::PolicySet => {
                    history.policies.extend(facts.purpose.map(|purpose| (purpose, place)));
                }
                EventKind::RoleGranted | EventKind::RoleRevoked => {
                    let holds = (event.kind == EventKind::RoleGranted).then_some(place);
                    history.roles.extend(facts.action.zip(facts.subject).map(|of| (of, holds)));
                }
                EventKind::Paused | EventKind::Unpaused => history.pause = Some(event.clone()),
                EventKind::Upgraded => {
                    let address = facts.party.map(|at| at.to_checksum(None));
                    history.implementation = json!({ "address": address, "since": since(&place) });
                }
                _ => {}
            }
        }
        history
    }

    fn is_paused(&self) -> bool {
        self.pause.as_ref().is_some_and(|event| event.kind == EventKind::Paused)
    }

    fn holders(&self) -> impl Iterator<Item = (B256, Address)> {
        self.roles.iter().filter(|(_, since)| since.is_some()).map(|(holder, _)| *holder)
    }

    fn policies(&self, answers: &Answers) -> Vec<Value> {
        let told = self.policies.iter().map(|(purpose, place)| {
            json!({
                "purpose": purpose,
                "purposeName": purpose_name(*purpose),
                "policy": answers.policies.get(purpose).map(policy_json),
                "since": since(place),
            })
        });
        told.collect()
    }

    fn roles(&self, answers: &Answers) -> Vec<Value> {
        let held = self.roles.iter().filter_map(|(holder, place)| Some((holder, place.as_ref()?)));
        let told = held.map(|((role, account), place)| {
            json!({
                "role": role,
                "roleName": role_name(*role),
                "account": account.to_checksum(None),
                "since": since(place),
                "agrees": answers.roles.get(&(*role, *account)),
            })
        });
        told.collect()
    }
}

fn since(place: &Place) -> Value {
    json!({ "blockNumber": place.block_number, "time": time(place.timestamp), "txHash": place.tx_hash })
}

fn time(unix_s: u64) -> String {
    rfc3339_s(i64::try_from(unix_s).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(kind: TimelockStepKind, operation: u8, block_number: u64) -> TimelockStep {
        let place =
            Place { block_hash: B256::ZERO, block_number, timestamp: block_number, tx_hash: B256::ZERO, log_index: 0 };
        TimelockStep { place, operation: B256::repeat_byte(operation), kind }
    }

    #[test]
    fn an_operation_stands_where_its_last_announcement_led() {
        use TimelockStepKind::{Cancelled, Executed, Scheduled};
        let steps = [
            step(Scheduled, 3, 7),
            step(Executed, 2, 6),
            step(Scheduled, 1, 5),
            step(Scheduled, 2, 4),
            step(Scheduled, 2, 4),
            step(Cancelled, 1, 3),
            step(Scheduled, 1, 2),
        ];
        let found = operations(&steps);
        let told: Vec<_> = found
            .iter()
            .map(|o| (o.id[0], o.scheduled.block_number, o.ended.map(|(kind, place)| (kind, place.block_number))))
            .collect();
        assert_eq!(told, [(3, 7, None), (1, 5, None), (2, 4, Some((Executed, 6)))]);
    }
}
