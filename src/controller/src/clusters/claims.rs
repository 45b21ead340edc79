//! Is this cluster here under another name already? Who registered first keeps it.
//!
//! Every replica must come to the same answer whatever order it connected in, so the answer depends
//! on the registrations alone: the hub before all, then the older Secret, then the name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ger_core::names::ClusterName;
use jiff::Timestamp;
use tokio::sync::watch;

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
#[derive(Clone, Debug, Default)]
pub(super) struct Claims {
    /// By uid: the claimants, and how often each claims (twice while its credentials change).
    table: Arc<Mutex<BTreeMap<String, BTreeMap<Rank, usize>>>>,
    changes: watch::Sender<()>,
}

impl Claims {
    /// Claims a cluster until the claim is dropped.
    pub(super) fn enter(&self, uid: String, rank: Rank) -> Claim {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        *table.entry(uid.clone()).or_default().entry(rank.clone()).or_default() += 1;
        drop(table);
        self.changes.send_replace(());
        Claim { claims: self.clone(), uid, rank }
    }
}

/// A claim to be a certain cluster.
#[derive(Debug)]
pub(super) struct Claim {
    claims: Claims,
    uid: String,
    rank: Rank,
}

impl Claim {
    /// The cluster that comes before this one, if there is any.
    pub(super) fn rival(&self) -> Option<ClusterName> {
        let table = self.claims.table.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, _) = table.get(&self.uid)?.first_key_value()?;
        (*first != self.rank).then(|| first.name())
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
        // The sender lives in this claim, so that the channel cannot close.
        while !done(self.rival().as_ref()) && changes.changed().await.is_ok() {}
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut table = self.claims.table.lock().unwrap_or_else(PoisonError::into_inner);
        let claimants = table.entry(self.uid.clone()).or_default();
        if let Some(count) = claimants.get_mut(&self.rank) {
            *count -= 1;
        }
        claimants.retain(|_, count| *count > 0);
        if claimants.is_empty() {
            table.remove(&self.uid);
        }
        drop(table);
        self.claims.changes.send_replace(());
    }
}
