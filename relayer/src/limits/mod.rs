//! How much of what anybody may ask for: which buckets a call takes from, and what its answer says of them.
//!
//! The buckets are the store's ([`otp_core::store::Take`]), durable and shared by every relayer on it. Their keys are
//! keyed hashes: the table names no account, address or number. Refusals depend on the caller's own doing alone; limits
//! that others' doing counts towards are told without their levels.

mod client;
mod headers;
mod refusals;
mod tightening;

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::http::StatusCode;
use otp_core::{
    http::Problem,
    id::Purpose,
    metrics::RATE_LIMITED,
    seal::Keyring,
    store::{Cooldown, Rules, Store, Take, Taken},
};
use uuid::Uuid;

pub use self::{
    client::{Network, address},
    headers::{note, note_policy, tell},
};
use self::{headers::SHARED, refusals::Refusals, tightening::Tightening};
use crate::config::{Limit, LimitsConfig, Quota, RequestScope};

/// The leading digits of a phone number that share a limit: country, network and a bit of the number block.
const PREFIX_DIGITS: usize = 7;

/// The limits of a relayer.
#[derive(Debug)]
pub struct Limits {
    config: LimitsConfig,
    keyring: Arc<Keyring>,
    tightening: Tightening,
    refusals: Refusals,
}

/// Who asks for a code, and where it would go.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The account.
    pub account_id: Uuid,
    /// The device's key where there is one, else the session.
    pub device: &'a [u8],
    /// The client.
    pub ip: Option<IpAddr>,
    /// For what.
    pub purpose: Purpose,
    /// To which phone number, where it goes to one.
    pub phone: Option<&'a str>,
}

impl Limits {
    /// As configured; bucket keys are hashed with a sub-key of the ring.
    #[must_use]
    pub fn new(config: LimitsConfig, keyring: Arc<Keyring>) -> Self {
        let tightening = Tightening::new(config.tighten_above_percent, config.tighten_samples);
        Self { keyring, tightening, config, refusals: Refusals::default() }
    }

    /// What the configuration says.
    #[must_use]
    pub const fn config(&self) -> &LimitsConfig {
        &self.config
    }

    /// Counts a guess or a sign-in of a client, each client to a bound: while most are wrong, limits are tighter.
    pub fn observe(&self, ip: Option<IpAddr>, right: bool) {
        self.tightening.observe(ip.map(client::limited_by), right);
    }

    /// What callers' own limits are divided by at the moment: 1 unless most guesses and sign-ins are wrong.
    #[must_use]
    pub fn divisor(&self) -> u32 {
        self.tightening.divisor()
    }

    /// What a request for a code has to keep to.
    #[must_use]
    pub fn for_request(&self, asking: Asking<'_>) -> Rules {
        let mut takes = Vec::with_capacity(5);
        let account = asking.account_id.as_bytes();
        let ip = asking.ip.map(client::limited_by);
        let prefix = asking.phone.map(|phone| phone.get(..=PREFIX_DIGITS).unwrap_or(phone).as_bytes());
        let of = [
            ("account", RequestScope::Account, self.config.requests_per_account, Some(account.as_slice())),
            ("ip", RequestScope::Ip, self.config.requests_per_ip, ip.as_ref().map(<[u8; 8]>::as_slice)),
            ("device", RequestScope::Device, self.config.requests_per_device, Some(asking.device)),
            ("destination", RequestScope::Destination, self.config.requests_per_destination, prefix),
            ("global", RequestScope::Global, self.config.requests_global, Some(b"".as_slice())),
        ];
        for (name, scope, general, whom) in of {
            let own = self.config.requests_by_purpose.iter();
            let own = own.clone().find(|own| own.purpose == asking.purpose && own.scope == scope);
            let (limit, bucket) = own.map_or((general, String::new()), |own| (own.limit, own.purpose.to_string()));
            if let Some(whom) = whom {
                takes.extend(self.bucket(name, limit, &format!("request {bucket}"), whom));
            }
        }
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let (first, longest) = self.config.cooldown;
        Rules {
            confirmed: true,
            takes,
            cooldown: Cooldown { first_ms: millis(first), longest_ms: millis(longest) },
            queued_per_account: self.config.queued_per_account,
            queued: self.config.queued,
        }
    }

    /// Lets a sign-in nonce be asked for.
    ///
    /// # Errors
    /// 429.
    pub async fn nonce(&self, store: &Store, ip: Option<IpAddr>) -> Result<(), Problem> {
        self.take(store, self.of_ip("nonce", self.config.nonces_per_ip, ip)).await
    }

    /// Lets a sign-in be tried.
    ///
    /// # Errors
    /// 429.
    pub async fn login(&self, store: &Store, ip: Option<IpAddr>) -> Result<(), Problem> {
        self.take(store, self.of_ip("login", self.config.logins_per_ip, ip)).await
    }

    /// Lets digits be tried.
    ///
    /// # Errors
    /// 429.
    pub async fn unlock(&self, store: &Store, ip: Option<IpAddr>) -> Result<(), Problem> {
        let takes = self.for_unlock(ip)?;
        self.take_for_unlock(store, takes).await
    }

    /// What [`Limits::unlock`] takes, for an attempt that takes it as it is counted; what came of it goes to
    /// [`Limits::unlock_answered`].
    ///
    /// # Errors
    /// 429, where it is known that there is nothing to take.
    pub fn for_unlock(&self, ip: Option<IpAddr>) -> Result<Vec<Take>, Problem> {
        let takes = self.of_ip("unlock", self.config.unlocks_per_ip, ip);
        note_policy(&takes);
        let known = takes.iter().find_map(|take| Some((take.scope, self.refusals.wait_s(take)?)));
        known.map_or(Ok(takes), |(scope, wait_s)| Err(refused(scope, wait_s)))
    }

    /// Notes what the buckets of an attempt hold.
    ///
    /// # Errors
    /// 429 where one of them is empty.
    pub fn unlock_answered(&self, takes: &[Take], taken: Taken) -> Result<(), Problem> {
        if let (Taken::Refused { retry_after_s, .. }, [take]) = (&taken, takes) {
            self.refusals.note(take, Duration::from_secs(*retry_after_s));
        }
        answered(taken)
    }

    /// Lets a message for confirmation be asked for.
    ///
    /// # Errors
    /// 429.
    pub async fn contact_mail(&self, store: &Store, account: Uuid, ip: Option<IpAddr>) -> Result<(), Problem> {
        let per_account = self.config.contact_mails_per_account;
        let mut takes = self.of_ip("contact", self.config.contact_mails_per_ip, ip);
        takes.extend(self.bucket("account", per_account, "contact", account.as_bytes()));
        self.take(store, takes).await
    }

    /// The bucket of an address to which such a message goes, whoever asks for it.
    #[must_use]
    pub fn mail(&self, address: &[u8]) -> Option<Take> {
        self.bucket("destination", self.config.contact_mails_per_destination, "contact", address)
    }

    /// Takes what [`Limits::for_unlock`] said, where no attempt came to be that would have; nothing of nothing.
    ///
    /// # Errors
    /// 429.
    pub async fn take_for_unlock(&self, store: &Store, takes: Vec<Take>) -> Result<(), Problem> {
        if takes.is_empty() {
            return Ok(());
        }
        let taken = store.take(takes.clone()).await?;
        self.unlock_answered(&takes, taken)
    }

    async fn take(&self, store: &Store, takes: Vec<Take>) -> Result<(), Problem> {
        if takes.is_empty() {
            return Ok(());
        }
        note_policy(&takes);
        answered(store.take(takes).await?)
    }

    fn of_ip(&self, what: &str, limit: Limit, ip: Option<IpAddr>) -> Vec<Take> {
        ip.and_then(|ip| self.bucket("ip", limit, what, &client::limited_by(ip))).into_iter().collect()
    }

    /// One bucket, tightened by the factor of the moment unless all share it: whoever guesses must not take from what
    /// there is for everybody. `None` where the limit is off.
    fn bucket(&self, scope: &'static str, limit: Limit, what: &str, whom: &[u8]) -> Option<Take> {
        let Quota { count, period } = limit.0?;
        let divisor = if SHARED.contains(&scope) { 1 } else { self.tightening.divisor() };
        let period_us = i64::try_from(period.as_micros()).unwrap_or(i64::MAX);
        let interval_us = (period_us / i64::from(count)).max(1).saturating_mul(i64::from(divisor));
        let key = self.hash(&[what.as_bytes(), scope.as_bytes(), whom]);
        Some(Take { scope, key, capacity: (count / divisor).max(1), interval_us })
    }

    fn hash(&self, parts: &[&[u8]]) -> [u8; 16] {
        let lengths = parts.iter().flat_map(|part| u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        let text: Vec<u8> = lengths.chain(parts.concat()).collect();
        self.keyring.tag("limits", &text).first_chunk().copied().unwrap_or_default()
    }
}

/// Notes what the buckets hold that were asked.
fn answered(taken: Taken) -> Result<(), Problem> {
    match taken {
        Taken::All(levels) => {
            note(&levels);
            Ok(())
        }
        Taken::Refused { scope, retry_after_s, levels } => {
            note(&levels);
            Err(refused(scope, retry_after_s))
        }
    }
}

/// 429 by a limit.
#[must_use]
pub fn refused(scope: &'static str, retry_after_s: u64) -> Problem {
    metrics::counter!(RATE_LIMITED, "limit" => scope).increment(1);
    let detail = format!("too many of these calls: try again in {retry_after_s} s");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", "Too many requests", detail).retry_after(retry_after_s)
}
