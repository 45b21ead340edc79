//! What becomes of a suspended Job that is not to start? Its run is ended, or it is nobody's; then it is
//! deleted.

use ger_api::TriggerStatus;
use ger_core::admission::{self, Orphan};
use ger_core::ledger as core_ledger;
use ger_core::names::TriggerKey;
use k8s_openapi::api::batch::v1::Job;
use kube::Api;

use crate::clusters::{Cluster, JobView};
use crate::runs::error::Error;
use crate::runs::jobs::{self, Patched};
use crate::runs::{Fleet, ended, ledger};

/// Ends a run that waited too long: withdrawn first, so that nobody can start it any more; then
/// recorded; then deleted. A crash between any two is taken up by the next look.
pub(super) async fn expire(
    (fleet, cluster): (&Fleet, &Cluster),
    view: &JobView,
    trigger: &TriggerKey,
    run_id: &str,
) -> Result<(), Error> {
    if jobs::withdraw(cluster, view).await? == Patched::No {
        return Ok(());
    }
    let now = fleet.clock.now();
    let message = "the Job waited too long for a free slot; its source is checked again";
    let mut run = None;
    let written = ledger::transit(cluster.client(), trigger, &fleet.metrics, |live| {
        run = live.status.runs.iter().find(|it| it.id == run_id).cloned();
        core_ledger::expired(&live.status, run_id, Some(&view.uid), message, now)
    })
    .await?;
    if let (ledger::Moved::Yes, Some(run)) = (written.outcome, run) {
        ended::expired((fleet, cluster), &written.trigger, &run, message).await;
    }
    let jobs: Api<Job> = Api::namespaced(cluster.client().clone(), &view.namespace);
    match jobs::live(cluster, (&view.namespace, &view.name), &view.uid)
        .await?
        .filter(|it| it.withdrawn)
    {
        Some(live) => jobs::delete(&jobs, &live).await,
        None => Ok(()),
    }
}

/// Whether a Job of no ledger was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removed {
    Yes,
    /// Its trigger, read live, knows it.
    No,
}

/// Deletes a Job that no ledger knows, once its trigger, read live, does not know it either.
pub(super) async fn remove_orphan(cluster: &Cluster, view: &JobView) -> Result<Removed, Error> {
    let trigger_uid = view.trigger_uid.as_deref().unwrap_or_default();
    let live = match view.trigger.clone() {
        None => None,
        Some((kind, name)) => {
            let (cluster_name, namespace) = (cluster.name().clone(), view.namespace.clone());
            let key = TriggerKey { cluster: cluster_name, kind, namespace, name };
            ledger::read(cluster.client(), &key).await?
        }
    };
    let status: Option<(&str, &TriggerStatus)> =
        live.as_ref().map(|it| (it.uid.as_str(), &it.status));
    if admission::orphan(trigger_uid, &view.run_id, &view.uid, status) == Orphan::Keep {
        return Ok(Removed::No);
    }
    tracing::info!(cluster = %cluster.name(), job = view.name, run = view.run_id, "orphan deleted");
    let jobs: Api<Job> = Api::namespaced(cluster.client().clone(), &view.namespace);
    jobs::delete(&jobs, view).await?;
    Ok(Removed::Yes)
}
