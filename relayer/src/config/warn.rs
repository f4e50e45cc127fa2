//! `warn.*`: when to say that issuance may stop soon.

use std::time::Duration;

use alloy::primitives::U256;
use otp_core::config::Reader;

/// `warn.*`
#[derive(Debug, Clone)]
pub struct WarnConfig {
    /// `warn.balance_wei`: of the issuer, and of the sponsor.
    pub balance_wei: U256,
    /// `warn.base_fee_percent`: of `issue.max_fee_per_gas_wei`.
    pub base_fee_percent: u8,
    /// `warn.transaction_age_seconds`: of the oldest transaction that is in no block.
    pub transaction_age: Duration,
}

pub(super) fn read(reader: &mut Reader) -> Option<WarnConfig> {
    let balance_wei = reader.or("warn.balance_wei", "100000000000000000");
    let base_fee_percent = reader.within("warn.base_fee_percent", "80", 1..=100);
    let transaction_age = reader.seconds("warn.transaction_age_seconds", "60", 1..=86_400);
    Some(WarnConfig {
        balance_wei: balance_wei?,
        base_fee_percent: base_fee_percent?,
        transaction_age: transaction_age?,
    })
}
