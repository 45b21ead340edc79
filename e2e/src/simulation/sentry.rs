//! Is every trigger somebody's, who reaches its cluster? Each second the replicas that live are asked for each
//! shard.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ger_core::names::{ClusterName, ShardCount, TriggerKey, TriggerKind};
use ger_core::ring::Ring;

use super::calm::{Place, RECOVERY, Troubles};
use super::slots::{Running, Slot};
use super::timeline::{At, Timeline};
use super::witness::Broken;

const LOOK: Duration = Duration::from_secs(1);

/// With nothing the matter, a shard without a holder has one after this: a Lease runs out within 15 s, an
/// heir that cannot take it is passed over after twice that, and the claim is one request.
const BOUND: Duration = Duration::from_mins(1);

/// Watches over the shards.
#[derive(Debug)]
pub(super) struct Sentry {
    /// For each cluster, and each shard, a trigger that would be in it.
    keys: Vec<Vec<TriggerKey>>,
    timeline: Arc<Timeline>,
    troubles: Arc<Troubles>,
    slots: Vec<Arc<Slot>>,
    found: Mutex<Found>,
}

/// What it found.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// By cluster and shard.
    since: BTreeMap<(usize, usize), At>,
    /// For how long a shard was nobody's at the most, whatever was the matter.
    pub(super) longest: Duration,
    /// The same, counted from when nothing was the matter any more.
    pub(super) longest_calm: Duration,
    pub(super) broken: Vec<Broken>,
}

impl Sentry {
    pub(super) fn new(
        (clusters, shards): (&[String], u16),
        timeline: &Arc<Timeline>,
        troubles: &Arc<Troubles>,
        slots: &[Arc<Slot>],
    ) -> Self {
        Self {
            keys: keys(clusters, shards),
            timeline: Arc::clone(timeline),
            troubles: Arc::clone(troubles),
            slots: slots.to_vec(),
            found: Mutex::default(),
        }
    }

    pub(super) fn found(&self) -> Found {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks until it is dropped.
    pub(super) async fn run(self: Arc<Self>) {
        // Replicas take their time to join; until then nothing is promised.
        tokio::time::sleep(super::script::JOINED).await;
        loop {
            self.look();
            tokio::time::sleep(LOOK).await;
        }
    }

    fn look(&self) {
        let now = self.timeline.now();
        let running =
            self.slots.iter().enumerate().filter_map(|(at, it)| Some((at, it.running()?)));
        let well: Vec<_> = running.filter(|it| it.1.door.is_well()).collect();
        let mut found = self.lock();
        for (cluster, keys) in self.keys.iter().enumerate() {
            let is_cut = |slot| self.troubles.lasts(&Place::Way(cluster, slot));
            let cut: Vec<bool> = (0..self.slots.len()).map(is_cut).collect();
            // Where all reach all, whose a shard is in one cluster it is in each.
            if cluster > 0 && !cut.contains(&true) {
                continue;
            }
            let last = |place| self.troubles.last(&place, now);
            let calm_from = last(Place::Fleet).max(last(Place::Cluster(cluster)));
            let holds = |slot: usize, it: &Running, key| !cut[slot] && it.handle.shards().owns(key);
            let is_held = |key| well.iter().any(|(slot, it)| holds(*slot, it, key));
            let all = keys.iter().enumerate();
            let (held, open): (Vec<_>, Vec<_>) = all.partition(|(_, key)| is_held(key));
            for (shard, _) in held {
                found.since.remove(&(cluster, shard));
            }
            for (shard, _) in open {
                found.nobody((cluster, shard), calm_from, now);
            }
        }
    }
}

impl Found {
    /// A shard of a cluster is nobody's.
    fn nobody(&mut self, (cluster, shard): (usize, usize), calm_from: At, now: At) {
        let since = *self.since.entry((cluster, shard)).or_insert(now);
        let calm = now.saturating_sub(calm_from.max(since));
        let (bound, law) = if cluster == 0 {
            self.longest = self.longest.max(now.saturating_sub(since));
            self.longest_calm = self.longest_calm.max(calm);
            (BOUND, "no trigger is unowned for longer than the bound")
        } else {
            (RECOVERY, "a key that one cannot reach goes to one that can")
        };
        if calm >= bound && calm < bound + LOOK {
            let what = format!("shard {shard} in cluster {cluster} is nobody's since {since:.0?}");
            self.broken.push(Broken { at: now, law, what });
        }
    }
}

/// A key for each cluster and each shard.
fn keys(clusters: &[String], shards: u16) -> Vec<Vec<TriggerKey>> {
    let count = ShardCount::new(shards).expect("a script's shards are few");
    let ring = Ring::new(count);
    let name = |it: &String| ClusterName::parse_spoke(it).unwrap_or_else(|_| ClusterName::hub());
    clusters.iter().map(|it| keys_in(&name(it), &ring, shards)).collect()
}

fn keys_in(cluster: &ClusterName, ring: &Ring, shards: u16) -> Vec<TriggerKey> {
    let key = |number: u32| TriggerKey {
        cluster: cluster.clone(),
        kind: TriggerKind::Schedule,
        namespace: "sentry".to_owned(),
        name: format!("trigger-{number}"),
    };
    let mut of_shards = BTreeMap::new();
    let mut number = 0;
    while of_shards.len() < usize::from(shards) {
        let key = key(number);
        of_shards.entry(ring.shard_of(&key)).or_insert(key);
        number += 1;
    }
    of_shards.into_values().collect()
}
