//! Which triggers are due, and what happens when one is? A timer queue over the triggers of our shards.
//!
//! ```text
//! clusters' events ─┐
//! shards' changes  ─┼─▶ queue (each key once) ──▶ fire: check → record → create → observe
//! timers           ─┘            ▲                  │
//!                                └── again at ──────┘
//! ```

mod check;
mod drive;
mod fire;
mod memory;
mod queue;

use std::sync::Arc;
use std::time::Duration;

use ger_api::schedule_trigger::{ActionKind, SourceKind, Sources};
use ger_core::names::{ClusterName, TriggerKey, TriggerKind};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::memory::Memory;
// Public for its benchmark alone.
#[doc(hidden)]
pub use self::queue::Queue;
use crate::clusters::{Cluster, Event};
use crate::runs::Fleet;

/// Triggers worked at once. Most of them wait for a remote or an API, so this bounds memory, not CPU;
/// what goes out at once is bounded by the checks.
const MOST_AT_ONCE: usize = 512;
/// Ownership is looked over at least this often, whatever was signalled.
const LOOK_OVER: Duration = Duration::from_secs(5);

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
    mut events: mpsc::Receiver<Event>,
    stop: CancellationToken,
) -> Result<(), Panicked> {
    let mut scheduler = Scheduler { fleet, queue: Queue::default(), working: JoinSet::new() };
    let mut ownership = scheduler.fleet.shards.changes();
    let mut look_over = tokio::time::interval(LOOK_OVER);
    loop {
        scheduler.fleet.progress.tick();
        let room = scheduler.working.len() < MOST_AT_ONCE;
        let next = scheduler.queue.next_at().filter(|_| room);
        tokio::select! {
            () = stop.cancelled() => break,
            Some(event) = events.recv() => scheduler.observe(&event),
            changed = ownership.changed() => {
                scheduler.look_over();
                if changed.is_err() {
                    // The shards' task is gone: nothing is ours any more.
                    break;
                }
            }
            _ = look_over.tick() => scheduler.look_over(),
            Some(ended) = scheduler.working.join_next() => scheduler.ended(ended)?,
            () = until(next) => {}
        }
        scheduler.start_due();
    }
    while let Some(ended) = scheduler.working.join_next().await {
        scheduler.ended(ended)?;
    }
    Ok(())
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

struct Scheduler {
    fleet: Arc<Fleet>,
    queue: Queue<Memory>,
    working: JoinSet<Fired>,
}

impl Scheduler {
    fn observe(&mut self, event: &Event) {
        match event {
            Event::TriggerChanged(key) => {
                self.wake_if_ours(key);
                // Its ledger may have become the one that a waiting Job needs.
                self.fleet.admission.notify_one();
            }
            Event::TriggerGone(key) => self.queue.forget(key),
            Event::SourceChanged { cluster, namespace, kind, name } => {
                self.wake_each(cluster, |sources, _, trigger_namespace| {
                    sources.kind == *kind
                        && (*kind == SourceKind::ClusterGitRepo
                            || namespace.as_deref() == Some(trigger_namespace))
                        && sources.names.contains(name)
                });
            }
            Event::ActionChanged { cluster, namespace, kind, name } => {
                self.wake_each(cluster, |_, action, trigger_namespace| {
                    action.kind == *kind
                        && (*kind == ActionKind::ClusterAction
                            || namespace.as_deref() == Some(trigger_namespace))
                        && action.name == *name
                });
            }
            Event::JobChanged { trigger, .. } => {
                self.wake_if_ours(trigger);
                self.fleet.admission.notify_one();
            }
            Event::ClusterChanged(name) => {
                self.look_over();
                self.wake_cluster(name);
                self.fleet.admission.notify_one();
            }
        }
        self.fleet
            .metrics
            .triggers_scheduled
            .set(i64::try_from(self.queue.len()).unwrap_or(i64::MAX));
    }

    fn wake_if_ours(&mut self, key: &TriggerKey) {
        if self.fleet.shards.owns(key) {
            self.queue.wake(key, Instant::now());
        } else {
            self.queue.forget(key);
        }
    }

    /// Wakes the triggers of a cluster that use a source or an action.
    fn wake_each(
        &mut self,
        cluster: &ClusterName,
        uses: impl Fn(&Sources, &ger_api::schedule_trigger::ActionRef, &str) -> bool,
    ) {
        let Some(cluster) = self.fleet.clusters.cluster(cluster) else { return };
        for trigger in cluster.stores().schedule_triggers.list() {
            let namespace = trigger.metadata.namespace.as_deref().unwrap_or_default();
            if uses(&trigger.spec.sources, &trigger.spec.action, namespace) {
                self.wake_if_ours(&key(&cluster, TriggerKind::Schedule, &trigger.metadata));
            }
        }
    }

    fn wake_cluster(&mut self, name: &ClusterName) {
        let held: Vec<TriggerKey> =
            self.queue.keys().filter(|it| it.cluster == *name).cloned().collect();
        for key in held {
            self.queue.wake(&key, Instant::now());
        }
    }

    /// Takes up what is ours and drops what is not: after a change of shards or of clusters.
    fn look_over(&mut self) {
        let clusters = self.fleet.clusters.all();
        let mut present = std::collections::HashSet::new();
        for cluster in &clusters {
            let stores = cluster.stores();
            let schedules = stores.schedule_triggers.list();
            let webhooks = stores.webhook_triggers.list();
            let keys = schedules
                .iter()
                .map(|it| key(cluster, TriggerKind::Schedule, &it.metadata))
                .chain(webhooks.iter().map(|it| key(cluster, TriggerKind::Webhook, &it.metadata)));
            present.extend(keys.filter(|it| self.fleet.shards.owns(it)));
        }
        for key in &present {
            if !self.queue.holds(key) {
                self.queue.wake(key, Instant::now());
            }
        }
        let lost: Vec<TriggerKey> =
            self.queue.keys().filter(|it| !present.contains(it)).cloned().collect();
        for key in lost {
            self.queue.forget(&key);
        }
    }

    fn start_due(&mut self) {
        while self.working.len() < MOST_AT_ONCE {
            let now = Instant::now();
            let Some((key, memory, due_at)) = self.queue.take(now) else { return };
            let fleet = Arc::clone(&self.fleet);
            self.working.spawn(async move {
                let (memory, again) = Box::pin(fire::fire(&fleet, &key, memory, due_at)).await;
                Fired { key, memory, again }
            });
        }
    }

    fn ended(&mut self, ended: Result<Fired, tokio::task::JoinError>) -> Result<(), Panicked> {
        let Fired { key, memory, again } = ended.map_err(|source| Panicked { source })?;
        self.queue.done(&key, memory, again, Instant::now());
        Ok(())
    }
}

fn key(
    cluster: &Cluster,
    kind: TriggerKind,
    meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
) -> TriggerKey {
    TriggerKey {
        cluster: cluster.name().clone(),
        kind,
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
    }
}
