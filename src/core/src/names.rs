//! What things are called: each name is parsed once, and trusted from there on.

use std::fmt;

/// A name that cannot be what it is meant for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {text:?} {why}")]
pub struct Invalid {
    what: &'static str,
    text: String,
    why: &'static str,
}

/// Whether an object may have this name: an RFC 1123 subdomain.
pub fn is_subdomain(text: &str) -> bool {
    let is_label = |it: &str| {
        !it.is_empty()
            && !it.starts_with('-')
            && !it.ends_with('-')
            && it.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// The hub or a spoke, by the name of its Secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterName(String);

impl ClusterName {
    const HUB: &'static str = "hub";

    /// The cluster where the replicas run.
    pub fn hub() -> Self {
        Self(Self::HUB.to_owned())
    }

    /// Accepts what may name a Secret (RFC 1123 subdomain), except the hub's own name.
    pub fn parse_spoke(text: &str) -> Result<Self, Invalid> {
        let invalid = |why| Invalid { what: "cluster name", text: text.to_owned(), why };
        if text == Self::HUB {
            return Err(invalid("is reserved for the hub itself"));
        }
        if !is_subdomain(text) {
            return Err(invalid("is not an RFC 1123 subdomain"));
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_hub(&self) -> bool {
        self.0 == Self::HUB
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The kinds of trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TriggerKind {
    Schedule,
    Webhook,
}

impl TriggerKind {
    /// The kind as a manifest spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "ScheduleTrigger",
            Self::Webhook => "WebhookTrigger",
        }
    }
}

impl fmt::Display for TriggerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One trigger of one cluster: what the ring distributes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TriggerKey {
    pub cluster: ClusterName,
    pub kind: TriggerKind,
    pub namespace: String,
    pub name: String,
}

impl fmt::Display for TriggerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.cluster, self.kind, self.namespace, self.name)
    }
}

/// How many shards the ring has: 1 to 4096.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardCount(u16);

impl ShardCount {
    pub fn new(count: u16) -> Result<Self, Invalid> {
        if (1..=4096).contains(&count) {
            return Ok(Self(count));
        }
        Err(Invalid { what: "shard count", text: count.to_string(), why: "is not in 1..=4096" })
    }

    pub fn get(self) -> u16 {
        self.0
    }

    /// Every shard, in order.
    pub fn ids(self) -> impl Iterator<Item = ShardId> {
        (0..self.0).map(ShardId)
    }
}

/// One slice of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A live replica: its pod's name and the nonce of its process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(String);

impl MemberId {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A commit's object id: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commit(String);

impl Commit {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex && matches!(text.len(), 40 | 64) {
            return Ok(Self(text.to_owned()));
        }
        let why = "is not 40 or 64 lower-case hexadecimal digits";
        Err(Invalid { what: "commit", text: text.chars().take(80).collect(), why })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
