//! Is this cluster here under another name already? Who registered first keeps it.
//!
//! Every replica must come to the same answer whatever order it connected in, so the answer depends on
//! the registrations alone: the hub before all, then the older Secret, then the name. And on proof: a
//! cluster that only says that it is another takes nothing from it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ger_core::job::RUN_ID;
use ger_core::names::ClusterName;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long one answer may take that proves something.
const PATIENCE: Duration = Duration::from_secs(10);
/// Two that say they are the same, and were not proved so, are compared again after this.
const AGAIN: Duration = Duration::from_mins(1);

/// A cluster's precedence among those that are the same cluster; the least one has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Hub,
    Spoke { created: Timestamp, name: ClusterName },
}

impl Rank {
    fn name(&self) -> ClusterName {
        match self {
            Self::Hub => ClusterName::hub(),
            Self::Spoke { name, .. } => name.clone(),
        }
    }
}

/// Who claims to be which cluster.
#[derive(Clone, Default)]
pub(super) struct Claims {
    /// By uid: the claimants.
    table: Arc<Mutex<BTreeMap<String, BTreeMap<Rank, Claimant>>>>,
    changes: watch::Sender<()>,
}

struct Claimant {
    /// How often it claims: twice while its credentials change.
    count: usize,
    client: Client,
}

impl Claims {
    /// Claims a cluster until the claim is dropped.
    pub(super) fn enter(&self, uid: String, rank: Rank, client: &Client) -> Claim {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let claimants = table.entry(uid.clone()).or_default();
        let claimant = claimants
            .entry(rank.clone())
            .or_insert_with(|| Claimant { count: 0, client: client.clone() });
        claimant.count += 1;
        claimant.client = client.clone();
        drop(table);
        self.changes.send_replace(());
        Claim { claims: self.clone(), uid, rank, client: client.clone() }
    }
}

/// A claim to be a certain cluster.
pub(super) struct Claim {
    claims: Claims,
    uid: String,
    rank: Rank,
    client: Client,
}

impl Claim {
    /// Those that claim the same and come before this one, the first of them first.
    fn before(&self) -> Vec<(ClusterName, Client)> {
        let table = self.claims.table.lock().unwrap_or_else(PoisonError::into_inner);
        let claimants = table.get(&self.uid);
        let before = claimants.into_iter().flat_map(|it| it.range(..self.rank.clone()));
        before.map(|(rank, it)| (rank.name(), it.client.clone())).collect()
    }

    /// Whether another claims the same and comes before this one, rightly or not.
    pub(super) fn is_contested(&self) -> bool {
        !self.before().is_empty()
    }

    /// The cluster that comes before this one and is the same, if there is any.
    pub(super) async fn rival(&self) -> Option<ClusterName> {
        for (name, client) in self.before() {
            if are_same(&self.client, &client).await {
                return Some(name);
            }
        }
        None
    }

    /// Waits until this claim is not first any more.
    pub(super) async fn lost(&self) {
        self.wait(|rival| rival.is_some()).await;
    }

    /// Waits until another than `known` comes before this one, or none.
    pub(super) async fn moved(&self, known: Option<&ClusterName>) {
        self.wait(|rival| rival != known).await;
    }

    async fn wait(&self, done: impl Fn(Option<&ClusterName>) -> bool) {
        let mut changes = self.claims.changes.subscribe();
        while !done(self.rival().await.as_ref()) {
            let is_contested = self.is_contested();
            tokio::select! {
                biased;
                // The sender lives in this claim, so that the channel cannot close.
                changed = changes.changed() => if changed.is_err() { return },
                () = sleep(AGAIN), if is_contested => {}
            }
        }
    }
}

/// Whether two clients lead to one cluster. The uid of a namespace can be repeated by anybody who has
/// read it, and is the same in a copy of a cluster; the version that an API has come to is known only
/// to who can ask it. Asked through one, the other and the one again, it never goes back.
///
/// Without an answer they count as two: who hides may not take another's place.
async fn are_same(one: &Client, other: &Client) -> bool {
    let Some(before) = version(one).await else { return false };
    let Some(between) = version(other).await else { return false };
    let Some(after) = version(one).await else { return false };
    before <= between && between <= after
}

/// The version that a cluster has come to.
async fn version(client: &Client) -> Option<u128> {
    let jobs: Api<Job> = Api::all(client.clone());
    let params = ListParams::default().labels(RUN_ID).limit(1);
    let listed = timeout(PATIENCE, jobs.list_metadata(&params)).await.ok()?.ok()?;
    listed.metadata.resource_version?.parse().ok()
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut table = self.claims.table.lock().unwrap_or_else(PoisonError::into_inner);
        let claimants = table.entry(self.uid.clone()).or_default();
        if let Some(claimant) = claimants.get_mut(&self.rank) {
            claimant.count -= 1;
        }
        claimants.retain(|_, it| it.count > 0);
        if claimants.is_empty() {
            table.remove(&self.uid);
        }
        drop(table);
        self.claims.changes.send_replace(());
    }
}
