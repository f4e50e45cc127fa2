//! Several nodes as one transport.
//!
//! One node is asked, and the next one only where it fails: answers of several nodes mixed would tell of a chain that
//! never was, in which a receipt that one has not seen yet looks like a reorg. So the pool stays with the node that
//! answered last, and a node that takes over has to know at least the head that was told before.
//!
//! Nothing is asked of several nodes at once, but for one: a signed transaction goes to every node that is well. It is
//! the same transaction however often it arrives, and it is in more pools, so that it is mined also where the one node
//! does not pass it on.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use alloy::{
    primitives::U64,
    rpc::json_rpc::{RequestPacket, ResponsePacket},
    transports::{TransportError, TransportErrorKind, TransportFut},
};
use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::{
    answer::{BriefReceipt, Meaning},
    config::RpcConfig,
    endpoint::{Endpoint, Identity},
    health::{Failure, SeenHead},
};
use crate::{
    clock::now_ms,
    metrics::{RPC_HEAD_AGE_SECONDS, RPC_HEAD_LAG_BLOCKS},
};

/// How long a head that was told binds the nodes: until then a lower one is a node that lags, afterwards the chain
/// itself may have become shorter.
const BINDING: Duration = Duration::from_secs(10);
/// How long a node's head counts when others are compared with it.
const HEAD_COUNTS: Duration = Duration::from_secs(30);
/// How often every node is asked for its head.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Copies of transactions on their way to further nodes; what comes beyond is not copied.
const COPIES: usize = 32;

/// No node answered. Says of one of them why.
#[derive(Debug, thiserror::Error)]
#[error("{host}: {failure}")]
pub struct NoNode {
    /// The node's host and port.
    pub host: String,
    /// Why it did not.
    pub failure: Failure,
}

/// A node as the operators see it.
#[derive(Debug, Clone)]
pub struct EndpointState {
    /// Host and port.
    pub host: String,
    /// Whether it is the one that is asked.
    pub current: bool,
    /// Whether it answers and serves the right chain.
    pub well: bool,
    /// Whether it is put aside for good, as a node of another chain.
    pub rejected: bool,
    /// The last head it named.
    pub head: Option<SeenHead>,
    /// How far this is behind the best one.
    pub lag_blocks: u64,
    /// What went wrong last, since it last went right.
    pub failure: Option<Failure>,
}

/// The configured nodes. Cheap to clone; clones share what they know.
#[derive(Debug, Clone)]
pub struct Pool(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) identity: Identity,
    max_lag_blocks: u64,
    pub(super) current: AtomicUsize,
    /// The highest head that a caller was told, and when.
    told: Mutex<Option<(u64, Instant)>>,
    copies: Arc<Semaphore>,
}

impl Pool {
    pub(super) fn new(config: &RpcConfig, chain_id: u64) -> Result<Self, reqwest::Error> {
        let endpoints: Result<_, _> = config.urls.iter().map(|url| Endpoint::new(url, config.timeout)).collect();
        Ok(Self(Arc::new(Inner {
            endpoints: endpoints?,
            identity: Identity::new(chain_id, config.genesis_hash),
            max_lag_blocks: config.max_lag_blocks,
            current: AtomicUsize::new(0),
            told: Mutex::default(),
            copies: Arc::new(Semaphore::new(COPIES)),
        })))
    }

    /// Every node, in the order of the configuration.
    #[must_use]
    pub fn endpoints(&self) -> Vec<EndpointState> {
        let now = Instant::now();
        let state = |(place, endpoint): (usize, &Endpoint)| {
            let health = *endpoint.health();
            EndpointState {
                host: endpoint.host.clone(),
                current: place == self.0.current.load(Relaxed),
                well: health.is_well(now),
                rejected: health.is_rejected(),
                head: health.head,
                lag_blocks: health.head.map_or(0, |head| self.0.best_head(Some(endpoint)).saturating_sub(head.number)),
                failure: health.last_failure,
            }
        };
        self.0.endpoints.iter().enumerate().map(state).collect()
    }

    /// Whether every node turned out to serve another chain.
    #[must_use]
    pub fn serves_another_chain(&self) -> bool {
        self.0.endpoints.iter().all(|endpoint| endpoint.health().is_rejected())
    }

    /// Asks every node for its head now and then, so that a node that lags or comes back is known before it is needed.
    pub async fn watch(self, shutdown: CancellationToken) {
        loop {
            join_all(self.0.endpoints.iter().map(|endpoint| self.0.look(endpoint))).await;
            self.measure();
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    fn measure(&self) {
        let now_s = now_ms().unsigned_abs() / 1_000;
        for state in self.endpoints() {
            let Some(head) = state.head else { continue };
            let age_s = now_s.saturating_sub(head.timestamp_s);
            metrics::gauge!(RPC_HEAD_AGE_SECONDS, "endpoint" => state.host.clone()).set(age_s as f64);
            metrics::gauge!(RPC_HEAD_LAG_BLOCKS, "endpoint" => state.host).set(state.lag_blocks as f64);
        }
    }

    async fn run(&self, request: &RequestPacket) -> Result<ResponsePacket, NoNode> {
        if request.method_names().all(|method| method == "eth_sendRawTransaction") {
            self.send_copies(request);
        }
        let current = self.0.current.load(Relaxed);
        let others = (0..self.0.endpoints.len()).filter(|place| *place != current);
        let mut why = None;
        // At last the first one again: where its failure did not put it aside, it was a mishap.
        for place in std::iter::once(current).chain(others).chain(std::iter::once(current)) {
            let Some(endpoint) = self.0.endpoints.get(place) else { continue };
            match self.0.ask(place, endpoint, request).await {
                Ok(answer) => {
                    // Of calls that were under way together, the first one that had to go on decides.
                    let moved = self.0.current.compare_exchange(current, place, Relaxed, Relaxed).is_ok();
                    if moved && place != current {
                        tracing::warn!(endpoint = %endpoint.host, "another node is asked from now on");
                    }
                    return Ok(answer);
                }
                Err(Failure::Aside) => {}
                Err(failure) => why = Some(NoNode { host: endpoint.host.clone(), failure }),
            }
        }
        Err(why.unwrap_or_else(|| self.0.last_failure(current)))
    }

    fn send_copies(&self, request: &RequestPacket) {
        let current = self.0.current.load(Relaxed);
        for (place, endpoint) in self.0.endpoints.iter().enumerate() {
            if place == current || !endpoint.health().is_well(Instant::now()) {
                continue;
            }
            let Ok(permit) = Arc::clone(&self.0.copies).try_acquire_owned() else { return };
            let (pool, request) = (self.clone(), request.clone());
            tokio::spawn(async move {
                if let Some(endpoint) = pool.0.endpoints.get(place) {
                    // The node that is asked answers for all; this one's health is noted by the call itself.
                    let _ = endpoint.call(&request).await;
                }
                drop(permit);
            });
        }
    }
}

impl Inner {
    async fn ask(&self, place: usize, endpoint: &Endpoint, request: &RequestPacket) -> Result<ResponsePacket, Failure> {
        let health = *endpoint.health();
        if !health.is_usable(Instant::now()) {
            return Err(Failure::Aside);
        }
        if !health.is_verified() {
            endpoint.verify(&self.identity).await?;
        }
        if !health.is_verified() || place != self.current.load(Relaxed) {
            let (number, timestamp_s) = endpoint.head().await?;
            self.accept_head(endpoint, number, timestamp_s).await?;
        }
        // Between a receipt and its block the chain may move; twice in a row it is the node that does not fit together.
        for _ in 0..2 {
            let (answer, meaning) = endpoint.call(request).await?;
            match meaning {
                Meaning::Head(number, timestamp_s) => self.accept_head(endpoint, number, timestamp_s).await?,
                Meaning::Mined(receipt) if !is_on_chain(endpoint, &receipt).await? => continue,
                Meaning::Mined(_) | Meaning::Plain => {}
            }
            return Ok(answer);
        }
        Err(endpoint.fail(Failure::Nonsense("a receipt of a block that is not on its chain"), Instant::now()))
    }

    /// Takes a node's head over, unless the node is behind: by more than it may be behind the others, or at all behind
    /// what was told a moment ago.
    async fn accept_head(&self, endpoint: &Endpoint, number: u64, timestamp_s: u64) -> Result<(), Failure> {
        self.see_head(endpoint, number, timestamp_s).await?;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let bound = told.filter(|(_, at)| at.elapsed() < BINDING).map_or(0, |(number, _)| number);
        if self.lags(number, bound) {
            return Err(endpoint.fail(Failure::Behind, Instant::now()));
        }
        if number < bound {
            return Err(Failure::Behind);
        }
        *told = Some((number, Instant::now()));
        Ok(())
    }

    /// Notes a node's head, against which others are measured. One that puts the others behind has to be proved first:
    /// with two nodes, the word of one would put the other aside.
    async fn see_head(&self, endpoint: &Endpoint, number: u64, timestamp_s: u64) -> Result<(), Failure> {
        let best = self.best_head(Some(endpoint));
        let tells_of_more = self.endpoints.len() > 1 && self.lags(best, number);
        if tells_of_more && !self.has_block(endpoint, number, timestamp_s).await? {
            return Err(endpoint.fail(Failure::Nonsense("a head that is not on its chain"), Instant::now()));
        }
        endpoint.saw_head(number, timestamp_s);
        if self.lags(number, best) {
            return Err(endpoint.fail(Failure::Behind, Instant::now()));
        }
        Ok(())
    }

    /// Whether the node has the block that it named as its head, and that is no older than what others know.
    async fn has_block(&self, endpoint: &Endpoint, number: u64, timestamp_s: u64) -> Result<bool, Failure> {
        let block = endpoint.block(U64::from(number)).await?;
        let known_s = self.fresh_heads(Some(endpoint)).map(|head| head.timestamp_s).max().unwrap_or_default();
        Ok(timestamp_s >= known_s && block.is_some_and(|block| block.timestamp.to::<u64>() == timestamp_s))
    }

    const fn lags(&self, number: u64, behind: u64) -> bool {
        number.saturating_add(self.max_lag_blocks) < behind
    }

    /// The highest head that nodes other than `but` named lately; of several nodes the second highest. Where there is
    /// but one other, its word alone decides, which is why a head that is ahead was proved before it was noted. A node
    /// that invents whole blocks is not found out by this: of two nodes, nobody can say which one lies.
    fn best_head(&self, but: Option<&Endpoint>) -> u64 {
        let mut numbers: Vec<u64> = self.fresh_heads(but).map(|head| head.number).collect();
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        numbers.get(1).or(numbers.first()).copied().unwrap_or_default()
    }

    fn fresh_heads(&self, but: Option<&Endpoint>) -> impl Iterator<Item = SeenHead> {
        let others = self.endpoints.iter().filter(move |endpoint| but.is_none_or(|but| !std::ptr::eq(but, *endpoint)));
        others.filter_map(|endpoint| {
            let health = *endpoint.health();
            health.head.filter(|head| health.is_verified() && head.at.elapsed() < HEAD_COUNTS)
        })
    }

    /// What fails here is noted by the endpoint.
    async fn look(&self, endpoint: &Endpoint) {
        if !endpoint.health().is_usable(Instant::now()) || endpoint.verify(&self.identity).await.is_err() {
            return;
        }
        if let Ok((number, timestamp_s)) = endpoint.head().await {
            let _ = self.see_head(endpoint, number, timestamp_s).await;
        }
    }

    fn last_failure(&self, place: usize) -> NoNode {
        let endpoint = self.endpoints.get(place);
        NoNode {
            host: endpoint.map_or_else(String::new, |endpoint| endpoint.host.clone()),
            failure: endpoint.and_then(|endpoint| endpoint.health().last_failure).unwrap_or(Failure::Aside),
        }
    }
}

async fn is_on_chain(endpoint: &Endpoint, receipt: &BriefReceipt) -> Result<bool, Failure> {
    Ok(endpoint.block(receipt.block_number).await?.is_some_and(|block| receipt.is_in(&block)))
}

impl Service<RequestPacket> for Pool {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        let pool = self.clone();
        Box::pin(async move { pool.run(&request).await.map_err(TransportErrorKind::custom) })
    }
}
