//! What does a Job of a cluster say of its place?

use ger_core::admission::taken::{Sight, Stage};
use ger_core::ledger::JobSighting;
use ger_core::names::{ClusterName, TriggerKey};

use crate::clusters::{JobView, KueueQueue};

/// The Job as places are counted by it.
pub(super) fn sight<'a>(cluster: &ClusterName, view: &'a JobView) -> Sight<'a> {
    let stage = match view.sighting {
        JobSighting::Suspended if is_ours(view) => Stage::Waits,
        JobSighting::Running { .. } if is_ours(view) => Stage::Works,
        _ => Stage::Elsewhere,
    };
    Sight {
        uid: &view.uid,
        job: &view.name,
        version: &view.resource_version,
        stage,
        // It is asked of few: those that work.
        trigger: if stage == Stage::Works { key(cluster, view) } else { None },
    }
}

/// What Kueue admits has its place there.
fn is_ours(view: &JobView) -> bool {
    view.queue != KueueQueue::HandedOver
}

fn key(cluster: &ClusterName, view: &JobView) -> Option<TriggerKey> {
    let (kind, name) = view.trigger.clone()?;
    Some(TriggerKey { cluster: cluster.clone(), kind, namespace: view.namespace.clone(), name })
}
