//! Which addresses on the network everybody may be sent to: nothing that lies inside a machine, a site or a cloud, or
//! a webhook would be a way in (SSRF).

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::net::lookup_host;

/// How long a name may take to resolve.
const TIMEOUT: Duration = Duration::from_secs(3);

/// IANA's special-purpose registry for IPv4, multicast and the reserved block: base and prefix length.
const SPECIAL_V4: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];
/// What is special within IPv6's global unicast block: protocols (Teredo among them), documentation, 6to4.
const SPECIAL_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];
const GLOBAL_UNICAST_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// A host is refused; the same for one that does not resolve, or names of the inside could be told apart.
#[derive(Debug, thiserror::Error)]
#[error("the host does not resolve to public addresses")]
pub struct NotPublic;

/// Whether an address is reachable for everybody. Of IPv6 only the global unicast block is, which leaves out every form
/// that carries an IPv4 address (mapped, translated, tunnelled).
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|(base, prefix)| {
            let shift = 32 - prefix;
            address.to_bits() >> shift == base.to_bits() >> shift
        }),
        IpAddr::V6(address) => {
            let lies_in = |(base, prefix): &(Ipv6Addr, u32)| {
                let shift = 128 - prefix;
                address.to_bits() >> shift == base.to_bits() >> shift
            };
            lies_in(&GLOBAL_UNICAST_V6) && !SPECIAL_V6.iter().any(lies_in)
        }
    }
}

/// Resolves a host and gives its addresses where all of them are public. Whoever connects must do so to these and not
/// resolve again: a name can answer otherwise the next time.
///
/// # Errors
/// When one of them is not, or the name does not resolve in time.
pub async fn resolve_public(host: &str, port: u16) -> Result<Vec<SocketAddr>, NotPublic> {
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let found: io::Result<Vec<SocketAddr>> = match literal {
        Ok(address) => Ok(vec![SocketAddr::new(address, port)]),
        Err(_) => match tokio::time::timeout(TIMEOUT, lookup_host((host, port))).await {
            Ok(found) => found.map(Iterator::collect),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        },
    };
    let found = found.map_err(|_| NotPublic)?;
    if !found.is_empty() && found.iter().all(|address| is_public(address.ip())) { Ok(found) } else { Err(NotPublic) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_inside_are_not_public() {
        for inside in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.170",
            "192.0.2.1",
            "192.168.0.1",
            "198.19.255.255",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:8.8.8.8",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "5f00::1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for outside in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450::1",
            "2001:4860:4860::8888",
        ] {
            assert!(is_public(outside.parse().unwrap()), "{outside}");
        }
    }

    #[tokio::test]
    async fn a_name_that_points_inside_is_refused_as_one_that_does_not_resolve() {
        for host in ["localhost", "127.0.0.1", "[::1]", "name.invalid"] {
            assert!(resolve_public(host, 443).await.is_err(), "{host}");
        }
        assert_eq!(resolve_public("8.8.8.8", 443).await.unwrap(), ["8.8.8.8:443".parse().unwrap()]);
    }
}
