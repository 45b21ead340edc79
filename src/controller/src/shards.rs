//! Which shards are mine?
//!
//! ```text
//! Leases of the hub ──list+watch──▶ task ──▶ core::{membership, assignment, claim}
//!        ▲                           │  ╲
//!        └── PUT, one version each ──┘   view ◀── Handle: owns, begin, snapshot
//! ```

mod error;
mod fleet;
mod lease;
mod leases;
pub mod listing;
mod moves;
mod steward;
mod task;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ger_core::names::{ClusterName, MemberId, ShardCount, ShardId, TriggerKey};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use ger_core::claim::Takeover;

pub use self::error::Error;
use self::task::Task;
use self::view::Shared;
pub use self::view::Work;
use crate::clock::Clock;
use crate::metrics::Metrics;

/// Who this member is, and the times it lives by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the Leases are.
    pub namespace: String,
    /// What the Leases' names begin with.
    pub prefix: String,
    /// The pod's name and a nonce of this process: no two processes are ever the same member.
    pub member: MemberId,
    /// The configured shard count; in force is that of the oldest live member.
    pub shards: ShardCount,
    /// How long a Lease is good for.
    pub duration: Duration,
    /// From one renewal to the next.
    pub renew: Duration,
    /// How long a member has lived before it announces itself: one that crashes at once moves no
    /// shards.
    pub announce_after: Duration,
    /// The pod, which takes its member Lease with it when it is deleted.
    pub owner: Option<OwnerReference>,
    /// Always `Enabled`, but in the exercise that proves that its exercises can fail.
    pub takeover: Takeover,
}

impl Settings {
    pub fn new(namespace: impl Into<String>, prefix: impl Into<String>, member: MemberId) -> Self {
        Self {
            namespace: namespace.into(),
            prefix: prefix.into(),
            member,
            shards: ShardCount::new(64).expect("64 is in 1..=4096"),
            duration: Duration::from_secs(15),
            renew: Duration::from_secs(5),
            announce_after: Duration::from_secs(10),
            owner: None,
            takeover: Takeover::Enabled,
        }
    }
}

/// What this part is told by the others.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// True once each cluster synced or timed out: before, this member announces itself to nobody.
    pub ready: watch::Receiver<bool>,
    /// Ticked by the workers.
    pub progress: Progress,
    /// For what is written into Leases, never to judge one.
    pub clock: Clock,
    /// Which clusters this member cannot reach: others that can work their keys.
    pub unreachable: Unreachable,
    pub metrics: Metrics,
}

/// Tells which clusters are not reached.
#[derive(Clone, Default)]
pub struct Unreachable(Option<Arc<dyn Fn() -> BTreeSet<ClusterName> + Send + Sync>>);

impl Unreachable {
    pub fn new(asked: impl Fn() -> BTreeSet<ClusterName> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(asked)))
    }

    fn now(&self) -> BTreeSet<ClusterName> {
        self.0.as_ref().map(|asked| asked()).unwrap_or_default()
    }
}

impl std::fmt::Debug for Unreachable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unreachable")
    }
}

/// The workers' heartbeat: ticked in their loops, idle or not, every few seconds at least. A member
/// whose workers have not ticked for 30 s lets its shards go.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<AtomicU64>);

impl Progress {
    pub fn tick(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The handle, and the future that makes it true: to be run to its end, which comes soon after `stop`
/// when every Lease is released. Dropping it instead is a crash: the Leases run out.
///
/// `hub` must be a client that does not retry.
pub fn run(
    settings: Settings,
    hub: kube::Client,
    inputs: Inputs,
    stop: CancellationToken,
) -> (Handle, impl Future<Output = Result<(), Error>> + Send + 'static) {
    let shared = Arc::new(Shared::new(settings.member.clone(), settings.shards));
    let handle = Handle { shared: Arc::clone(&shared) };
    let task = Task::new(settings, hub, inputs, shared);
    (handle, task.run(stop))
}

/// Answers which shards are mine. Cheap to clone, and never waits.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    /// Permission to work on a trigger, while its shard is mine. The shard is not given away while
    /// the `Work` lives, for 5 s at most.
    ///
    /// When the hub's API is lost, work on the last known shards goes on: another member may then
    /// do the same, which costs a check and no more.
    pub fn begin(&self, key: &TriggerKey) -> Option<Work> {
        Shared::begin(&self.shared, key)
    }

    /// Whether `begin` would permit now.
    pub fn owns(&self, key: &TriggerKey) -> bool {
        self.shared.owns(key)
    }

    /// Whether this member admits the Jobs of a cluster. Unlike `owns`, this ends 1 s before the
    /// Lease runs out, whatever was last heard.
    pub fn owns_admission(&self, cluster: &ClusterName) -> bool {
        self.shared.is_certain(&format!("admission/{cluster}"), cluster)
    }

    /// Counts the gains and losses of shards.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes()
    }

    /// Whether this member is one of the live, so that shards can be its own.
    pub fn has_joined(&self) -> bool {
        self.shared.has_joined()
    }

    /// Whether this member does what one does for all: harmless when done twice.
    pub fn is_steward(&self) -> bool {
        self.shared.is_steward()
    }

    /// All of it, for people and metrics.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }
}

/// The shards as this member sees them at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub member: MemberId,
    pub members: BTreeSet<MemberId>,
    /// In force.
    pub shards: ShardCount,
    /// Each shard's holder, none where it is free.
    pub holders: BTreeMap<ShardId, Option<MemberId>>,
    /// Mine beyond doubt, as `owns_admission` has it.
    pub mine: BTreeSet<ShardId>,
    pub is_steward: bool,
    /// False while the assignment is frozen, because nothing was heard of the hub.
    pub is_live: bool,
}
