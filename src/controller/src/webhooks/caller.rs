//! Who calls? The other end of the connection; or, behind a proxy that is trusted, whoever it names.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The caller's address: the last in `X-Forwarded-For` that is none of a trusted proxy. What stands
/// before it anybody may have written.
pub(super) fn address(
    peer: Option<SocketAddr>,
    headers: &HeaderMap,
    trusted: &[IpNet],
) -> Option<IpAddr> {
    let is_trusted = |it: &IpAddr| trusted.iter().any(|network| network.contains(it));
    let peer = peer?.ip().to_canonical();
    if !is_trusted(&peer) {
        return Some(peer);
    }
    let lines: Vec<&str> =
        headers.get_all(FORWARDED_FOR).iter().filter_map(|it| it.to_str().ok()).collect();
    let hops = lines.iter().flat_map(|it| it.split(','));
    let mut caller = peer;
    for hop in hops.rev() {
        // From here on it is no list of addresses: the last that was one is the best that is known.
        let Some(hop) = parse(hop.trim()) else { break };
        caller = hop;
        if !is_trusted(&hop) {
            break;
        }
    }
    Some(caller)
}

/// Some proxies write the port too.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok();
    address
        .or_else(|| text.parse::<SocketAddr>().ok().map(|it| it.ip()))
        .map(|it| it.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "2001:db8::/64".parse().unwrap()];
        let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
        address(Some(peer), &headers, &trusted).unwrap().to_string()
    }

    #[test]
    fn a_stranger_is_who_it_is_whatever_it_says() {
        assert_eq!(caller("198.51.100.7", &["203.0.113.1"]), "198.51.100.7");
    }

    #[test]
    fn a_proxy_says_for_whom_it_speaks() {
        assert_eq!(caller("10.1.1.1", &[]), "10.1.1.1");
        assert_eq!(caller("10.1.1.1", &["203.0.113.1"]), "203.0.113.1");
        assert_eq!(caller("::ffff:10.1.1.1", &["203.0.113.1:5555"]), "203.0.113.1");
        assert_eq!(caller("2001:db8::9", &["[2001:db8:1::1]:80"]), "2001:db8:1::1");
        assert_eq!(caller("10.1.1.1", &["203.0.113.1, 10.9.9.9"]), "203.0.113.1", "two proxies");
        assert_eq!(caller("10.1.1.1", &["203.0.113.1", "10.9.9.9"]), "203.0.113.1", "two lines");
    }

    #[test]
    fn what_the_caller_wrote_itself_does_not_count() {
        assert_eq!(caller("10.1.1.1", &["10.0.0.1, 192.0.2.66, 203.0.113.1"]), "203.0.113.1");
        assert_eq!(caller("10.1.1.1", &["192.0.2.66, nonsense"]), "10.1.1.1");
        assert_eq!(caller("10.1.1.1", &["nonsense, 203.0.113.1"]), "203.0.113.1");
    }
}
