//! Where a request comes from: the connection's other end, or what a trusted proxy says of it.

use std::net::{IpAddr, SocketAddr};

use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use ipnet::IpNet;

/// The other end of the connection that a request came on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Addresses in `X-Forwarded-For` that are looked at, from the last.
const MOST_HOPS: usize = 32;

/// The other end of the connection.
pub(super) fn of_connection(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<Peer>().map(|peer| peer.0.ip().to_canonical())
}

/// The address of the client: where the connection is a trusted proxy's, the last address in `X-Forwarded-For` that isn't
/// one's too.
pub(super) fn client(extensions: &Extensions, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let peer = of_connection(extensions)?;
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    if trusted.is_empty() || !is_trusted(&peer) {
        return Some(peer);
    }
    let mut last = peer;
    let values: Vec<&str> = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    for hop in values.iter().rev().flat_map(|value| value.rsplit(',')).take(MOST_HOPS) {
        // What isn't an address was written by somebody else: what came before it can't be believed.
        let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
        last = address.to_canonical();
        if !is_trusted(&last) {
            break;
        }
    }
    Some(last)
}

/// Whether the client came by https, as a trusted proxy says; the daemon itself speaks plain http.
pub(super) fn is_https(extensions: &Extensions, headers: &HeaderMap, trusted: &[IpNet]) -> bool {
    let is_trusted =
        of_connection(extensions).is_some_and(|peer| trusted.iter().any(|network| network.contains(&peer)));
    // The last one is the trusted proxy's own; those before it may be anybody's.
    let last = headers.get_all("x-forwarded-proto").iter().next_back().and_then(|value| value.to_str().ok());
    let said = last.and_then(|value| value.rsplit(',').next());
    is_trusted && said.is_some_and(|said| said.trim().eq_ignore_ascii_case("https"))
}

/// The address of the client, of a request's head.
pub(super) fn of_parts(parts: &Parts, trusted: &[IpNet]) -> Option<IpAddr> {
    client(&parts.extensions, &parts.headers, trusted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_say_https() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let check = |peer: &str, said: &[&str], expected: bool| {
            let mut extensions = Extensions::new();
            extensions.insert(Peer(format!("{peer}:1").parse().unwrap()));
            let headers =
                said.iter().map(|value| ("x-forwarded-proto".parse().unwrap(), value.parse().unwrap())).collect();
            assert_eq!(is_https(&extensions, &headers, &trusted), expected, "{peer} {said:?}");
        };
        check("10.0.0.1", &["https"], true);
        check("10.0.0.1", &["http, HTTPS"], true);
        check("10.0.0.1", &["https", "http"], false);
        check("10.0.0.1", &[], false);
        check("192.0.2.1", &["https"], false);
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let check = |peer: &str, forwarded: &[&str], expected: &str| {
            let mut extensions = Extensions::new();
            extensions.insert(Peer(format!("{peer}:1").parse().unwrap()));
            let headers =
                forwarded.iter().map(|value| ("x-forwarded-for".parse().unwrap(), value.parse().unwrap())).collect();
            let found = client(&extensions, &headers, &trusted);
            assert_eq!(found, Some(expected.parse().unwrap()), "{peer} {forwarded:?}");
        };
        check("192.0.2.1", &["198.51.100.9"], "192.0.2.1");
        check("10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.1", &["198.51.100.9"], "198.51.100.9");
        check("10.0.0.1", &["203.0.113.7, 198.51.100.9, 10.0.0.2"], "198.51.100.9");
        check("10.0.0.1", &["203.0.113.7", "198.51.100.9"], "198.51.100.9");
        check("10.0.0.1", &["203.0.113.7, rubbish"], "10.0.0.1");
        check("10.0.0.1", &["10.0.0.3"], "10.0.0.3");
    }
}
