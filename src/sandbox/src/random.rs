//! Names and uids that look random but replay: the same cluster in the same order gets the same.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts clusters in the process, so that a cluster made again under its old name is another one.
static CLUSTERS: AtomicU64 = AtomicU64::new(0);

/// The alphabet Kubernetes makes generated names of: no vowels, no look-alikes.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// `SplitMix64`: tiny, and good enough for names.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn for_cluster(name: &str) -> Self {
        Self::of_name(name, CLUSTERS.fetch_add(1, Ordering::Relaxed))
    }

    /// The same every time, for the same name and number.
    pub(crate) fn of_name(name: &str, ordinal: u64) -> Self {
        let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(seed ^ ordinal.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The same every time, for the same seed.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below another, each equally likely as far as anybody can tell.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Five characters, as `generateName` appends.
    pub(crate) fn suffix(&mut self) -> String {
        let length = ALPHABET.len() as u64;
        (0..5)
            .map(|_| usize::try_from(self.next() % length).map_or('x', |at| ALPHABET[at].into()))
            .collect()
    }

    /// A version 4 UUID.
    pub(crate) fn uid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            (low >> 48) & 0x3fff | 0x8000,
            low & 0xffff_ffff_ffff
        )
    }
}
