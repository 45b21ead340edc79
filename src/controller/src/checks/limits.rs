//! How much may go out at once, and whom do we leave alone for a while?
//!
//! ```text
//! check: (cluster, host): 6 ──▶ cluster: its share ──▶ (host, credential): 8 ──▶ all
//! tree:  cluster: 2 ──▶ (cluster, host): 6 ──▶ trees: 4 ──▶ (host, credential): 8 ──▶ all
//! ```
//!
//! Where clusters wait for the same places, they have them in turn, by the time that they took.

mod fair;
mod gates;
mod pauses;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::fair::{Fair, Pass};
use self::gates::Gates;
pub(crate) use self::pauses::Pauses;
use ger_core::names::ClusterName;
use ger_git::Auth;

/// No cluster holds more than a quarter of the slots, however many triggers it has.
const SHARES: usize = 4;
/// What a host that answers slowly may hold up, and what it sees of us at once from one credential.
const OF_CALLER: usize = 8;
/// Two of a credential's slots are left to other clusters.
const OF_CLUSTER_AT_HOST: usize = 6;
/// Trees that are fetched at once, as many as `ger_git::Client::path_hash` lets in. A tree takes
/// minutes: who waits for one holds nothing that a check needs.
const TREES: usize = 4;
/// No cluster has more than half.
const TREES_OF_CLUSTER: usize = 2;

/// Whom a server knows us as: its limits count by credential.
pub(crate) type Caller = (String, Auth);

/// Slots for checks, shared by all clusters, and pauses that servers asked for.
#[derive(Debug)]
pub(crate) struct Limits {
    at_host: Gates<(ClusterName, String)>,
    clusters: Gates<ClusterName>,
    callers: Gates<Caller>,
    trees_of_cluster: Gates<ClusterName>,
    trees: Arc<Fair>,
    slots: Arc<Fair>,
    pub(crate) pauses: Pauses,
}

/// The right to have one request more in flight.
#[derive(Debug)]
pub(crate) struct Permit {
    _held: [Option<Pass>; 2],
}

/// What share of the checks a cluster has, where several wait: one, unless told otherwise.
#[derive(Clone, Default)]
pub struct Weights(Option<Arc<WeightOf>>);

type WeightOf = dyn Fn(&ClusterName) -> u32 + Send + Sync;

impl Weights {
    pub fn new(of: impl Fn(&ClusterName) -> u32 + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(of)))
    }

    fn of(&self, cluster: &ClusterName) -> u32 {
        self.0.as_ref().map_or(1, |it| it(cluster))
    }
}

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Weights")
    }
}

impl Limits {
    /// `share` checks of one cluster at once, four times as many of all together.
    pub(crate) fn new(share: u8, weights: &Weights) -> Self {
        let share = usize::from(share.max(1));
        Self {
            at_host: Gates::of(OF_CLUSTER_AT_HOST, weights),
            clusters: Gates::of(share, weights),
            callers: Gates::of(OF_CALLER, weights),
            trees_of_cluster: Gates::of(TREES_OF_CLUSTER, weights),
            trees: Fair::new(TREES, weights.clone()),
            slots: Fair::new(share * SHARES, weights.clone()),
            pauses: Pauses::default(),
        }
    }

    /// Waits for a place within the cluster's share; who waits for a busy host holds none of it.
    pub(crate) async fn enter_share(&self, cluster: &ClusterName, host: &str) -> Permit {
        let at_host = self.at_host.enter((cluster.clone(), host.to_owned()), cluster).await;
        let share = self.clusters.enter(cluster.clone(), cluster).await;
        Permit { _held: [Some(at_host), Some(share)] }
    }

    /// Waits until one more tree may be fetched for the cluster; who waits holds none of its places
    /// at the host, which its checks need.
    pub(crate) async fn enter_trees(&self, cluster: &ClusterName, host: &str) -> Permit {
        let of_cluster = self.trees_of_cluster.enter(cluster.clone(), cluster).await;
        let at_host = self.at_host.enter((cluster.clone(), host.to_owned()), cluster).await;
        Permit { _held: [Some(of_cluster), Some(at_host)] }
    }

    /// Waits until one more tree may be fetched at all: before [`Self::enter`], whose slots are for
    /// what goes out at once.
    pub(crate) async fn enter_tree(&self, cluster: &ClusterName) -> Permit {
        Permit { _held: [Some(self.trees.enter(cluster).await), None] }
    }

    /// Waits for a slot at the host, and then for one among all: for the cluster that asked first, where
    /// the answer is shared.
    pub(crate) async fn enter(&self, cluster: &ClusterName, caller: &Caller) -> Permit {
        let of_caller = self.callers.enter(caller.clone(), cluster).await;
        Permit { _held: [Some(of_caller), Some(self.slots.enter(cluster).await)] }
    }
}
