//! Is every trigger somebody's? Each second the replicas that live are asked for each shard.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ger_core::names::{ClusterName, ShardCount, TriggerKey, TriggerKind};
use ger_core::ring::Ring;

use super::calm::{Place, Troubles};
use super::slots::Slot;
use super::timeline::{At, Timeline};
use super::witness::Broken;

const LOOK: Duration = Duration::from_secs(1);

/// With nothing the matter, a shard without a holder has one after this: a Lease runs out within 15 s, an
/// heir that cannot take it is passed over after twice that, and the claim is one request.
const BOUND: Duration = Duration::from_mins(1);

/// Watches over the shards.
#[derive(Debug)]
pub(super) struct Sentry {
    /// For each shard a trigger that would be in it.
    keys: Vec<TriggerKey>,
    timeline: Arc<Timeline>,
    troubles: Arc<Troubles>,
    slots: Vec<Arc<Slot>>,
    found: Mutex<Found>,
}

/// What it found.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    since: BTreeMap<usize, At>,
    /// For how long a shard was nobody's at the most, whatever was the matter.
    pub(super) longest: Duration,
    /// The same, counted from when nothing was the matter any more.
    pub(super) longest_calm: Duration,
    pub(super) broken: Vec<Broken>,
}

impl Sentry {
    pub(super) fn new(
        shards: u16,
        timeline: &Arc<Timeline>,
        troubles: &Arc<Troubles>,
        slots: &[Arc<Slot>],
    ) -> Self {
        Self {
            keys: keys(shards),
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
        let running: Vec<_> = self.slots.iter().filter_map(|it| it.running()).collect();
        let well: Vec<_> = running.iter().filter(|it| it.door.is_well()).collect();
        let mut found = self.lock();
        for (shard, key) in self.keys.iter().enumerate() {
            if well.iter().any(|it| it.handle.shards().owns(key)) {
                found.since.remove(&shard);
                continue;
            }
            let since = *found.since.entry(shard).or_insert(now);
            found.longest = found.longest.max(now.saturating_sub(since));
            let calm_from = self.troubles.last(&Place::Fleet, now).max(since);
            let calm = now.saturating_sub(calm_from);
            found.longest_calm = found.longest_calm.max(calm);
            if calm >= BOUND && calm < BOUND + LOOK {
                let what = format!("shard {shard} is nobody's since {since:.0?}");
                let law = "no trigger is unowned for longer than the bound";
                found.broken.push(Broken { at: now, law, what });
            }
        }
    }
}

/// A key for each shard.
fn keys(shards: u16) -> Vec<TriggerKey> {
    let count = ShardCount::new(shards).expect("a script's shards are few");
    let ring = Ring::new(count);
    let key = |number: u32| TriggerKey {
        cluster: ClusterName::hub(),
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
