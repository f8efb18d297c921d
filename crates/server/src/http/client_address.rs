//! The address of the client, behind trusted proxies.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

use crate::config::ProxiesConfig;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Most hops that are read: each costs a search through the trusted networks.
const MAX_HOPS: usize = 32;

/// The remote address of a connection; an extension of its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The trusted proxies. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies {
    trusted: Arc<[IpNet]>,
}

impl Proxies {
    pub(crate) fn new(config: &ProxiesConfig) -> Self {
        Self {
            trusted: config.trusted.clone().into(),
        }
    }

    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }

    /// Returns the client's address: that of the connection, or behind a trusted proxy the nearest forwarded address that is
    /// not one. Anything beyond is the client's own claim.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.trusts(client) {
            return client;
        }
        let (name, read): (_, fn(&str) -> Option<IpAddr>) = if headers.contains_key(X_FORWARDED_FOR) {
            (X_FORWARDED_FOR, address_of)
        } else {
            (header::FORWARDED, forwarded_for)
        };
        let values = headers.get_all(name).iter().rev();
        let hops = values.flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
        for hop in hops.take(MAX_HOPS) {
            // A hop that is not an address ends the chain: what comes before it is unknown.
            let Some(address) = read(hop.trim()) else { break };
            client = address.to_canonical();
            if !self.trusts(client) {
                break;
            }
        }
        client
    }
}

/// An address with or without a port, IPv6 with or without brackets.
fn address_of(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(text)
        .parse()
        .ok()
        .or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))
}

/// The `for` of an element of `Forwarded` (RFC 7239).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pair = element.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then_some(value)
    })?;
    address_of(pair.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn client(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let proxies = Proxies {
            trusted: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()].into(),
        };
        proxies.client(peer.parse().unwrap(), &map).to_string()
    }

    #[test]
    fn untrusted_peers_cannot_forward() {
        assert_eq!(
            client("192.0.2.1", &[("x-forwarded-for", "198.51.100.7")]),
            "192.0.2.1"
        );
        assert_eq!(client("::ffff:192.0.2.1", &[]), "192.0.2.1");
    }

    #[test]
    fn the_nearest_untrusted_hop_is_the_client() {
        for (headers, found) in [
            (&[("x-forwarded-for", "198.51.100.7")][..], "198.51.100.7"),
            (
                &[("x-forwarded-for", "1.2.3.4, 198.51.100.7, 10.1.2.3")],
                "198.51.100.7",
            ),
            (
                &[
                    ("x-forwarded-for", "1.2.3.4"),
                    ("x-forwarded-for", "198.51.100.7,10.9.9.9"),
                ],
                "198.51.100.7",
            ),
            (&[("x-forwarded-for", "198.51.100.7:4711")], "198.51.100.7"),
            (&[("x-forwarded-for", "[2001:db8::1]:4711")], "2001:db8::1"),
            (&[("x-forwarded-for", "[2001:db8::1]")], "2001:db8::1"),
            (
                &[("forwarded", "for=1.2.3.4, for=\"[2001:db8::1]:47\";proto=https")],
                "2001:db8::1",
            ),
            (&[("forwarded", "proto=https;For=198.51.100.7")], "198.51.100.7"),
            // All of them proxies: the farthest.
            (&[("x-forwarded-for", "10.0.0.2, 10.0.0.3")], "10.0.0.2"),
            // An element that is not an address ends the chain.
            (
                &[("x-forwarded-for", "198.51.100.7, unknown, 10.0.0.3")],
                "10.0.0.3",
            ),
            (&[("x-forwarded-for", "")], "10.0.0.1"),
            (&[("forwarded", "for=_hidden")], "10.0.0.1"),
            (&[], "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.1", headers), found, "{headers:?}");
        }
    }

    proptest! {
        #[test]
        fn a_client_cannot_hide_the_address_that_its_proxy_appends(said in "[ -~]{0,80}") {
            let value = format!("{said}, 198.51.100.7");
            prop_assert_eq!(client("10.0.0.1", &[("x-forwarded-for", &value)]), "198.51.100.7");
        }
    }
}
