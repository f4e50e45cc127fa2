//! `issue.*`: batching, fees, deadlines.

use std::time::Duration;

use otp_core::config::Reader;

/// `issue.*`
#[derive(Debug, Clone)]
pub struct IssueConfig {
    /// `issue.deadline_seconds`: how late, in chain time, a batch may still be mined.
    pub deadline_s: u64,
    /// `issue.replace_after_ms`: when a transaction that is not mined is sent again with higher fees.
    pub replace_after: Duration,
    /// `issue.max_fee_per_gas_wei`: the most that is ever offered.
    pub max_fee_cap_wei: u128,
    /// `issue.priority_fee_per_gas_wei`: the first offer's tip.
    pub priority_fee_wei: u128,
    /// `issue.confirmations`: blocks on top after which a batch counts as final.
    pub confirmations: u64,
    /// `issue.sign_timeout_ms`: how long a signature may take; KMS is a network away.
    pub sign_timeout: Duration,
}

pub(super) fn read(reader: &mut Reader) -> Option<IssueConfig> {
    let deadline = reader.seconds("issue.deadline_seconds", "300", 10..=3_600);
    let replace_after = reader.millis("issue.replace_after_ms", "15000", 100..=600_000);
    let max_fee_cap_wei = reader.or("issue.max_fee_per_gas_wei", "500000000000");
    let priority_fee_wei = reader.or("issue.priority_fee_per_gas_wei", "1000000000");
    let confirmations = reader.within("issue.confirmations", "64", 1..=10_000);
    let sign_timeout = reader.millis("issue.sign_timeout_ms", "10000", 100..=120_000);
    Some(IssueConfig {
        deadline_s: deadline?.as_secs(),
        replace_after: replace_after?,
        max_fee_cap_wei: max_fee_cap_wei?,
        priority_fee_wei: priority_fee_wei?,
        confirmations: confirmations?,
        sign_timeout: sign_timeout?,
    })
}
