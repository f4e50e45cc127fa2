//! The code in a verification's bytes: it is not stored (protocol.md §6) but derived again whenever they are sent.

use alloy::{
    consensus::{Signed, TxEip1559, TxEnvelope},
    eips::eip2718::{Decodable2718, Encodable2718},
    primitives::Bytes,
    sol_types::SolCall,
};
use otp_core::{
    code::{Code, Seed},
    contract::OtpVerifier::verifyForCall,
    id::Slot,
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
    /// The code of a call; `None` where it is no verification.
    pub(super) async fn code_of(&self, call: &OpenCall) -> Result<Option<Code>, IssuingError> {
        match call.contents {
            Contents::Verification { request_id } => Ok(Some(self.code(request_id).await?)),
            _ => Ok(None),
        }
    }

    /// The code of a request that has a number.
    pub(super) async fn code(&self, request_id: Uuid) -> Result<Code, IssuingError> {
        let source = self.store.code_source(request_id).await?.ok_or(IssuingError::NoCode)?;
        let opened = self.keyring.open_sealed("seed", source.account_id, &source.seed_sealed);
        // The seed of an account that was erased is gone; that ends one call and not the process.
        let seed = opened.ok().and_then(|opened| Seed::from_bytes(&opened)).ok_or(IssuingError::NoCode)?;
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

/// Signed bytes as they are sent, from those that are stored.
pub(super) fn with_code(form: &SignedTransaction, code: &Code) -> Result<Vec<u8>, IssuingError> {
    let stored = TxEnvelope::decode_2718(&mut form.raw.as_slice()).map_err(|_| IssuingError::NoCode)?;
    let TxEnvelope::Eip1559(signed) = stored else { return Err(IssuingError::NoCode) };
    let (blanked, signature, _) = signed.into_parts();
    if blanked.input.is_empty() {
        // A cancellation: it has no code.
        return Ok(form.raw.clone());
    }
    let transaction = TxEip1559 { input: full_input(&blanked.input, code)?, ..blanked };
    let full = TxEnvelope::from(Signed::new_unhashed(transaction, signature));
    if *full.tx_hash() == form.hash { Ok(full.encoded_2718()) } else { Err(IssuingError::NoCode) }
}
