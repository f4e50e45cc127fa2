//! The rule of real pools that anvil does not have: who replaces a transaction pays at least 110 % of both its fees.

use std::collections::HashMap;

use alloy::{
    consensus::{Transaction, TxEnvelope},
    eips::eip2718::Decodable2718,
    primitives::{Address, B256, Bytes},
};
use serde_json::Value;

/// What geth answers.
pub(super) const UNDERPRICED: (i64, &str) = (-32_000, "replacement transaction underpriced");

/// What a sender offered for a nonce.
#[derive(Clone, Copy)]
pub(super) struct Offer {
    pub(super) hash: B256,
    max_fee_wei: u128,
    priority_fee_wei: u128,
}

impl Offer {
    /// Whether a pool that holds `former` takes this one in its place.
    pub(super) fn replaces(&self, former: &Self) -> bool {
        let enough = |now: u128, then: u128| now >= then.saturating_mul(11).div_ceil(10) && now > then;
        self.hash == former.hash
            || enough(self.max_fee_wei, former.max_fee_wei) && enough(self.priority_fee_wei, former.priority_fee_wei)
    }
}

/// The last offers that were passed on, by sender and nonce.
#[derive(Default)]
pub(super) struct Offers(HashMap<(Address, u64), Offer>);

impl Offers {
    /// The offer of an `eth_sendRawTransaction`, and the one before it.
    pub(super) fn of(&self, params: &Value) -> Option<((Address, u64), Offer, Option<Offer>)> {
        let raw: Bytes = params[0].as_str()?.parse().ok()?;
        let transaction = TxEnvelope::decode_2718(&mut raw.as_ref()).ok()?;
        let signer = transaction.signature().recover_address_from_prehash(&transaction.signature_hash());
        let place = (signer.ok()?, transaction.nonce());
        let offer = Offer {
            hash: *transaction.tx_hash(),
            max_fee_wei: transaction.max_fee_per_gas(),
            priority_fee_wei: transaction.max_priority_fee_per_gas().unwrap_or_default(),
        };
        Some((place, offer, self.0.get(&place).copied()))
    }

    pub(super) fn note(&mut self, place: (Address, u64), offer: Offer) {
        self.0.insert(place, offer);
    }
}
