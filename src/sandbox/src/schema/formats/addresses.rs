//! Is a text an address of some kind: of a host, a network, a person, a resource?

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::LazyLock,
};

use regex::Regex;

#[expect(clippy::expect_used, reason = "the pattern is a constant, and a test tries it")]
static HOSTNAME: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = concat!(
        r"^([a-zA-Z0-9\p{S}\p{L}]((-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?)|([a-zA-Z0-9\p{S}\p{L}]",
        r"(([a-zA-Z0-9-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?)(\.)){1,}([a-zA-Z\p{L}]){2,63})$"
    );
    Regex::new(pattern).expect("a pattern of this file compiles")
});

pub(super) fn is_hostname(text: &str) -> bool {
    HOSTNAME.is_match(text) && text.len() <= 255 && text.split('.').all(|it| it.len() <= 63)
}

/// An address of version 4, whose parts may begin with zeros.
fn sloppy_v4(text: &str) -> Option<Ipv4Addr> {
    let mut parts = text.split('.').map(|it| {
        let digits = !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
        digits.then(|| it.parse::<u8>().ok()).flatten()
    });
    let mut next = || parts.next().flatten();
    let address = Ipv4Addr::new(next()?, next()?, next()?, next()?);
    (text.split('.').count() == 4).then_some(address)
}

pub(super) fn is_ipv4(text: &str) -> bool {
    text.contains('.') && (sloppy_v4(text).is_some() || text.parse::<Ipv6Addr>().is_ok())
}

pub(super) fn is_ipv6(text: &str) -> bool {
    text.contains(':') && text.parse::<Ipv6Addr>().is_ok()
}

pub(super) fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let most = if sloppy_v4(address).is_some() {
        32
    } else if is_ipv6(address) {
        128
    } else {
        return false;
    };
    let digits = !bits.is_empty() && bits.bytes().all(|it| it.is_ascii_digit());
    digits && bits.parse::<u32>().is_ok_and(|it| it <= most)
}

pub(super) fn is_mac(text: &str) -> bool {
    let all = |separator: char, width: usize, counts: [usize; 3]| {
        let parts: Vec<&str> = text.split(separator).collect();
        let hex = |it: &&str| it.len() == width && it.bytes().all(|it| it.is_ascii_hexdigit());
        counts.contains(&parts.len()) && parts.iter().all(hex)
    };
    all(':', 2, [6, 8, 20]) || all('-', 2, [6, 8, 20]) || all('.', 4, [3, 4, 10])
}

/// `user@host`, with a name before it or not.
pub(super) fn is_email(text: &str) -> bool {
    let text = text.trim();
    let address = match text.strip_suffix('>').and_then(|it| it.rsplit_once('<')) {
        Some((_, address)) => address,
        None => text,
    };
    let Some((user, host)) = address.rsplit_once('@') else { return false };
    let quoted = user.len() > 2 && user.starts_with('"') && user.ends_with('"');
    let literal = host.starts_with('[') && host.ends_with(']');
    (quoted || is_dotted(user)) && (literal || is_dotted(host))
}

fn is_dotted(text: &str) -> bool {
    let takes = |it: char| {
        it.is_ascii_alphanumeric() || !it.is_ascii() || "!#$%&'*+-/=?^_`{|}~".contains(it)
    };
    text.split('.').all(|part| !part.is_empty() && part.chars().all(takes))
}

/// What Go's parser of request URIs takes: an absolute URI, or an absolute path.
pub(super) fn is_uri(text: &str) -> bool {
    if text.is_empty() || text.bytes().any(|it| it < b' ' || it == 0x7f) {
        return false;
    }
    if text == "*" {
        return true;
    }
    let Some((scheme, rest)) = scheme_of(text) else { return false };
    let path = rest.split('?').next().unwrap_or_default();
    if !path.starts_with('/') {
        return scheme && (!path.is_empty() || rest.starts_with('?'));
    }
    let Some(authority) = path.strip_prefix("//").filter(|_| scheme) else {
        return is_escaped(path);
    };
    let (host, path) = authority.find('/').map_or((authority, ""), |at| authority.split_at(at));
    is_host(host) && is_escaped(path)
}

/// Whether there is a scheme, and what follows it.
fn scheme_of(text: &str) -> Option<(bool, &str)> {
    for (at, it) in text.char_indices() {
        match it {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at > 0 => return Some((true, text.get(at + 1..)?)),
            ':' => return None,
            _ => return Some((false, text)),
        }
    }
    Some((false, text))
}

fn is_host(authority: &str) -> bool {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let port = if let Some(rest) = host.strip_prefix('[') {
        let Some((_, port)) = rest.split_once(']') else { return false };
        port
    } else {
        let known = |it: char| {
            it.is_ascii_alphanumeric() || !it.is_ascii() || "-_.~!$&'()*+,;=:%[]<>\"".contains(it)
        };
        if !host.chars().all(known) {
            return false;
        }
        host.rfind(':').and_then(|at| host.get(at..)).unwrap_or_default()
    };
    port.strip_prefix(':').map_or(port.is_empty(), |it| it.bytes().all(|it| it.is_ascii_digit()))
}

fn is_escaped(path: &str) -> bool {
    path.split('%').skip(1).all(|it| {
        let mut bytes = it.bytes();
        let mut hex = || bytes.next().is_some_and(|it| it.is_ascii_hexdigit());
        hex() && hex()
    })
}
