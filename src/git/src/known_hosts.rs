//! Is this the server that it says it is? The content of an OpenSSH `known_hosts` file, judged as
//! ssh does, and the keys that the well-known hosts publish. No IO here.
//!
//! What cannot be read is skipped and never trusted. Certificate authorities are not supported: a
//! line that names one trusts nobody.

mod host_key;
mod patterns;

pub use self::host_key::HostKey;
use self::patterns::Hosts;

const WELL_KNOWN: &[u8] = include_bytes!("known_hosts/well_known.txt");
/// A Secret holds at most 1 MiB.
const LONGEST: usize = 1 << 20;
/// The longest key that is in use has some 2 KiB; the rest is for the names of a large pool.
const LONGEST_LINE: usize = 16 << 10;
/// What everybody leaves out of `[host]:port`.
const PORT: u16 = 22;

/// The keys that hosts are known by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownHosts {
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    marker: Marker,
    hosts: Hosts,
    key: HostKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    None,
    Revoked,
    Authority,
}

/// More than a Secret can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("known_hosts is longer than 1 MiB")]
pub struct TooLong;

/// What is known about a host and the key that it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is the host's.
    Trusted,
    /// The host is not named.
    Unknown,
    /// The host is named with other keys only; these are their fingerprints.
    Changed(Vec<String>),
    /// A line says never to believe it again.
    Revoked,
    /// Only a certificate authority is named for the host, and certificates are not supported.
    Authority,
}

impl KnownHosts {
    /// Reads a file's content.
    pub fn parse(text: &[u8]) -> Result<Self, TooLong> {
        if text.len() > LONGEST {
            return Err(TooLong);
        }
        // Some editors put a mark there, which would be a part of the first host's name.
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let lines = text.split(|it| *it == b'\n').filter_map(Line::parse).collect();
        Ok(Self { lines })
    }

    /// The keys that github.com, gitlab.com, bitbucket.org and Azure DevOps publish.
    #[must_use]
    pub fn well_known() -> Self {
        Self::parse(WELL_KNOWN).unwrap_or_default()
    }

    /// Whether no line could be used.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Judges the key that a host shows.
    ///
    /// As with ssh, a key that is known for the host without a port is believed on any port that
    /// has none of its own, but another one there is unknown rather than changed.
    #[must_use]
    pub fn judge(&self, host: &str, port: u16, shown: &HostKey) -> Verdict {
        let (exact, anywhere) = names(host, port);
        let about = |names: &[String], marker| self.about(names, marker);
        let either = |marker| [about(&exact, marker), about(&anywhere, marker)].concat();
        if either(Marker::Revoked).contains(&shown) {
            return Verdict::Revoked;
        }
        let known = about(&exact, Marker::None);
        let vouched = if known.is_empty() { about(&anywhere, Marker::None) } else { known.clone() };
        if vouched.contains(&shown) {
            return Verdict::Trusted;
        }
        if !known.is_empty() {
            return Verdict::Changed(known.into_iter().map(HostKey::fingerprint).collect());
        }
        let has_authority = !either(Marker::Authority).is_empty();
        if has_authority { Verdict::Authority } else { Verdict::Unknown }
    }

    /// The types of the keys that the host is known by, so that it can be asked to show one.
    #[must_use]
    pub fn kinds(&self, host: &str, port: u16) -> Vec<&str> {
        let (exact, anywhere) = names(host, port);
        let mut known = self.about(&exact, Marker::None);
        if known.is_empty() {
            known = self.about(&anywhere, Marker::None);
        }
        known.into_iter().map(HostKey::kind).collect()
    }

    fn about(&self, names: &[String], marker: Marker) -> Vec<&HostKey> {
        let lines = self.lines.iter().filter(|it| it.marker == marker);
        lines.filter(|it| it.hosts.name(names)).map(|it| &it.key).collect()
    }
}

/// How a file may name the host on this port, and on any port.
fn names(host: &str, port: u16) -> (Vec<String>, Vec<String>) {
    let host = host.to_ascii_lowercase();
    let with_port = format!("[{host}]:{port}");
    if port == PORT { (vec![host, with_port], Vec::new()) } else { (vec![with_port], vec![host]) }
}

impl Line {
    fn parse(line: &[u8]) -> Option<Self> {
        if line.len() > LONGEST_LINE {
            return None;
        }
        let mut words = line
            .split(u8::is_ascii_whitespace)
            .filter(|it| !it.is_empty())
            .map(std::str::from_utf8);
        let mut next = || words.next()?.ok();
        let mut hosts = next()?;
        let marker = match hosts {
            "@revoked" => Marker::Revoked,
            "@cert-authority" => Marker::Authority,
            it if it.starts_with(['@', '#']) => return None,
            _ => Marker::None,
        };
        if marker != Marker::None {
            hosts = next()?;
        }
        let (kind, blob) = (next()?, next()?);
        Some(Self { marker, hosts: Hosts::parse(hosts)?, key: HostKey::parse(kind, blob)? })
    }
}

#[cfg(test)]
mod tests;
