//! One node: calls with a time limit, and what is made of their outcome.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use alloy::{
    primitives::{B256, U64},
    rpc::json_rpc::{Id, Request, RequestPacket, ResponsePacket, ResponsePayload},
};
use reqwest::{Client, StatusCode, header::RETRY_AFTER, redirect::Policy};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{
    answer::{self, BriefBlock, Meaning},
    config::RpcUrl,
    health::{Failure, Health, SeenHead},
    judge::judge,
    refusal::ENDLESS,
};
use crate::metrics::{RPC_CALL_SECONDS, RPC_CALLS, RPC_PUT_ASIDE, note_tls_error};

/// More than a full block's receipts, less than what a malicious node could fill the memory with.
const LARGEST_ANSWER: usize = 64 << 20;

/// The chain that every endpoint has to serve.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) chain_id: u64,
    genesis: Mutex<Option<B256>>,
}

impl Identity {
    pub(super) const fn new(chain_id: u64, genesis: Option<B256>) -> Self {
        Self { chain_id, genesis: Mutex::new(genesis) }
    }

    /// Whether this genesis is the chain's. Without a configured one, the first that is seen is taken.
    fn has(&self, genesis: B256) -> bool {
        *self.genesis.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(genesis) == genesis
    }
}

/// A node and how it has behaved.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) host: String,
    url: RpcUrl,
    client: Client,
    timeout: Duration,
    health: Mutex<Health>,
    verifying: tokio::sync::Mutex<()>,
}

impl Endpoint {
    pub(super) fn new(url: &RpcUrl, timeout: Duration) -> Result<Self, reqwest::Error> {
        // A node has no business to send us elsewhere.
        let client = Client::builder().connect_timeout(timeout).redirect(Policy::none()).build()?;
        metrics::gauge!(RPC_PUT_ASIDE, "endpoint" => url.host()).set(0);
        Ok(Self {
            host: url.host(),
            url: url.clone(),
            client,
            timeout,
            health: Mutex::default(),
            verifying: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks chain id and genesis; another chain is put aside for good.
    pub(super) async fn verify(&self, identity: &Identity) -> Result<(), Failure> {
        let _one_at_a_time = self.verifying.lock().await;
        let health = *self.health();
        if health.is_verified() {
            return Ok(());
        }
        if !health.is_usable(Instant::now()) {
            return Err(Failure::Aside);
        }
        let chain_id: U64 = self.ask("eth_chainId", json!([])).await?;
        let genesis: BriefBlock = self.ask("eth_getBlockByNumber", json!(["0x0", false])).await?;
        if chain_id.to::<u64>() == identity.chain_id && identity.has(genesis.hash) {
            self.health().verified();
            return Ok(());
        }
        self.health().reject();
        metrics::gauge!(RPC_PUT_ASIDE, "endpoint" => self.host.clone()).set(1);
        tracing::error!(
            target: "security",
            event = "rpc-wrong-chain",
            endpoint = %self.host,
            %chain_id,
            expected_chain_id = identity.chain_id,
            genesis_hash = %genesis.hash,
            "a node serves another chain: it is not asked again; check chain.rpc_urls"
        );
        Err(Failure::WrongChain)
    }

    /// The latest block's number and time.
    pub(super) async fn head(&self) -> Result<(u64, u64), Failure> {
        let head: BriefBlock = self.ask("eth_getBlockByNumber", json!(["latest", false])).await?;
        Ok((head.number.to(), head.timestamp.to()))
    }

    /// The block at a height, without its transactions' contents.
    pub(super) async fn block(&self, number: U64) -> Result<Option<BriefBlock>, Failure> {
        self.ask("eth_getBlockByNumber", json!([number, false])).await
    }

    async fn ask<T: DeserializeOwned>(&self, method: &'static str, params: Value) -> Result<T, Failure> {
        let request = Request::new(method, Id::Number(0), params).serialize();
        let request = request.map_err(|_| Failure::Nonsense("a request that is none"))?;
        let (answer, _) = self.call(&RequestPacket::Single(request)).await?;
        let result = answer.single_payload().and_then(ResponsePayload::as_success);
        let result = result.and_then(|result| serde_json::from_str(result.get()).ok());
        result.ok_or_else(|| self.fail(Failure::Nonsense("an error where every node has an answer"), Instant::now()))
    }

    /// Makes one call and judges its answer. A JSON-RPC error is an answer.
    pub(super) async fn call(&self, request: &RequestPacket) -> Result<(ResponsePacket, Meaning), Failure> {
        let started = Instant::now();
        let outcome = match tokio::time::timeout(self.timeout, self.exchange(request)).await {
            Ok(answer) => answer.and_then(|answer| judge(request, &answer).map(|meaning| (answer, meaning))),
            Err(_) => Err(Failure::TimedOut),
        };
        let label = outcome.as_ref().map_or_else(|failure| failure.outcome(), |_| "ok");
        metrics::counter!(RPC_CALLS, "endpoint" => self.host.clone(), "outcome" => label).increment(1);
        metrics::histogram!(RPC_CALL_SECONDS, "endpoint" => self.host.clone()).record(started.elapsed());
        match outcome {
            Ok(answer) => {
                if self.health().succeeded(started) {
                    tracing::info!(endpoint = %self.host, "a node answers again");
                    metrics::gauge!(RPC_PUT_ASIDE, "endpoint" => self.host.clone()).set(0);
                }
                Ok(answer)
            }
            Err(failure) => Err(self.fail(failure, started)),
        }
    }

    /// Records a failure and gives it back.
    pub(super) fn fail(&self, failure: Failure, started: Instant) -> Failure {
        let jitter = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
        let aside = self.health().failed(failure, started, Instant::now(), jitter);
        if let Some(pause) = aside {
            let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(endpoint = %self.host, why = %failure, pause_ms, "a node is put aside");
            metrics::gauge!(RPC_PUT_ASIDE, "endpoint" => self.host.clone()).set(1);
        }
        failure
    }

    pub(super) fn saw_head(&self, number: u64, timestamp_s: u64) {
        self.health().head = Some(SeenHead { number, timestamp_s, at: Instant::now() });
    }

    async fn exchange(&self, request: &RequestPacket) -> Result<ResponsePacket, Failure> {
        let sent = self.client.post(self.url.0.clone()).json(request).send().await;
        let mut response = sent.map_err(|error| {
            note_tls_error("rpc", &error);
            Failure::Unreachable
        })?;
        let status = response.status();
        let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = header.and_then(|value| answer::retry_after(value, OffsetDateTime::now_utc()));
        if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE && retry_after.is_some()
        {
            return Err(Failure::Throttled { retry_after });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|_| Failure::Unreachable)? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(ENDLESS);
            }
            body.extend_from_slice(&chunk);
        }
        match serde_json::from_slice::<ResponsePacket>(&body) {
            // Some nodes send their JSON-RPC errors with a status of 4xx or 5xx.
            Ok(answer) if status.is_success() || answer.is_error() => Ok(answer),
            _ if !status.is_success() => Err(Failure::Status(status.as_u16())),
            _ => Err(Failure::Nonsense("no JSON-RPC")),
        }
    }
}
