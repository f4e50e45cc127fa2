//! A second opinion: the same pool, but for the node that gave the first one.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::Instant,
};

use alloy::{
    providers::ProviderBuilder,
    rpc::{
        client::RpcClient,
        json_rpc::{RequestPacket, ResponsePacket},
    },
    transports::{TransportError, TransportErrorKind, TransportFut},
};
use tower::Service;

use super::{
    Node,
    endpoint::Endpoint,
    health::Failure,
    pool::{NoNode, Pool},
};

/// A node of the configuration, by its place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndpointPlace(usize);

impl Pool {
    /// Which node is asked now.
    #[must_use]
    pub fn asked(&self) -> EndpointPlace {
        EndpointPlace(self.0.current.load(Relaxed))
    }

    /// Whether there is one node alone, so that every second opinion is its own.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.0.endpoints.len() == 1
    }

    /// A provider before every node but this one; before this one where there is no other. It is not asked whether these
    /// nodes are up to date: whoever wants a second opinion names blocks that have been there for long.
    #[must_use]
    pub fn beside(&self, but: EndpointPlace) -> Node {
        let alone = self.is_alone();
        self.before((0..self.0.endpoints.len()).filter(|place| alone || *place != but.0).collect())
    }

    /// A provider before this node alone.
    #[must_use]
    pub fn only(&self, place: EndpointPlace) -> Node {
        self.before(vec![place.0])
    }

    fn before(&self, places: Vec<usize>) -> Node {
        let client = RpcClient::new(Chosen { pool: self.clone(), places: places.into() }, false);
        ProviderBuilder::default().connect_client(client)
    }

    /// Puts the node that is asked aside: others have shown that what it says of the chain is wrong.
    pub fn distrust(&self, place: EndpointPlace) {
        if let Some(endpoint) = self.0.endpoints.get(place.0) {
            endpoint.fail(Failure::Nonsense("a chain that others do not have"), Instant::now());
        }
    }
}

/// Some of the pool's nodes, one after another.
#[derive(Debug, Clone)]
struct Chosen {
    pool: Pool,
    places: Arc<[usize]>,
}

impl Chosen {
    async fn run(&self, request: &RequestPacket) -> Result<ResponsePacket, NoNode> {
        let mut why = None;
        for endpoint in self.places.iter().filter_map(|place| self.pool.0.endpoints.get(*place)) {
            match self.ask(endpoint, request).await {
                Ok(answer) => return Ok(answer),
                // Why one is aside, it said itself.
                Err(Failure::Aside) => {
                    let failure = endpoint.health().last_failure.unwrap_or(Failure::Aside);
                    why.get_or_insert_with(|| NoNode { host: endpoint.host.clone(), failure });
                }
                Err(failure) => why = Some(NoNode { host: endpoint.host.clone(), failure }),
            }
        }
        Err(why.unwrap_or_else(|| NoNode { host: String::new(), failure: Failure::Aside }))
    }

    async fn ask(&self, endpoint: &Endpoint, request: &RequestPacket) -> Result<ResponsePacket, Failure> {
        let health = *endpoint.health();
        if !health.is_usable(Instant::now()) {
            return Err(Failure::Aside);
        }
        if !health.is_verified() {
            endpoint.verify(&self.pool.0.identity).await?;
        }
        Ok(endpoint.call(request).await?.0)
    }
}

impl Service<RequestPacket> for Chosen {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        let chosen = self.clone();
        Box::pin(async move { chosen.run(&request).await.map_err(TransportErrorKind::custom) })
    }
}
