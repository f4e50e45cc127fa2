//! `otp.*`: requests and contacts.

use std::time::Duration;

use otp_core::{config::Reader, id::Purpose};

/// `otp.*`
#[derive(Debug, Clone)]
pub struct OtpConfig {
    /// `otp.purposes`: those that this relayer issues for.
    pub purposes: Vec<Purpose>,
    /// `otp.allow_blind_actions`: whether a bare bytes32 is accepted as action.
    pub allow_blind_actions: bool,
    /// `otp.confirmation_ttl_seconds`: how long the digits that confirm a contact live.
    pub confirmation_ttl: Duration,
}

pub(super) fn read(reader: &mut Reader) -> Option<OtpConfig> {
    let purposes = reader.list("otp.purposes", Some("login,withdraw,keys,roles"));
    let allow_blind_actions = reader.or("otp.allow_blind_actions", "false");
    let confirmation_ttl = reader.seconds("otp.confirmation_ttl_seconds", "600", 30..=3_600);
    Some(OtpConfig {
        purposes: purposes?,
        allow_blind_actions: allow_blind_actions?,
        confirmation_ttl: confirmation_ttl?,
    })
}
