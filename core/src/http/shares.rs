//! What of a port's connections one client may have open: with a share of them nobody takes all.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// An IPv6 client is its /64, which is what one household has.
const CLIENT: u128 = u128::MAX << 64;

/// Connections that each client has open.
#[derive(Debug)]
pub(super) struct Shares {
    most: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

impl Shares {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, open: Mutex::default() })
    }

    /// A place for one more, given back when it is dropped; `None` where the client has its share.
    pub(super) fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Share> {
        let client = match peer.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & CLIENT).into(),
            address @ IpAddr::V4(_) => address,
        };
        let mut open = self.open();
        let count = open.entry(client).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        drop(open);
        Some(Share { of: Arc::clone(self), client })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client's place.
#[derive(Debug)]
pub(super) struct Share {
    of: Arc<Shares>,
    client: IpAddr,
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.of.open().entry(self.client) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_its_share_and_gets_it_back_and_nothing_is_kept_of_it() {
        let shares = Shares::new(2);
        let take = |peer: &str| shares.take(peer.parse().unwrap());
        let held = [take("192.0.2.1"), take("::ffff:192.0.2.1")];
        assert!(held.iter().all(Option::is_some) && take("192.0.2.1").is_none());
        assert!(take("192.0.2.2").is_some(), "another client");
        let households = [take("2001:db8::1"), take("2001:db8::ffff:2")];
        assert!(households.iter().all(Option::is_some) && take("2001:db8::3").is_none(), "one /64 is one client");
        assert!(take("2001:db8:0:1::1").is_some());
        drop(held);
        assert!(take("192.0.2.1").is_some());
        drop(households);
        assert!(shares.open().is_empty());
    }
}
