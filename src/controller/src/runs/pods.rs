//! What is to be seen of a Job beside the Job? Its Pods, and what was said about it: read live, and only of
//! one that failed or does not get on.

use ger_api::status::Run;
use ger_core::job::RUN_ID;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Api;
use kube::api::ListParams;

use crate::clusters::Cluster;

/// More than a Job of ours makes, unless its Action asks for many retries: the newest are among them.
const MOST_PODS: u32 = 100;
/// More than the Job controller says of one Job.
const MOST_EVENTS: u32 = 100;

/// The Pods of a run's Job.
pub(crate) async fn of(
    cluster: &Cluster,
    namespace: &str,
    (run, job_uid): (&Run, &str),
) -> kube::Result<Vec<Pod>> {
    let pods: Api<Pod> = Api::namespaced(cluster.client().clone(), namespace);
    let params = ListParams::default().labels(&format!("{RUN_ID}={}", run.id)).limit(MOST_PODS);
    let owned = |it: &Pod| {
        let owners = it.metadata.owner_references.iter().flatten();
        owners.into_iter().any(|it| it.uid == job_uid)
    };
    Ok(pods.list(&params).await?.items.into_iter().filter(owned).collect())
}

/// What was said about a Job, whether or not it is still there.
pub(crate) async fn events(
    cluster: &Cluster,
    namespace: &str,
    job_uid: &str,
) -> kube::Result<Vec<Event>> {
    let events: Api<Event> = Api::namespaced(cluster.client().clone(), namespace);
    let about = format!("involvedObject.uid={job_uid}");
    let params = ListParams::default().fields(&about).limit(MOST_EVENTS);
    Ok(events.list(&params).await?.items)
}
