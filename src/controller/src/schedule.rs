//! Which triggers are due, and what happens when one is? A timer queue over the triggers of our shards.
//!
//! ```text
//! clusters' events ─┐
//! shards' changes  ─┼─▶ queue (each key once) ──▶ fire: check → record → create → observe
//! timers           ─┘            ▲                  │
//!                                └── again at ──────┘
//! ```

mod changed;
mod check;
mod drive;
mod fire;
mod memory;
mod outcome;
mod queue;
mod traced;
mod turns;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ger_core::names::{ClusterName, TriggerKey, TriggerKind};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::changed::Changed;
use self::memory::Memory;
// Public for its benchmark alone.
#[doc(hidden)]
pub use self::queue::Queue;
use crate::clusters::{Cluster, Event, Events, Held as _};
use crate::runs::Fleet;

/// Triggers of one cluster that are worked at once: a cluster is a bulkhead, and one whose triggers
/// all hang holds up no other. Most wait for a remote or an API, so this bounds memory, not CPU; what
/// goes out at once is bounded by the checks.
const MOST_AT_ONCE: usize = 256;
/// Ownership is looked over this often, whatever was signalled: of some clusters at each look, of all in
/// [`ROUNDS`] looks.
const LOOK_OVER: Duration = Duration::from_secs(1);
const ROUNDS: usize = 5;

/// A panic in the work on a trigger.
#[derive(Debug, thiserror::Error)]
#[error("the work on a trigger ended in a panic")]
pub struct Panicked {
    source: tokio::task::JoinError,
}

/// How the work on one trigger ended.
struct Fired {
    key: TriggerKey,
    memory: Memory,
    again: Option<Instant>,
}

/// Works the triggers of this replica's shards until `stop`; then lets the work in flight end.
pub async fn run(
    fleet: Arc<Fleet>,
    events: Events,
    stop: CancellationToken,
) -> Result<(), Panicked> {
    let mut scheduler =
        Scheduler { fleet, lanes: BTreeMap::new(), working: JoinSet::new(), round: 0 };
    let mut ownership = scheduler.fleet.shards.changes();
    let mut look_over = tokio::time::interval(LOOK_OVER);
    loop {
        scheduler.fleet.progress.tick();
        let next = scheduler.lanes.values().filter_map(Lane::next_at).min();
        tokio::select! {
            // In an order and not by lot, so that a simulation replays: what comes seldom comes first, and a
            // flood of events holds up none of it. What is due is started whatever came.
            biased;
            () = stop.cancelled() => break,
            changed = ownership.changed() => {
                scheduler.look_over();
                if changed.is_err() {
                    // The shards' task is gone: nothing is ours any more.
                    break;
                }
            }
            _ = look_over.tick() => scheduler.look_over_some(),
            Some(ended) = scheduler.working.join_next() => scheduler.ended(ended)?,
            events = events.next() => scheduler.observe(&events),
            () = until(next) => {}
        }
        scheduler.start_due();
    }
    while let Some(ended) = scheduler.working.join_next().await {
        scheduler.ended(ended)?;
    }
    Ok(())
}

/// One turn of one trigger.
async fn work(fleet: Arc<Fleet>, key: TriggerKey, memory: Memory, due_at: Instant) -> Fired {
    let (memory, again) = Box::pin(fire::fire(&fleet, &key, memory, due_at)).await;
    Fired { key, memory, again }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

struct Scheduler {
    fleet: Arc<Fleet>,
    lanes: BTreeMap<ClusterName, Lane>,
    working: JoinSet<Fired>,
    round: usize,
}

/// The triggers of one cluster.
#[derive(Default)]
struct Lane {
    queue: Queue<Memory>,
    working: usize,
}

impl Lane {
    fn has_room(&self) -> bool {
        self.working < MOST_AT_ONCE
    }

    /// When something can be started: never while there is no room.
    fn next_at(&self) -> Option<Instant> {
        self.queue.next_at().filter(|_| self.has_room())
    }
}

impl Scheduler {
    /// Takes what may be different now in one cluster.
    fn observe(&mut self, events: &[Event]) {
        let Some(cluster) = events.first().map(Event::cluster) else { return };
        for event in events {
            match event {
                Event::TriggerChanged(key) => self.wake_if_ours(key),
                Event::TriggerGone(key) => self.gone(key),
                Event::JobChanged { trigger, .. } => self.wake_if_ours(trigger),
                Event::ClusterChanged(name) => {
                    self.look_over_at(name);
                    self.wake_cluster(name);
                }
                Event::SourceChanged { .. } | Event::ActionChanged { .. } => {}
            }
        }
        let changed = Changed::of(events);
        if !changed.is_empty() {
            self.wake_users(cluster, changed);
        }
        // A ledger may have become the one that a waiting Job needs.
        if events.iter().any(|it| !it.is_broad()) {
            self.fleet.admission.ring(cluster);
        }
        let held: usize = self.lanes.values().map(|it| it.queue.len()).sum();
        self.fleet.metrics.triggers_scheduled.set(i64::try_from(held).unwrap_or(i64::MAX));
    }

    /// It is gone, unless it is back already: several changes may share one event.
    fn gone(&mut self, key: &TriggerKey) {
        let cluster = self.fleet.clusters.cluster(&key.cluster);
        if cluster.is_some_and(|it| it.stores().has_trigger(key)) {
            return self.wake_if_ours(key);
        }
        self.forget(key);
        self.fleet.metrics.triggers.forget(key);
        self.fleet.metrics.jobs.forget(key);
        self.fleet.metrics.webhooks.forget(key);
    }

    fn wake_if_ours(&mut self, key: &TriggerKey) {
        if self.fleet.shards.owns(key) {
            self.lane(key).queue.wake(key, Instant::now());
        } else {
            self.forget(key);
        }
    }

    fn lane(&mut self, key: &TriggerKey) -> &mut Lane {
        self.lanes.entry(key.cluster.clone()).or_default()
    }

    fn forget(&mut self, key: &TriggerKey) {
        self.fleet.metrics.triggers.left(key);
        if let Some(lane) = self.lanes.get_mut(&key.cluster) {
            lane.queue.forget(key);
        }
    }

    /// Wakes the triggers of a cluster that use a source or an action that changed, by whatever names it.
    fn wake_users(&mut self, cluster: &ClusterName, changed: Changed<'_>) {
        let Some(cluster) = self.fleet.clusters.cluster(cluster) else { return };
        let stores = cluster.stores();
        let overriding = changed.overriding(stores);
        let changed = changed.and(&overriding);
        for trigger in stores.schedule_triggers.list() {
            if changed.concerns(&trigger) {
                self.wake_if_ours(&key(&cluster, TriggerKind::Schedule, trigger.place()));
            }
        }
        for trigger in stores.webhook_triggers.list() {
            if changed.concerns(&trigger) {
                self.wake_if_ours(&key(&cluster, TriggerKind::Webhook, trigger.place()));
            }
        }
    }

    fn wake_cluster(&mut self, name: &ClusterName) {
        let Some(lane) = self.lanes.get_mut(name) else { return };
        let held: Vec<TriggerKey> = lane.queue.keys().cloned().collect();
        for key in held {
            lane.queue.wake(&key, Instant::now());
        }
    }

    /// Takes up what is ours and drops what is not, everywhere: after a change of shards.
    fn look_over(&mut self) {
        for cluster in self.fleet.clusters.all() {
            self.look_over_at(cluster.name());
        }
        self.drop_lanes();
    }

    /// The same for a part of the clusters, the next time for the next part.
    fn look_over_some(&mut self) {
        self.round = (self.round + 1) % ROUNDS;
        let all = self.fleet.clusters.all();
        for cluster in all.iter().skip(self.round).step_by(ROUNDS) {
            self.look_over_at(cluster.name());
        }
        self.drop_lanes();
    }

    fn look_over_at(&mut self, name: &ClusterName) {
        let fleet = Arc::clone(&self.fleet);
        let cluster = fleet.clusters.cluster(name);
        if let Some(cluster) = &cluster {
            let stores = cluster.stores();
            let schedules = stores.schedule_triggers.list();
            let webhooks = stores.webhook_triggers.list();
            let keys = schedules
                .iter()
                .map(|it| key(cluster, TriggerKind::Schedule, it.place()))
                .chain(webhooks.iter().map(|it| key(cluster, TriggerKind::Webhook, it.place())));
            for key in keys.filter(|it| fleet.shards.owns(it)) {
                self.lane(&key).queue.take_up(&key, Instant::now());
            }
        }
        let Some(lane) = self.lanes.get_mut(name) else { return };
        let is_there =
            |it: &TriggerKey| cluster.as_ref().is_some_and(|at| at.stores().has_trigger(it));
        let is_lost = |it: &&TriggerKey| !is_there(it) || !fleet.shards.owns(it);
        let lost: Vec<TriggerKey> = lane.queue.keys().filter(is_lost).cloned().collect();
        for key in &lost {
            fleet.metrics.triggers.left(key);
            lane.queue.forget(key);
        }
    }

    /// Drops the lanes that are empty, and all that is in those whose cluster is gone.
    fn drop_lanes(&mut self) {
        let is_gone = |it: &&ClusterName| self.fleet.clusters.cluster(it).is_none();
        let gone: Vec<ClusterName> = self.lanes.keys().filter(is_gone).cloned().collect();
        for name in &gone {
            self.look_over_at(name);
        }
        self.lanes.retain(|_, it| it.queue.len() > 0 || it.working > 0);
    }

    fn start_due(&mut self) {
        let now = Instant::now();
        for lane in self.lanes.values_mut() {
            while lane.has_room()
                && let Some((key, memory, due_at)) = lane.queue.take(now)
            {
                lane.working += 1;
                let fleet = Arc::clone(&self.fleet);
                self.working.spawn(work(fleet, key, memory, due_at));
            }
        }
    }

    fn ended(&mut self, ended: Result<Fired, tokio::task::JoinError>) -> Result<(), Panicked> {
        let Fired { key, memory, again } = ended.map_err(|source| Panicked { source })?;
        let lane = self.lane(&key);
        lane.working = lane.working.saturating_sub(1);
        lane.queue.done(&key, memory, again, Instant::now());
        Ok(())
    }
}

fn key(cluster: &Cluster, kind: TriggerKind, (namespace, name): (&str, &str)) -> TriggerKey {
    let cluster = cluster.name().clone();
    TriggerKey { cluster, kind, namespace: namespace.to_owned(), name: name.to_owned() }
}
