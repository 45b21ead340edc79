//! Which hosts does a line of `known_hosts` name? A list of patterns, or one name that is hashed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

/// HMAC-SHA1, which is all that OpenSSH writes.
const DIGEST: usize = 20;

/// The first word of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hosts {
    /// Each with whether it says no.
    Patterns(Vec<(Sense, Box<str>)>),
    /// `|1|salt|hash`
    Hashed { salt: [u8; DIGEST], hash: [u8; DIGEST] },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sense {
    Named,
    Excepted,
}

impl Hosts {
    pub(super) fn parse(word: &str) -> Option<Self> {
        if let Some(hashed) = word.strip_prefix('|') {
            let (salt, hash) = hashed.strip_prefix("1|")?.split_once('|')?;
            return Some(Self::Hashed { salt: digest(salt)?, hash: digest(hash)? });
        }
        let one = |it: &str| match it.strip_prefix('!') {
            Some(pattern) => (Sense::Excepted, pattern.to_ascii_lowercase().into()),
            None => (Sense::Named, it.to_ascii_lowercase().into()),
        };
        Some(Self::Patterns(word.split(',').filter(|it| !it.is_empty()).map(one).collect()))
    }

    /// Whether the line is about the host of these names: `name` or `[name]:port`, in lower case.
    /// An exception for one of them is one for all.
    pub(super) fn name(&self, names: &[String]) -> bool {
        match self {
            Self::Patterns(patterns) => {
                let fits = |pattern: &str| names.iter().any(|name| matches(pattern, name));
                let says = |sense| patterns.iter().any(|(it, text)| *it == sense && fits(text));
                says(Sense::Named) && !says(Sense::Excepted)
            }
            Self::Hashed { salt, hash } => names.iter().any(|name| {
                let digest = Hmac::<Sha1>::new_from_slice(salt);
                digest.is_ok_and(|it| it.chain_update(name).verify_slice(hash).is_ok())
            }),
        }
    }
}

fn digest(text: &str) -> Option<[u8; DIGEST]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// `*` is any run of characters, `?` is one. At a mismatch only the last `*` is tried anew, so
/// that the time is bounded by the product of the lengths.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut seen) = (0_usize, 0_usize);
    let mut star = None;
    while let Some(byte) = text.get(seen) {
        match pattern.get(at) {
            Some(b'*') => {
                at = at.saturating_add(1);
                star = Some((at, seen));
            }
            Some(it) if it == byte || *it == b'?' => {
                at = at.saturating_add(1);
                seen = seen.saturating_add(1);
            }
            _ => {
                let Some((after, from)) = star else { return false };
                at = after;
                seen = from.saturating_add(1);
                star = Some((after, seen));
            }
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|it| *it == b'*')
}
