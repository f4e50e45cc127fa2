//! Consecutive ports on loopback: from a given one on, or a free run.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail, ensure};
use url::Url;

/// How many ports a stack takes.
pub const COUNT: u16 = 7;
const LAST_BASE: u16 = u16::MAX - (COUNT - 1);

/// Below what Linux (32768) and macOS (49152) give to outgoing connections, which could take a port while its daemon is
/// being restarted.
const FREE_FROM: u16 = 12_000;
const FREE_TO: u16 = 32_000;

/// A stack's ports.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    base: u16,
}

/// An address on loopback.
#[must_use]
pub fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The URL of a port on loopback.
///
/// # Errors
/// Never for a port; the parser's type says otherwise.
pub fn http(port: u16) -> Result<Url> {
    Url::parse(&format!("http://{}/", loopback(port))).context("a URL of a loopback port")
}

static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

impl Ports {
    /// `base` and those after it.
    ///
    /// # Errors
    /// When one of them is taken, or there are not as many above `base`.
    pub fn from_base(base: u16) -> Result<Self> {
        ensure!((1..=LAST_BASE).contains(&base), "PORT_BASE: 1 to {LAST_BASE} is expected");
        match (base..=base + (COUNT - 1)).find(|port| !is_free(*port)) {
            Some(port) => bail!("port {port} is taken: free it or choose another PORT_BASE"),
            None => Ok(Self { base }),
        }
    }

    /// A free run. The search begins anywhere, so that stacks started together hardly meet.
    ///
    /// # Errors
    /// When there is none.
    pub fn free() -> Result<Self> {
        // Between the look and the bind another stack of this process could find the same run free.
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        let runs = (FREE_TO - FREE_FROM) / COUNT;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
        let start = (now ^ std::process::id().wrapping_mul(0x9E37_79B1)) % u32::from(runs);
        (start..start + u32::from(runs))
            .filter_map(|run| u16::try_from(run % u32::from(runs)).ok())
            .map(|run| FREE_FROM + run * COUNT)
            .find(|base| (*base..base + COUNT).all(is_free) && given.insert(*base))
            .map(|base| Self { base })
            .with_context(|| format!("no {COUNT} free ports in a row between {FREE_FROM} and {FREE_TO}"))
    }

    /// anvil's JSON-RPC.
    #[must_use]
    pub const fn rpc(self) -> u16 {
        self.base
    }

    /// The relayer's public port.
    #[must_use]
    pub const fn relayer(self) -> u16 {
        self.base + 1
    }

    /// The relayer's admin port.
    #[must_use]
    pub const fn relayer_admin(self) -> u16 {
        self.base + 2
    }

    /// The indexer's public port.
    #[must_use]
    pub const fn indexer(self) -> u16 {
        self.base + 3
    }

    /// The indexer's admin port.
    #[must_use]
    pub const fn indexer_admin(self) -> u16 {
        self.base + 4
    }

    /// The mailbox's page and REST interface.
    #[must_use]
    pub const fn mail(self) -> u16 {
        self.base + 5
    }

    /// The mailbox's SMTP.
    #[must_use]
    pub const fn smtp(self) -> u16 {
        self.base + 6
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(loopback(port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_and_a_free_run_avoids_it() {
        let free = Ports::free().unwrap();
        let _taken = TcpListener::bind(loopback(free.indexer())).unwrap();
        let refusal = Ports::from_base(free.rpc()).unwrap_err().to_string();
        assert!(refusal.contains(&free.indexer().to_string()), "{refusal}");
    }

    #[test]
    fn the_last_run_ends_with_the_last_port() {
        assert_eq!(Ports::from_base(65_529).unwrap().smtp(), u16::MAX);
        assert!(Ports::from_base(65_530).is_err());
        assert!(Ports::from_base(0).is_err());
    }
}
