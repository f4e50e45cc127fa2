//! Who a request comes from: the address that limits and fingerprints go by.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use axum::{
    extract::ConnectInfo,
    http::{Extensions, HeaderMap},
};

/// Set by proxies; read from those that are trusted alone.
const FORWARDED: &str = "x-forwarded-for";

/// A range of addresses: `10.0.0.0/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "an address or a range such as 10.0.0.0/8 is expected";
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| EXPECTED)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(longest), |prefix| prefix.parse().map_err(|_| EXPECTED))?;
        if prefix > longest { Err(EXPECTED) } else { Ok(Self { address, prefix }) }
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - self.prefix).unwrap_or_default();
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - self.prefix).unwrap_or_default();
                network.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// The client's address: the peer's, or where that is a trusted proxy the last one in `X-Forwarded-For` that is none.
/// Whatever stands before that one, the client may have written itself. `None` without a connection.
#[must_use]
pub fn address(extensions: &Extensions, headers: &HeaderMap, trusted: &[Network]) -> Option<IpAddr> {
    let ConnectInfo(peer) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    let mut client = peer.ip().to_canonical();
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let lines: Vec<&str> = headers.get_all(FORWARDED).iter().map(|line| line.to_str().unwrap_or_default()).collect();
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        if !is_trusted(client) {
            break;
        }
        // What is no address was not written by a proxy that we trust: the hop before it stays the client.
        let Some(address) = hop_address(hop.trim()) else { break };
        client = address;
    }
    Some(client)
}

/// An address, as some proxies write it with a port or in brackets.
fn hop_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// What an address is limited by: all of an IPv4 one, the /64 of an IPv6 one, which is what one household has.
#[must_use]
pub(super) fn limited_by(address: IpAddr) -> [u8; 8] {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            // In the range of IPv4 that no /64 of the public internet begins with.
            [0, 0, 0, 0, a, b, c, d]
        }
        IpAddr::V6(address) => address.octets().first_chunk().copied().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str], trusted: &str) -> String {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED, line.parse().unwrap());
        }
        let trusted: Vec<Network> = trusted.split_whitespace().map(|network| network.parse().unwrap()).collect();
        address(&extensions, &headers, &trusted).unwrap().to_string()
    }

    #[test]
    fn the_header_counts_only_from_trusted_proxies_and_from_the_right() {
        assert_eq!(client("9.9.9.9", &["1.1.1.1"], ""), "9.9.9.9");
        assert_eq!(client("9.9.9.9", &["1.1.1.1"], "10.0.0.0/8"), "9.9.9.9");
        assert_eq!(client("10.1.2.3", &["1.1.1.1"], "10.0.0.0/8"), "1.1.1.1");
        assert_eq!(client("10.1.2.3", &["6.6.6.6, 1.1.1.1"], "10.0.0.0/8"), "1.1.1.1", "what a client wrote");
        assert_eq!(client("10.1.2.3", &["6.6.6.6", "1.1.1.1, 10.9.9.9"], "10.0.0.0/8"), "1.1.1.1", "several lines");
        assert_eq!(client("10.1.2.3", &["10.0.0.1"], "10.0.0.0/8"), "10.0.0.1", "nobody but proxies");
        assert_eq!(client("10.1.2.3", &["1.1.1.1, nonsense"], "10.0.0.0/8"), "10.1.2.3");
        assert_eq!(client("10.1.2.3", &[], "10.0.0.0/8"), "10.1.2.3");
        assert_eq!(client("::ffff:10.1.2.3", &["[2001:db8::1]:443"], "10.0.0.0/8"), "2001:db8::1");
        assert_eq!(client("::1", &["2001:db8::7"], "::1"), "2001:db8::7");
    }

    #[test]
    fn ipv6_is_limited_by_its_64_and_ipv4_by_all_of_it() {
        let by = |text: &str| limited_by(text.parse().unwrap());
        assert_eq!(by("2001:db8:1:2::3"), by("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(by("2001:db8:1:2::3"), by("2001:db8:1:3::3"));
        assert_ne!(by("1.2.3.4"), by("1.2.3.5"));
    }

    #[test]
    fn ranges_are_read_and_bad_ones_refused() {
        for bad in ["", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "proxy.example", "10.0.0/8"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("203.0.113.9".parse().unwrap()) && !all.contains("::1".parse().unwrap()));
    }
}
