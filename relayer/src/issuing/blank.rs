//! The code in a verification's bytes: it is not stored (protocol.md §6) but derived again whenever they are sent.

use alloy::{
    consensus::{Signed, TxEip1559, TxEnvelope},
    eips::eip2718::{Decodable2718, Encodable2718},
    primitives::{B256, Bytes},
    sol_types::SolCall,
};
use otp_core::{
    code::{Code, Seed},
    contract::OtpVerifier::verifyForCall,
    id::Slot,
    seal::SealError,
    store::{Contents, OpenCall, SignedTransaction},
};
use uuid::Uuid;

use super::{IssuingError, sender::Ground};

/// Stands in the code's place.
const BLANK: u8 = b'0';

/// Signed bytes with the code blanked out. No other 32 bytes of them can be equal to a code: it has 128 random bits.
pub(super) fn without_code(raw: &[u8], code: &Code) -> Vec<u8> {
    let (text, mut raw) = (code.expose(), raw.to_vec());
    let place = raw.windows(text.len()).position(|window| window == text.as_bytes());
    if let Some(place) = place {
        raw[place..place + text.len()].fill(BLANK);
    }
    raw
}

impl Ground {
    /// The code of a call that is in no block; `None` where it is no verification.
    pub(super) async fn code_of(&self, call: &OpenCall) -> Result<Option<Code>, IssuingError> {
        let Contents::Verification { request_id } = call.contents else { return Ok(None) };
        let ticket_id = call.transactions.iter().find_map(ticket_id).ok_or(IssuingError::NoCode)?;
        Ok(Some(self.code(request_id, ticket_id).await?))
    }

    /// The code of a request under the number that `ticket_id` stands for. Where the request has another one by now, this
    /// ticket must not reveal the new code.
    async fn code(&self, request_id: Uuid, ticket_id: B256) -> Result<Code, IssuingError> {
        let source = self.store.code_source(request_id).await?.filter(|source| source.on_chain_id == ticket_id);
        let source = source.ok_or(IssuingError::NoCode)?;
        let opened = match self.keyring.open_sealed("seed", source.account_id, &source.seed_sealed) {
            // A data key that another relayer made is loaded within seconds: the code is not gone.
            Err(error @ SealError::UnknownKey { .. }) => return Err(error.into()),
            // The seed of an account that was erased is gone; that ends one call and not the process.
            opened => opened.map_err(|_| IssuingError::NoCode)?,
        };
        let seed = Seed::from_bytes(&opened).ok_or(IssuingError::NoCode)?;
        let slot = Slot {
            deployment: self.chain.deployment,
            issuer: source.issuer,
            purpose: source.purpose,
            serial: source.serial,
            subject: source.subject,
            action: source.action,
        };
        let code = seed.code(&slot, request_id);
        if slot.id(code.hash()) == source.on_chain_id { Ok(code) } else { Err(IssuingError::NoCode) }
    }
}

/// Call data with its code in it.
pub(super) fn full_input(input: &Bytes, code: &Code) -> Result<Bytes, IssuingError> {
    let call = verifyForCall::abi_decode(input).map_err(|_| IssuingError::NoCode)?;
    Ok(verifyForCall { code: code.expose().to_string(), ..call }.abi_encode().into())
}

/// Signed bytes of a verification as they are sent, from those that are stored; `None` where their code is gone.
pub(super) fn with_code(form: &SignedTransaction, code: Option<&Code>) -> Option<Vec<u8>> {
    let (blanked, signature, _) = decode(form)?.into_parts();
    if blanked.input.is_empty() {
        // A cancellation: it has no code.
        return Some(form.raw.clone());
    }
    let transaction = TxEip1559 { input: full_input(&blanked.input, code?).ok()?, ..blanked };
    let full = TxEnvelope::from(Signed::new_unhashed(transaction, signature));
    (*full.tx_hash() == form.hash).then(|| full.encoded_2718())
}

/// Whose code the form brings; `None` of a cancellation.
fn ticket_id(form: &SignedTransaction) -> Option<B256> {
    let stored = decode(form)?;
    verifyForCall::abi_decode(&stored.tx().input).ok().map(|call| call.ticket.id)
}

fn decode(form: &SignedTransaction) -> Option<Signed<TxEip1559>> {
    match TxEnvelope::decode_2718(&mut form.raw.as_slice()).ok()? {
        TxEnvelope::Eip1559(signed) => Some(signed),
        _ => None,
    }
}
