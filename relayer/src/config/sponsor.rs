//! `sponsor.*`: the key that pays for `verifyFor`, and how much of it.

use otp_core::config::Reader;

use super::SignerConfig;

/// `sponsor.*`
#[derive(Debug)]
pub struct SponsorConfig {
    /// `sponsor.keystore` and `sponsor.keystore_password`, or `sponsor.kms_key_id`.
    pub signer: SignerConfig,
    /// `sponsor.max_gas`: the most that one verification may take.
    pub max_gas: u64,
    /// `sponsor.per_hour`: verifications per account and hour.
    pub per_hour: u64,
}

/// The outer `None` is a fault, the inner one says that nothing is sponsored.
pub(super) fn read(reader: &mut Reader) -> Option<Option<SponsorConfig>> {
    let path = reader.or("sponsor.keystore", "data/sponsor.json");
    let password = reader.optional("sponsor.keystore_password");
    let kms_key_id = reader.optional("sponsor.kms_key_id");
    let max_gas = reader.within("sponsor.max_gas", "300000", 50_000..=10_000_000);
    let per_hour = reader.within("sponsor.per_hour", "10", 1..=1_000_000);
    let signer = match (kms_key_id?, password?) {
        (Some(key_id), _) => SignerConfig::Kms(key_id),
        (None, Some(password)) => SignerConfig::Keystore { path: path?, password },
        (None, None) => return Some(None),
    };
    Some(Some(SponsorConfig { signer, max_gas: max_gas?, per_hour: per_hour? }))
}
