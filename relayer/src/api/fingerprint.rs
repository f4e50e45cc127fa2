//! Where a session is used from: the program and the network, as keyed hashes. A change refuses nothing, since networks and
//! programs do change; it is told as a security event.

use std::net::IpAddr;

use otp_core::{seal::Keyring, store::Fingerprint};

const HALF: usize = 16;

/// The fingerprint of a call with this `User-Agent` from this address.
pub(super) fn of(keyring: &Keyring, program: &str, address: IpAddr) -> Fingerprint {
    let mut fingerprint = [0; 2 * HALF];
    let (first, second) = fingerprint.split_at_mut(HALF);
    first.copy_from_slice(&keyring.tag("session-program", program.as_bytes())[..HALF]);
    second.copy_from_slice(&keyring.tag("session-network", &network(address))[..HALF]);
    fingerprint
}

/// Whether program and network differ between two fingerprints.
pub(super) fn differences(one: &[u8], other: &Fingerprint) -> (bool, bool) {
    (one.get(..HALF) != other.get(..HALF), one.get(HALF..) != other.get(HALF..))
}

/// The /24 of an IPv4 address, the /64 of an IPv6 one.
fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets()[..3].to_vec(),
        IpAddr::V6(address) => address.octets()[..8].to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_a_24_or_a_64() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("192.0.2.1"), network("192.0.2.255"));
        assert_eq!(network("192.0.2.1"), network("::ffff:192.0.2.9"));
        assert_ne!(network("192.0.2.1"), network("192.0.3.1"));
        assert_eq!(network("2001:db8:0:1::1"), network("2001:db8:0:1:ffff::"));
        assert_ne!(network("2001:db8:0:1::1"), network("2001:db8:0:2::1"));
    }
}
