//! How much may go out at once, and whom do we leave alone for a while?
//!
//! ```text
//! check: (cluster, host): 6 ──▶ cluster: its share ──▶ (host, credential): 8 ──▶ all
//! tree:  cluster: 2 ──▶ (cluster, host): 6 ──▶ trees: 4 ──▶ (host, credential): 8 ──▶ all
//! ```

mod gates;
mod pauses;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ger_core::names::ClusterName;
use ger_git::Auth;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::gates::Gates;
pub(crate) use self::pauses::Pauses;

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
    trees: Arc<Semaphore>,
    slots: Arc<Semaphore>,
    pub(crate) pauses: Pauses,
}

/// The right to have one request more in flight.
#[derive(Debug)]
pub(crate) struct Permit {
    // The semaphores are never closed, so these are always some.
    _held: [Option<OwnedSemaphorePermit>; 2],
}

impl Limits {
    /// `share` checks of one cluster at once, four times as many of all together.
    pub(crate) fn new(share: u8) -> Self {
        let share = usize::from(share.max(1));
        Self {
            at_host: Gates::of(OF_CLUSTER_AT_HOST),
            clusters: Gates::of(share),
            callers: Gates::of(OF_CALLER),
            trees_of_cluster: Gates::of(TREES_OF_CLUSTER),
            trees: Arc::new(Semaphore::new(TREES)),
            slots: Arc::new(Semaphore::new(share * SHARES)),
            pauses: Pauses::default(),
        }
    }

    /// Waits for a place within the cluster's share; who waits for a busy host holds none of it.
    pub(crate) async fn enter_share(&self, cluster: &ClusterName, host: &str) -> Permit {
        let at_host = self.at_host.enter((cluster.clone(), host.to_owned())).await;
        Permit { _held: [at_host, self.clusters.enter(cluster.clone()).await] }
    }

    /// Waits until one more tree may be fetched for the cluster; who waits holds none of its places
    /// at the host, which its checks need.
    pub(crate) async fn enter_trees(&self, cluster: &ClusterName, host: &str) -> Permit {
        let of_cluster = self.trees_of_cluster.enter(cluster.clone()).await;
        let at_host = self.at_host.enter((cluster.clone(), host.to_owned())).await;
        Permit { _held: [of_cluster, at_host] }
    }

    /// Waits until one more tree may be fetched at all: before [`Self::enter`], whose slots are for
    /// what goes out at once.
    pub(crate) async fn enter_tree(&self) -> Permit {
        Permit { _held: [Arc::clone(&self.trees).acquire_owned().await.ok(), None] }
    }

    /// Waits for a slot at the host, and then for one among all.
    pub(crate) async fn enter(&self, caller: &Caller) -> Permit {
        let of_caller = self.callers.enter(caller.clone()).await;
        Permit { _held: [of_caller, Arc::clone(&self.slots).acquire_owned().await.ok()] }
    }
}
