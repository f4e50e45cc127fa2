//! Revoking what is owed: codes that were reported or that an operator withdrew, as soon as they stand on the chain.

use alloy::{
    primitives::{B256, Bytes, aliases::U40},
    sol_types::SolCall,
};
use otp_core::{
    contract::{IOtpVerifier::Ticket, OtpVerifier},
    id::leaf,
    merkle::Tree,
    store::{NewContents, OwedRevocation},
};

use super::{Head, Issuer, IssuingError, Refusal};

/// Tickets in one revocation: some 10,000 gas each.
const MAX_TICKETS: u32 = 40;

impl Issuer {
    /// Sends a revocation of what is owed and not on its way. Returns how many calls that were.
    pub(super) async fn revoke(&self, nonce: u64, head: Head) -> Result<usize, IssuingError> {
        let store = &self.parts.store;
        let mut tickets = Vec::new();
        for owed in store.owed_revocations(self.sender.lease.sender, MAX_TICKETS).await? {
            if let Some(ticket) = self.ticket(&owed).await? {
                tickets.push(ticket);
            }
        }
        let Some((tickets, gas_limit)) = self.acceptable(tickets).await? else { return Ok(0) };
        let ids: Vec<B256> = tickets.iter().map(|ticket| ticket.id).collect();
        let nonce = store.next_nonce(self.sender.lease.sender).await?.max(nonce);
        let draft = self.sender.draft(nonce, gas_limit, call_data(tickets));
        self.sender.call(NewContents::Revocation(&ids), draft, None, head).await?;
        Ok(1)
    }

    /// The tickets that the contract takes, with the gas limit: one that it does not know holds no other up, and is tried
    /// again next turn.
    async fn acceptable(&self, mut tickets: Vec<Ticket>) -> Result<Option<(Vec<Ticket>, u64)>, IssuingError> {
        if tickets.is_empty() {
            return Ok(None);
        }
        match self.sender.estimate(&call_data(tickets.clone())).await {
            Ok(gas_limit) => return Ok(Some((tickets, gas_limit))),
            Err(error) if !matches!(Refusal::from(&error), Refusal::Reverted(_)) => return Err(error.into()),
            Err(_) => {}
        }
        let mut known = Vec::new();
        for ticket in tickets.drain(..) {
            match self.sender.estimate(&call_data(vec![ticket.clone()])).await {
                Ok(_) => known.push(ticket),
                Err(error) => {
                    let refusal = Refusal::from(&error);
                    tracing::warn!(on_chain_id = %ticket.id, %refusal, "a code cannot be revoked now");
                }
            }
        }
        if known.is_empty() {
            return Ok(None);
        }
        let gas_limit = self.sender.estimate(&call_data(known.clone())).await?;
        Ok(Some((known, gas_limit)))
    }

    async fn ticket(&self, owed: &OwedRevocation) -> Result<Option<Ticket>, IssuingError> {
        let ids = self.parts.store.batch_ids(owed.batch_id).await?;
        let purpose = owed.purpose.bytes32();
        let leaves: Vec<B256> = ids.iter().map(|(serial, id)| leaf(purpose, *serial, *id)).collect();
        let place = ids.iter().position(|(serial, _)| *serial == owed.serial);
        let proof = Tree::new(&leaves).zip(place).and_then(|(tree, place)| tree.proof(place));
        Ok(proof.map(|proof| Ticket {
            id: owed.on_chain_id,
            issuer: self.sender.lease.sender,
            purpose,
            serial: U40::saturating_from(owed.serial),
            proof,
        }))
    }
}

fn call_data(tickets: Vec<Ticket>) -> Bytes {
    OtpVerifier::revokeCall { tickets }.abi_encode().into()
}
