//! In which clusters may a Job be waiting to be started? Rung by whoever made or saw one.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use ger_core::names::ClusterName;
use tokio::sync::Notify;

/// A bell with a name on it for each cluster that rang.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Mutex<BTreeSet<ClusterName>>,
    notify: Notify,
}

impl Bell {
    pub(crate) fn ring(&self, cluster: &ClusterName) {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner).insert(cluster.clone());
        self.notify.notify_one();
    }

    /// Waits until it rings, and says for which clusters. Safe to drop while it waits.
    pub(crate) async fn heard(&self) -> BTreeSet<ClusterName> {
        loop {
            let rung =
                std::mem::take(&mut *self.rung.lock().unwrap_or_else(PoisonError::into_inner));
            if !rung.is_empty() {
                return rung;
            }
            self.notify.notified().await;
        }
    }
}
