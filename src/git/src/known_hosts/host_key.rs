//! What does a server show? A public key as it is sent, and the fingerprint that people compare.

use std::fmt;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use sha2::{Digest as _, Sha256};

/// The public key of a server.
#[derive(Clone, PartialEq, Eq)]
pub struct HostKey {
    kind: Box<str>,
    blob: Box<[u8]>,
}

impl HostKey {
    /// A key as a server sends it.
    #[must_use]
    pub fn from_bytes(blob: &[u8]) -> Option<Self> {
        let (length, rest) = blob.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let kind = std::str::from_utf8(rest.get(..length)?).ok()?;
        let is_name = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '.' | '@' | '_');
        let is_key = !kind.is_empty() && kind.chars().all(is_name) && rest.len() > length;
        is_key.then(|| Self { kind: kind.into(), blob: blob.into() })
    }

    /// A key as a file has it: its type, and the bytes that repeat the type.
    pub(super) fn parse(kind: &str, blob: &str) -> Option<Self> {
        let blob = STANDARD.decode(blob).ok()?;
        Self::from_bytes(&blob).filter(|it| it.kind() == kind)
    }

    /// `ssh-ed25519` and the like.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// `SHA256:…`, as `ssh-keygen -l` shows it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&self.blob)))
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.fingerprint())
    }
}
