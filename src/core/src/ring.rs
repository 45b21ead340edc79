//! Which shard does a key belong to?
//!
//! The same on every build and architecture: two members that disagree here both own a key, or
//! neither does. So only explicit bytes are hashed, with constant keys, and golden tests pin it.

use std::hash::{BuildHasher, Hash, Hasher};

use hashring::HashRing;
use siphasher::sip::SipHasher24;

use crate::names::{ShardCount, ShardId, TriggerKey};

/// "git-even" and "ts-runne", for a lack of better constants. Changing one moves every key.
const KEYS: (u64, u64) = (0x6769_742d_6576_656e, 0x7473_2d72_756e_6e65);

/// How often each shard is on the ring. The share of a shard deviates by about 1/√n: 8 % here, well
/// under what the members' loads differ by anyway; 4096 shards still build in a blink.
const POINTS: u16 = 160;

/// Key → shard.
#[derive(Clone, Debug)]
pub struct Ring {
    points: HashRing<Point, AsIs>,
}

impl Ring {
    pub fn new(shards: ShardCount) -> Self {
        let points = shards.ids().flat_map(|shard| (0..POINTS).map(move |i| Point::new(shard, i)));
        let mut ring = HashRing::with_hasher(AsIs);
        ring.batch_add(points.collect());
        Self { points: ring }
    }

    /// The shard of a trigger.
    pub fn shard_of(&self, key: &TriggerKey) -> ShardId {
        self.shard_of_text(&key.to_string())
    }

    /// The shard of what is no trigger, as `admission/<cluster>`.
    pub fn shard_of_text(&self, text: &str) -> ShardId {
        let position = Position(stable_hash("key", &[text.as_bytes()]));
        self.points.get(&position).map_or(ShardId(0), |point| point.shard)
    }
}

/// A hash that promises to stay what it is: SipHash-2-4 over `domain` and `parts`, each with its
/// length before it, so that no two lists of parts are the same bytes.
pub(crate) fn stable_hash(domain: &str, parts: &[&[u8]]) -> u64 {
    let mut bytes = Vec::with_capacity(64);
    for part in std::iter::once(&domain.as_bytes()).chain(parts) {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    SipHasher24::new_with_keys(KEYS.0, KEYS.1).hash(&bytes)
}

/// Where a key is on the ring.
#[derive(Debug)]
struct Position(u64);

impl Hash for Position {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// One of a shard's places on the ring.
#[derive(Clone, Debug)]
struct Point {
    position: Position,
    shard: ShardId,
}

impl Point {
    fn new(shard: ShardId, i: u16) -> Self {
        let position = stable_hash("shard", &[&shard.0.to_be_bytes(), &i.to_be_bytes()]);
        Self { position: Position(position), shard }
    }
}

impl Clone for Position {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl Hash for Point {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.position.hash(state);
    }
}

/// Takes the u64 it is given for the hash: `hashring` hashes through `std::hash::Hash`, which
/// promises nothing between releases, so it is fed with what is already a hash.
#[derive(Clone, Debug)]
struct AsIs;

impl BuildHasher for AsIs {
    type Hasher = Last;

    fn build_hasher(&self) -> Last {
        Last(0)
    }
}

#[derive(Debug)]
struct Last(u64);

impl Hasher for Last {
    fn finish(&self) -> u64 {
        self.0
    }

    /// Never reached: both hashed types write one u64.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{ClusterName, TriggerKind};

    fn count(n: u16) -> ShardCount {
        ShardCount::new(n).unwrap()
    }

    fn key(cluster: &str, namespace: &str, name: &str) -> TriggerKey {
        TriggerKey {
            cluster: match cluster {
                "hub" => ClusterName::hub(),
                spoke => ClusterName::parse_spoke(spoke).unwrap(),
            },
            kind: TriggerKind::Schedule,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// A change here moves keys between the members of every running fleet.
    #[test]
    fn the_ring_is_the_same_on_every_build() {
        let ring = Ring::new(count(64));
        let wide = Ring::new(count(256));

        let found = [
            ring.shard_of(&key("hub", "default", "deploy")),
            ring.shard_of(&key("east", "team-a", "deploy")),
            ring.shard_of(&key("west.example", "team-a", "nightly-build")),
            ring.shard_of_text("admission/hub"),
            wide.shard_of(&key("hub", "default", "deploy")),
            wide.shard_of_text("admission/east"),
        ];

        assert_eq!(found.map(|it| it.0), [15, 15, 17, 30, 249, 195]);
        assert_eq!(stable_hash("key", &[b"hub"]), 10_235_878_908_849_105_389);
        assert_eq!(stable_hash("shard", &[&[0, 1], &[0, 2]]), 5_266_956_381_220_963_240);
    }

    #[test]
    fn parts_are_told_apart() {
        assert_ne!(stable_hash("x", &[b"ab", b"c"]), stable_hash("x", &[b"a", b"bc"]));
        assert_ne!(stable_hash("x", &[b"abc"]), stable_hash("xa", &[b"bc"]));
    }

    #[test]
    fn names_of_real_clusters_spread_evenly() {
        let ring = Ring::new(count(64));
        let mut load = [0_u32; 64];
        for i in 0..10_000 {
            let cluster = ["hub", "east", "west", "prod-eu-1", "prod-eu-2"][i % 5];
            let (team, app) = (format!("team-{}", i / 5 % 20), format!("app-{}-deploy", i / 100));
            load[usize::from(ring.shard_of(&key(cluster, &team, &app)).0)] += 1;
        }

        let mean = 10_000 / 64;
        assert!(*load.iter().max().unwrap() < mean * 3 / 2, "{load:?}");
        assert!(*load.iter().min().unwrap() > mean / 2, "{load:?}");
    }

    #[test]
    fn one_shard_holds_everything() {
        assert_eq!(Ring::new(count(1)).shard_of_text("anything"), ShardId(0));
    }

    #[test]
    fn a_larger_ring_moves_only_what_the_new_shards_take() {
        let (before, after) = (Ring::new(count(64)), Ring::new(count(80)));
        let moved_between_old = (0..5000)
            .map(|i| format!("hub/ScheduleTrigger/default/trigger-{i}"))
            .map(|it| (before.shard_of_text(&it), after.shard_of_text(&it)))
            .filter(|(was, is)| was != is && is.0 < 64)
            .count();

        assert_eq!(moved_between_old, 0);
    }
}
