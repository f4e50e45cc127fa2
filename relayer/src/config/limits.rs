//! `limits.*`: how much of what anybody may ask for.

use std::{str::FromStr, time::Duration};

use otp_core::{config::Reader, id::Purpose};

use crate::limits::Network;

/// `limits.*`
#[derive(Debug, Clone)]
pub struct LimitsConfig {
    /// `limits.requests_per_account`
    pub requests_per_account: Limit,
    /// `limits.requests_per_ip`; IPv6 by /64, as everywhere here.
    pub requests_per_ip: Limit,
    /// `limits.requests_per_device`: by the device's key, else by session.
    pub requests_per_device: Limit,
    /// `limits.requests_per_destination`: by the leading digits of a phone number.
    pub requests_per_destination: Limit,
    /// `limits.requests_global`
    pub requests_global: Limit,
    /// `limits.requests_by_purpose`: instead of the above, with buckets of their own.
    pub requests_by_purpose: Vec<PurposeLimit>,
    /// `limits.contact_cooldown_seconds` and `limits.contact_cooldown_max_seconds`
    pub cooldown: (Duration, Duration),
    /// `limits.queued_per_account`
    pub queued_per_account: u32,
    /// `limits.queued`
    pub queued: u32,
    /// `limits.nonces_per_ip`
    pub nonces_per_ip: Limit,
    /// `limits.logins_per_ip`
    pub logins_per_ip: Limit,
    /// `limits.contact_mails_per_account`
    pub contact_mails_per_account: Limit,
    /// `limits.contact_mails_per_ip`
    pub contact_mails_per_ip: Limit,
    /// `limits.contact_mails_per_destination`: by the address without dots and what follows a plus.
    pub contact_mails_per_destination: Limit,
    /// `limits.unlocks_per_ip`
    pub unlocks_per_ip: Limit,
    /// `limits.tighten_above_percent`: of guesses and sign-ins that are wrong; 100 is never.
    pub tighten_above_percent: u32,
    /// `limits.tighten_samples`: guesses and sign-ins below which nothing is concluded.
    pub tighten_samples: u32,
    /// `limits.buckets`: rows that are kept.
    pub buckets: u32,
    /// `http.trusted_proxies`
    pub trusted_proxies: Vec<Network>,
}

/// So many in so long, or no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub Option<Quota>);

/// A bucket of `count` tokens that fills in `period`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// At once.
    pub count: u32,
    /// How long an empty bucket takes to fill.
    pub period: Duration,
}

impl FromStr for Limit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "a limit such as 3/5m, 20/1h or off is expected";
        if text == "off" {
            return Ok(Self(None));
        }
        let (count, period) = text.split_once('/').ok_or(EXPECTED)?;
        let (number, unit) = period.split_at_checked(period.len().saturating_sub(1)).ok_or(EXPECTED)?;
        let unit_s = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(EXPECTED),
        };
        let count: u32 = count.parse().map_err(|_| EXPECTED)?;
        let period_s = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_s)).ok_or(EXPECTED)?;
        // Within these a token's interval is at least a microsecond and no sum of them overflows.
        if !(1..=1_000_000).contains(&count) || !(1..=366 * 86_400).contains(&period_s) {
            return Err("a limit of 1 to 1000000 in one second to 366 days is expected");
        }
        Ok(Self(Some(Quota { count, period: Duration::from_secs(period_s) })))
    }
}

/// What a [`PurposeLimit`] replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestScope {
    /// `limits.requests_per_account`
    Account,
    /// `limits.requests_per_ip`
    Ip,
    /// `limits.requests_per_device`
    Device,
    /// `limits.requests_per_destination`
    Destination,
    /// `limits.requests_global`
    Global,
}

/// A purpose's own limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurposeLimit {
    /// For requests of this purpose.
    pub purpose: Purpose,
    /// Instead of which limit.
    pub scope: RequestScope,
    /// How much.
    pub limit: Limit,
}

impl FromStr for PurposeLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [purpose, scope, limit] = words.as_slice() else {
            return Err("purpose, scope and limit are expected, such as: withdraw account 2/5m".to_owned());
        };
        let scope = match *scope {
            "account" => RequestScope::Account,
            "ip" => RequestScope::Ip,
            "device" => RequestScope::Device,
            "destination" => RequestScope::Destination,
            "global" => RequestScope::Global,
            _ => return Err("the scope is account, ip, device, destination or global".to_owned()),
        };
        let purpose = purpose.parse().map_err(|e| format!("{e}"))?;
        Ok(Self { purpose, scope, limit: limit.parse()? })
    }
}

pub(super) fn read(reader: &mut Reader) -> Option<LimitsConfig> {
    let requests_per_account = reader.or("limits.requests_per_account", "3/5m");
    let requests_per_ip = reader.or("limits.requests_per_ip", "20/1h");
    let requests_per_device = reader.or("limits.requests_per_device", "10/1h");
    let requests_per_destination = reader.or("limits.requests_per_destination", "30/1h");
    let requests_global = reader.or("limits.requests_global", "6000/1m");
    let requests_by_purpose = reader.list("limits.requests_by_purpose", Some(""));
    let cooldown = reader.seconds("limits.contact_cooldown_seconds", "30", 0..=3_600);
    let cooldown_max = reader.seconds("limits.contact_cooldown_max_seconds", "900", 0..=86_400);
    let queued_per_account = reader.within("limits.queued_per_account", "10", 1..=1_000_000);
    let queued = reader.within("limits.queued", "10000", 1..=10_000_000);
    let nonces_per_ip = reader.or("limits.nonces_per_ip", "60/5m");
    let logins_per_ip = reader.or("limits.logins_per_ip", "30/5m");
    let contact_mails_per_account = reader.or("limits.contact_mails_per_account", "10/1h");
    let contact_mails_per_ip = reader.or("limits.contact_mails_per_ip", "20/1h");
    let contact_mails_per_destination = reader.or("limits.contact_mails_per_destination", "5/1h");
    let unlocks_per_ip = reader.or("limits.unlocks_per_ip", "120/5m");
    let tighten_above_percent = reader.within("limits.tighten_above_percent", "60", 1..=100);
    let tighten_samples = reader.within("limits.tighten_samples", "100", 1..=1_000_000);
    let buckets = reader.within("limits.buckets", "200000", 1_000..=100_000_000);
    let trusted_proxies = reader.list("http.trusted_proxies", Some(""));
    Some(LimitsConfig {
        requests_per_account: requests_per_account?,
        requests_per_ip: requests_per_ip?,
        requests_per_device: requests_per_device?,
        requests_per_destination: requests_per_destination?,
        requests_global: requests_global?,
        requests_by_purpose: requests_by_purpose?,
        cooldown: (cooldown?, cooldown_max?),
        queued_per_account: queued_per_account?,
        queued: queued?,
        nonces_per_ip: nonces_per_ip?,
        logins_per_ip: logins_per_ip?,
        contact_mails_per_account: contact_mails_per_account?,
        contact_mails_per_ip: contact_mails_per_ip?,
        contact_mails_per_destination: contact_mails_per_destination?,
        unlocks_per_ip: unlocks_per_ip?,
        tighten_above_percent: tighten_above_percent?,
        tighten_samples: tighten_samples?,
        buckets: buckets?,
        trusted_proxies: trusted_proxies?,
    })
}

impl LimitsConfig {
    /// No limit at all: for tests of something else.
    #[must_use]
    pub fn unlimited() -> Self {
        let off = Limit(None);
        Self {
            requests_per_account: off,
            requests_per_ip: off,
            requests_per_device: off,
            requests_per_destination: off,
            requests_global: off,
            requests_by_purpose: Vec::new(),
            cooldown: (Duration::ZERO, Duration::ZERO),
            queued_per_account: u32::MAX,
            queued: u32::MAX,
            nonces_per_ip: off,
            logins_per_ip: off,
            contact_mails_per_account: off,
            contact_mails_per_ip: off,
            contact_mails_per_destination: off,
            unlocks_per_ip: off,
            tighten_above_percent: 100,
            tighten_samples: u32::MAX,
            buckets: 1_000,
            trusted_proxies: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_count_and_a_period_or_off() {
        let quota = |count, seconds| Ok(Limit(Some(Quota { count, period: Duration::from_secs(seconds) })));
        assert_eq!("3/5m".parse(), quota(3, 300));
        assert_eq!("1000000/1s".parse(), quota(1_000_000, 1));
        assert_eq!("20/1h".parse(), quota(20, 3_600));
        assert_eq!("off".parse(), Ok(Limit(None)));
        for bad in
            ["", "3", "/5m", "3/", "0/5m", "3/0m", "3/5", "3/5x", "-1/5m", "3/5µ", "3/99999999999999999999d", "3/400d"]
        {
            assert!(bad.parse::<Limit>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_purpose_may_have_a_limit_of_its_own() {
        let limit: PurposeLimit = "withdraw account 2/5m".parse().unwrap();
        assert_eq!((limit.purpose.to_string().as_str(), limit.scope), ("withdraw", RequestScope::Account));
        for bad in ["withdraw 2/5m", "withdraw wallet 2/5m", "With draw 2/5m", "withdraw account 2"] {
            assert!(bad.parse::<PurposeLimit>().is_err(), "{bad}");
        }
    }
}
