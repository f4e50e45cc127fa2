//! What was done on the chain: the relayer's side of a run, which lands again what a reorg took out.

use std::collections::BTreeMap;

use alloy::{
    primitives::{B256, keccak256},
    providers::Provider,
    rpc::types::Filter,
    sol_types::{SolCall, SolEvent},
};
use otp_core::{
    contract::OtpVerifier::{self, OtpBatchSet},
    id::leaf,
    merkle::Tree,
};
use testbed::random::Random;

use crate::harness::{Chain, Issued, Person, World};

/// Anvil runs out of it for nothing that happens here.
const GAS: u64 = 500_000;
const PEOPLE: usize = 3;
const DEPTHS: [u64; 8] = [1, 1, 1, 2, 3, 5, 10, 30];

struct Batch {
    first: u64,
    /// Whose, and what.
    codes: Vec<(usize, Issued)>,
    /// Where it stands, as long as it does.
    block: Option<u64>,
}

impl Batch {
    fn call(&self) -> Vec<u8> {
        let ids: Vec<B256> = self.codes.iter().map(|(_, issued)| issued.id).collect();
        Chain::set_call(self.first, &ids)
    }
}

pub(super) struct Ledger {
    people: Vec<Person>,
    batches: Vec<Batch>,
    strangers_next: u64,
    /// No reorg goes below it.
    floor: u64,
}

impl Ledger {
    pub(super) async fn new(world: &World) -> Self {
        let mut people = Vec::new();
        for _ in 0..PEOPLE {
            people.push(world.confirmed_person().await);
        }
        Self { people, batches: Vec::new(), strangers_next: 0, floor: world.chain.head().await }
    }

    /// One thing that happens on a chain; true where it was a reorg.
    pub(super) async fn go_on(&mut self, world: &World, random: &mut Random) -> bool {
        match random.below(8) {
            0..=2 => self.issue(world, random).await,
            3 => world.chain.mine(1 + random.below(4)).await,
            4 => self.verify(world, random).await,
            5 => self.copy(world, random).await,
            _ => {
                self.reorg(world, random).await;
                return true;
            }
        }
        false
    }

    async fn issue(&mut self, world: &World, random: &mut Random) {
        self.land_lost(world).await;
        let count = 1 + usize::try_from(random.below(3)).unwrap();
        let authorizations: Vec<_> = (0..count).map(|_| world.withdrawal()).collect();
        let mut requests = Vec::new();
        for (person, authorization) in self.people.iter().zip(&authorizations) {
            let request_id = world.request(person, authorization).await;
            requests.push((person, request_id, authorization.action));
        }
        let codes: Vec<_> = world.batch(&requests).await.into_iter().enumerate().collect();
        self.batches.push(Batch { first: codes[0].1.serial, codes, block: None });
        self.land_lost(world).await;
    }

    /// In the order of their numbers, as the contract wants them.
    pub(super) async fn land_lost(&mut self, world: &World) {
        for batch in self.batches.iter_mut().filter(|batch| batch.block.is_none()) {
            let receipt = world.chain.call(world.chain.issuer, batch.call()).await;
            assert!(receipt.status(), "the chain takes no batch any more");
            batch.block = receipt.block_number;
        }
    }

    async fn verify(&self, world: &World, random: &mut Random) {
        let landed: Vec<_> = self.batches.iter().filter(|batch| batch.block.is_some()).collect();
        if landed.is_empty() {
            return;
        }
        let batch = landed[usize::try_from(random.below(landed.len() as u64)).unwrap()];
        let issued = &batch.codes[usize::try_from(random.below(batch.codes.len() as u64)).unwrap()].1;
        world.chain.unlock(issued.wallet).await;
        let (ticket, action) = (world.chain.ticket(issued), issued.action);
        let call = OtpVerifier::verifyCall { ticket, action, code: issued.code.expose().to_string() };
        // One that was verified before reverts, and leaves no event.
        world.chain.call_anyway(issued.wallet, call.abi_encode(), GAS).await;
    }

    /// A stranger copies an id of ours into a batch of its own, and revokes it there: nothing may happen to the real one.
    async fn copy(&mut self, world: &World, random: &mut Random) {
        let ours = self.batches.last().map_or(B256::ZERO, |batch| batch.codes[0].1.id);
        let (first, other) = (self.strangers_next, keccak256(self.strangers_next.to_be_bytes()));
        self.strangers_next += 2;
        world.chain.set_otps(world.chain.stranger, first, &[ours, other]).await;
        if random.once_in(2) {
            let purpose = Chain::purpose().bytes32();
            let tree = Tree::new(&[leaf(purpose, first, ours), leaf(purpose, first + 1, other)]).unwrap();
            let revoke = OtpVerifier::revokeBatchesCall { issuer: world.chain.stranger, roots: vec![tree.root()] };
            assert!(world.chain.call(world.chain.stranger, revoke.abi_encode()).await.status());
        }
    }

    /// Of the batches that a reorg takes out, as many as is drawn are in the new blocks, and perhaps in later ones.
    async fn reorg(&mut self, world: &World, random: &mut Random) {
        let head = world.chain.head().await;
        let depth = DEPTHS[usize::try_from(random.below(DEPTHS.len() as u64)).unwrap()].min(head - self.floor);
        if depth == 0 {
            return world.chain.mine(1).await;
        }
        let lost: Vec<&Batch> =
            self.batches.iter().filter(|batch| batch.block.is_none_or(|block| block > head - depth)).collect();
        let again = usize::try_from(random.below(lost.len() as u64 + 1)).unwrap();
        let mut place = 0;
        let calls = lost.into_iter().take(again).map(|batch| {
            place = depth.saturating_sub(1).min(place + random.below(2));
            (batch.call(), place)
        });
        world.chain.reorg_to(depth, calls).await;
        self.look(world).await;
    }

    /// Where the batches stand now.
    async fn look(&mut self, world: &World) {
        let filter = Filter::new()
            .from_block(0)
            .address(world.chain.deployment.verifier)
            .event_signature(OtpBatchSet::SIGNATURE_HASH);
        let logs = world.chain.node.get_logs(&filter).await.unwrap();
        let there: BTreeMap<u64, u64> = logs
            .iter()
            .filter_map(|log| {
                let set = log.log_decode::<OtpBatchSet>().unwrap().inner.data;
                (set.issuer == world.chain.issuer).then(|| (set.first.to(), log.block_number.unwrap()))
            })
            .collect();
        for batch in &mut self.batches {
            batch.block = there.get(&batch.first).copied();
        }
    }

    /// Every code with whom it is for.
    pub(super) fn codes(&self) -> impl Iterator<Item = (&Person, &Issued)> {
        self.batches.iter().flat_map(|batch| &batch.codes).map(|(person, issued)| (&self.people[*person], issued))
    }
}
