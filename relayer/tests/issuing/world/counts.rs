//! What became of requests, by chain and store.

use std::collections::BTreeMap;

use alloy::{primitives::B256, providers::Provider, rpc::types::Filter, sol_types::SolEvent};
use otp_core::contract::OtpVerifier;
use uuid::Uuid;

use super::World;

/// What became of requests.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) accepted: usize,
    pub(crate) mined: usize,
    pub(crate) told: usize,
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
}

impl Counts {
    /// All on the chain, each once.
    pub(crate) fn all_mined(accepted: usize) -> Self {
        Self { accepted, mined: accepted, ..Self::default() }
    }
}

impl World {
    /// Each commitment that the contract has taken, with its serials.
    pub(crate) async fn landed(&self) -> BTreeMap<B256, usize> {
        let filter = Filter::new()
            .address(self.deployment.verifier)
            .event_signature(OtpVerifier::OtpSet::SIGNATURE_HASH)
            .from_block(0);
        let mut landed = BTreeMap::new();
        for log in self.anvil.node.get_logs(&filter).await.unwrap() {
            *landed.entry(log.topics()[1]).or_default() += 1;
        }
        landed
    }

    /// What became of accepted requests: mined, told failed, lost, doubled. A request is mined where the number that the
    /// store gave it stands on the chain, and doubled where more codes stand there than requests are mined.
    pub(crate) async fn count(&self, requests: &[Uuid]) -> Counts {
        let landed = self.landed().await;
        let mut counts = Counts { accepted: requests.len(), ..Counts::default() };
        for request in requests {
            let story = self.store.story(self.account, *request).await.unwrap().unwrap();
            let mined = story.issuance.as_ref().is_some_and(|issuance| landed.contains_key(&issuance.on_chain_id));
            match (mined, story.failed.is_some()) {
                (true, _) => counts.mined += 1,
                (false, true) => counts.told += 1,
                (false, false) => counts.lost += 1,
            }
        }
        counts.doubled = landed.values().sum::<usize>() - counts.mined;
        #[expect(clippy::print_stdout, reason = "what a fault left is worth reading when it passes too")]
        {
            println!("{counts:?}");
        }
        counts
    }
}
